# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a play says of an app: which release it gets and why, and in the end which one serves, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import first_domain

HTTPS_PORT = 443
# The name of the public result among the facts of a host.
FACT = "asgi_host"


def due(found: Mapping[str, Any]) -> str:
    """The release that an app gets, and why, by what was ``found`` of it (status ``needed``)."""
    why = "; ".join(found["reasons"])
    if again := found.get("again"):
        release = f"release {again} again"
    elif digest := found.get("wanted"):
        release = f"new release *-{digest}"
    else:
        release = "new release"
    instead = f", in place of {found['previous']}" if found.get("previous") else ""
    return f"{release} ({why}){instead}"


def done(result: Mapping[str, Any], where: str) -> str:
    """What became of an app, by its ``result``; empty where nothing changed. ``where`` it is found, if it is."""
    release = (result.get("release") or {}).get("id")
    serves = f"release {release} serves{f' {where}' if where else ''}"
    reasons = ", ".join(result.get("reasons") or [])
    return {
        "deployed": serves,
        "rolled back": f"rolled back, {serves}",
        "repaired": f"repaired ({reasons}), {serves}",
        "synced": f"its live folder has what changed, {serves}",
        "removed": f"removed ({reasons})",
    }.get(str(result.get("status")), "")


def place(app: Mapping[str, Any], *, url: str, root: str) -> str:
    """Where a normalized app is found: ``at`` its address, or ``on`` its socket where it has none."""
    if app["state"] == "absent":
        return ""
    if not url:
        return f"on {root}/{app['name']}/current/app.sock"
    return f"at {url}{' (in maintenance)' if app['maintenance'] else ''}"


def url(app: Mapping[str, Any], *, https_port: int) -> str:
    """The address of a normalized app behind nginx; empty where it has none."""
    if app["state"] == "absent" or not app["domains"]:
        return ""
    plain = app["tls"]["mode"] == "none"
    port = "" if plain or https_port == HTTPS_PORT else f":{https_port}"
    return f"{'http' if plain else 'https'}://{first_domain(app['domains'])}{port}{app['root_path']}/"


def needs_work(found: Mapping[str, Any]) -> bool:
    """Whether an app that was found so gets a new release, or new files in its live folder."""
    return found.get("status") == "needed" or bool(found.get("unsynced"))


def serves_nothing(found: Mapping[str, Any]) -> bool:
    """Whether no release of an app that was found so serves."""
    return not (found.get("previous") or (found.get("release") or {}).get("id"))


def facts(
    known: Mapping[str, Any],
    apps: Mapping[str, Any],
    urls: Callable[[str], str],
    failures: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The public result of a host, for the playbook: the fact ``asgi_host``.

    ``known`` are the variables of the host, with what an earlier task has said. ``urls`` gives an app's address by its
    name. An app that failed has the words as its ``error``, and what serves as it did.
    """
    before = ((known.get("ansible_facts") or {}).get(FACT) or {}).get("apps") or {}
    found = {name: dict(each) for name, each in before.items()}
    for name, each in apps.items():
        if each.get("status") == "current" and not each.get("release"):
            # It is absent, and was before.
            found.pop(name, None)
        else:
            # Why it was needed, the task before has said.
            needed = before.get(name, {}) if each.get("status") == "deployed" else {}
            found[name] = _public({"reasons": needed.get("reasons"), **each}, urls(name))
    for name, words in (failures or {}).items():
        one = found.get(name) or _public({}, urls(name))
        found[name] = {**one, "status": "failed", "error": words}
    return {FACT: {"apps": found}}


def _public(found: Mapping[str, Any], address: str) -> dict[str, Any]:
    """One app of the public result; a release that is still to come is none."""
    release = found.get("release") or {}
    return {
        "status": found.get("status"),
        "release": release.get("id") or found.get("previous"),
        "version": release.get("version"),
        "url": address,
        "reasons": list(found.get("reasons") or []),
    }

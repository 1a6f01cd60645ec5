# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a play says of an app: which release it gets and why, and in the end which one serves, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import first_domain

HTTPS_PORT = 443


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


def place(app: Mapping[str, Any], *, proxy: bool, https_port: int, root: str) -> str:
    """Where a normalized app is found: ``at`` its address, or ``on`` its socket where it has none."""
    if app["state"] == "absent":
        return ""
    if not (proxy and app["domains"]):
        return f"on {root}/{app['name']}/current/app.sock"
    plain = app["tls"]["mode"] == "none"
    port = "" if plain or https_port == HTTPS_PORT else f":{https_port}"
    closed = " (in maintenance)" if app["maintenance"] else ""
    return (
        f"at {'http' if plain else 'https'}://{first_domain(app['domains'])}{port}{app['root_path']}/{closed}"
    )

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What complete apps ask of a host: a system, free ports, an interpreter, and how many workers it can bear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import _groups, _systems, _versions
from .checks import InputError
from .program_values import WORKERS_FIX
from .reading import as_int, show


def host_problems(
    apps: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    *,
    proxy: bool = True,
    proxy_protocol: Sequence[str] = (),
    brings_python: bool = False,
) -> list[str]:
    """What keeps a host with these ``facts`` from running these normalized ``apps``.

    ``facts`` holds ``user``, ``distribution``, ``release``, ``versions``, ``init``, ``python``, ``pythons``, ``listeners``,
    ``nginx`` and ``folders``. With ``proxy`` false the ports of nginx may belong to anyone. ``proxy_protocol`` is
    ``asgi_host_proxy_protocol``. With ``brings_python`` uv may bring the interpreters that the host lacks.
    """
    if (user := facts.get("user", "root")) != "root":
        # Whoever is not root does not see what the other questions are about.
        return [f"the play is {user} on the host, not root; set become: true in the play"]
    # Facts that an earlier version remembered do not say it.
    if (init := facts.get("init", "systemd")) != "systemd":
        words = (
            f"PID 1 of the host is {init}, not systemd, which runs all that the role brings; use a host that boots "
            "with systemd (a container too: its command is /sbin/init then, as with podman run --systemd=always)"
        )
        return [words]
    if lacks := _systems.problems(facts, proxy=proxy):
        # The rest may look different on another system.
        return lacks
    found: list[str] = []
    present = [app for app in apps if app["state"] == "present"]
    taken = {
        (listener["port"], listener.get("process") or "an unknown program")
        for listener in facts.get("listeners") or ()
        if listener["port"] in (80, 443) and listener.get("process") != "nginx"
    }
    if proxy and present:
        found += [
            f"port {port} of the host is taken by {process}; stop and disable {process}, "
            "or leave nginx alone with asgi_host_proxy: false"
            for port, process in sorted(taken)
        ]
    if proxy and present and proxy_protocol:
        found += [
            f"asgi_host_proxy_protocol: the site {site} listens on port 80 or 443 as well, and would speak the PROXY "
            "protocol from then on; give it another port or address, add proxy_protocol to its listen lines, "
            "or leave asgi_host_proxy_protocol empty"
            for site in facts["nginx"]["foreign_sites"]
        ]
    if (facts["distribution"], facts["release"]) == ("debian", "12"):
        found += [
            f"asgi_host_apps ({app['name']}): source.image: podman of Debian 12 (4.3) cannot make the app's own user "
            "that of a container; use a host with Debian 13, or another source"
            for app in present
            if app["server"] == "image"
        ]
    found += _lacking_groups(present, facts)
    for app in present:
        mount = app["source"].get("mount")
        if mount and mount not in (facts.get("folders") or ()):
            found.append(
                f"asgi_host_apps ({app['name']}): source.mount: the host has no folder {mount}; mount it there, or "
                "give the path that it has on the host"
            )
        if find_python(app["python"], facts) is None:
            by_uv = bool(app["python"]) and not app["python"].startswith("/")
            if brings_python and by_uv:
                continue
            has = ", ".join(f"{each['path']} ({each['version']})" for each in pythons(facts)) or "none"
            wanted = app["python"] or "python3"
            found.append(
                f"asgi_host_apps ({app['name']}): python: the host has no Python for {wanted} "
                f"(it has: {has}); give one that it has, or install that Python on it first"
                + (", or let uv bring it with asgi_host_python_mirror" if by_uv else "")
            )
    return found


def _lacking_groups(apps: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> list[str]:
    """The groups that the host lacks; while a package of an app's is still to come, that may bring them.

    Then the release looks once more before it is built.
    """
    to_come = {package for app in apps for package in app["packages"]} & set(
        facts.get("missing_packages") or ()
    )
    if to_come:
        return []
    return [
        f"asgi_host_apps ({app['name']}): groups: {_groups.words(name)}"
        for app in apps
        for name in app["groups"]
        if name in (facts.get("missing_groups") or ())
    ]


def missing_pythons(apps: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> list[str]:
    """The versions and ranges of normalized ``apps`` for which a host has no interpreter."""
    wanted = {app["python"] for app in apps if app["state"] == "present" and app["python"]}
    return sorted(each for each in wanted if not each.startswith("/") and find_python(each, facts) is None)


def find_python(wanted: str | None, facts: Mapping[str, Any]) -> dict[str, str] | None:
    """The interpreter ``{path, version}`` of a host for an app's ``python``; None where the host has none.

    The host's own ``python3`` goes before all others; of those, the newest that fits.
    """
    found = pythons(facts)
    if not wanted:
        return found[0] if found and found[0]["path"] == (facts.get("python") or {}).get("path") else None
    if wanted.startswith("/"):
        return next((each for each in found if each["path"] == wanted), None)
    return next((each for each in found if _versions.fits(each["version"], wanted)), None)


def pythons(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """The host's own python3, then the others from new to old; only those that run."""
    own = [facts.get("python") or {}]
    others = sorted(
        facts.get("pythons") or (),
        key=lambda each: _versions.numbers(str(each.get("version") or "0")),
        reverse=True,
    )
    return [
        {"path": str(each["path"]), "version": str(each["version"])}
        for each in [*own, *others]
        if each.get("path") and each.get("version")
    ]


def workers(value: int | str, *, cores: int, memory_mb: int, per_worker_mb: int = 100) -> int:
    """The number of worker processes: ``auto``, ``cores`` or the number itself; never less than 1.

    ``auto`` is 2 * ``cores`` + 1, as gunicorn's documentation has it, but no more than fit in ``memory_mb``
    MiB at ``per_worker_mb`` each. Measured were 37 MB for a FastAPI hello, and 30 to 340 MB for fifteen
    applications from PyPI; 100 is within that. Raises InputError for any other value.
    """
    if value == "auto":
        return max(1, min(2 * cores + 1, memory_mb // per_worker_mb))
    if value == "cores":
        return max(1, cores)
    number = as_int(value)
    if number is None or number < 1:
        raise InputError(f"workers: {show(value)} is not a number of workers; {WORKERS_FIX}")
    return number

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that follow from an app's own: one place for each rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import workers
from ansible_collections.asgi.host.plugins.plugin_utils._timeouts import timeouts

# Of the memory of a host, what the workers of one instance may take, for a deploy has two of them; and of an app's own
# limit, which is for one.
SHARE_OF_HOST, SHARE_OF_LIMIT = 0.4, 0.9
UNITS_OF_MEMORY = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
# Debian's nginx by release, for a host that has none yet.
NGINX_OF_RELEASE = {"12": "1.22.1", "13": "1.26.3"}


def derived(app: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    """What the templates of a release need beside the app's own settings; ``times`` is the app's timeout chain."""
    uri = app["app"] or ""
    return {
        "app_uri": uri + ("()" if app["factory"] else ""),
        "dotted": "." in uri.partition(":")[2].partition("(")[0],
        "workers": workers(app["workers"], cores=host["cores"], memory_mb=host["memory_mb"]),
        "times": timeouts(app),
    }


def room_for_workers(app: dict[str, Any], host: Mapping[str, Any]) -> float | None:
    """The memory for the workers of one instance in MiB, where their number is ours to choose; else None."""
    if app["workers"] != "auto" or app["reload"] or app["server"] not in ("gunicorn", "uvicorn"):
        return None
    room: float = SHARE_OF_HOST * host["memory_mb"]
    if limit := app["sandbox"]["memory_max"]:
        number, unit = int(limit[:-1]), limit[-1]
        own = number / 100 * host["memory_mb"] if unit == "%" else number * UNITS_OF_MEMORY[unit]
        room = min(room, SHARE_OF_LIMIT * own)
    return room


def below_home(folder: str) -> bool:
    """Whether a folder of the host is one that the sandbox hides with all homes."""
    return f"{folder}/".startswith(("/home/", "/root/", "/run/user/"))


def read_timeout(app: dict[str, Any]) -> int:
    """Seconds that nginx waits for an app; more than its own where a deploy in place holds requests."""
    return timeouts(app).read


def upstream(app: dict[str, Any]) -> str:
    """The name of an app's upstream in nginx, with which all its names there begin."""
    return "asgi_" + str(app["name"]).replace("-", "_")


def in_data(path: str) -> bool:
    """Whether a static path lies in the app's data folder."""
    return path.startswith("{data}/")


def nginx_has(host: Mapping[str, Any], *version: int) -> bool:
    """Whether the host's nginx, or the one that it will get, is of this version or a later one."""
    has = host["nginx"]["version"] or NGINX_OF_RELEASE.get(host["release"], "0")
    return tuple(int(part) for part in has.split(".")[:3]) >= version


def http2_directive(host: Mapping[str, Any]) -> bool:
    """Whether nginx knows ``http2 on``, and not only the parameter of ``listen``."""
    return nginx_has(host, 1, 25, 1)


def http3(host: Mapping[str, Any]) -> bool:
    """Whether nginx knows HTTP/3."""
    return nginx_has(host, 1, 25, 0)


def rotating_tickets(host: Mapping[str, Any]) -> bool:
    """Whether nginx changes the keys of TLS session tickets by itself, as it does with a shared cache."""
    return nginx_has(host, 1, 23, 2)

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that follow from an app's own: one place for each rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import workers
from ansible_collections.asgi.host.plugins.module_utils._release.background import STAYS_UP_AT_MOST

# What an app's lifespan shutdown may take after the last request, in seconds, before systemd ends it.
SHUTDOWN_MARGIN = 15
# Seconds between two pings on a WebSocket, uvicorn's own default; less where nginx waits for less than three of them.
PING_INTERVAL = 20.0
# Debian's nginx by release, for a host that has none yet.
NGINX_OF_RELEASE = {"12": "1.22.1", "13": "1.26.3"}


def derived(app: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    """What the templates of a release need beside the app's own settings.

    ``stop_timeout`` (seconds) exceeds the graceful timeout and the lifespan shutdown, or a drain would end in
    SIGKILL. ``ping_interval`` (seconds) keeps quiet WebSockets open through nginx. ``start_timeout`` (seconds) bounds systemd's own wait; the gate has its own limit.
    """
    uri = app["app"] or ""
    return {
        "app_uri": uri + ("()" if app["factory"] else ""),
        "dotted": "." in uri.partition(":")[2].partition("(")[0],
        "workers": workers(app["workers"], cores=host["cores"], memory_mb=host["memory_mb"]),
        "start_timeout": max(90, *(check["timeout"] for check in app["health"])),
        "ping_interval": min(PING_INTERVAL, app["proxy"]["read_timeout"] / 3),
        "stop_timeout": app["graceful_timeout"] + SHUTDOWN_MARGIN,
    }


def read_timeout(app: dict[str, Any]) -> int:
    """Seconds that nginx waits for an app.

    With ``strategy: restart`` requests wait while the old instance ends, the new one is proved, and in the worst case
    the old one comes back. The background processes are tried meanwhile.
    """
    own = int(app["proxy"]["read_timeout"])
    if app["strategy"] != "restart":
        return own
    proving = sum(check["timeout"] for check in app["health"])
    trying = STAYS_UP_AT_MOST if app["processes"] else 0
    return int(max(own, app["graceful_timeout"] + 2 * proving + trying + SHUTDOWN_MARGIN))


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

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that follow from an app's own: one place for each rule."""

from __future__ import annotations

from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import workers

# What an app's lifespan shutdown may take after the last request, in seconds, before systemd ends it.
SHUTDOWN_MARGIN = 15
# Debian's nginx by release, for a host that has none yet.
NGINX_OF_RELEASE = {"12": "1.22.1", "13": "1.26.3"}


def derived(app: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    """What the templates of a release need beside the app's own settings.

    ``stop_timeout`` (seconds) exceeds the graceful timeout and the lifespan shutdown, or a drain would end in
    SIGKILL. ``start_timeout`` (seconds) bounds systemd's own wait; the gate has its own limit.
    """
    return {
        "app_uri": app["app"] + ("()" if app["factory"] else ""),
        "dotted": "." in app["app"].partition(":")[2].partition("(")[0],
        "workers": workers(app["workers"], cores=host["cores"], memory_mb=host["memory_mb"]),
        "start_timeout": max(90, *(check["timeout"] for check in app["health"])),
        "stop_timeout": app["graceful_timeout"] + SHUTDOWN_MARGIN,
    }


def in_data(path: str) -> bool:
    """Whether a static path lies in the app's data folder."""
    return path.startswith("{data}/")


def http2_directive(host: dict[str, Any]) -> bool:
    """Whether nginx knows ``http2 on`` (from 1.25.1), and not only the parameter of ``listen``."""
    version = host["nginx"]["version"] or NGINX_OF_RELEASE.get(host["release"], "0")
    return tuple(int(part) for part in version.split(".")[:3]) >= (1, 25, 1)

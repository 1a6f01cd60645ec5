# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where things are on a host, and which apps it shall have."""

from __future__ import annotations

from typing import Any

TOOLS = "/usr/local/lib/asgi-host"
UNITS = "/etc/systemd/system"
NGINX = "/etc/nginx"
# The block events is written once, and is the owner's: the one line is changed where it holds what packages bring (Debian's
# 768, nginx.org's 1024, nginx's own 512), and says what it was, so that it can be put back. Another number is somebody's own.
NGINX_CONF = f"{NGINX}/nginx.conf"
NGINX_DROP_IN = f"{UNITS}/nginx.service.d/asgi-host.conf"
DEFAULT_SITE = f"{NGINX}/sites-enabled/default"
DEFAULT_WAS_THERE = f"{NGINX}/asgi/default-site"
# Of an earlier version, for the builds of all apps by root.
SHARED_CACHE = "/var/cache/asgi/uv"
BUILD_CACHES = ("/var/cache/asgi-build", "/var/cache/private/asgi-build")
WHEELS = "/var/cache/asgi/wheels"
AUTHORITY = "/usr/local/share/ca-certificates/asgi-host.crt"


def present(apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The apps that are wanted."""
    return [app for app in apps if app["state"] == "present"]

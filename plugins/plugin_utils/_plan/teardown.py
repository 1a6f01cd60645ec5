# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of the last app: what all apps shared goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _turns
from ansible_collections.asgi.host.plugins.plugin_utils._plan import acme
from ansible_collections.asgi.host.plugins.plugin_utils._plan.nginx import CHECK, CONNECTIONS_BACK
from ansible_collections.asgi.host.plugins.plugin_utils._plan.places import (
    AUTHORITY,
    BUILD_CACHES,
    DEFAULT_SITE,
    DEFAULT_WAS_THERE,
    NGINX,
    NGINX_DROP_IN,
    TOOLS,
    present,
)


def leaving(apps: list[dict[str, Any]], host: Mapping[str, Any]) -> bool:
    """Whether the last app is to go, and with it what all apps share. A host that lists no app is kept ready."""
    return bool(apps) and not present(apps) and set(host["apps"]) <= {app["name"] for app in apps}


def leave(
    apps: list[dict[str, Any]], *, host: Mapping[str, Any], root: str, proxy: bool
) -> list[dict[str, Any]]:
    """Take away what all apps shared, when the last one is gone; what holds data of an app stays."""
    steps: list[dict[str, Any]] = []
    if proxy and host["nginx"]["version"]:
        ours = ["asgi-00-shared", *(f"asgi-app-{app['name']}" for app in apps)]
        steps += [{"absent": f"{NGINX}/conf.d/{name}.conf"} for name in ours]
        if not host["nginx"]["foreign_default_servers"]:
            target = f"{NGINX}/sites-available/default"
            steps.append({"link": DEFAULT_SITE, "target": target, "where": DEFAULT_WAS_THERE})
        steps += [
            CONNECTIONS_BACK,
            CHECK,
            {
                "command": ["systemctl", "try-reload-or-restart", "nginx"],
                "when": [f"{NGINX}/"],
                "name": "nginx reloaded",
                "do": "reload nginx",
            },
            {"absent": f"{NGINX}/asgi"},
            {"absent": NGINX_DROP_IN},
            {"absent": str(Path(NGINX_DROP_IN).parent), "if_empty": True},
            {
                "command": ["systemctl", "daemon-reload"],
                "when": [NGINX_DROP_IN],
                "name": "systemd's configuration",
            },
        ]
    return [
        *steps,
        *acme.leaves(),
        {"absent": TOOLS},
        *({"absent": str(_turns.lock(what))} for what in _turns.TURNS),
        *({"absent": path} for path in ("/var/cache/asgi", *BUILD_CACHES)),
        # systemd's, made for the builds.
        {"absent": "/var/cache/private", "if_empty": True},
        {"absent": AUTHORITY},
        {
            "command": ["update-ca-certificates", "--fresh"],
            "when": [AUTHORITY],
            "name": "certificate authorities",
            "do": "have the host believe asgi_host_ca_file no more",
        },
        *({"absent": folder, "if_empty": True} for folder in ("/etc/asgi", "/var/lib/asgi", root)),
    ]

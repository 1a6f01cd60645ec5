# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ACME on a host: what is ordered, the program that orders and renews, and their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _acme
from ansible_collections.asgi.host.plugins.plugin_utils._plan.places import NGINX, TOOLS, UNITS
from ansible_collections.asgi.host.plugins.plugin_utils._render import render

PROGRAM = f"{TOOLS}/acme.py"
PLACES = _acme.Places()


def entry(name: str) -> str:
    """Where the host keeps what is to be ordered: among the secrets of the app, with which it goes."""
    return f"/etc/asgi/{name}/acme.json"


def order(site: dict[str, Any], given: dict[str, Any]) -> str:
    """The order, as _acme.Site reads it; secret, for it holds what the DNS provider asks for."""
    found = {"": "Written by asgi.host.", "name": site["name"], "domains": site["names"]}
    return json.dumps({**found, **given, "folder": f"{site['folder']}/acme"}, indent=1) + "\n"


def runs() -> list[dict[str, Any]]:
    """The program, its timer, and a run where something is due. One that fails leaves what serves."""
    units = f"{UNITS}/asgi-acme."
    timer = "asgi-acme.timer"
    running = f"systemctl is-enabled --quiet {timer} && systemctl is-active --quiet {timer}"
    places = {"program": PROGRAM, "state": str(PLACES.state), "nginx": NGINX}
    return [
        {"file": PROGRAM, "content": Path(_acme.__file__).read_text(encoding="utf-8")},
        {"file": f"{units}service", "content": render("systemd/asgi-acme.service.j2", **places)},
        {"file": f"{units}timer", "content": render("systemd/asgi-acme.timer.j2")},
        {"command": ["systemctl", "daemon-reload"], "when": [units], "name": "systemd's configuration"},
        {
            "command": ["systemctl", "enable", "--now", "--quiet", timer],
            "unless": ["sh", "-c", running],
            "name": "the timer of certificates",
            "do": "start the timer that renews certificates",
        },
        {
            "command": ["python3", PROGRAM, "start"],
            "unless": ["python3", PROGRAM, "due"],
            "may_fail": True,
            "name": "certificates by ACME",
            "do": "order certificates by ACME",
        },
    ]


def leaves() -> list[dict[str, Any]]:
    """Take ACME away with the last site that used it: the account as well, which a new one replaces at any time."""
    units = f"{UNITS}/asgi-acme."
    return [
        {
            "command": ["systemctl", "disable", "--now", "--quiet", "asgi-acme.timer"],
            "unless": ["test", "!", "-e", f"{units}timer"],
            "name": "the timer of certificates",
            "do": "stop the timer that renews certificates",
        },
        {"absent": f"{units}timer"},
        {"absent": f"{units}service"},
        {"command": ["systemctl", "daemon-reload"], "when": [units], "name": "systemd's configuration"},
        {"absent": PROGRAM},
        {"absent": str(PLACES.state)},
        {"absent": "/var/lib/systemd/timers/stamp-asgi-acme.timer"},
    ]

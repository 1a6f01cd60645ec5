# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who somebody is, as nginx tells an app on purpose, and its worker lets through."""

from __future__ import annotations

from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import identity
from ansible_collections.asgi.host.plugins.plugin_utils._settings import upstream

# What a worker drops, as its template has it.
RULES = {"families": identity.FAMILIES, "single": identity.single_names()}


def identity_headers(app: dict[str, Any]) -> list[dict[str, str]]:
    """For the template of a site: each header's ``name`` and its ``value`` in nginx.

    One that a trusted proxy says has ``client``, the variable with what the client of nginx sent, and a ``variable`` that
    is empty for everybody else. They are numbered, for nginx limits a name's length.
    """
    found = []
    for number, item in enumerate(identity.believed(app)):
        variable = f"{upstream(app)}_said_{number}"
        client = "" if item["value"] else "$http_" + item["name"].lower().replace("-", "_")
        found.append(
            {
                "name": item["name"],
                "value": item["value"] or f"${variable}",
                "variable": variable,
                "client": client,
            }
        )
    return found


def said_by_nginx(app: dict[str, Any]) -> list[str]:
    """The names that a worker lets through, in lower case."""
    return [*identity.OURS, *(item["name"].lower() for item in identity.believed(app))]

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names and paths of a site that only lead elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import site_keys


def of_site(apps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The servers of nginx that lead elsewhere: each ``target``, with the ``names`` that lead to it."""
    found: dict[str, list[str]] = {}
    for app in apps:
        for name, target in site_keys.names(app["redirects"]).items():
            if name not in found.setdefault(target, []):
                found[target].append(name)
    return [{"target": target, "names": names} for target, names in found.items()]


def names(apps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names that lead elsewhere, which the site's certificate is for as well."""
    return [name for redirect in of_site(apps) for name in redirect["names"]]


def path_redirects(app: Mapping[str, Any]) -> list[dict[str, str]]:
    """The paths of an app that lead elsewhere; a path that they lead to is below its mount point as well."""
    root = app["root_path"]
    return [
        {"path": root + path, "target": f"{root if target.startswith('/') else ''}{target}$is_args$args"}
        for path, target in site_keys.paths(app["redirects"]).items()
    ]

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app as the module release is told of it: settings, rendered texts, and the source's digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import find_python, first_domain
from ansible_collections.asgi.host.plugins.plugin_utils import _sources
from ansible_collections.asgi.host.plugins.plugin_utils._render import render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import derived


def describe(app: dict[str, Any], common: Mapping[str, Any], bases: list[str], *, by: str) -> dict[str, Any]:
    """What the module is told of one normalized app.

    ``common`` holds root, host (facts) and server_pins. Raises SourceError for a source that is not there.
    """
    base = {"name": app["name"], "root": common["root"], "user": app["user"], "state": app["state"], "by": by}
    if app["state"] == "absent":
        return {**base, "purge": app["purge"]}
    settings = derived(app, common["host"])
    values = {"app": app, "root": common["root"], "settings": settings}
    return {
        **base,
        **{
            key: app[key]
            for key in (
                "domains",
                "root_path",
                "health",
                "hooks",
                "shared",
                "app_dir",
                "requirements",
                "strategy",
                "warm_up",
                "watch",
                "keep_warm",
                "keep_releases",
            )
        },
        "host": first_domain(app["domains"]),
        "python": find_python(app["python"], common["host"]),
        "server_requirements": app["server_requirements"],
        "server_pins": common["server_pins"],
        "source": source(app, bases),
        "texts": {
            "service": render("systemd/asgi-app@.service.j2", **values),
            "release.conf": render("systemd/release.conf.j2", **values),
            "gunicorn.conf.py": render("release/gunicorn.conf.py.j2", **values),
        },
    }


def source(app: dict[str, Any], bases: list[str]) -> dict[str, Any]:
    """The kind, digest and description of an app's source. Raises SourceError."""
    given = dict(app["source"])
    options = {key: given.get(key) or None for key in ("requirements",)}
    options.update({key: list(given.get(key) or []) for key in ("extras", "groups")})
    if given.get("package"):
        packages = given["package"]
        digest = hashlib.sha256(json.dumps(packages).encode()).hexdigest()
        return {
            **options,
            "kind": "package",
            "package": packages,
            "digest": digest,
            "describe": "package " + ", ".join(packages),
        }
    try:
        folder = _sources.locate(given["path"], bases)
        if not folder.is_dir():
            raise _sources.SourceError(f"{folder} is a file; give the folder that holds the app")
        return {
            **options,
            "kind": "path",
            "folder": str(folder),
            "digest": _sources.digest(folder),
            "describe": f"path {folder.name}",
            "version": _sources.version(folder),
        }
    except _sources.SourceError as error:
        raise _sources.SourceError(f"asgi_host_apps ({app['name']}): source.path: {error}") from error


def private(app: dict[str, Any], bases: list[str]) -> dict[str, Any]:
    """Environment, secrets and credentials of an app; a credential may be a file on the controller."""
    return {
        "env": app["env"],
        "secrets": app["secrets"],
        "credentials": {
            name: content if isinstance(content, str) else _read(content["file"], app["name"], name, bases)
            for name, content in app["credentials"].items()
        },
    }


def _read(path: str, app: str, name: str, bases: list[str]) -> str:
    try:
        return Path(_sources.locate(path, bases)).read_text(encoding="utf-8")
    except (_sources.SourceError, OSError) as error:
        raise _sources.SourceError(f"asgi_host_apps ({app}): credentials.{name}: {error}") from error

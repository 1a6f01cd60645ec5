# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sources of all apps, read on the controller before anything on a host is changed.

A commit or an archive is fetched for it once: what was found is kept by its digest, and what is new is to be deployed anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.asgi.host.plugins.module_utils._private import without_passwords
from ansible_collections.asgi.host.plugins.module_utils._release import indexes
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _controller,
    _origins,
    _project,
    _sources,
)
from ansible_collections.asgi.host.plugins.plugin_utils._plan import places
from ansible_collections.asgi.host.plugins.plugin_utils._project import Needs, Project

# Raised when a project is read otherwise: what another version of the collection has kept is not read.
SHAPE = 1
# How many of them are kept.
KEPT = 200
# What of an app decides how its source is read.
SETTINGS = ("app", "app_dir", "python", "requirements", "server", "server_requirements")


def projects(
    apps: list[dict[str, Any]], bases: list[str], read_key: Callable[[str], bytes]
) -> dict[str, Project]:
    """By name, what the apps' sources say; without those that cannot be had now, which is told elsewhere."""
    found = {}
    for app in places.present(apps):
        with contextlib.suppress(_sources.SourceError, OSError, ValueError):
            if project := _of(app, bases, read_key):
                found[app["name"]] = project
    return found


def repositories(app: Mapping[str, Any], found: Mapping[str, Project]) -> list[str]:
    """The addresses of git that an app's requirements come from; ``found`` is what projects() has found."""
    lines = [*app["requirements"], *(app["source"].get("package") or [])]
    known = found[app["name"]].repositories if app["name"] in found else ()
    return [*known, *_project.repositories("\n".join(lines))]


def without_key(
    apps: list[dict[str, Any]], found: Mapping[str, Project], logins: Mapping[str, Any]
) -> list[str]:
    """The apps with a requirement that asks for a key of ssh, which builds do not have."""
    return [
        f"asgi_host_apps ({app['name']}): source: a requirement comes from {without_passwords(address)}, and builds have no "
        f"key for ssh; give asgi_host_package_index_logins: {{{urlsplit(address).hostname}: {{username: …, password: …}}}} (a "
        "token of the forge), by which it is fetched over https, or put it into the source or an index"
        for app in places.present(apps)
        for address in dict.fromkeys(repositories(app, found))
        if address.startswith("ssh:") and not indexes.login_of(address, logins)
    ]


def _of(app: Mapping[str, Any], bases: list[str], read_key: Callable[[str], bytes]) -> Project | None:
    given = app["source"]
    if given.get("path"):
        folder = _origins.Folder(given["path"], bases, given["include"], given["exclude"])
        return _project.read(folder.tree(Path()), app, {name for name, _path in folder.entries()})
    if not (given.get("git") or given.get("archive")):
        return None
    origin = _origins.origin(app, bases, read_key)
    known = origin.describe()
    if known["kind"] != "tree":
        return None
    path = _kept(known["digest"], app)
    if path and (project := _read(path)):
        return project
    with tempfile.TemporaryDirectory(prefix="asgi-host-") as scratch:
        tree = origin.tree(Path(scratch))
        if tree is None:
            return None
        project = _project.read(tree, app)
    if path:
        with contextlib.suppress(OSError):
            path.write_text(json.dumps(asdict(project)), encoding="utf-8")
            for old in sorted(path.parent.iterdir(), key=lambda each: -each.stat().st_mtime)[KEPT:]:
                old.unlink(missing_ok=True)
    return project


def _kept(digest: str, app: Mapping[str, Any]) -> Path | None:
    folder = _controller.cache("projects")
    settings = {key: app[key] for key in SETTINGS}
    own = {key: value for key, value in app["source"].items() if key not in ("git", "archive")}
    name = hashlib.sha256(json.dumps([SHAPE, digest, settings, own], sort_keys=True).encode()).hexdigest()
    return folder / f"{name[:32]}.json" if folder else None


def _read(path: Path) -> Project | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        needs = [Needs(each["where"], each["shown"], tuple(each["either"])) for each in found["pythons"]]
        return Project(tuple(found["problems"]), tuple(needs), tuple(found["repositories"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None

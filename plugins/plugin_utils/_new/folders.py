# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of folders: those that outlive a release, and those that nginx serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import routes
from .context import Context
from .lines import Line
from .project import joined, parent


@dataclass(frozen=True)
class _Folder:
    """A path of the source that outlives a release, or one that is served at a URL."""

    path: str
    why: str
    url: str = ""


def add(context: Context) -> None:
    """``shared`` and ``static``."""
    found = [*_of_django(context), *_of_mounts(context), *_of_volumes(context)]
    shared = {each.path: each.why for each in reversed(found) if each.path and not each.url}
    # A folder inside of another outlives a release with that one.
    outer = [path for path in shared if not any(path.startswith(f"{other}/") for other in shared)]
    if outer:
        lines = [{"path": Line(path, f"{shared[path]}; it outlives a release")} for path in reversed(outer)]
        context.plan.app["shared"] = lines
    static = {each.url: each for each in reversed(found) if each.url}
    if static:
        ordered = sorted(static.values(), key=lambda each: each.url, reverse=True)
        context.plan.app["static"] = [
            {"url": Line(each.url, each.why), "path": Line(each.path)} for each in ordered
        ]


def _of_django(context: Context) -> Iterator[_Folder]:
    given = context.django
    if given is None:
        return
    if given.static:
        folder = "staticfiles" if given.static_variable else context.inside(given.static.value)
        yield _Folder(folder, f"{given.static.where}: STATIC_ROOT", given.static_url or "/static/")
    if given.media and given.media.value:
        folder, why = context.inside(given.media.value), f"{given.media.where}: MEDIA_ROOT"
        if given.media.value in context.project.folders:
            context.plan.notes.append(
                f"{given.media.value} is MEDIA_ROOT, and the project has files in it: they are copied the first time"
            )
        yield _Folder(folder, why)
        if given.media_url:
            yield _Folder(f"{{data}}/{folder}", why, given.media_url)
    if given.database and not given.database_variable:
        path = given.database.value
        if parent(path) and parent(path) not in context.project.folders:
            yield _Folder(
                context.inside(parent(path)), f"{given.database.where}: the database is a file in it"
            )
        else:
            yield _Folder(context.inside(path), f"{given.database.where}: the database is this file")


def _of_mounts(context: Context) -> Iterator[_Folder]:
    """Folders that the app itself would serve."""
    if context.django:
        return
    for url, folder, where in routes.static(context.code, context.entry):
        bases = (context.entry.app_dir, "", parent(context.entry.path))
        place = next(
            (path for base in bases if (path := joined(base, folder)) in context.project.folders), ""
        )
        if place:
            yield _Folder(context.inside(place), where, f"/{url.strip('/')}/")


def _of_volumes(context: Context) -> Iterator[_Folder]:
    """Paths that containers keep. One that the source has files in is the source's own."""
    moved = "{data}" in (line.value for line in context.plan.app.get("env", {}).values())
    for path, where in context.ways.kept.items():
        # Of the folder that a variable names, the data is elsewhere.
        if (
            not (moved and path == "data")
            and not context.project.has(path)
            and path not in context.project.folders
        ):
            yield _Folder(context.inside(path), where)

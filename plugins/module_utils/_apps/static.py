# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules of static folders: nginx serves all that lies in one, so none holds the code, the data or the host's own."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from .checks import Say
from .program_values import TOKEN
from .reading import as_list, as_text, show

# No folder of files for everybody is one of these, or lies above one.
OF_THE_HOST = (
    *("/boot", "/dev", "/etc", "/proc", "/root", "/run", "/srv/asgi", "/sys", "/usr", "/var/cache/asgi"),
    *("/var/lib/asgi", "/var/log"),
)


def plain(path: str) -> str:
    """A static path in one form: ``{data}/…``, absolute, or relative to the source."""
    path = path.removeprefix("{source}/") if path != "{source}" else ""
    return posixpath.normpath(path) if path.strip("/") else path[:1]


def static_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """What each folder must not be. Lines that are wrong in another way are left to their own checks."""
    for number, item in enumerate(as_list(app.get("static"))):
        given = as_text(item.get("path")) if isinstance(item, Mapping) else ""
        if given and ".." not in given.split("/") and (words := _wrong(plain(given), app)):
            say(f"static[{number}].path", f"{show(given)} {words}")


FIX = "give the folder of the files alone, such as static or {data}/media"


def _wrong(path: str, app: Mapping[Any, Any]) -> str:
    if path == "{data}":
        return f"is the whole data folder, with databases and caches; {FIX}"
    if TOKEN.search(path.removeprefix("{data}/")):
        return f"holds a token that is none here; {FIX}"
    if path.startswith("/"):
        within = any(_is_or_above(path, each) for each in OF_THE_HOST)
        return f"is the host's own, or above it; {FIX}" if within else ""
    return _wrong_in_the_source(path, app)


def _wrong_in_the_source(path: str, app: Mapping[Any, Any]) -> str:
    if path in ("", "."):
        return f"is the whole source, with the code; {FIX}"
    if any(_is_or_above(path, each) for each in _code(app)):
        return f"holds the app's code; {FIX}"
    for other in as_list(app.get("shared")):
        shared = plain(as_text(other.get("path"))) if isinstance(other, Mapping) else ""
        if shared and _is_or_above(shared, path):
            data = as_text(other.get("data")) or shared
            return (
                f"lies in the shared path {show(shared)}, a link into the data folder; give {{data}}/{data}"
            )
    return ""


def _is_or_above(path: str, other: str) -> bool:
    return f"{other}/".startswith(f"{path.rstrip('/')}/")


def _code(app: Mapping[Any, Any]) -> Iterator[str]:
    """The import root, and each package from there down to the app's module."""
    root = plain(as_text(app.get("app_dir")))
    if root not in ("", "."):
        yield root
    place = root
    for part in as_text(app.get("app")).partition(":")[0].split("."):
        place = posixpath.normpath(f"{place}/{part}" if place else part)
        if part:
            yield place

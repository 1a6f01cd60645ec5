# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which paths of a site are the app's and which are files: ``proxy.paths``, a static folder at ``/``, private files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .checks import Say
from .reading import as_bool, as_list, as_text, at, show

TOP = "/"


def place(root_path: str, url: str, paths: Sequence[str]) -> str:
    """The URL path of a static folder on the app's domains.

    A folder at ``/`` has all that is not the app's. The app has ``paths``, below its ``root_path``; without those it has
    its ``root_path``, and the folder has the rest of the domain.
    """
    return TOP if url == TOP and not paths else f"{root_path}{url}"


def app_locations(root_path: str, paths: Sequence[str], streams: Iterable[str] = ()) -> list[str]:
    """The locations of nginx that lead to an app; ``streams`` are the paths that have a location of their own.

    A path is itself and what lies below it: ``/api`` is not ``/apis``.
    """
    if not paths:
        return [f"{root_path}/"]
    taken = {f"{root_path}{stream}" for stream in streams}
    found = []
    for path in (f"{root_path}{path}" for path in paths):
        if path in taken:
            # Its location of its own takes what lies below it as well.
            continue
        if not path.endswith("/"):
            found.append(f"= {path}")
        if (below := f"{path.rstrip('/')}/") not in taken:
            found.append(below)
    return list(dict.fromkeys(found))


def has_top(app: Mapping[str, Any]) -> bool:
    """Whether a static folder of a normalized app has the whole of its domains but the app's own paths."""
    paths = app["proxy"]["paths"]
    return any(place(app["root_path"], item["url"], paths) == TOP for item in app["static"])


def frontend_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """What a folder at ``/``, a fallback page and private files go with."""
    paths = as_list(at(app, "proxy.paths"))
    for number, path in enumerate(paths):
        if path == TOP:
            say(f"proxy.paths[{number}]", "'/' is the whole app, as without proxy.paths; leave it out")
    tops = 0
    for number, item in enumerate(as_list(app.get("static"))):
        if not isinstance(item, Mapping):
            continue
        key, url = f"static[{number}]", as_text(item.get("url"))
        if url == TOP:
            tops += 1
            _top_rules(say, f"{key}.url", app, bool(paths), tops)
        _page_rules(say, key, item)
    _open_rules(say, [item for item in as_list(app.get("static")) if isinstance(item, Mapping)])


def _open_rules(say: Say, static: Sequence[Mapping[Any, Any]]) -> None:
    """No private folder lies in one that everybody is served."""
    folders = [as_text(item.get("path")).removeprefix("{source}/").rstrip("/") for item in static]
    for number, (item, folder) in enumerate(zip(static, folders, strict=True)):
        for other, within in zip(static, folders, strict=True):
            inside = within and f"{folder}/".startswith(f"{within}/")
            if inside and as_bool(item.get("internal")) and not as_bool(other.get("internal")):
                say(
                    f"static[{number}].path",
                    f"{show(folder)} is internal, and everybody is served what lies in {show(within)}; give a folder outside "
                    "of it",
                )


def _top_rules(say: Say, key: str, app: Mapping[Any, Any], paths: bool, tops: int) -> None:
    if tops > 1:
        say(key, "'/' is there twice; remove one")
    if not paths and not app.get("root_path"):
        say(
            key,
            "'/' would hide the app; name the app's own paths in proxy.paths, such as [/api], or give a path below it "
            "such as /static/",
        )


def _page_rules(say: Say, key: str, item: Mapping[Any, Any]) -> None:
    private = as_bool(item.get("internal"))
    if item.get("fallback") is not None and item.get("cache") == "immutable":
        say(
            f"{key}.cache",
            "immutable would have browsers keep the fallback page for a year; give the files with hashed names an "
            "entry of their own, such as {url: /assets/, path: dist/assets, cache: immutable}, and leave it out here",
        )
    if not private:
        return
    for other in ("fallback", "cache"):
        if item.get(other) is not None:
            say(
                f"{key}.{other}",
                f"is given, and internal: true serves a file where the app says so, with what the app says of it; remove "
                f"{other}, or internal",
            )
    if item.get("url") == TOP:
        say(
            f"{key}.url",
            f"{show(TOP)} would be all of the site; give a path such as /protected/ to internal files",
        )

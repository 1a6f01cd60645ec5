# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``proxy.error_pages``: an app's own pages in the place of errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .checks import Say, line
from .reading import as_int, as_text, at, show

SOURCE = "{source}/"
UNAVAILABLE, MAINTENANCE = "503", "maintenance"
# nginx answers these where an app does not, and clients get a 503.
AS_UNAVAILABLE = ("502", "504")
FIX = "give a status from 400 to 599 or maintenance, such as {404: files/404.html, 503: files/sorry.html}"


def pages(say: Say, key: str, value: Any) -> None:
    """Files by the status that they stand for."""
    if not isinstance(value, Mapping):
        say(key, f"{show(value)} is not a mapping; {FIX}")
        return
    for status, path in value.items():
        name = str(as_int(status) or as_text(status)) if abs(as_int(status) or 0) < 1000 else ""
        if name in AS_UNAVAILABLE:
            say(f"{key}.{name}", "clients get a 503 where an app does not answer; give 503 in its place")
        elif name != MAINTENANCE and (not re.fullmatch(r"[45]\d\d", name) or name == "499"):
            # A number of YAML may come as a text from an inventory in JSON.
            shown = name if name.isdigit() else show(status)
            say(f"{key}.{shown}", f"is no status of an error page; {FIX}")
        elif path is not None:
            _file(say, f"{key}.{name}", path)


def _file(say: Say, key: str, path: Any) -> None:
    line("a path", "files/404.html")(say, key, path)
    if not isinstance(path, str):
        return
    fix = "give a page on the controller such as files/404.html, or one in the release such as {source}/pages/404.html"
    inside = in_source(path)
    if "{" in path.removeprefix(SOURCE):
        say(key, f"{show(path)} holds a brace; {fix}")
    elif inside and (not re.fullmatch(r"[A-Za-z0-9._~@+,=/-]+", inside) or ".." in inside.split("/")):
        say(key, f"{show(path)} is not a plain path in the source; {fix}")
    elif not re.search(r"\.html?$", path):
        say(key, f"{show(path)} is no page in HTML by its name; {fix}")


def in_source(path: str) -> str:
    """The path within the source, where a page lies there; else empty."""
    return path.removeprefix(SOURCE) if path.startswith(SOURCE) else ""


def complete(given: Mapping[Any, Any]) -> dict[str, str]:
    """The pages of an app without problems; nothing takes one of the defaults away."""
    return {str(status): str(path) for status, path in given.items() if path is not None}


def page_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """An image has no source on the host."""
    given = at(app, "proxy.error_pages")
    if app.get("server") != "image" or not isinstance(given, Mapping):
        return
    for status, path in given.items():
        if isinstance(path, str) and in_source(path):
            say(
                f"proxy.error_pages.{status}",
                f"{show(path)} lies in the image, which nginx does not see; give a page on the controller, such as "
                "files/404.html",
            )

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that belong into a release and not into its source: what ``files`` may hold, and its complete form."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from .checks import Check, Say, a_bool, each, keys, line, optional
from .program_values import relative
from .reading import as_bool, as_list, as_text, at, hidden, show

# Where the content comes from.
KINDS = ("content", "template", "file")
# A release is read-only: nobody writes to a file of it, and the app reads it as one of all, or by its group.
PLAIN = ("0644", "0755", "0444", "0555")
SECRET = ("0640", "0750", "0440", "0550")


def _content(say: Say, key: str, value: Any) -> None:
    """A text; no message shows it."""
    if not isinstance(value, str):
        say(key, f"{hidden(value)} is not a text; give a string (| to_nice_json for a structure)")


def _mode(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value):
        say(key, f'{show(value)} is not a mode in quotes; give one such as "0644"')


# Not by `keys`, for what stands here by mistake may be the secret itself.
_one: Check = keys(
    {
        "path": relative("the source", "shop/local_settings.py"),
        "content": _content,
        "template": line("a path", "templates/local_settings.py.j2"),
        "file": line("a path", "files/logo.svg"),
        "mode": optional(_mode),
        "secret": a_bool,
    },
    ("path",),
    "{path: shop/local_settings.py, content: …}",
)


def _item(say: Say, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        _one(say, key, value)
    else:
        say(key, f"{hidden(value)} is not a mapping; give {{path: shop/local_settings.py, content: …}}")


files: Check = each(_item, "[{path: shop/local_settings.py, content: …}]", distinct=False)


def file_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """The rules between the keys of each file, between the files, and with the rest of the app."""
    given = as_list(app.get("files"))
    if given and at(app, "source.mount") is not None:
        say(
            "files", "source.mount is not the role's to write to; put the files there yourself, and remove it"
        )
    seen: list[str] = []
    for number, item in enumerate(given):
        if not isinstance(item, Mapping):
            continue
        key = f"files[{number}]"
        kinds = [kind for kind in KINDS if kind in item]
        if len(kinds) != 1:
            has = f"has {' and '.join(kinds)}" if kinds else "has no content"
            say(key, f"{has}; give exactly one of content, template and file")
        _mode_rules(say, key, item)
        place = _plain(item.get("path"))
        if not place:
            continue
        if as_text(item["path"]).endswith("/") or place == ".":
            say(f"{key}.path", f"{show(item['path'])} is a folder; give the path of the file itself")
        elif place in seen:
            say(f"{key}.path", f"{show(item['path'])} is there twice; remove one")
        elif any(_lies_in(place, other) or _lies_in(other, place) for other in seen):
            say(
                f"{key}.path",
                f"{show(item['path'])} would be a file and a folder; give each file its own path",
            )
        seen.append(place)
        _static_rules(say, key, item, place, app)
        for other in as_list(app.get("shared")):
            shared = _plain(other.get("path")) if isinstance(other, Mapping) else ""
            if shared and (place == shared or _lies_in(place, shared) or _lies_in(shared, place)):
                say(
                    f"{key}.path",
                    f"{show(item['path'])} meets the shared path {show(shared)}, which is the app's data and outlives a "
                    "release; give another",
                )


def _static_rules(say: Say, key: str, item: Mapping[Any, Any], place: str, app: Mapping[Any, Any]) -> None:
    """Nothing secret lies where nginx serves whatever lies there."""
    for other in as_list(app.get("static")):
        folder = _plain(other.get("path")) if isinstance(other, Mapping) else ""
        if (
            folder
            and as_bool(item.get("secret", False))
            and _lies_in(place, folder.removeprefix("{source}/"))
        ):
            say(
                f"{key}.path",
                f"{show(place)} is secret, and nginx serves what lies in {show(folder)}; give another",
            )


def _mode_rules(say: Say, key: str, item: Mapping[Any, Any]) -> None:
    mode = as_text(item.get("mode"))
    if not re.fullmatch(r"0?[0-7]{3}", mode):
        return
    secret = as_bool(item.get("secret", False))
    allowed = SECRET if secret else PLAIN
    if mode.zfill(4) not in allowed:
        who = "the app alone may read it (secret: true)" if secret else "the app must be able to read it"
        say(
            f"{key}.mode",
            f"{show(mode)} does not go: {who}, and nobody writes to a release; give {' or '.join(allowed)}",
        )


def complete(given: Any) -> list[dict[str, Any]]:
    """Each file with its ``path``, ``mode`` (a number), ``secret``, and one of ``content``, ``template`` and ``file``."""
    found = []
    for item in given:
        secret = bool(as_bool(item.get("secret", False)))
        mode = item.get("mode") or (SECRET if secret else PLAIN)[0]
        kind = next(kind for kind in KINDS if kind in item)
        found.append(
            {"path": _plain(item["path"]), "secret": secret, "mode": int(mode, 8), kind: str(item[kind])}
        )
    return found


def _plain(path: Any) -> str:
    return posixpath.normpath(as_text(path)) if as_text(path) else ""


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``build``: commands that make a part of the source, such as a frontend, with the Debian packages that they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import Check, Say, each, keys, pattern
from .program_values import DEBIAN_PACKAGE, command, relative
from .reading import as_bool, as_list, as_text, at, show

build: Check = keys(
    {
        "packages": each(
            pattern(DEBIAN_PACKAGE, "the name of a Debian package", "give one such as npm"), "[nodejs, npm]"
        ),
        "folder": relative("the source", "frontend", empty=True),
        "commands": each(command, '["npm ci", "npm run build"]', distinct=False),
    },
    example='{packages: [nodejs, npm], commands: ["npm ci", "npm run build"]}',
)


def build_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """The commands need a source that is a folder, and one that does not change under the app."""
    given = app.get("build")
    if not isinstance(given, Mapping):
        return
    if "{" in as_text(given.get("folder")):
        say(
            "build.folder",
            f"{show(given['folder'])} holds a token; give a folder of the source, such as frontend",
        )
    if not as_list(given.get("commands")):
        for key in ("packages", "folder"):
            if given.get(key):
                say(
                    f"build.{key}",
                    "is for build.commands, and there are none; give them, such as [npm ci, npm run build], or remove it",
                )
        return
    if at(app, "source.package") is not None:
        say(
            "build.commands",
            "run in the source, and source.package has none but what its index gives; remove them, or give source.path, "
            "git or archive",
        )
    elif as_bool(app.get("reload")):
        say(
            "build.commands",
            "make a release, and reload: true serves the folder as it is; run them there yourself, or set reload: false",
        )


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """The key of an app without problems: a command is a string or argv."""
    return {
        "packages": [str(name) for name in given["packages"]],
        "folder": str(given["folder"]).strip("/"),
        "commands": [
            list(item) if isinstance(item, (list, tuple)) else str(item) for item in given["commands"]
        ],
    }

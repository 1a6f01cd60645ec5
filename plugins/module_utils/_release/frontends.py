# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an app's own commands make of its source before anything is installed, such as a frontend by npm.

They run in the build sandbox on a copy, as the app's build user, with none of its secrets. Root takes a copy of what they
left. Their caches are the app's own, and outlive a build.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _progress, _trees
from .._process import CommandError
from .build import BuildError
from .paths import Release
from .workshop import Workshop

if TYPE_CHECKING:
    from .._contract.release import BuildCommands, ReleaseSpec

# Of the copy in the sandbox, and of what root takes of it.
NAME = "built"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# What npm and its kind bring is for the commands alone, unless the source has it; a release is small without.
TIDY = (
    'find . -type d -name node_modules -prune -exec sh -c \'for each; do [ -e "$0/$each" ] || rm -rf -- "$each"; done\' '
    '"$0" {} +'
)


def settings(spec: ReleaseSpec) -> list[BuildCommands]:
    """What of it is part of a release's identity; nothing for an app without."""
    return [spec["build"]] if spec.get("build") else []


def make(
    release: Release, wanted: BuildCommands, shop: Workshop, build_env: Mapping[str, str] | None = None
) -> None:
    """Run the commands on a copy of the release's source, and put what they made in its place. Raises BuildError.

    ``build_env`` are the app's variables for builds.
    """
    _progress.step("build_commands", app=release.app.name)
    folder = shop.copy(release.source, NAME)
    place = folder / wanted["folder"]
    if not (release.source / wanted["folder"]).is_dir():
        raise BuildError(f"build.folder: the source has no folder {wanted['folder']}; name one that it has")
    # What they leave behind must see no password of the index.
    shop.clean = False
    for command in wanted["commands"]:
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        try:
            shop.run(["env", f"--chdir={place}", *argv], {**environment(shop), **(build_env or {})})
        except CommandError as error:
            shown = command if isinstance(command, str) else " ".join(command)
            raise BuildError(f"build.commands: {shown!r} failed:\n{error.words}{_hint(error)}") from error
    shop.run(["env", f"--chdir={folder}", "sh", "-c", TIDY, str(release.source)])
    # Nothing of theirs goes on while root copies.
    shop.close()
    left = release.folder / NAME
    try:
        shop.take(NAME, left)
    except _trees.TreeError as error:
        raise BuildError(f"build.commands left what no release may have: {error}") from error
    # In their home may be a configuration of git or ssh that names programs, which would run with the index's password.
    shop.empty()
    for link, target in _trees.links_that_lead_out(left, []):
        raise BuildError(
            f"build.commands left the link {link}, which leads out of the source ({target}); let them put the file itself "
            "there, or a link within the source"
        )
    before = release.folder / "source-before"
    os.rename(release.source, before)
    os.rename(left, release.source)
    _trees.remove(before)


def environment(shop: Workshop) -> dict[str, str]:
    """The variables of the commands: their caches, the authorities that the host believes, and npm's of the play."""
    caches = shop.cache.parent / "caches"
    own = {name: value for name, value in os.environ.items() if name.lower().startswith("npm_config_")}
    return {
        "XDG_CACHE_HOME": str(caches),
        "npm_config_cache": str(caches / "npm"),
        "npm_config_store_dir": str(caches / "pnpm"),
        "npm_config_update_notifier": "false",
        "npm_config_fund": "false",
        "npm_config_audit": "false",
        "NODE_EXTRA_CA_CERTS": AUTHORITIES,
        **own,
    }


def _hint(error: CommandError) -> str:
    """The fix of what is met most, on a line of its own."""
    if "not found" in error.output and error.status == "exit status 127":
        return "\nIs it the program of a Debian package? Name that in build.packages, such as [nodejs, npm]."
    if "package-lock.json" in error.output and "npm ci" in error.output:
        return "\nnpm ci needs the project's package-lock.json: commit it, or use npm install."
    return ""


def must_hold_pages(release: Release, static: Sequence[Mapping[str, Any]]) -> None:
    """A release without the page of its frontend would serve nothing but 404. Raises BuildError."""
    for item in static:
        page = item.get("fallback")
        if page and "{" not in item["path"] and not (release.source / item["path"] / page).is_file():
            raise BuildError(
                f"static: the release has no {item['path']}/{page}, the fallback page of {item['url']}; have it made by "
                "build.commands, or send it along with the source"
            )

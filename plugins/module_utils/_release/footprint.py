# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role has made of a host's folders: which of an app's are its own, and no others are taken over or taken away."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from .. import _trees
from .._files import NEW
from . import paths
from .paths import App

# A release's id: its time, and the beginning of its digest.
IDENTITY = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")
# All that the role makes in an app's folder.
LINKS = ("current",)
# The first is an earlier version's lock; anybody could hold it.
FILES = (".lock", "live.json")
FOLDERS = ("releases", "live", "static")
KNOWN = frozenset({*LINKS, *FILES, *FOLDERS, *(f".{name}{NEW}" for name in (*LINKS, *FILES, *FOLDERS))})
# In the units of an app, either of which may be gone.
LEADS = {
    "socket": re.compile(r"^ListenStream=(?P<root>/.*)/(?P<name>[^/]+)/releases/%i/app\.sock$", re.MULTILINE),
    "service": re.compile(
        r"^Documentation=file:(?P<root>/.*)/(?P<name>[^/]+)/releases/%i/release\.json$", re.MULTILINE
    ),
}


def roots(units: Path | None = None) -> dict[str, str]:
    """By app, where its releases are on this host, as its socket's unit says, else that of its service."""
    found: dict[str, str] = {}
    for kind, leads in LEADS.items():
        for path in sorted((units or paths.SYSTEMD).glob(f"asgi-*@.{kind}")):
            with contextlib.suppress(OSError):
                match = leads.search(path.read_text(encoding="utf-8", errors="replace"))
                if match and path.name == f"asgi-{match['name']}@.{kind}":
                    found.setdefault(match["name"], match["root"])
    return dict(sorted(found.items()))


def is_ours(app: App) -> bool:
    """Whether the role made the app's folder: the app's unit says so, or all that tells of somebody else is missing."""
    if roots().get(app.name) == str(app.root):
        return True
    try:
        if not _is_own_folder(app.folder):
            return False
        names = set(os.listdir(app.folder))
        releases = set(os.listdir(app.releases)) if "releases" in names else set()
    except OSError:
        return False
    if releases:
        return _is_own_folder(app.releases) and all(_is_release(app.releases / name) for name in releases)
    return names <= KNOWN


def _is_release(path: Path) -> bool:
    return bool(IDENTITY.fullmatch(path.name)) or (path / "release.json").is_file()


def _is_own_folder(path: Path) -> bool:
    seen = path.lstat()
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid()


def strangers(root: Path, names: Iterable[str]) -> list[str]:
    """The folders that these apps would have, where somebody else has made what is there."""
    apps = [App(root, name, "") for name in names]
    return [str(app.folder) for app in apps if os.path.lexists(app.folder) and not is_ours(app)]


def unsafe(root: Path) -> str:
    """Why a folder, as far as it is there, is not root's alone, in words; empty where it is.

    Whoever owns a folder above it, or may write to one, could put another in its place.
    """
    lexical = [*reversed(root.parents), root]
    with contextlib.suppress(OSError):
        real = root.resolve()
        lexical += [*reversed(real.parents), real]
    return next((words for place in dict.fromkeys(lexical) if (words := _trouble(place))), "")


def _trouble(place: Path) -> str:
    try:
        seen = place.stat()
    except OSError:
        return ""
    if not stat.S_ISDIR(seen.st_mode):
        return f"{place} is no folder"
    if seen.st_uid != os.geteuid():
        return f"{place} belongs to {_name(seen.st_uid)}"
    return f"{place} can be written to by others than root" if seen.st_mode & 0o022 else ""


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def there(app: App) -> list[str]:
    """The app's folder where the role made it, and it is empty or something that it made is still in it."""
    if app.folder.is_dir() and is_ours(app):
        names = set(os.listdir(app.folder))
        if not names or KNOWN & names:
            return [str(app.folder)]
    return []


def take_away(app: App) -> None:
    """Remove from the app's folder what the role made there, and the folder if nothing else is in it.

    The releases themselves are gone already. A link that stands for the folder stays.
    """
    for name in sorted(KNOWN):
        path = app.folder / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path == app.releases and path.is_dir():
            for each in list(path.iterdir()):
                if _is_release(each):
                    _trees.remove(each)
            _remove_empty(path)
        elif path.is_dir():
            _trees.remove(path)
    _remove_empty(app.folder)


def _remove_empty(folder: Path) -> None:
    """Remove a folder that holds nothing."""
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()

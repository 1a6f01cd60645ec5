# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Static files of earlier releases: a page that was loaded before a switch asks for its own after it.

Each app has a pool of hard links to the static files of its releases, laid out as their URLs are. nginx looks there for
what the current release does not have. A release that is pruned leaves its files in the pool; they go when no release
has had them for KEPT_S. The kernel keeps that time: a file's last change is the removal of its other name.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .paths import App, Release

# A day, and an hour for a page that was loaded while a switch went on.
KEPT_S = 25 * 3600.0
# Between two looks at a pool in converges.
PRUNE_EVERY_S = 3600.0
# No URL of a site begins with a dot and is served.
NEW, LOOKED = ".new", ".looked"


def pool(app: App) -> Path:
    """The folder that nginx serves earlier files from; nothing but nginx and root gets in."""
    return app.folder / "static"


def keep(release: Release, folders: Sequence[Mapping[str, str]], group: int) -> None:
    """Put a release's static files into the pool; ``folders`` have ``url`` and ``path``, ``group`` is nginx's.

    Of two files of one name the later one stays: it is for pages that ask for what the current release lacks.
    In development mode the files are nobody's release. Raises OSError.
    """
    if release.source.is_symlink() or not folders:
        return
    top = pool(release.app)
    top.mkdir(mode=0o750, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(top, 0, group)
    top.chmod(0o750)
    for folder in folders:
        for inside, path in _files(release.source, folder["path"]):
            _link(path, top, Path(folder["url"].strip("/")) / inside)


def _files(source: Path, folder: str) -> Iterator[tuple[Path, Path]]:
    """The files of a static folder that nginx may serve, each with its place in it.

    Hidden ones are left out. A link counts as the file that it leads to, if that lies in the folder as well; links to
    folders are not followed.
    """
    with contextlib.suppress(OSError, RuntimeError):
        top = (source / folder).resolve(strict=True)
        if top == source.resolve() or not top.is_relative_to(source.resolve()):
            return
        for base, folders, files in os.walk(top):
            folders[:] = [name for name in folders if not _hidden(name)]
            for name in files:
                path = Path(base) / name
                if not _hidden(name) and (real := _real(path, top)):
                    yield path.relative_to(top), real


def _hidden(name: str) -> bool:
    """Whether nginx serves it below no static URL: as in hidden_files of plugin_utils/_render.py."""
    return name.startswith(".") or name == "__pycache__"


def _real(path: Path, top: Path) -> Path | None:
    with contextlib.suppress(OSError, RuntimeError):
        real = path.resolve(strict=True) if path.is_symlink() else path
        hidden = real.is_relative_to(top) and any(map(_hidden, real.relative_to(top).parts))
        if real.is_relative_to(top) and not hidden and stat.S_ISREG(real.lstat().st_mode):
            return real
    return None


def _link(path: Path, top: Path, inside: Path) -> None:
    place = top / inside
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        there = place.lstat()
        if stat.S_ISDIR(there.st_mode) or os.path.samestat(there, path.lstat()):
            return
    for folder in reversed(inside.parents[:-1]):
        step = top / folder
        if not step.is_dir():
            step.unlink(missing_ok=True)
            step.mkdir()
            step.chmod(0o755)
    new = top / NEW
    new.unlink(missing_ok=True)
    os.link(path, new, follow_symlinks=False)
    new.replace(place)


def prune(app: App, now: float | None = None, *, at_once: bool = True) -> list[str]:
    """Remove what no release has had for KEPT_S at ``now`` (seconds of the epoch); returns it.

    Without ``at_once`` nothing is done within PRUNE_EVERY_S of the last time.
    """
    top, now = pool(app), time.time() if now is None else now
    looked = top / LOOKED
    with contextlib.suppress(FileNotFoundError):
        if not at_once and 0 <= now - looked.lstat().st_mtime < PRUNE_EVERY_S:
            return []
    if not top.is_dir():
        return []
    found = [
        (Path(base) / name, (Path(base) / name).lstat())
        for base, _folders, files in os.walk(top)
        for name in files
    ]
    links = Counter((seen.st_dev, seen.st_ino) for _path, seen in found)
    removed = []
    for path, seen in found:
        held = seen.st_nlink > links[seen.st_dev, seen.st_ino]
        if path.parent != top and not held and seen.st_ctime < now - KEPT_S:
            path.unlink()
            removed.append(str(path.relative_to(top)))
    for base, _folders, _files_in in os.walk(top, topdown=False):
        if Path(base) != top:
            with contextlib.suppress(OSError):
                Path(base).rmdir()
    looked.touch()
    return removed

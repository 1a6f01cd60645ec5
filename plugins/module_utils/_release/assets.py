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
from typing import TYPE_CHECKING

from .paths import App, Release

if TYPE_CHECKING:
    from .._contract.release import StaticFolder

# A day, and an hour for a page that was loaded while a switch went on.
KEPT_S = 25 * 3600.0
# Between two looks at a pool in converges.
PRUNE_EVERY_S = 3600.0
# No URL of a site begins with a dot and is served.
NEW, LOOKED = ".new", ".looked"


def pool(app: App) -> Path:
    """The folder that nginx serves earlier files from; nothing but nginx and root gets in."""
    return app.folder / "static"


def keep(release: Release, folders: Sequence[StaticFolder], group: int) -> None:
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
        for inside, files in _files(release.source, folder["path"]):
            _link(files, _folder(top, f"{folder['url'].strip('/')}/{inside}"), str(top / NEW))


def _files(source: Path, folder: str) -> Iterator[tuple[str, dict[str, tuple[str, int]]]]:
    """The files of a static folder that nginx may serve: for each folder in it, the place and inode of each name.

    Hidden ones are left out. A link counts as the file that it leads to, if that lies in the folder as well; links to
    folders are not followed.
    """
    with contextlib.suppress(OSError, RuntimeError):
        top = (source / folder).resolve(strict=True)
        if top == source.resolve() or not top.is_relative_to(source.resolve()):
            return
        # By strings and without a look at each file: there may be thousands, and a switch waits for it.
        left = [""]
        while left:
            inside, files = left.pop(), {}
            with os.scandir(f"{top}/{inside}") as entries:
                for entry in entries:
                    if _hidden(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        left.append(f"{inside}{entry.name}/")
                    elif entry.is_file(follow_symlinks=False):
                        files[entry.name] = entry.path, entry.inode()
                    elif entry.is_symlink() and (real := _real(Path(entry.path), top)):
                        files[entry.name] = str(real), real.lstat().st_ino
            if files:
                yield inside, files


def _hidden(name: str) -> bool:
    """Whether nginx serves it below no static URL: as in hidden_files of plugin_utils/_render.py."""
    return name.startswith(".") or name == "__pycache__"


def _real(path: Path, top: Path) -> Path | None:
    """The file that a link leads to, if nginx may serve it there."""
    with contextlib.suppress(OSError, RuntimeError):
        real = path.resolve(strict=True)
        hidden = real.is_relative_to(top) and any(map(_hidden, real.relative_to(top).parts))
        if real.is_relative_to(top) and not hidden and stat.S_ISREG(real.lstat().st_mode):
            return real
    return None


def _folder(top: Path, inside: str) -> Path:
    """A folder of the pool, made where it is not there; what was a file of that name gives way."""
    step = top
    for name in filter(None, inside.split("/")):
        step /= name
        if not step.is_dir():
            step.unlink(missing_ok=True)
            step.mkdir()
            step.chmod(0o755)
    return step


def _link(files: Mapping[str, tuple[str, int]], into: Path, new: str) -> None:
    with os.scandir(into) as entries:
        there = {entry.name: 0 if entry.is_dir() else entry.inode() for entry in entries}
    for name, (path, inode) in files.items():
        if name not in there:
            os.link(path, into / name, follow_symlinks=False)
        elif there[name] not in (0, inode):
            # The later file takes the place of the earlier one at once.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            os.link(path, new, follow_symlinks=False)
            os.replace(new, into / name)


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
        if path not in (looked, top / NEW) and not held and seen.st_ctime < now - KEPT_S:
            path.unlink()
            removed.append(str(path.relative_to(top)))
    for base, _folders, _files_in in os.walk(top, topdown=False):
        if Path(base) != top:
            with contextlib.suppress(OSError):
                Path(base).rmdir()
    looked.touch()
    return removed

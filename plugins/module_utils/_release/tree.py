# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder of a release's source: whose it is, and whether somebody changed it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from .. import _trees


def seal(folder: Path) -> None:
    """Make a folder of root's readable by all, and writable by nobody else. Raises OSError."""
    with _trees.opened(folder) as top:
        _seal(top, 0)


def _seal(folder: int, depth: int) -> None:
    if depth > _trees.DEPTH_MAX:
        raise _trees.TreeError(errno.ELOOP, f"folders are nested more than {_trees.DEPTH_MAX} deep")
    os.fchown(folder, 0, 0)
    os.fchmod(folder, 0o755)
    for name, is_folder in _trees.listed(folder):
        if is_folder:
            with _trees.opened(folder, name) as below:
                _seal(below, depth + 1)
            continue
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
        os.chown(name, 0, 0, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(seen.st_mode):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                os.fchmod(handle, 0o755 if seen.st_mode & 0o100 else 0o644)
            finally:
                os.close(handle)


def stamp(folder: Path) -> str:
    """A digest of names, sizes, times, modes and owners: whoever changes a file below ``folder`` changes it.

    Empty where the app cannot read some of it, as earlier versions have left it in sessions with a umask of 027 or 077.
    """
    total = hashlib.sha256()
    for base, folders, files in os.walk(folder):
        if not is_readable(os.stat(base)):
            return ""
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            # A virtualenv has thousands, and a Path for each would take longer than all else.
            seen = os.lstat(f"{base}/{name}")
            if not is_readable(seen):
                return ""
            # A name need not be UTF-8.
            total.update(
                os.fsencode(f"{base}/{name} {seen.st_size} {seen.st_mtime_ns} {seen.st_mode} {seen.st_uid}\0")
            )
    return total.hexdigest()


def is_readable(seen: os.stat_result) -> bool:
    """Whether a file or folder of root's can be read by those it is for: a group of its own, else everybody."""
    if stat.S_ISLNK(seen.st_mode):
        return True
    bits = 0o040 if seen.st_gid else 0o004
    if stat.S_ISDIR(seen.st_mode):
        bits |= bits >> 2
    return seen.st_mode & bits == bits


def changed_since(folder: Path, when: float) -> bool:
    """Whether anything below ``folder`` was written, made or removed since ``when`` (seconds of the epoch).

    What is nested deeper than any data is not looked at.
    """
    # The kernel's time stamps lag behind the clock by up to a tick.
    with _trees.opened(folder) as top:
        return _changed_since(top, when - 0.05, 0)


def _changed_since(folder: int, limit: float, depth: int) -> bool:
    if os.fstat(folder).st_ctime >= limit:
        return True
    try:
        for name, is_folder in _trees.listed(folder):
            if is_folder and depth < _trees.DEPTH_MAX:
                with _trees.opened(folder, name) as below:
                    if _changed_since(below, limit, depth + 1):
                        return True
            elif os.stat(name, dir_fd=folder, follow_symlinks=False).st_ctime >= limit:
                return True
    except OSError as error:
        if error.errno not in _trees.CHANGED:
            raise
        return True  # changed while we looked
    return False

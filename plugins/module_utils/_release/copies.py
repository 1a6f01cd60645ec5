# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies that root makes of what a build wrote: by descriptors, so that no link is followed, and never a hard link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile
from pathlib import Path

from .._trees import DEPTH_MAX, NEW_FILE, TreeError, must_fit, opened, put_members

CHUNK = 1 << 20


def take(folder: int, target: Path) -> None:
    """Copy the tree behind a descriptor to ``target``, which must not be there; root's, and readable by all.

    Links stay links. Modes lose all but whether a file can be executed. Raises TreeError for devices, pipes and sockets.
    """
    target.mkdir()
    with opened(target) as into:
        _copy(folder, into, target, 0)


def _copy(folder: int, into: int, shown: Path, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise TreeError(errno.ELOOP, f"folders are nested more than {DEPTH_MAX} deep", str(shown))
    os.fchmod(into, 0o755)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                os.symlink(os.readlink(entry.name, dir_fd=folder), entry.name, dir_fd=into)
            elif entry.is_dir(follow_symlinks=False):
                os.mkdir(entry.name, dir_fd=into)
                with opened(folder, entry.name) as source, opened(into, entry.name) as target:
                    _copy(source, target, shown / entry.name, depth + 1)
            elif entry.is_file(follow_symlinks=False):
                _copy_file(folder, into, entry.name, shown)
            else:
                raise TreeError(
                    errno.EINVAL,
                    "is no file, folder or link; a build must not leave it",
                    str(shown / entry.name),
                )


def _copy_file(folder: int, into: int, name: str, shown: Path) -> None:
    # What was a file a moment ago may be a pipe, on which an open would wait.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    source = os.open(name, flags, dir_fd=folder)
    try:
        seen = os.fstat(source)
        if not stat.S_ISREG(seen.st_mode):
            raise TreeError(errno.EINVAL, "is no file any more", str(shown / name))
        must_fit(into, seen.st_size, str(shown / name))
        target = os.open(name, NEW_FILE, 0o600, dir_fd=into)
        try:
            # What somebody adds to it meanwhile might have no end.
            size = seen.st_size
            while chunk := os.read(source, min(CHUNK, size)):
                size -= len(chunk)
                left = memoryview(chunk)
                while left:
                    left = left[os.write(target, left) :]
            os.fchmod(target, 0o755 if seen.st_mode & 0o100 else 0o644)
            # Bytecode knows the time of its source.
            os.utime(target, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
        finally:
            os.close(target)
    finally:
        os.close(source)


def take_bytecode(folder: int, target: Path) -> None:
    """Copy the bytecode in the tree behind a descriptor to the sources in ``target``, and nothing else."""
    with opened(target) as into:
        _take_bytecode(folder, into, target, 0)


def _take_bytecode(folder: int, into: int, shown: Path, depth: int) -> None:
    if depth > DEPTH_MAX:
        return
    with os.scandir(folder) as found:
        names = [each.name for each in found if each.is_dir(follow_symlinks=False)]
    for name in names:
        if name == "__pycache__":
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=into)
            with opened(into, name) as cache, opened(folder, name) as source:
                os.fchmod(cache, 0o755)
                with os.scandir(source) as found:
                    written = [each.name for each in found if each.name.endswith(".pyc")]
                for each in written:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(each, dir_fd=cache)
                    _copy_file(source, cache, each, shown)
            continue
        # Only where the sources have a folder of this name.
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            opened(into, name) as target,
            opened(folder, name) as source,
        ):
            _take_bytecode(source, target, shown / name, depth + 1)


def unpack(archive: Path, target: Path) -> None:
    """Unpack a gzip'd tar into the folder ``target``; whatever it holds, nothing is written outside.

    Files, folders and links alone, root's, readable by all. Python's own filter is not in 3.11.2 of Debian 12. Raises
    TreeError, OSError.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            put_members(tar, target)
    except (tarfile.TarError, EOFError) as error:
        raise TreeError(errno.EIO, f"the archive of the source cannot be read: {error}") from error

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies that root makes of what others wrote: by descriptors, so that no link is followed, and never a hard link."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Levels of folders beyond which a tree is no release.
DEPTH_MAX = 100
CHUNK = 1 << 20


class CopyError(OSError):
    """A tree holds what no release may have; the message names it."""


@contextlib.contextmanager
def opened(top: Path, *names: str) -> Iterator[int]:
    """The descriptor of a folder below ``top``, which is root's; none of ``names`` may be a link. Raises OSError."""
    handle = os.open(top, FOLDER)
    try:
        for name in names:
            below = os.open(name, FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def take(folder: int, target: Path) -> None:
    """Copy the tree behind a descriptor to ``target``, which must not be there; root's, and readable by all.

    Links stay links. Modes lose all but whether a file can be executed. Raises CopyError for devices, pipes and sockets.
    """
    target.mkdir()
    with opened(target) as into:
        _copy(folder, into, target, 0)


def _copy(folder: int, into: int, shown: Path, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise CopyError(f"{shown}: folders are nested more than {DEPTH_MAX} deep")
    os.fchmod(into, 0o755)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                os.symlink(os.readlink(entry.name, dir_fd=folder), entry.name, dir_fd=into)
            elif entry.is_dir(follow_symlinks=False):
                os.mkdir(entry.name, dir_fd=into)
                with _below(folder, entry.name) as source, _below(into, entry.name) as target:
                    _copy(source, target, shown / entry.name, depth + 1)
            elif entry.is_file(follow_symlinks=False):
                _copy_file(folder, into, entry.name, shown)
            else:
                raise CopyError(
                    f"{shown / entry.name}: is no file, folder or link; a build must not leave it"
                )


@contextlib.contextmanager
def _below(folder: int, name: str) -> Iterator[int]:
    handle = os.open(name, FOLDER, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


def _copy_file(folder: int, into: int, name: str, shown: Path) -> None:
    # What was a file a moment ago may be a pipe, on which an open would wait.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    source = os.open(name, flags, dir_fd=folder)
    try:
        seen = os.fstat(source)
        if not stat.S_ISREG(seen.st_mode):
            raise CopyError(f"{shown / name}: is no file any more")
        target = os.open(name, NEW_FILE, 0o600, dir_fd=into)
        try:
            while chunk := os.read(source, CHUNK):
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
            with _below(into, name) as cache, _below(folder, name) as source:
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
            _below(into, name) as target,
            _below(folder, name) as source,
        ):
            _take_bytecode(source, target, shown / name, depth + 1)


def unpack(archive: Path, target: Path) -> None:
    """Unpack a gzip'd tar into the folder ``target``; whatever it holds, nothing is written outside.

    Files, folders and links alone, root's, readable by all. Python's own filter is not in 3.11.2 of Debian 12. Raises
    CopyError, OSError.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar, opened(target) as top:
            for member in tar:
                _unpack(tar, member, top)
    except (tarfile.TarError, EOFError) as error:
        raise CopyError(f"the archive of the source cannot be read: {error}") from error


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, top: int) -> None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts:
        raise CopyError(f"{member.name}: leads out of the source")
    if not parts:
        return
    handle = os.dup(top)
    try:
        for part in parts if member.isdir() else parts[:-1]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=handle)
            # A link in the way is refused here.
            below = os.open(part, FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        if member.issym():
            os.symlink(member.linkname, parts[-1], dir_fd=handle)
        elif member.isreg() or member.islnk():
            content = tar.extractfile(member)
            if content is None:
                raise CopyError(f"{member.name}: a hard link to nothing")
            with content, os.fdopen(os.open(parts[-1], NEW_FILE, 0o600, dir_fd=handle), "wb") as new:
                shutil.copyfileobj(content, new)
                new.flush()
                os.fchmod(new.fileno(), 0o755 if member.mode & 0o100 else 0o644)
                os.utime(new.fileno(), (member.mtime, member.mtime))
        elif not member.isdir():
            raise CopyError(f"{member.name}: is no file, folder or link")
    finally:
        os.close(handle)

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Trees that somebody else may change while root walks them: by descriptors, and no link is followed.

A name is looked up in the folder that a descriptor holds, so that whoever swaps a folder for a link meanwhile wins
nothing.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from ._process import CommandError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Levels of folders that are held open at the same time. What lies deeper is moved up to be removed, and refused else.
DEPTH_MAX = 100
# Looks at a folder that is being emptied, against somebody who fills it.
LOOKS_MAX = 10_000
# Entries of a folder that are looked at to see whose it is.
LOOKED_AT_MAX = 1_000
# Of the file system itself, where a folder is one's top.
FOUND = "lost+found"
# What an entry may become between two looks at it.
CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ELOOP)


class TreeError(OSError):
    """A tree holds what it must not; the message names it."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}" if self.filename else str(self.strerror)


@contextlib.contextmanager
def opened(top: Path | int, *names: str, make: bool = False) -> Iterator[int]:
    """The descriptor of a folder below ``top``, which is root's; none of ``names`` may be a link.

    With ``make`` those that are missing are made. Raises OSError.
    """
    if isinstance(top, int):
        handle = os.dup(top)
    else:
        handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=handle)
            below = os.open(name, FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def listed(folder: int) -> list[tuple[str, bool]]:
    """The names in an open folder, each with whether it is a folder itself."""
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all in it, however deep. Raises OSError."""
    # As shutil.rmtree does.
    sys.audit("asgi_host.remove", str(path))
    with opened(path.parent) as parent:
        remove_in(parent, path.name)


def remove_in(parent: int, name: str) -> None:
    """Remove what has a name in an open folder, as remove() does."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    with opened(parent, name) as top:
        lifted = itertools.count()
        for _look in range(LOOKS_MAX):
            if not listed(top):
                break
            _clear(top, top, 0, lifted)
    os.rmdir(name, dir_fd=parent)


def _clear(folder: int, top: int, depth: int, lifted: Iterator[int]) -> None:
    """Remove what is in a folder; what lies too deep is moved up to ``top``, for the next look."""
    for name, is_folder in listed(folder):
        try:
            if not is_folder:
                os.unlink(name, dir_fd=folder)
            elif depth >= DEPTH_MAX:
                os.rename(name, f".asgi-host-{next(lifted)}", src_dir_fd=folder, dst_dir_fd=top)
            else:
                with opened(folder, name) as below:
                    _clear(below, top, depth + 1, lifted)
                os.rmdir(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in CHANGED:
                raise


def give(top: Path, uid: int, gid: int) -> None:
    """Make a user the owner of a folder and of all in it that is somebody else's, as foreign() has it. Raises OSError."""
    with opened(top) as folder:
        _give(folder, os.fstat(folder).st_dev, uid, gid, top, 0)


def _give(folder: int, device: int, uid: int, gid: int, shown: Path, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise TreeError(errno.ELOOP, f"folders are nested more than {DEPTH_MAX} deep", str(shown))
    for name, _is_folder in listed(folder):
        with contextlib.suppress(FileNotFoundError):
            place = os.open(name, PLACE, dir_fd=folder)
            try:
                seen = os.fstat(place)
                if seen.st_dev != device or name == FOUND:
                    continue
                if stat.S_ISDIR(seen.st_mode):
                    with opened(place, ".") as below:
                        _give(below, device, uid, gid, shown / name, depth + 1)
                elif not foreign(seen, uid):
                    continue
                elif stat.S_ISLNK(seen.st_mode):
                    os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
                else:
                    # The very file that was looked at, whatever has its name now.
                    os.chown(f"/proc/self/fd/{place}", uid, gid)
            finally:
                os.close(place)
    if os.fstat(folder).st_uid != uid:
        # Last, so that who ends half way leaves a folder that still shows it.
        os.fchown(folder, uid, gid)


def foreign(seen: os.stat_result, uid: int) -> bool:
    """Whether something is another user's, and can be given away without a doubt.

    A file with further names may be somebody else's elsewhere, and a device is nobody's but root's.
    """
    kind = seen.st_mode
    doubt = stat.S_ISBLK(kind) or stat.S_ISCHR(kind) or (stat.S_ISREG(kind) and seen.st_nlink > 1)
    return seen.st_uid != uid and not doubt


def belongs(top: Path, uid: int) -> bool:
    """Whether a folder and what lies in it, of which no more is looked at, are a user's."""
    with opened(top) as folder:
        own = os.fstat(folder)
        if own.st_uid != uid:
            return False
        for name, _is_folder in listed(folder)[:LOOKED_AT_MAX]:
            with contextlib.suppress(FileNotFoundError):
                seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if name != FOUND and seen.st_dev == own.st_dev and foreign(seen, uid):
                    return False
    return True


def copy(folder: Path, target: Path, as_user: Sequence[str] = ()) -> None:
    """Copy a tree that somebody else may have written to ``target``, which must not be there: new files of root's.

    ``as_user`` is the beginning of a command that runs as its owner, with whose rights it is read. Modes lose all but
    whether a file can be executed, names of the same file become files of their own, links stay what they are. Sockets
    are left out. Raises TreeError for devices and pipes, CommandError where something cannot be read, OSError.
    """
    argv = [*as_user, "tar", "--create", "--format=gnu", "--hard-dereference", "--file=-", "."]
    target.mkdir(mode=0o755)
    with tempfile.TemporaryFile() as said:
        # In the folder, whose path need not be open to that user; and with nothing of root's environment.
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        failure = None
        try:
            if process.stdout:
                unpack(process.stdout, target)
        except BaseException as error:
            failure = error
            # What ended by itself has words of its own.
            if not (isinstance(error, TreeError) and error.errno == errno.EIO):
                process.kill()
                raise
        finally:
            if process.stdout:
                process.stdout.close()
            status = process.wait()
        if status:
            said.seek(0)
            words = said.read().decode("utf-8", "replace")
            raise CommandError(["tar"], f"exit status {status}", words) from failure
        if failure:
            raise failure


def unpack(stream: IO[bytes], target: Path) -> None:
    """Write what comes as a tar into a folder; whatever it holds, nothing is written outside. Raises TreeError, OSError."""
    try:
        with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
            put_members(tar, target)
            # To the end of its padding, or its writer would meet a closed pipe.
            while stream.read(1 << 16):
                pass
    except (tarfile.TarError, EOFError) as error:
        raise TreeError(errno.EIO, f"the copy was cut off: {error}") from error


def put_members(tar: tarfile.TarFile, target: Path) -> None:
    """Write what an open tar holds into a folder, and nothing outside of it. Raises TreeError, OSError, TarError."""
    with opened(target) as top:
        for member in tar:
            _put(tar, member, top)


def _put(tar: tarfile.TarFile, member: tarfile.TarInfo, top: int) -> None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts:
        raise TreeError(errno.EINVAL, "leads out of the source", member.name[:200])
    if len(parts) > DEPTH_MAX:
        raise TreeError(errno.EINVAL, f"is nested more than {DEPTH_MAX} deep", member.name[:200])
    if not parts:
        return
    *folders, name = parts
    with opened(top, *folders, make=True) as folder:
        if member.isdir():
            with opened(folder, name, make=True):
                return
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=folder)
            return
        # A hard link becomes a file of its own.
        content = tar.extractfile(member) if member.isreg() or member.islnk() else None
        if content is None:
            raise TreeError(errno.EINVAL, "is no file, folder or link", member.name)
        must_fit(folder, member.size, member.name[:200])
        with os.fdopen(os.open(name, NEW_FILE, 0o600, dir_fd=folder), "wb") as new:
            shutil.copyfileobj(content, new, 1 << 18)
            new.flush()
            os.fchmod(new.fileno(), 0o755 if member.mode & 0o100 else 0o644)
            # Bytecode knows the time of its source.
            os.utime(new.fileno(), (member.mtime, member.mtime))


def must_fit(folder: int, size: int, shown: str) -> None:
    """Refuse a file that would take the room which the file system keeps for root, or its last name. Raises TreeError.

    Whoever made it says how long it is; a hole costs him nothing, and root's copy of it the disk of everybody.
    """
    disk = os.fstatvfs(folder)
    if size > disk.f_bavail * disk.f_frsize or (disk.f_files and not disk.f_favail):
        raise TreeError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: it has {size} bytes", shown)


def links_that_lead_out(top: Path, also: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """The links in a tree of root's that lead elsewhere than into it or into the folders ``also``, with their targets."""
    for base, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(base) / name
            if path.is_symlink() and not _leads_into(path, (top, *also)):
                yield str(path.relative_to(top)), os.readlink(path)


def _leads_into(link: Path, roots: Sequence[Path]) -> bool:
    """Whether a link ends within ``roots``, by each step of its way; what it leads to need not be there."""
    top, also = roots[0], roots[1:]
    here, left = link.parent, os.readlink(link).split("/")
    if left[0] == "":
        here = Path("/")
    for _ in range(1000):
        if any(here.is_relative_to(root) for root in also):
            # Links there are not looked at, and a way up from behind one may end anywhere.
            return ".." not in left
        if not here.is_relative_to(top) and not any(root.is_relative_to(here) for root in roots):
            return False
        if not left:
            return here.is_relative_to(top)
        part = left.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            here = here.parent
        elif here.is_relative_to(top) and (here / part).is_symlink():
            target = os.readlink(here / part)
            here = Path("/") if target.startswith("/") else here
            left = [*target.split("/"), *left]
        else:
            here /= part
    return False

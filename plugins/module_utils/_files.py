# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files, folders and links with an owner and a mode, written so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# The end of the name of a file that is being written.
NEW = ".asgi-host"
ACL = "system.posix_acl_access"
# The mode of a folder that only some may enter, where that cannot be said.
WITHOUT_ACLS = 0o755


def uid_of(owner: str) -> int:
    """The number of the user ``owner``. Raises KeyError with the name when the host has no such user."""
    return pwd.getpwnam(owner).pw_uid


def gid_of(group: str) -> int:
    """The number of the group ``group``. Raises KeyError with the name when the host has no such group."""
    return grp.getgrnam(group).gr_gid


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Replace ``path`` by one rename; the content is on disk before the name points to it.

    The name of the new file is always the same, so one that a power cut left is used again; a lock keeps two
    writers apart.
    """
    new = path.with_name(f".{path.name}{NEW}")
    with _locked(new) as stream:
        try:
            stream.truncate(0)
            stream.write(content)
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            raise
    sync_folder(path.parent)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file of this name, made if need be, for this process alone."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if _is(stream, path):
                yield stream
                return


def _is(stream: BinaryIO, path: Path) -> bool:
    """Whether the open file still has this name: whoever had the lock before may have renamed it away."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def point_link(link: Path, target: str) -> None:
    """Make ``link`` a symbolic link to ``target`` by one rename: there is no moment without it."""
    temporary = link.with_name(f".{link.name}{NEW}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    os.replace(temporary, link)
    sync_folder(link.parent)


def lets_pass(path: Path, user: int) -> bool:
    """Whether a folder is readable for its group, lets one user pass through (a number), and shuts all others out."""
    try:
        return os.getxattr(path, ACL) == _acl(user)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return False
        if error.errno == errno.ENOTSUP:
            return stat.S_IMODE(path.stat().st_mode) == WITHOUT_ACLS
        raise


def let_pass(path: Path, user: int) -> None:
    """Bring that about. On a file system without ACLs everybody is let in, as nginx could not be otherwise."""
    try:
        os.setxattr(path, ACL, _acl(user))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        path.chmod(WITHOUT_ACLS)


def _acl(user: int) -> bytes:
    """u::rwx,u:USER:x,g::rx,m::rx,o::- as the kernel has it (linux/posix_acl_xattr.h); the mode becomes 0750."""
    nobody = 0xFFFFFFFF
    entries = [(0x01, 7, nobody), (0x02, 1, user), (0x04, 5, nobody), (0x10, 5, nobody), (0x20, 0, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def owned_as(path: Path, *, uid: int, gid: int, mode: int) -> bool:
    """Whether ``path`` (not what it may link to) has this owner, group and mode."""
    seen = path.lstat()
    return (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (uid, gid, mode)

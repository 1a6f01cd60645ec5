# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder of a release's source: whose it is, and whether somebody changed it."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from .._files import gid_of, uid_of


def give_to(folder: Path, owner: str) -> None:
    """Make ``owner`` the owner of a folder and all in it; links are changed, not followed."""
    uid, gid = uid_of(owner), gid_of(owner)
    os.chown(folder, uid, gid)
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(base) / name, uid, gid, follow_symlinks=False)


def seal(folder: Path) -> None:
    """Make a source that hooks wrote to a release's again: root's, readable by all, writable by nobody else.

    Hooks run with the app's umask, which leaves nothing for nginx to read.
    """
    give_to(folder, "root")
    folder.chmod(0o755)
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


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
            total.update(
                f"{base}/{name} {seen.st_size} {seen.st_mtime_ns} {seen.st_mode} {seen.st_uid}\0".encode()
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
    """Whether anything below ``folder`` was written, made or removed since ``when`` (seconds of the epoch)."""
    # The kernel's time stamps lag behind the clock by up to a tick.
    limit = when - 0.05
    for base, folders, files in os.walk(folder):
        if Path(base).lstat().st_ctime >= limit:
            return True
        for name in (*folders, *files):
            try:
                if (Path(base) / name).lstat().st_ctime >= limit:
                    return True
            except FileNotFoundError:
                return True  # gone while we looked
    return False

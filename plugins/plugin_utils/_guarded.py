# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that do not leave the controller with a source unless somebody names them, and those that are no files at all."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

# What a file is called that shows which variables there are, and holds none.
SAMPLES = (".example", ".sample", ".template", ".dist")
# How a private key begins: in PEM form, which may have attributes before it or certificates, and of PuTTY.
KEY_HEADS = (b"-----BEGIN ", b"Bag Attributes", b"PuTTY-User-Key-File-")
PRIVATE = re.compile(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----|\APuTTY-User-Key-File-", re.MULTILINE)
# Endings of what no key is kept in: most of a source, of which not each file must be opened.
NO_KEYS = (
    ".py", ".pyi", ".html", ".css", ".scss", ".js", ".ts", ".map", ".svg", ".png", ".jpg", ".gif", ".ico", ".woff2", ".md",
    ".rst", ".po", ".mo", ".sql",
)  # fmt: skip
# Bytes of a file in which a key would be found.
KEY_MAX_BYTES = 64 * 1024
SQLITE = b"SQLite format 3\0"
# In place of a file that Git LFS keeps elsewhere; longer ones are none (docs/spec.md of git-lfs).
POINTERS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
POINTER_MAX_BYTES = 1024
POINTER_MIN_BYTES = 100


def holds_variables(name: str) -> bool:
    """Whether a path is that of a ``.env`` file, or in a folder of that name, and none of the examples."""
    return any(part.startswith(".env") and not part.lower().endswith(SAMPLES) for part in name.split("/"))


def is_private_key(path: Path) -> bool:
    """Whether a file is a private key, by its content. What cannot be read is said by whoever sends it."""
    if path.name.endswith(NO_KEYS):
        return False
    head = _head(path, max(map(len, KEY_HEADS)))
    return head.startswith(KEY_HEADS) and bool(PRIVATE.search(_head(path, KEY_MAX_BYTES)))


def is_database(path: Path) -> bool:
    """Whether a file is a database of SQLite, or the journal of one."""
    return path.name.endswith(("-wal", "-shm", "-journal")) or _head(path, len(SQLITE)) == SQLITE


def is_pointer(path: Path) -> bool:
    """Whether Git LFS has the content of a file elsewhere; no link is one. Raises OSError."""
    seen = os.lstat(path)
    of_its_size = stat.S_ISREG(seen.st_mode) and POINTER_MIN_BYTES <= seen.st_size < POINTER_MAX_BYTES
    return of_its_size and _head(path, 48).startswith(POINTERS)


def _head(path: Path, size: int) -> bytes:
    try:
        # No link, whose target is judged by itself; and no wait for the other end of a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb", buffering=0) as stream:
            return stream.read(size) or b""
    except OSError:
        return b""

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's ``files``: written into a release's source, the secret ones for the app's user alone.

``given`` is each of them by its path, as the controller tells it.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .. import _trees
from .._files import NEW
from . import environment

if TYPE_CHECKING:
    from .._contract.release import OwnFile


class PlaceError(Exception):
    """The source has something in a file's way; the message says what."""


def plain(given: Mapping[str, OwnFile]) -> dict[str, OwnFile]:
    """Those that anybody may read, builds included."""
    return {path: each for path, each in given.items() if not each["secret"]}


def secret(given: Mapping[str, OwnFile]) -> dict[str, OwnFile]:
    """Those that only the app and its hooks read."""
    return {path: each for path, each in given.items() if each["secret"]}


def put(source: Path, given: Mapping[str, OwnFile], tokens: Mapping[str, str], gid: int) -> None:
    """Write files into a source that is root's; a secret one is readable by the group ``gid``. Raises PlaceError, OSError.

    No link of the source's is followed.
    """
    for path, each in given.items():
        *folders, name = Path(path).parts
        content = base64.b64decode(each["content"])
        if not each["raw"]:
            content = environment.fill(content.decode(), tokens).encode()
        try:
            with _trees.opened(source, *folders, make=True) as folder:
                _put(folder, name, content, each["mode"], gid if each["secret"] else 0)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
                raise
            raise PlaceError(
                f"files: the way to {path} in the source holds a link, or a file in place of a folder or the reverse; give "
                "another path"
            ) from error


def _put(folder: int, name: str, content: bytes, mode: int, gid: int) -> None:
    new = f".{name}{NEW}"
    with contextlib.suppress(FileNotFoundError):
        _trees.remove_in(folder, new)
    with os.fdopen(os.open(new, _trees.NEW_FILE, 0o600, dir_fd=folder), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchown(stream.fileno(), 0, gid)
        os.fchmod(stream.fileno(), mode)
    # A folder in its place is said, not replaced: rename() refuses it.
    os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)


def take_out(source: Path, given: Mapping[str, OwnFile]) -> None:
    """Remove files from a copy of a source that becomes readable for all, with the bytecode that was made of them."""
    for path in given:
        *folders, name = Path(path).parts
        with contextlib.suppress(OSError), _trees.opened(source, *folders) as folder:
            _unlink(folder, name)
            if name.endswith(".py"):
                with _trees.opened(folder, "__pycache__") as cache:
                    for each, is_folder in _trees.listed(cache):
                        if not is_folder and each.startswith(f"{name.removesuffix('.py')}."):
                            _unlink(cache, each)


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)

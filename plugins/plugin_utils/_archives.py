# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An archive, or a wheel, as the source of a release: fetched, checked and unpacked by the controller."""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.error import URLError
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.asgi.host.plugins.module_utils._private import without_passwords
from ansible_collections.asgi.host.plugins.plugin_utils._fleet import run_folder
from ansible_collections.asgi.host.plugins.plugin_utils._sources import (
    SourceError,
    UnreachableError,
    locate,
)


class _BadMemberError(Exception):
    """A member of an archive that must not be unpacked."""


REFUSED: tuple[type[Exception], ...] = (_BadMemberError, getattr(tarfile, "FilterError", _BadMemberError))
# Seconds without a byte until a download counts as failed.
PATIENCE = 60
# RuntimeError is zipfile's word for a password, and for a way of compression that it does not know.
UNREADABLE = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError, RuntimeError,
)  # fmt: skip
WHEEL = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[^-]+)(-[^-]+)?-[^-]+-[^-]+-[^-]+\.whl")


def file_name(archive: Mapping[str, str | None]) -> str:
    """The archive's own name, without the rest of its address."""
    return PurePosixPath(
        urlsplit(str(archive["url"])).path if archive.get("url") else str(archive["path"])
    ).name


def wheel(archive: Mapping[str, str | None]) -> re.Match[str] | None:
    """The parts of a wheel's name; None for another kind of archive."""
    return WHEEL.fullmatch(file_name(archive))


def digest(archive: Mapping[str, str | None], bases: list[str]) -> str:
    """The SHA-256 of the archive: the one that the inventory gives, else the file's own. Raises SourceError."""
    return (archive.get("sha256") or _sha256(locate(str(archive["path"]), bases))).lower()


def fetch(archive: Mapping[str, str | None], bases: list[str]) -> Path:
    """The archive on the controller, with the digest that it must have. Raises SourceError.

    A download is made once a run, whatever the number of hosts.
    """
    if archive.get("path"):
        path = locate(str(archive["path"]), bases)
    else:
        path = run_folder() / f"{archive['sha256']}-{file_name(archive)}"
        with path.with_suffix(".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not path.exists():
                _download(str(archive["url"]), path)
    found, wanted = _sha256(path), digest(archive, bases)
    if found != wanted:
        raise SourceError(
            f"{file_name(archive)} has the SHA-256 {found}, not {wanted}; it is not the file that you mean: check where "
            "it comes from, or give the new digest in source.archive.sha256"
        )
    return path


def _download(url: str, path: Path) -> None:
    shown = without_passwords(url)
    part = path.with_suffix(".part")
    try:
        with open_url(url, timeout=PATIENCE, http_agent="asgi.host") as answer, part.open("wb") as stream:
            shutil.copyfileobj(answer, stream)
    except (OSError, URLError, ValueError) as error:
        raise UnreachableError(
            f"{shown} cannot be downloaded: {error}; check the address and that the server is up"
        ) from error
    part.rename(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpack(path: Path, into: Path, *, module: str, app_dir: str) -> Path:
    """Unpack an archive below ``into``; returns the folder that is the source. Raises SourceError.

    A single folder at the top, as forges and source distributions have it, is not part of the source, unless it
    is itself what the app is imported from.
    """
    try:
        if zipfile.is_zipfile(path):
            _unpack_zip(path, into)
        else:
            _unpack_tar(path, into)
    except REFUSED as error:
        raise SourceError(
            f"{path.name} is not unpacked: {error}; an archive must stay inside its own folder, so make it anew"
        ) from error
    except UNREADABLE as error:
        raise SourceError(
            f"{path.name} is no archive that can be read ({error}); give a whole tar or zip, without a password, or a "
            "wheel"
        ) from error
    top = list(into.iterdir())
    if len(top) != 1 or not top[0].is_dir():
        return into
    root = (app_dir or module).split("/")[0]
    inside = (top[0] / root).exists() or (top[0] / f"{root}.py").exists()
    return into if top[0].name == root and not inside else top[0]


def _must_be_whole(tar: tarfile.TarFile) -> None:
    """Read an unpacked tar to its end. Raises tarfile.ReadError, EOFError, OSError, zlib.error, lzma.LZMAError.

    tarfile takes a damaged header for the end, and never sees the checksum that stands behind all of it.
    """
    stream = cast(IO[bytes], tar.fileobj)
    stream.seek(tar.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it is damaged, or ends too early")
    while stream.read(1 << 20):
        pass


def _unpack_tar(path: Path, into: Path) -> None:
    """Unpack a tar; a Python that knows how to refuse what leads out, which 3.11.2 of Debian 12 does not, looks too."""
    looks_too: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    top = Path(os.path.realpath(into))
    with tarfile.open(path) as tar:
        for member in tar:
            _must_stay_inside(member, top)
            # Neither another owner, nor a mode that keeps even the owner out.
            member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            tar.extract(member, into, **looks_too)
        _must_be_whole(tar)


def _must_stay_inside(member: tarfile.TarInfo, top: Path) -> None:
    """Refuse a member whose name or link leads out, by itself or by a link that was unpacked before it."""
    name = PurePosixPath(member.name)
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise _BadMemberError(f"{member.name!r} is a device or a pipe")
    places = [name.parent]
    if member.issym() or member.islnk():
        # A symbolic link's target is meant from its own folder, a hard link's from the top.
        places.append((name.parent if member.issym() else PurePosixPath()) / member.linkname)
    inside = all(Path(os.path.realpath(top / place)).is_relative_to(top) for place in places)
    if ".." in name.parts or name.is_absolute() or PurePosixPath(member.linkname).is_absolute() or not inside:
        raise _BadMemberError(f"{member.name!r} leads out of it")


def _unpack_zip(path: Path, into: Path) -> None:
    with zipfile.ZipFile(path) as packed:
        for member in packed.infolist():
            name, mode = PurePosixPath(member.filename), member.external_attr >> 16
            if ".." in name.parts or name.is_absolute() or "\\" in member.filename:
                raise _BadMemberError(f"{member.filename!r} leads out of it")
            if stat.S_ISLNK(mode):
                raise _BadMemberError(f"{member.filename!r} is a link, which a zip should not hold")
            target = packed.extract(member, into)
            if mode & 0o100 and not member.is_dir():
                Path(target).chmod(0o755)

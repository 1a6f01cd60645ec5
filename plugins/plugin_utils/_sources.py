# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A folder as the source of a release: what belongs to it, its digest, its archive."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from ansible_collections.asgi.host.plugins.plugin_utils._git_command import Checkout

# What tools leave behind in a working folder; none of it is source.
LEFT_OUT = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".tox",
        ".nox",
        "node_modules",
        ".DS_Store",
    }
)
COMPILED = (".pyc", ".pyo")

# The name of each file of a source, relative to it, with its place.
Entries: TypeAlias = Iterable[tuple[str, Path]]


class SourceError(Exception):
    """A source that cannot be deployed; the message names the variable and the fix."""


class UnfitError(SourceError):
    """A source that no later try would mend: it is refused before anything on a host is changed."""


class UnreachableError(SourceError):
    """A source that cannot be asked at the moment, which says nothing against the inventory."""


def entries(folder: Path, left_out: frozenset[str] = LEFT_OUT) -> Iterator[tuple[str, Path]]:
    """Every file and link of the source with its relative name, sorted; names in ``left_out`` are skipped.

    Raises SourceError for a link that leads out of the folder: it would mean something else on the host.
    """
    return ((name, path) for name, path in walk(folder, left_out) if is_entry(folder, path))


def walk(folder: Path, left_out: frozenset[str] = LEFT_OUT) -> Iterator[tuple[str, Path]]:
    """All that lies in a folder, as entries() has it, whatever it is. Raises SourceError."""
    for base, folders, files in os.walk(folder, onerror=_unreadable):
        here = Path(base)
        within = "" if here == folder else f"{here.relative_to(folder)}/"
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(set(folders) - left_out - set(linked))
        for name in sorted([*files, *linked]):
            if name not in left_out and not name.endswith(COMPILED):
                yield f"{within}{name}", here / name


def is_entry(folder: Path, path: Path) -> bool:
    """Whether what lies in the folder of a source can be sent: no socket or pipe of a running program.

    Raises SourceError as entries() does.
    """
    # Asked of thousands: Path's own questions take ten times as long.
    place = str(path)
    if not place.isascii():
        _must_be_text(path.relative_to(folder))
    mode = os.lstat(place).st_mode
    if not stat.S_ISLNK(mode):
        return stat.S_ISREG(mode)
    target = Path(os.path.normpath(path.parent / os.readlink(path)))
    if os.path.isabs(os.readlink(path)) or not target.is_relative_to(folder):
        raise UnfitError(
            f"the link {path.relative_to(folder)} leads out of the source ({os.readlink(path)}); "
            "make it relative and inside the folder, or replace it by the file"
        )
    return True


def _unreadable(error: OSError) -> None:
    raise SourceError(
        f"{error.filename} cannot be read ({error.strerror}); let whoever deploys read it, or take it out of the source"
    ) from error


def _must_be_text(name: Path) -> None:
    """Names are compared, signed and sent as text."""
    try:
        str(name).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise SourceError(
            f"the name of the file {shown} is not UTF-8; rename it, or take it out of the source"
        ) from error


def unexpected(error: Exception) -> SourceError:
    """An exception that nobody foresaw, in one line."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return SourceError(f"it could not be read: unexpected {line} (ansible-playbook -vvv shows where)")


def digest(found: Entries) -> str:
    """A digest over names, modes and contents; the same in every checkout of the same files."""
    total = hashlib.sha256()
    for name, path in found:
        if path.is_symlink():
            kind, content = "link", os.readlink(path).encode()
        else:
            kind = "program" if os.access(path, os.X_OK) else "file"
            content = _content(path)
        total.update(f"{kind} {len(content)} {name}\0".encode())
        total.update(content)
    return total.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        _unreadable(error)
        raise


def pack(found: Entries, archive: Path) -> None:
    """Write a source to ``archive`` (gzip'd tar), owned by root and writable by nobody else."""
    with tarfile.open(archive, "w:gz", compresslevel=3) as tar:
        for name, path in found:
            try:
                tar.add(path, name, recursive=False, filter=_as_root)
            except OSError as error:
                if error.filename:
                    _unreadable(error)
                raise


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def version(folder: Path) -> str:
    """What git calls the state of the folder, ``1.4-3-g2f9ac11-dirty``; empty outside a checkout."""
    return Checkout(folder).version()


def locate(path: str, bases: list[str]) -> Path:
    """The folder or file ``path``: absolute, or below the first of ``bases`` that has it.

    Raises SourceError that lists the places.
    """
    tried = [Path(os.path.normpath(Path(base) / Path(path).expanduser())) for base in dict.fromkeys(bases)]
    for candidate in tried:
        if candidate.exists():
            return candidate
    places = ", ".join(str(candidate) for candidate in dict.fromkeys(tried))
    raise SourceError(
        f"{path} is not on the controller (looked at {places}); give the path of an existing one"
    )

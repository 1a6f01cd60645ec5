# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A folder as the source of a release: what belongs to it, its digest, its archive."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

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


class SourceError(Exception):
    """A source that cannot be deployed; the message names the variable and the fix."""


class UnreachableError(SourceError):
    """A source that cannot be asked at the moment, which says nothing against the inventory."""


def entries(folder: Path, left_out: frozenset[str] = LEFT_OUT) -> Iterator[tuple[str, Path]]:
    """Every file and link of the source with its relative name, sorted; names in ``left_out`` are skipped.

    Raises SourceError for a link that leads out of the folder: it would mean something else on the host.
    """
    for base, folders, files in os.walk(folder):
        here = Path(base)
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(set(folders) - left_out - set(linked))
        for name in sorted([*files, *linked]):
            path = here / name
            if name in left_out or name.endswith((".pyc", ".pyo")):
                continue
            if path.is_symlink():
                target = Path(os.path.normpath(here / os.readlink(path)))
                if os.path.isabs(os.readlink(path)) or not target.is_relative_to(folder):
                    raise SourceError(
                        f"the link {path.relative_to(folder)} leads out of the source ({os.readlink(path)}); "
                        "make it relative and inside the folder, or replace it by the file"
                    )
            elif not path.is_file():
                continue  # a socket or a pipe of a running program
            yield str(path.relative_to(folder)), path


def digest(folder: Path) -> str:
    """A digest over names, modes and contents; the same in every checkout of the same files."""
    total = hashlib.sha256()
    for name, path in entries(folder):
        if path.is_symlink():
            kind, content = "link", os.readlink(path).encode()
        else:
            kind = "program" if os.access(path, os.X_OK) else "file"
            content = path.read_bytes()
        total.update(f"{kind} {len(content)} {name}\0".encode())
        total.update(content)
    return total.hexdigest()


def pack(folder: Path, archive: Path, left_out: frozenset[str] = LEFT_OUT) -> None:
    """Write the source to ``archive`` (gzip'd tar), owned by root and writable by nobody else."""
    with tarfile.open(archive, "w:gz", compresslevel=3) as tar:
        for name, path in entries(folder, left_out):
            tar.add(path, name, recursive=False, filter=_as_root)


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

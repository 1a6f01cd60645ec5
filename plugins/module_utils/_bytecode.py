# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bytecode of this collection's modules, kept on a host from one call to the next.

Ansible sends a module as an archive of sources, from a new folder each time, and Python's zipimport compiles each of them
twice: that is most of what a call which changes nothing costs the host. A module that imports this first has them compiled
once, and never again where the role has its cache folder on the host, for which the same sources are the same bytecode.
Whatever is wrong with the cache, what was sent is compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType
from zipfile import ZipFile
from zipimport import zipimporter

# The folder is root's alone, as the role has made it; without it nothing is kept.
FOLDER = Path("/var/cache/asgi")
PREFIX = "bytecode-"
# Those of other controllers, or of the collection's last versions, that are kept beside the one in use.
OTHERS = 3
DIGEST_BYTES = 32

Codes = dict[str, CodeType]


class Compiled(zipimporter):
    """Imports the modules of one folder of the archive; each is compiled at most once."""

    codes: Codes
    """By the name of the module."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of a module."""
        if fullname not in self.codes:
            self.codes[fullname] = super().get_code(fullname)
        return self.codes[fullname]

    def get_filename(self, fullname: str) -> str:
        """Where the module is, for which zipimport itself would compile it."""
        end = f"{os.sep}__init__.py" if self.is_package(fullname) else ".py"
        return f"{self.archive}{os.sep}{self.prefix}{fullname.rpartition('.')[2]}{end}"


def use(package: str) -> None:
    """Import what is in a package, which came in an archive, with what is kept of it from now on."""
    with contextlib.suppress(Exception):
        _use(package)


def _use(package: str) -> None:
    loader = sys.modules[package].__loader__
    if not isinstance(loader, zipimporter):
        return
    top = package.replace(".", os.sep)
    names = modules(loader.archive, top)
    sources = {name: loader.get_data(path) for name, path in names.items()}
    place = _place(sources)
    codes = _read(place) if place else None
    if codes is None:
        # By a name that is the same the next time, for what a traceback says.
        codes = {name: compile(sources[name], names[name], "exec", dont_inherit=True) for name in names}
        if place:
            _write(place, codes)
    for folder in {os.path.dirname(path) for path in names.values()}:
        path = f"{loader.archive}{os.sep}{folder}"
        own = Compiled(path)
        own.codes = codes
        sys.path_importer_cache[path] = own


def modules(archive: str, top: str) -> dict[str, str]:
    """The modules below a folder of the archive, each with its path there; without the packages' own."""
    with ZipFile(archive) as inside:
        paths = [path for path in sorted(inside.namelist()) if path.startswith(f"{top}{os.sep}")]
    found = {}
    for path in paths:
        if path.endswith(".py") and os.path.basename(path) != "__init__.py":
            found[path[: -len(".py")].replace(os.sep, ".")] = path
    return found


def _place(sources: dict[str, bytes]) -> Path | None:
    """The file for these sources and this Python; None where the role has no folder for it, which is nobody else's."""
    try:
        seen = FOLDER.lstat()
    except OSError:
        return None
    if not FOLDER.is_dir() or FOLDER.is_symlink() or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        return None
    digest = hashlib.sha256(f"{sys.version}{MAGIC_NUMBER!r}".encode())
    for name, source in sorted(sources.items()):
        digest.update(f"{name} {len(source)}\0".encode() + source)
    return FOLDER / f"{PREFIX}{digest.hexdigest()[:32]}"


def _read(place: Path) -> Codes | None:
    """What is kept; None where there is nothing, or less than was written: a power cut may have come between."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    digest, packed = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(packed).digest() != digest:
        return None
    # Of root's own folder, and whole.
    codes: Codes = marshal.loads(packed)  # noqa: S302
    return codes


def _write(place: Path, codes: Codes) -> None:
    """Keep it, and of others the newest. A disk that takes nothing is no reason to fail."""
    packed = marshal.dumps(codes)
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with contextlib.suppress(OSError):
            new.write_bytes(hashlib.sha256(packed).digest() + packed)
            new.replace(place)
        others = sorted(
            (path for path in FOLDER.glob(f"{PREFIX}*") if path != place),
            key=lambda each: each.stat().st_mtime,
        )
        for path in others[: max(0, len(others) - OTHERS)]:
            path.unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)

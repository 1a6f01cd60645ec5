# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development mode: a release whose source is a live folder, which changes under the running process.

It is either a folder of the app's that the controller keeps up to date, or one that is on the host anyway (a mount).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import NEW, write_atomically
from . import requirements
from .paths import App, Release


def dependencies(folder: Path, wanted: Mapping[str, Any]) -> str:
    """A digest of the files that decide what is installed, with all that they include, and of nothing else.

    ``wanted`` is the app's ``source``. Raises requirements.UnreadableError, OSError.
    """
    chosen = requirements.choose(folder, wanted.get("requirements"))
    project = folder / "pyproject.toml"
    texts: dict[str, list[str]] = {}
    within = (folder.resolve(),)
    if chosen and chosen.is_file():
        own = (
            [requirements.text_of(chosen, within)]
            if chosen.name == "uv.lock"
            else requirements.read([chosen], within).texts
        )
        texts[chosen.name] = own
    built = project.is_file() and "build-system" in requirements.table_of(project, within)
    if built or (chosen and chosen.name == "uv.lock"):
        for path in (project, folder / "setup.py", folder / "setup.cfg"):
            if path.is_file():
                texts[path.name] = [requirements.text_of(path, within)]
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Live:
    """The live folder of an app on this host."""

    app: App
    mount: str | None = None
    """A folder that is on the host anyway; None for the one that is sent."""

    @property
    def folder(self) -> Path:
        return Path(self.mount) if self.mount else self.app.live

    @property
    def _record(self) -> Path:
        """What was sent the last time, and its digest."""
        return self.app.folder / "live.json"

    @property
    def target(self) -> str:
        """Where a release's source points to."""
        return self.mount or f"../../{self.app.live.name}"

    def is_source_of(self, release: Release) -> bool:
        """Whether the release's source is this folder, and the folder is there."""
        return (
            release.source.is_symlink()
            and os.readlink(release.source) == self.target
            and release.source.is_dir()
        )

    def holds(self, digest: str) -> bool:
        """Whether the folder was last sent with this digest; always so for a mount, to which nothing is sent."""
        return bool(self.mount) or (self.app.live.is_dir() and self._recorded().get("digest") == digest)

    def _recorded(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def receive(self, archive: Path, digest: str, shared: Sequence[str]) -> list[str]:
        """Bring the folder to what ``archive`` holds; returns the names that changed.

        What was sent before and is not there any more is removed. What others made stays, and so does what is behind
        the links of the ``shared`` paths. No link is followed: root writes here, and build hooks are the app's.
        """
        live = self.app.live
        live.mkdir(mode=0o755, exist_ok=True)
        linked = [path for path in shared if (live / path).is_symlink()]
        changed = []
        names = []
        with tarfile.open(archive) as tar:
            for member in tar:
                if _within(member.name, linked):
                    continue
                names.append(member.name)
                if _bring(live, tar, member):
                    changed.append(member.name)
        gone = sorted(set(self._recorded().get("files", [])) - set(names), reverse=True)
        changed += [name for name in gone if not _within(name, linked) and _remove(live, name)]
        # The record says what is there, also after a power cut.
        os.sync()
        entry = {"": "Written by asgi.host.", "digest": digest, "files": names}
        write_atomically(self._record, f"{json.dumps(entry)}\n".encode())
        return changed

    def leftovers(self) -> list[Path]:
        """What there is of a folder that is sent, where none is wanted."""
        return [path for path in (self.app.live, self._record) if path.exists()]

    def clear(self) -> None:
        """Remove the folder that was sent."""
        # Without its record a folder that is half gone is sent anew.
        self._record.unlink(missing_ok=True)
        if self.app.live.is_dir():
            shutil.rmtree(self.app.live)


def wanted(app: App, spec: Mapping[str, Any]) -> Live | None:
    """The live folder that an app, as the module is told of it, has for its source; None outside development mode."""
    return Live(app, spec["live"]["mount"]) if spec.get("live") else None


def _within(name: str, paths: Sequence[str]) -> bool:
    return any(f"{name}/".startswith(f"{path.rstrip('/')}/") for path in paths)


def _parents(live: Path, name: str) -> Iterator[Path]:
    """The folders between the live folder and what is called ``name`` in it, from the top."""
    path = live
    for part in Path(name).parts[:-1]:
        path /= part
        yield path


def _bring(live: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    """Make one file or link what it is in the archive; whether it was different."""
    for folder in _parents(live, member.name):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            folder.unlink()
        folder.mkdir(mode=0o755, exist_ok=True)
    path = live / member.name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    new = path.with_name(f".{path.name}{NEW}")
    new.unlink(missing_ok=True)
    if member.issym():
        if path.is_symlink() and os.readlink(path) == member.linkname:
            return False
        new.symlink_to(member.linkname)
    else:
        stream = tar.extractfile(member)
        content = stream.read() if stream else b""
        mode = 0o755 if member.mode & 0o100 else 0o644
        if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
            if path.stat().st_mode & 0o7777 == mode:
                return False
            path.chmod(mode)
            return True
        # Exclusive: a name that somebody made meanwhile is not written through.
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as target:
            target.write(content)
            os.fchmod(target.fileno(), mode)
    # The process sees one change of a whole file.
    os.replace(new, path)
    return True


def _remove(live: Path, name: str) -> bool:
    """Remove what was sent, and the folders that are empty then; whether it was there."""
    folders = list(_parents(live, name))
    path = live / name
    if any(folder.is_symlink() or not folder.is_dir() for folder in folders) or not os.path.lexists(path):
        return False
    if path.is_dir() and not path.is_symlink():
        return False
    path.unlink()
    for folder in reversed(folders):
        # Bytecode of a module that is gone keeps no folder alive.
        left = {each.name for each in folder.iterdir()}
        if left - {"__pycache__"}:
            break
        shutil.rmtree(folder)
    return True

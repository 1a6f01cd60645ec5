# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development mode: a release whose source is a live folder, which changes under the running process.

It is either a folder of the app's that the controller keeps up to date, or one that is on the host anyway (a mount).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _trees
from .._files import NEW, write_atomically
from . import locks, requirements
from .paths import App, Release


def dependencies(folder: Path, wanted: Mapping[str, Any]) -> str:
    """A digest of the files that decide what is installed, with all that they include, and of nothing else.

    ``wanted`` is the app's ``source``. Raises requirements.UnreadableError, OSError.
    """
    chosen = requirements.choose(folder, wanted.get("requirements"))
    locked = chosen is not None and (chosen.name == "uv.lock" or locks.is_foreign(chosen))
    home = requirements.home_of(folder, chosen, foreign=locked)
    project = home / "pyproject.toml"
    texts: dict[str, list[str]] = {}
    within = (folder.resolve(),)
    if chosen and chosen.is_file():
        own = [requirements.text_of(chosen, within)] if locked else requirements.read([chosen], within).texts
        texts[chosen.name] = own
    built = project.is_file() and "build-system" in requirements.table_of(project, within)
    if built or locked:
        for path in (project, home / "setup.py", home / "setup.cfg"):
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

    def receive(
        self, archive: Path, digest: str, shared: Sequence[str], own: Sequence[str] = ()
    ) -> list[str]:
        """Bring the folder to what ``archive`` holds; returns the names that changed.

        What was sent before and is not there any more is removed. What others made stays, and so does what is behind
        the links of the ``shared`` paths, and the app's ``own`` files. No link is followed.
        """
        self.app.live.mkdir(mode=0o755, exist_ok=True)
        linked = [path for path in shared if (self.app.live / path).is_symlink()]
        linked += [path for path in own if (self.app.live / path).is_file()]
        changed = []
        names = []
        with tarfile.open(archive) as tar, _trees.opened(self.app.live) as live:
            for member in tar:
                if _within(member.name, linked):
                    continue
                names.append(member.name)
                if member.issym():
                    differs = _bring_link(live, member.name, member.linkname)
                else:
                    stream = tar.extractfile(member)
                    differs = _bring_file(
                        live,
                        member.name,
                        stream.read() if stream else b"",
                        executable=member.mode & 0o100 > 0,
                    )
                if differs:
                    changed.append(member.name)
            gone = sorted(set(self._recorded().get("files", [])) - set(names), reverse=True)
            changed += [name for name in gone if not _within(name, linked) and _remove(live, name)]
        # The record says what is there, also after a power cut.
        os.sync()
        entry = {"": "Written by asgi.host.", "digest": digest, "files": names}
        write_atomically(self._record, f"{json.dumps(entry)}\n".encode())
        return changed

    def take_over(self, left: Path) -> None:
        """Bring the folder to what build hooks ``left`` of a copy of it; what they did not change is not touched."""
        kept = set()
        with _trees.opened(self.app.live) as live:
            for base, folders, files in os.walk(left):
                here = Path(base)
                links = [name for name in folders if (here / name).is_symlink()]
                for name in set(folders) - set(links):
                    with _opened_for(live, str((here / name / "any").relative_to(left))):
                        pass
                for name in (*links, *files):
                    path = here / name
                    inside = str(path.relative_to(left))
                    kept.add(inside)
                    if path.is_symlink():
                        _bring_link(live, inside, os.readlink(path))
                    else:
                        seen = path.stat()
                        _bring_file(live, inside, path.read_bytes(), executable=seen.st_mode & 0o100 > 0)
            for base, folders, files in os.walk(self.app.live):
                links = [name for name in folders if (Path(base) / name).is_symlink()]
                for name in (*links, *files):
                    inside = str((Path(base) / name).relative_to(self.app.live))
                    # The socket of a program that runs was not copied.
                    if inside not in kept and not stat.S_ISSOCK((Path(base) / name).lstat().st_mode):
                        _remove(live, inside)

    def leftovers(self) -> list[Path]:
        """What there is of a folder that is sent, where none is wanted."""
        return [path for path in (self.app.live, self._record) if path.exists()]

    def clear(self) -> None:
        """Remove the folder that was sent."""
        # Without its record a folder that is half gone is sent anew.
        self._record.unlink(missing_ok=True)
        if self.app.live.is_dir():
            _trees.remove(self.app.live)


def wanted(app: App, spec: Mapping[str, Any]) -> Live | None:
    """The live folder that an app, as the module is told of it, has for its source; None outside development mode."""
    return Live(app, spec["live"]["mount"]) if spec.get("live") else None


def _within(name: str, paths: Sequence[str]) -> bool:
    return any(f"{name}/".startswith(f"{path.rstrip('/')}/") for path in paths)


@contextlib.contextmanager
def _opened_for(live: int, name: str) -> Iterator[int]:
    """The folder that ``name`` is in, made where it is missing; what is in its way and is no folder is removed."""
    with _trees.opened(live) as handle:
        for part in Path(name).parts[:-1]:
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR(os.stat(part, dir_fd=handle, follow_symlinks=False).st_mode):
                    os.unlink(part, dir_fd=handle)
            with _trees.opened(handle, part, make=True) as below:
                os.dup2(below, handle)
        yield handle


def _bring_link(live: int, name: str, target: str) -> bool:
    """Make one link what it is to be; whether it was different."""
    with _opened_for(live, name) as folder:
        last = Path(name).name
        with contextlib.suppress(OSError):
            if os.readlink(last, dir_fd=folder) == target:
                return False
        new = _new_name(folder, last)
        os.symlink(target, new, dir_fd=folder)
        # The process sees one change of a whole file.
        os.rename(new, last, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def _bring_file(live: int, name: str, content: bytes, *, executable: bool) -> bool:
    """Make one file what it is to be; whether it was different."""
    mode = 0o755 if executable else 0o644
    with _opened_for(live, name) as folder:
        last = Path(name).name
        with contextlib.suppress(OSError):
            # What was a file a moment ago may be a pipe, on which an open would wait.
            handle = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(handle, "rb") as there:
                seen = os.fstat(handle)
                same = stat.S_ISREG(seen.st_mode) and seen.st_size == len(content) and there.read() == content
                if same and seen.st_uid == os.geteuid():
                    os.fchmod(handle, mode)
                    return stat.S_IMODE(seen.st_mode) != mode
        new = _new_name(folder, last)
        with os.fdopen(os.open(new, _trees.NEW_FILE, 0o600, dir_fd=folder), "wb") as target:
            target.write(content)
            os.fchmod(target.fileno(), mode)
        os.rename(new, last, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def _new_name(folder: int, name: str) -> str:
    """The name of what is being written in a folder; it is free, and ``name`` is that of no folder."""
    new = f".{name}{NEW}"
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            _trees.remove_in(folder, name)
    with contextlib.suppress(FileNotFoundError):
        _trees.remove_in(folder, new)
    return new


def _remove(live: int, name: str) -> bool:
    """Remove what was sent, and the folders that are empty then; whether it was there."""
    *folders, last = Path(name).parts
    try:
        with _trees.opened(live, *folders) as folder:
            if stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
                return False
            os.unlink(last, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False
    while folders:
        *above, last = folders
        with _trees.opened(live, *above) as folder:
            with _trees.opened(folder, last) as inside:
                # Bytecode of a module that is gone keeps no folder alive.
                if {left for left, _folder in _trees.listed(inside)} - {"__pycache__"}:
                    break
            _trees.remove_in(folder, last)
        folders = above
    return True

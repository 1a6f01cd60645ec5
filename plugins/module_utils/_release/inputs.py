# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release's virtualenv is resolved from: the files of the source that name its dependencies, in uv's words."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._toml import Table
from .._versions import fits
from . import indexes, locks, requirements
from .indexes import Index
from .paths import Release
from .requirements import OF_A_PROJECT, canonical, named

# Where a release keeps what its lock says in uv's words.
WANTED, VERSIONS = "locked.txt", "locked-versions.txt"


class BuildError(Exception):
    """The source cannot be built; the message says what to change."""


def chosen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What an app chooses for its build beyond the usual, by its key; nothing where it does not."""
    source = spec["source"]
    every = {
        "source.member": source.get("member"),
        "source.install": "" if source.get("install", True) else "no",
        "build_env": spec.get("build_env"),
    }
    return {key: value for key, value in every.items() if value}


def choices(spec: Mapping[str, Any]) -> list[Any]:
    """The same as part of what makes a release: nothing of it where an app chooses nothing."""
    return [found] if (found := chosen(spec)) else []


def wheel_path(release: Release, source: Mapping[str, Any]) -> Path:
    """Where a release keeps the wheel that is its source."""
    return release.folder / "wheel" / str(source["wheel"])


@dataclass
class Inputs:
    """What the resolver is given: requirement files of the source, and single requirements."""

    files: list[Path]
    lines: list[str]
    options: list[str]
    project: bool
    """Whether the project itself is built and installed."""
    within: tuple[Path, ...] = ()
    """The folders that the files, and what they include, must be in: root reads them."""
    place: str = "."
    """The project's folder inside the source, from which paths are meant."""
    built: str = "."
    """What is built of the project: its folder inside that one; a member of a workspace has its own."""
    indexes: list[Index] = field(default_factory=list)
    """The indexes that the project names beside the usual one."""
    pinned: dict[str, str] = field(default_factory=dict)
    """By project, the address of the index that a lock has it from."""

    def read(self) -> requirements.Requirements:
        """What the files ask for. Raises requirements.UnreadableError."""
        return requirements.read(self.files, self.within)

    def names(self) -> set[str]:
        """The projects that the app itself names."""
        return named(self.lines) | self.read().names

    def from_source(self) -> bool:
        """Whether some of what is installed is built from the source itself."""
        return self.project or self.read().local

    def digest(self, *more: str) -> str:
        """A digest of the inputs; ``more`` is what else decides what is installed."""
        # A wheel lies in its release; the digest of its content is in `more`.
        lines = [line.partition(" @ file:")[0] for line in self.lines]
        if self.indexes or self.pinned or (self.place, self.built) != (".", "."):
            more = (*more, json.dumps([[*map(str, self.indexes)], self.pinned, self.place, self.built]))
        whole = json.dumps([self.read().texts, lines, self.options, self.project, *more])
        return hashlib.sha256(whole.encode()).hexdigest()


def find(release: Release, spec: Mapping[str, Any], export: Callable[[Path, Sequence[str]], str]) -> Inputs:
    """What the app needs, by ``source.requirements``, else by the first file of requirements.USUAL that the source has.

    ``export`` has uv say what the uv.lock of a project holds, with these options. Raises BuildError, UnreadableError.
    """
    source, wanted = release.source, spec["source"]
    lines = [*wanted.get("package", []), *spec["requirements"]]
    if wanted["kind"] == "wheel":
        extras = f"[{','.join(wanted['extras'])}]" if wanted.get("extras") else ""
        lines.append(f"{wanted['project']}{extras} @ {wheel_path(release, wanted).as_uri()}")
    if wanted["kind"] != "tree":
        return Inputs([], lines, [], project=False)
    path = requirements.choose(source, wanted.get("requirements"))
    if path and not path.is_file():
        raise BuildError(
            f"source.requirements: the source has no file {wanted['requirements']}; name one that it has"
        )
    within = (release.folder.resolve(), source.resolve())
    foreign = path is not None and locks.is_foreign(path)
    home = requirements.home_of(source, path, foreign=foreign)
    pyproject = _pyproject(home, within)
    found = Inputs([], lines, [], _is_built(home, pyproject, path), within, _inside(home, source))
    found.indexes = indexes.of(pyproject)
    extras, groups = wanted.get("extras", []), wanted.get("groups", [])
    options = [*(f"--extra={extra}" for extra in extras), *(f"--group={group}" for group in groups)]
    if path and path.name == "uv.lock":
        _by_uv_lock(found, release, spec, path, options, export)
    elif path and foreign:
        _by_foreign_lock(found, release, path, groups, extras)
    elif path:
        found.files = [path]
        found.options = options if path.name in OF_A_PROJECT else options[len(extras) :]
    if wanted.get("install") is False:
        found.project = False
    return found


def _inside(home: Path, source: Path) -> str:
    return str(home.relative_to(source)) if home.is_relative_to(source) else "."


def _pyproject(home: Path, within: Sequence[Path]) -> Table:
    file = home / "pyproject.toml"
    return Table("pyproject.toml", requirements.table_of(file, within) if file.is_file() else {})


def _is_built(home: Path, pyproject: Table, path: Path | None) -> bool:
    """Whether the project is a package that is installed beside its dependencies."""
    if "build-system" not in pyproject:
        return path is not None and path.name in ("setup.py", "setup.cfg") and (home / path.name).is_file()
    tool = pyproject.table("tool")
    return (
        tool.table("uv").flag("package", default=True)
        and tool.table("poetry").flag("package-mode", default=True)
        and tool.table("pdm").flag("distribution", default=True)
    )


def _by_uv_lock(
    found: Inputs,
    release: Release,
    spec: Mapping[str, Any],
    path: Path,
    options: Sequence[str],
    export: Callable[[Path, Sequence[str]], str],
) -> None:
    lock = Table("uv.lock", requirements.table_of(path, found.within))
    needs = lock.text("requires-python")
    if not fits(spec["python"]["version"], needs):
        raise BuildError(
            f"uv.lock needs Python {needs}, and the app would run on {spec['python']['version']} "
            f"({spec['python']['path']}); set python to one that fits, or lock for this one"
        )
    member = spec["source"].get("member")
    if member:
        found.built = member_of(lock, member)
        found.project = _is_built(path.parent, _pyproject(path.parent / found.built, found.within), None)
        options = [*options, f"--package={member}"]
    exported = release.folder / "uv-lock.txt"
    exported.write_text(export(path.parent, options), encoding="utf-8")
    found.files = [exported]
    found.pinned = indexes.pinned_by_uv(lock, found.indexes)


def member_of(lock: Table, member: str) -> str:
    """The folder of a member of a workspace, by its uv.lock. Raises BuildError."""
    folders = {}
    for package in lock.tables("package"):
        source = package.table("source")
        if place := source.text("editable") or source.text("virtual") or source.text("directory"):
            folders[canonical(package.text("name"))] = place
    if canonical(member) not in folders:
        there = ", ".join(sorted(name for name, place in folders.items() if place != ".")) or "none"
        raise BuildError(f"source.member: uv.lock has no member {member}; name one that it has ({there})")
    return folders[canonical(member)]


def _by_foreign_lock(
    found: Inputs, release: Release, path: Path, groups: Sequence[str], extras: Sequence[str]
) -> None:
    locked = locks.read(path, groups, extras, found.within)
    (release.folder / VERSIONS).write_text("".join(f"{line}\n" for line in locked.versions), encoding="utf-8")
    wanted = release.folder / WANTED
    wanted.write_text(locked.text(VERSIONS), encoding="utf-8")
    found.files = [wanted]
    found.pinned = {name: re.sub(r"/+\Z", "", url) for name, url in locked.indexes.items()}
    known = {each.url for each in found.indexes}
    more = dict.fromkeys(url for url in found.pinned.values() if url not in known)
    found.indexes += [Index(f"of-the-lock-{number}", url) for number, url in enumerate(more, 1)]

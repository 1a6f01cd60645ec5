# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requirement files as uv reads them: with all that they include, and whether they lead to code of the source."""

from __future__ import annotations

import codecs
import os
import re
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .._toml import Table, UnreadableError

__all__ = ["UnreadableError"]

INCLUDE = re.compile(r"(?:(-[rc])\s*=?|--(requirement|constraint)(?:\s|=))\s*(?P<target>\S.*)")
EDITABLE = re.compile(r"(?:-e\s*|--editable(?:\s|=)\s*)\S")
FIND_LINKS = re.compile(r"(?:-f\s*|--find-links(?:\s|=)\s*)(?P<target>\S.*)")
ARCHIVES = (".whl", ".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
# The files that name the dependencies of a source, the most exact first.
USUAL = (
    "uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt", "pyproject.toml",
    "setup.py", "setup.cfg",
)  # fmt: skip
PROJECT = re.compile(
    rb"^\s*\[+\s*(project|build-system|dependency-groups|tool\.poetry)\b|^\s*project\.", re.MULTILINE
)
# What a file begins with that says how it is encoded; uv and pip go by it too.
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

# The files that stand at the top of a project, which need not be the top of the source.
OF_A_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", "uv.lock")


def canonical(name: str) -> str:
    """A project's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: Sequence[str]) -> set[str]:
    """The names of the projects in requirement lines."""
    found = (re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line) for line in requirements)
    return {canonical(match.group(1)) for match in found if match}


def text_of(path: Path, within: Sequence[Path] = ()) -> str:
    """The text of a file, which must be in one of the folders ``within``, links followed. Raises UnreadableError.

    Root reads it: what a link leads to may be somebody's secret.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        real = Path(os.readlink(f"/proc/self/fd/{stream.fileno()}"))
        if within and not any(real.is_relative_to(folder) for folder in within):
            raise UnreadableError(
                f"{path.name} is a link that leads out of the source, or is included from there; put the file itself "
                "into the source"
            )
        content = stream.read()
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path.name} is no text in UTF-8 ({error}); save it as UTF-8") from error


def table_of(path: Path, within: Sequence[Path] = ()) -> dict[str, Any]:
    """The content of a TOML file, as text_of() has it. Raises UnreadableError."""
    try:
        return tomllib.loads(text_of(path, within))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UnreadableError(
            f"{path.name} is no valid TOML ({error}); correct it, or resolve the merge that left its marks in it"
        ) from error


@dataclass
class Requirements:
    """What some files ask for, with those that they include."""

    texts: list[str] = field(default_factory=list)
    """The content of each file."""
    names: set[str] = field(default_factory=set)
    """The projects that are asked for; a constraint asks for none."""
    hashed: list[str] = field(default_factory=list)
    """The lines with hashes, constraints among them."""
    options: list[str] = field(default_factory=list)
    """Where to look for packages and in which form, a line for each option."""
    local: bool = False
    """Whether something is built from a folder or file of the source."""
    within: Sequence[Path] = ()
    """The folders that all of the files must be in."""

    def add(self, line: str, *, constrains: bool) -> None:
        """Add one requirement."""
        self.local |= _is_local(line)
        if re.search(r"\s--hash[\s=]", line):
            self.hashed.append(line)
        if not constrains and not (_is_local(line) and "@" not in line):
            self.names |= named([line])


def home_of(source: Path, chosen: Path | None, *, foreign: bool) -> Path:
    """The folder of the project: that of its lock or project file; ``foreign`` says that it is another tool's lock.

    A requirements file may lie anywhere in the source.
    """
    return chosen.parent if chosen and (foreign or chosen.name in OF_A_PROJECT) else source


def choose(source: Path, named_file: str | None, sent: Container[str] = USUAL) -> Path | None:
    """The file of a source that names its dependencies, which may be missing where it is named; None without one.

    ``sent`` says which of the usual files a host gets; all that are there, unless it is said.
    """
    if named_file:
        return source / named_file
    usual = (name for name in USUAL if name in sent)
    return next((path for name in usual if (path := source / name).is_file() and _says_something(path)), None)


def _says_something(path: Path) -> bool:
    """Whether a file may name dependencies: a pyproject.toml may hold the settings of tools alone."""
    if path.name != "pyproject.toml":
        return True
    try:
        return bool(PROJECT.search(path.read_bytes()))
    except OSError:
        return True  # said where it is read


def read(paths: Sequence[Path], within: Sequence[Path] = ()) -> Requirements:
    """Read files of the kinds that ``uv pip compile`` takes, each as text_of() has it. Raises UnreadableError."""
    found = Requirements(within=within)
    seen: set[tuple[Path, bool]] = set()
    for path in paths:
        if path.name == "pyproject.toml":
            found.texts.append(text_of(path, within))
            _project(table_of(path, within), found)
        elif path.suffix in (".py", ".cfg", ".toml"):
            # What it asks for shows when it is built.
            found.texts.append(text_of(path, within))
            found.local = True
        else:
            _file(path, found, seen, constrains=False)
    return found


def _file(path: Path, found: Requirements, seen: set[tuple[Path, bool]], *, constrains: bool) -> None:
    if (path, constrains) in seen:
        return
    seen.add((path, constrains))
    text = text_of(path, found.within)
    found.texts.append(text)
    for line in _lines(text):
        if include := INCLUDE.fullmatch(line):
            also_constrains = constrains or (include[1] == "-c" or include[2] == "constraint")
            target = _local_path(path.parent, include["target"])
            if target is None:
                continue  # an address; what it says is nothing of the source
            if not target.is_file():
                raise UnreadableError(
                    f"{path.name} includes {include['target']}, and there is no such file; add it to the source, "
                    "or correct the line"
                )
            _file(target, found, seen, constrains=also_constrains)
        elif EDITABLE.match(line):
            found.local = True
        elif links := FIND_LINKS.fullmatch(line):
            folder = _local_path(path.parent, links["target"])
            found.local |= folder is not None
            found.options.append(f"--find-links {folder or links['target']}")
        elif not line.startswith("-"):
            found.add(line, constrains=constrains)
        elif not constrains and not line.startswith("--require-hashes"):
            found.options.append(line)


def _lines(text: str) -> Iterator[str]:
    """The lines with something on them; one that ends in a backslash goes on in the next."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        if said := re.sub(r"(^|\s)#.*", "", line).strip():
            yield said


def _local_path(base: Path, target: str) -> Path | None:
    """What an option's value means as a path; None for an address."""
    target = target.strip().strip("\"'")
    if target.startswith("file:"):
        target = unquote(urlsplit(target).path)
    return None if "://" in target else Path(os.path.normpath(base / target))


def _is_local(line: str) -> bool:
    """Whether a requirement is a folder or file, not a name or an address."""
    what = re.split(r"\s--hash|;", line)[0].strip()
    if "file:" in what:
        return True
    return "://" not in what and ("/" in what or what.startswith(".") or what.lower().endswith(ARCHIVES))


def _project(table: Mapping[str, Any], found: Requirements) -> None:
    whole = Table("pyproject.toml", table)
    project, sources = whole.table("project"), whole.table("tool", "uv", "sources")
    for line in project.texts("dependencies"):
        found.add(line, constrains=False)
    origins = [each for name in sources for each in sources.tables(name)]
    found.local |= any("path" in each or "workspace" in each for each in origins)
    # A build backend says what they are, from wherever it likes.
    found.local |= "dependencies" in project.texts("dynamic")

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the files of a source say before it is sent: what keeps it from being built, and which Pythons it is for.

Nothing of the source is executed, and nobody is asked.
"""

from __future__ import annotations

import ast
import glob
import re
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _versions
from ansible_collections.asgi.host.plugins.module_utils._release import inputs, locks, poetry, requirements
from ansible_collections.asgi.host.plugins.module_utils._toml import Table, UnreadableError
from ansible_collections.asgi.host.plugins.plugin_utils import _parsed, _stale

# Files of conda, which brings packages that are not Python's.
CONDA = ("environment.yml", "environment.yaml", "conda-lock.yml", "pixi.lock", "pixi.toml")
# What the role's own server brings: an app may import it and name nothing.
OF_THE_SERVER = {"uvicorn", "gunicorn", "uvicorn_worker", "click", "h11", "httptools", "uvloop", "websockets", "dotenv",
                 "yaml", "watchfiles", "anyio", "idna"}  # fmt: skip
# The minor versions of Python 3 that may be named as the fix.
MINORS = range(9, 20)
# A requirement that comes from a repository.
REPOSITORY = re.compile(r"\bgit\+([a-z]+://[^\s;\"',]+)")
MIRROR = "https://github.com/astral-sh/python-build-standalone/releases/download"


@dataclass(frozen=True)
class Needs:
    """Which Pythons a file of the source names."""

    where: str
    shown: str
    either: tuple[str, ...]
    """Ranges, each of which is enough."""

    def fits(self, version: str) -> bool:
        """Whether a version is one of them."""
        return any(_versions.fits(version, each) for each in self.either)


@dataclass(frozen=True)
class Project:
    """What a source says of itself."""

    problems: tuple[str, ...] = ()
    """What keeps it from being built, each with the key of the app that it is about."""
    pythons: tuple[Needs, ...] = ()
    repositories: tuple[str, ...] = ()
    """The addresses of git that dependencies come from."""


@dataclass
class _Reader:
    source: Path
    app: Mapping[str, Any]
    sent: Container[str] = requirements.USUAL
    problems: list[str] = field(default_factory=list)
    pythons: list[Needs] = field(default_factory=list)
    repositories: set[str] = field(default_factory=set)

    def read(self) -> Project:
        given = self.app["source"]
        chosen = given.get("requirements")
        path = requirements.choose(self.source, chosen, self.sent)
        if path is not None and not path.is_file():
            self.problems.append(
                f"source.requirements: the source has no file {chosen}; name one that it has"
            )
            return self._done()
        try:
            self._read(path)
        except (UnreadableError, inputs.BuildError) as error:
            self.problems.append(f"source: {error}")
        except OSError:
            pass  # said where the source is packed
        return self._done()

    def _done(self) -> Project:
        return Project(tuple(self.problems), tuple(self.pythons), tuple(sorted(self.repositories)))

    def _read(self, path: Path | None) -> None:
        given = self.app["source"]
        groups, extras = given.get("groups") or [], given.get("extras") or []
        if path is None:
            self._names_nothing()
            self._named_python(self.source)
            return
        foreign = locks.is_foreign(path)
        home = requirements.home_of(self.source, path, foreign=foreign)
        pyproject = _pyproject(home)
        place = "."
        member = given.get("member")
        if member and path.name != "uv.lock":
            self.problems.append(
                f"source.member: the dependencies come from {path.name}, and members are those of a uv.lock; name it in "
                "source.requirements, or leave source.member out"
            )
        elif member:
            place = inputs.member_of(_parsed.table(path), member)
            pyproject = _pyproject(home / place)
        if foreign or path.name == "uv.lock":
            self._locked(path, pyproject, groups, extras, place)
        elif path.suffix not in (".py", ".cfg"):
            self._come_from(*requirements.read([path]).texts)
            sources = pyproject.table("tool", "uv", "sources")
            said = (each for name in sources for each in sources.tables(name))
            self._come_from(*(f"git+{each.text('git')}" for each in said if "git" in each))
        self._range(pyproject, home)
        self._named_python(home)

    def _locked(
        self, path: Path, pyproject: Table, groups: Sequence[str], extras: Sequence[str], place: str
    ) -> None:
        if found := _stale.reasons(path, pyproject, groups, extras, place):
            command = locks.COMMANDS.get(path.name, ("the tool that wrote it", ""))[0]
            more = f", and {len(found) - 3} more" if len(found) > 3 else ""
            self.problems.append(
                f"source: {path.name} is older than {'Pipfile' if path.name == 'Pipfile.lock' else 'pyproject.toml'}: "
                f"{'; '.join(found[:3])}{more}. Write it anew ({command}) and deploy that, or name another file in "
                "source.requirements (pyproject.toml: the newest versions that fit)"
            )
        if path.name != "uv.lock":
            known = locks.read(path, groups, extras, table=_stale.table_of(path))
            self._come_from(*known.wanted, *known.versions)
        if path.name == "Pipfile.lock":
            return
        locked = _parsed.table(path)
        if path.name == "uv.lock":
            addresses = (package.table("source").text("git") for package in locked.tables("package"))
            self._come_from(*(f"git+{address}" for address in addresses if address))
        if text := locked.text("requires-python"):
            self._needs(f"requires-python of {path.name}", text)

    def _come_from(self, *texts: str) -> None:
        self.repositories.update(address for text in texts for address in repositories(text))

    def _range(self, pyproject: Table, home: Path) -> None:
        """The range of Pythons that the project names."""
        if text := pyproject.table("project").text("requires-python"):
            self._needs("requires-python of pyproject.toml", text)
        elif text := poetry.python_of(pyproject):
            self._needs("python of tool.poetry.dependencies in pyproject.toml", text)
        pipfile = home / "Pipfile"
        if pipfile.is_file() and (home / "Pipfile.lock").is_file():
            requires = Table("Pipfile", requirements.table_of(pipfile)).table("requires")
            if text := requires.text("python_version") or requires.text("python_full_version"):
                self._needs("requires of Pipfile", _minor(text))

    def _named_python(self, home: Path) -> None:
        """What .python-version says, which an app's ``python`` replaces."""
        if self.app["python"]:
            return
        for path in dict.fromkeys((home / ".python-version", self.source / ".python-version")):
            if not path.is_file():
                continue
            lines = (line.strip() for line in requirements.text_of(path).splitlines())
            first = next((line for line in lines if line and not line.startswith("#")), "")
            if match := re.fullmatch(r"(?:cpython[-@])?(3\.\d+)(?:\.\d+)?", first):
                self._needs(".python-version", match[1])
            elif re.match(r"[<>=~!]", first):
                self._needs(".python-version", first)
            return

    def _needs(self, where: str, text: str) -> None:
        either = (text,) if re.fullmatch(r"3\.\d+", text) else tuple(poetry.specifiers(text))
        self.pythons.append(Needs(where, text, either))

    def _names_nothing(self) -> None:
        """A source without a file of dependencies: fine for an app that imports nothing."""
        app = self.app
        if app["requirements"] or app["server_requirements"] or app["server"] == "image":
            return
        conda = next((name for name in CONDA if (self.source / name).is_file()), None)
        if conda:
            self.problems.append(
                f"source: the dependencies are in {conda}, and conda is not supported; list them in a requirements.txt or "
                "a pyproject.toml, or deploy an image that conda fills (source.image)"
            )
            return
        if lacking := sorted(set(_foreign_imports(self.source, app))):
            self.problems.append(
                f"source: it names no dependency (it has none of {', '.join(requirements.USUAL)}), and the app imports "
                f"{', '.join(lacking)}; add a file that names them, name it in source.requirements, or set requirements"
            )


def repositories(text: str) -> list[str]:
    """The addresses of git in requirements."""
    return [match[1] for match in REPOSITORY.finditer(text)]


def read(source: Path, app: Mapping[str, Any], sent: Container[str] = requirements.USUAL) -> Project:
    """What the folder ``source`` says of a normalized app that is deployed from it.

    ``sent`` says which files a host gets; all, unless it is said.
    """
    return _Reader(source, app, sent).read()


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _pyproject(home: Path) -> Table:
    file = home / "pyproject.toml"
    return Table("pyproject.toml", requirements.table_of(file) if file.is_file() else {})


def _foreign_imports(source: Path, app: Mapping[str, Any]) -> Iterator[str]:
    """The projects that the app's own module imports when it is loaded, and that nobody brings."""
    root = source / app["app_dir"]
    module = (app["app"] or "").partition(":")[0].replace(".", "/")
    file = next(
        (path for path in (root / f"{module}.py", root / module / "__init__.py") if path.is_file()), None
    )
    if not module or file is None:
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in {each.partition(".")[0] for each in names}:
            # A folder, a module, or one that is compiled.
            own = (root / name).exists() or any(root.glob(f"{glob.escape(name)}.*"))
            if name and not own and name not in sys.stdlib_module_names and name not in OF_THE_SERVER:
                yield name


def python_problems(project: Project, python: Mapping[str, str], others: Sequence[str]) -> list[str]:
    """Why a project cannot run on a host's interpreter; ``others`` are the versions that the host has beside."""
    version = python["version"]
    found = []
    for needs in project.pythons:
        if needs.fits(version):
            continue
        found.append(
            f"python: the project is for Python {needs.shown} ({needs.where}), and the app would run on {version} "
            f"({python['path']}); {_fix(needs, project, version, others)}"
        )
        # The others say the same.
        break
    return found


def _fix(needs: Needs, project: Project, version: str, others: Sequence[str]) -> str:
    def fits(each: str) -> bool:
        return all(need.fits(each) for need in project.pythons)

    for each in others:
        if fits(each):
            return f'set python: "{_minor(each)}", which the host has'
    now = _versions.numbers(version)[1]
    minors = [minor for minor in MINORS if fits(f"3.{minor}") or fits(f"3.{minor}.40")]
    nearest = min(minors, key=lambda minor: (minor < now, abs(minor - now)), default=None)
    if nearest is None:
        return "no Python fits all that the project says; correct it"
    bring = (
        f'set python: "3.{nearest}" and asgi_host_python_mirror: {MIRROR} (uv brings that Python to the host)'
    )
    if needs.where == ".python-version":
        return f'{bring}, or python: "{_minor(version)}" if it runs on that as well'
    return f"{bring}, or let the project allow {_minor(version)}"

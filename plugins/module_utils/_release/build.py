# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release's virtualenv, made by uv: the app and its server resolved together, then installed from that lock."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import _progress
from .._private import without_passwords
from .._process import CommandError, run
from .._toml import Table
from .._trees import TreeError
from . import indexes, ledger, own_version, requirements, tree
from .inputs import BuildError, Inputs, wheel_path
from .inputs import find as find_inputs
from .paths import Release
from .requirements import canonical, named
from .uv import UNSOLVED, Tools
from .workshop import Workshop

__all__ = ["BuildError", "Inputs", "wheel_path"]

# The server's packages, with the oldest versions that know everything a release's process file relies on.
OLDEST_SERVER = {
    "gunicorn": "gunicorn>=22",
    "uvicorn": "uvicorn[standard]>=0.30",
    "uvicorn-worker": "uvicorn-worker>=0.2",
}
# uvicorn as the process manager replaces its workers one at a time since 0.51.
OLDEST_MANAGER = {**OLDEST_SERVER, "uvicorn": "uvicorn[standard]>=0.51"}
LOCK = "requirements.lock"
# How often what was just resolved is tried to be installed, and the seconds between: where an index has several
# servers, one may not know yet what another has announced.
TRIES, PAUSE = 3, 3.0
# Where a release keeps the digest of what its virtualenv was made from.
MARK = "environment.digest"
NOT_BUILT = (
    "\nThe project itself could not be built. An app that is served from its folder needs no package of it: set "
    "source: {install: false}, and only its dependencies are installed."
)
# A line of a lock that names a version, and nothing else.
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?==")


def server_choices(
    pins: Sequence[str],
    own: Sequence[str] | None,
    app_names: set[str],
    oldest: Mapping[str, str] | None = None,
) -> list[list[str]]:
    """The server's requirements to try, the preferred first.

    ``own`` are the app's server_requirements; they replace the pins of the packages they name and are never
    loosened. A package that the app's own requirements name loses its pin, for the app knows best.
    ``oldest`` are the versions that it may fall back to, OLDEST_SERVER where none are given.
    """
    oldest = OLDEST_SERVER if oldest is None else oldest
    fixed = list(own or [])
    replaced = named(fixed)
    rest = [pin for pin in pins if not named([pin]) & replaced]
    first = [
        *fixed,
        *(oldest[name] if (name := min(named([pin]))) in app_names else pin for pin in rest),
    ]
    last = [*fixed, *(oldest[min(named([pin]))] for pin in rest)]
    return [[*fixed, *rest], first, last]


def make(
    release: Release,
    spec: Mapping[str, Any],
    tools: Tools,
    python: Mapping[str, str],
    others: Sequence[Release],
) -> str:
    """Make the release's virtualenv; returns the digest of what is in it.

    ``others`` are complete releases whose lock, or whose whole virtualenv by hard links, serves again when their
    inputs were the same. Raises BuildError.
    """
    told = {key: spec[key] for key in ("build_env", "own_version") if spec.get(key)}
    version: Mapping[str, str] = told.get("own_version", {})
    if tools.private:
        tools.workshop.forget_checkouts()
    try:
        inputs = find_inputs(release, spec, lambda project, options: _export(tools, project, options))
        wanted = inputs.read()
        tools = replace(
            tools,
            env={
                **told.get("build_env", {}),
                **own_version.variables(version, alone=wanted.local),
            },
            own_version=own_version.variables(version, alone=True),
            addresses=tuple(indexes.addresses(wanted.options)),
            logins=indexes.needed(tools.logins, inputs.indexes, [*wanted.texts, *inputs.lines]),
        )
        pins, own = spec["server_pins"], spec["server_requirements"]
        oldest = OLDEST_MANAGER if spec["server"] == "uvicorn" else OLDEST_SERVER
        by_content = inputs.from_source() or spec["source"]["kind"] == "wheel"
        digest = inputs.digest(
            json.dumps([pins, own]),
            python["path"],
            python["version"],
            tools.uv,
            *([_content(release, spec)] if by_content else []),
            *([json.dumps(told, sort_keys=True)] if told else []),
        )
        if not _again(release, digest, tools, others):
            folder, moved = _working_copy(release, inputs, tools.workshop)
            choices = server_choices(pins, own, inputs.names(), oldest)
            _fill(release, moved, wanted, folder, tools, python["path"], choices)
            # Packages bring files for other versions of Python, which cannot be compiled and are not imported.
            tools.workshop.compile(tools.workshop.venv, "venv", as_of=release.venv, strict=False)
            tools.workshop.take("venv", release.venv)
    except CommandError as error:
        raise BuildError(error.words) from error
    except (requirements.UnreadableError, TreeError) as error:
        raise BuildError(str(error)) from error
    (release.venv / ".lock").unlink(missing_ok=True)
    (release.folder / MARK).write_text(digest, encoding="utf-8")
    return digest


def _export(tools: Tools, project: Path, options: Sequence[str]) -> str:
    """What the uv.lock of a project holds, as a requirements file. Raises CommandError."""
    shop = tools.workshop
    output = shop.write("uv-lock.txt", "")
    tools.run(
        "export", "--quiet", "--frozen", "--no-header", "--no-emit-project", "--no-default-groups",
        "--no-editable", f"--project={project}", f"--output-file={output}", *options, nameless=True,
    )  # fmt: skip
    return shop.read("uv-lock.txt")


def _content(release: Release, spec: Mapping[str, Any]) -> str:
    """What stands for the source's content, the app's own files included; that of a live folder is not the same for long."""
    if release.source.is_symlink():
        return release.id
    # What is built from the source may hold what build.commands make of it.
    made = json.dumps(spec["build"]) if spec.get("build") else ""
    return f"{spec['source']['digest']}{spec.get('own_files', '')}{made}"


def _again(release: Release, digest: str, tools: Tools, others: Sequence[Release]) -> bool:
    """Take the virtualenv of an earlier release with the same inputs; False where there is none."""
    for other in others:
        entry, mark = ledger.read(other), other.folder / MARK
        if not entry.get("venv_stamp"):
            continue
        if not (other.venv / "bin" / "python").exists() or tree.stamp(other.venv) != entry["venv_stamp"]:
            # One that was changed would bring the change along, and so would uv's cache: its files are the same, by
            # hard links. This release is not looked at again.
            tools.forget(release.app)
            ledger.update(other, venv_stamp=None)
        elif mark.is_file() and mark.read_text(encoding="utf-8") == digest:
            _progress.step("reuse", other.id, app=release.app.name)
            # Hard links of files that nobody writes to: a second copy costs neither time nor space.
            run(["cp", "--archive", "--link", str(other.venv), str(release.venv)])
            shutil.copy2(other.folder / LOCK, release.folder / LOCK)
            return True
    return False


def _working_copy(release: Release, inputs: Inputs, shop: Workshop) -> tuple[Path, Inputs]:
    """The project's folder in which uv works, and the inputs as they are called there.

    That is the source, or a copy where something is built from it: build backends write beside what they build.
    """
    if not inputs.from_source():
        return release.source / inputs.place, inputs
    copy = shop.copy(release.source, "project", live=release.source.is_symlink())
    files = [
        copy / path.relative_to(release.source) if path.is_relative_to(release.source) else path
        for path in inputs.files
    ]
    return copy / inputs.place, replace(inputs, files=files)


def _fill(
    release: Release,
    inputs: Inputs,
    wanted: requirements.Requirements,
    folder: Path,
    tools: Tools,
    python: str,
    choices: Sequence[Sequence[str]],
) -> None:
    """Resolve and install into an empty virtualenv of the interpreter ``python``."""
    app = release.app.name
    for left in reversed(range(TRIES)):
        venv = str(tools.workshop.venv)
        _progress.step("resolve", app=app)
        tools.run("venv", "--quiet", "--relocatable", "--clear", f"--python={python}", venv, nameless=True)
        resolver = _Resolver(inputs, wanted, folder, tools)
        text = _resolve(release, resolver, choices)
        _progress.step("install", app=app)
        try:
            _install(wanted, folder, tools, text, resolver.sources(text))
            break
        except CommandError as error:
            if not left or "there is no version of" not in error.output:
                raise
        time.sleep(PAUSE)
        tools = replace(tools, refresh=True)
    if not inputs.project:
        return
    _progress.step("project", app=app)
    tools = replace(tools, env={**tools.env, **tools.own_version})
    project = folder / inputs.built
    if release.source.is_symlink():
        # Backends write beside what they build, and the folder is not theirs; a change of its code is to be seen.
        _install_project(tools, folder, inputs.built, f"--editable={project}")
        live = release.source.resolve() / inputs.place
        tools.workshop.say_otherwise("venv", str(folder), str(live))
    else:
        _install_project(tools, folder, inputs.built, str(project))


def _install_project(tools: Tools, folder: Path, place: str, what: str) -> None:
    try:
        _install_local(tools, folder, [place], what)
    except CommandError as error:
        error.output += NOT_BUILT
        raise


class _Resolver:
    """uv's resolver for one release; ``folder`` is where it works."""

    def __init__(self, inputs: Inputs, wanted: requirements.Requirements, folder: Path, tools: Tools) -> None:
        self.tools, self.folder, self._shop = tools, folder, tools.workshop
        self._direct = named(inputs.lines) | wanted.names
        self._direct -= set(OLDEST_SERVER)
        self._indexes, self._pinned = inputs.indexes, dict(inputs.pinned)
        annotate = ["--emit-index-annotation"] if inputs.indexes else []
        own = [each for each in inputs.indexes if not (each.default and tools.index)]
        asked = [] if tools.wheels else indexes.asked(own, locked=bool(inputs.pinned))
        self.asked = "" if tools.wheels else indexes.words(own, locked=bool(inputs.pinned))
        lines = self._shop.write("lines.in", "".join(f"{line}\n" for line in inputs.lines))
        self._ask = [
            "pip",
            "compile",
            "--quiet",
            "--no-header",
            "--no-annotate",
            f"--python={self._shop.venv}/bin/python",
            # A path is meant from the working folder, and a dependency group looked for in its project.
            f"--directory={folder}",
            *map(str, inputs.files),
            str(lines),
            *inputs.options,
            *annotate,
            *asked,
        ]

    def sources(self, text: str) -> str:
        """The file that says which of a lock's packages come from a further index; empty where none does."""
        if self.tools.wheels:
            return ""
        content = indexes.project(self._pinned, self._indexes, named(text.splitlines()))
        return str(self._shop.write("indexes/pyproject.toml", content)) if content else ""

    def alone(self, *options: str) -> list[str]:
        """What the app itself names, as it would get it without a server. Raises CommandError."""
        found = self.tools.resolve(*self._ask, *options).splitlines()
        return [line for line in found if named([line]) & self._direct and PINNED.match(line)]

    def together(self, choice: Sequence[str], *options: str) -> str:
        """The lock of the app and these requirements of a server. Raises CommandError."""
        server = self._shop.write("server.in", "".join(f"{line}\n" for line in choice))
        # uv would keep to the versions of a lock that is there.
        lock = self._shop.write(LOCK, "")
        self.tools.resolve(*self._ask, str(server), *options, f"--output-file={lock}")
        text, found = indexes.split(self._shop.read(LOCK), self._indexes)
        # What a lock of the project says goes before what the resolver has found.
        self._pinned = {**found, **self._pinned}
        return text


def _resolve(release: Release, resolver: _Resolver, choices: Sequence[Sequence[str]]) -> str:
    """Write the lock, and return it: of the app and a server that fits, with what the app names as it alone would get it.

    Left to itself a resolver may fall back to an ancient version of the app to please the server's pins.
    """
    choices = list(dict.fromkeys(map(tuple, choices)))
    failures: list[CommandError] = []
    try:
        text = resolver.together(choices[0])
    except CommandError as error:
        if UNSOLVED in error.output:
            # Nor is there one with some versions kept.
            failures.append(error)
    else:
        # The server seldom changes what the app gets, and uv knows by now what it would get alone.
        with contextlib.suppress(CommandError):
            if set(resolver.alone("--offline")) <= set(text.splitlines()):
                return _write_lock(release, text, resolver.folder)
    try:
        kept = resolver.alone()
    except CommandError as error:
        raise BuildError(
            _unresolved(
                error,
                "The app's own requirements cannot be met; change them (server_requirements only changes what "
                f"comes beside).{resolver.asked}",
            )
        ) from error
    constraints = resolver.tools.workshop.write("constraints.txt", "".join(f"{line}\n" for line in kept))
    for choice in choices[len(failures) :]:
        try:
            text = resolver.together(choice, f"--constraints={constraints}")
        except CommandError as error:
            failures.append(error)
        else:
            return _write_lock(release, text, resolver.folder)
    raise BuildError(
        _unresolved(
            failures[0],
            "The app's requirements and its server's do not go together; name a server that does in "
            f"server_requirements, or change the app's requirements.{resolver.asked}",
        )
    )


def _unresolved(error: CommandError, fix: str) -> str:
    """Why nothing was resolved, with the fix where it is the requirements that do not fit."""
    return f"{error.words}\n{fix}" if UNSOLVED in error.output else error.words


def _write_lock(release: Release, text: str, folder: Path) -> str:
    # An editable project would be imported from the folder that it is built in.
    text = re.sub(r"^(?:-e|--editable)[\s=]+", "", text, flags=re.MULTILINE)
    # Hosts that got the same shall have the same lock.
    text = text.replace(folder.as_uri(), "file:.")
    path = release.folder / LOCK
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    if without_passwords(text) == text:
        path.chmod(0o644)
    return text


def _install(
    wanted: requirements.Requirements, folder: Path, tools: Tools, text: str, sources: str = ""
) -> None:
    """Install what the lock holds; with the hashes that the app gives, from where it, or the file ``sources``, says."""
    write = tools.workshop.write
    options = write("options.txt", "".join(f"{line}\n" for line in wanted.options))
    hashed = write("hashed.txt", "".join(f"{line}\n" for line in wanted.hashed))
    more = [f"--directory={folder}", f"--requirement={options}", f"--constraint={hashed}"]
    more += [f"--requirement={sources}"] if sources else []
    if tools.private:
        lines = text.splitlines(keepends=True)
        local = [line for line in lines if line.startswith(("./", "/", "file:")) or "@ file:" in line]
        others = write("others.txt", "".join(line for line in lines if line not in local))
        try:
            tools.without_building(*_pip_install(tools), *more, f"--requirement={others}")
        except CommandError:
            # One of them is there as source alone, or something is wrong, which is said now.
            tools.building(*_pip_install(tools), *more, f"--requirement={write(LOCK, text)}")
            return
        if local:
            places = [line.rpartition("file:")[2].split(" ")[0].strip() for line in local]
            _install_local(
                tools, folder, places, *more, f"--requirement={write('local.txt', ''.join(local))}"
            )
        return
    tools.building(*_pip_install(tools), *more, f"--requirement={write(LOCK, text)}")


def _pip_install(tools: Tools) -> tuple[str, ...]:
    # uv would compile with the virtualenv's interpreter, which executes every .pth in it.
    return "pip", "install", "--quiet", f"--python={tools.workshop.venv}/bin/python", "--no-deps"


def _install_local(tools: Tools, folder: Path, places: Sequence[str], *what: str) -> None:
    """Build and install what is in the source itself, by its ``places`` below the folder.

    Where the index has a password, what builds need is brought before, and the build goes without index and password. A
    backend that asks for more than its pyproject.toml says is then built with both.
    """
    if tools.private:
        with contextlib.suppress(CommandError):
            for place in places:
                _bring_backend(tools, folder / place)
            tools.workshop.clean = False
            tools.run(*_pip_install(tools), "--offline", *what, nameless=True)
            return
    tools.building(*_pip_install(tools), *what)


def _bring_backend(tools: Tools, project: Path) -> None:
    """Have in the cache what a project says that it is built with (PEP 518)."""
    needs = ["setuptools>=40.8.0"]
    with contextlib.suppress(CommandError, tomllib.TOMLDecodeError):
        relative = (project / "pyproject.toml").relative_to(tools.workshop.scratch)
        table = Table("pyproject.toml", tomllib.loads(tools.workshop.read(str(relative)))).table(
            "build-system"
        )
        needs = table.texts("requires") if "requires" in table else needs
    if not needs:
        return
    wanted = tools.workshop.write("backend.txt", "".join(f"{line}\n" for line in needs))
    prime = tools.workshop.scratch / "backend"
    # Not in the virtualenv, whose interpreter runs what its packages bring.
    tools.run("venv", "--quiet", "--clear", str(prime), nameless=True)
    tools.without_building(
        "pip", "install", "--quiet", f"--python={prime}/bin/python", f"--requirement={wanted}"
    )


def compile_source(release: Release, shop: Workshop) -> None:
    """Write the source's bytecode; the app's user cannot, and would compile at each start. Raises CommandError."""
    shop.compile(release.source, "bytecode", as_of=release.source)
    shop.take_bytecode("bytecode", release.source)


def lock_digest(release: Release) -> str:
    """A digest of what was resolved, the same on each host that got the same; empty without a lock."""
    lock = release.folder / LOCK
    if not lock.is_file():
        return ""
    # A wheel that is the source lies in its release.
    text = lock.read_text(encoding="utf-8").replace(release.folder.as_uri(), "")
    return hashlib.sha256(text.encode()).hexdigest()


def chosen_versions(release: Release) -> dict[str, str]:
    """What the lock chose, by project."""
    lock = release.folder / LOCK
    if not lock.is_file():
        return {}
    pairs = (
        line.split(" ;")[0].strip().split("==", 1)
        for line in lock.read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    return {canonical(name.partition("[")[0]): version.split()[0] for name, version in pairs}

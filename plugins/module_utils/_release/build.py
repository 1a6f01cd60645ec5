# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release's virtualenv, made by uv: the app and its server resolved together, then installed from that lock."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._apps import fits
from .._process import CommandError, run
from . import ledger, tree
from .paths import Release

# The server's packages, with the oldest versions that know everything gunicorn.conf.py relies on.
OLDEST_SERVER = {
    "gunicorn": "gunicorn>=22",
    "uvicorn": "uvicorn[standard]>=0.30",
    "uvicorn-worker": "uvicorn-worker>=0.2",
}
LOCK = "requirements.lock"
# How often what was just resolved is tried to be installed, and the seconds between: where an index has several
# servers, one may not know yet what another has announced.
TRIES, PAUSE = 3, 3.0


class BuildError(Exception):
    """The source cannot be built; the message says what to change."""


@dataclass(frozen=True)
class Tools:
    """How uv runs on this host. ``index`` may hold credentials: it travels in the environment, never in argv.

    With ``wheels``, a folder, no index is asked at all.
    """

    uv: str
    index: str | None
    wheels: str | None = None
    refresh: bool = False
    """Whether to ask the index anew for what the cache knows."""

    def run(self, *argv: str) -> str:
        """Run uv; raises CommandError."""
        env = {"UV_CACHE_DIR": "/var/cache/asgi/uv", "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
        env["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
        if self.index:
            env["UV_DEFAULT_INDEX"] = self.index
        if self.wheels and argv[0] == "pip":
            argv = (*argv, "--no-index", f"--find-links={self.wheels}")
        if self.refresh and argv[0] == "pip":
            argv = (*argv, "--refresh")
        try:
            return run([self.uv, *argv], env=env)
        except CommandError as error:
            if self.wheels and "No solution found" in error.output:
                error.output += (
                    "\nNo index is asked but the folder asgi_host_wheels: add the wheels that it lacks."
                )
            raise


def canonical(name: str) -> str:
    """A project's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: Sequence[str]) -> set[str]:
    """The names of the projects in requirement lines."""
    found = (re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line) for line in requirements)
    return {canonical(match.group(1)) for match in found if match}


def server_choices(pins: Sequence[str], own: Sequence[str] | None, app_names: set[str]) -> list[list[str]]:
    """The server's requirements to try, the preferred first.

    ``own`` are the app's server_requirements; they replace the pins of the packages they name and are never
    loosened. A package that the app's own requirements name loses its pin, for the app knows best.
    """
    fixed = list(own or [])
    replaced = named(fixed)
    rest = [pin for pin in pins if not named([pin]) & replaced]
    first = [
        *fixed,
        *(OLDEST_SERVER[name] if (name := min(named([pin]))) in app_names else pin for pin in rest),
    ]
    last = [*fixed, *(OLDEST_SERVER[min(named([pin]))] for pin in rest)]
    return [[*fixed, *rest], first, last]


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

    def names(self) -> set[str]:
        """The projects that the app itself names."""
        names = named(self.lines)
        for path in self.files:
            text = path.read_text(encoding="utf-8")
            if path.name == "pyproject.toml":
                names |= named(tomllib.loads(text).get("project", {}).get("dependencies", []))
            else:
                names |= named(
                    [line for line in text.splitlines() if not line.lstrip().startswith(("#", "-"))]
                )
        return names

    def digest(self, *more: str) -> str:
        """A digest of the inputs; ``more`` is what else decides what is installed."""
        content = [path.read_text(encoding="utf-8") for path in self.files]
        # A wheel lies in its release; the digest of its content is in `more`.
        lines = [line.partition(" @ file:")[0] for line in self.lines]
        whole = json.dumps([content, lines, self.options, self.project, *more])
        return hashlib.sha256(whole.encode()).hexdigest()


def find_inputs(release: Release, spec: Mapping[str, Any], tools: Tools) -> Inputs:
    """What the app needs, by ``source.requirements``, else uv.lock, else requirements.txt, else pyproject.toml."""
    source, wanted = release.source, spec["source"]
    lines = [*wanted.get("package", []), *spec["requirements"]]
    if wanted["kind"] == "wheel":
        extras = f"[{','.join(wanted['extras'])}]" if wanted.get("extras") else ""
        lines.append(f"{wanted['project']}{extras} @ {wheel_path(release, wanted).as_uri()}")
    if wanted["kind"] != "tree":
        return Inputs([], lines, [], project=False)
    chosen = wanted.get("requirements")
    if chosen:
        path = source / chosen
        if not path.is_file():
            raise BuildError(f"source.requirements: the source has no file {chosen}; name one that it has")
    else:
        path = next(
            (
                source / name
                for name in ("uv.lock", "requirements.txt", "pyproject.toml")
                if (source / name).is_file()
            ),
            source,
        )
    project_file = source / "pyproject.toml"
    project = project_file.is_file() and "build-system" in tomllib.loads(
        project_file.read_text(encoding="utf-8")
    )
    options = [f"--extra={extra}" for extra in wanted.get("extras", [])]
    groups = [f"--group={group}" for group in wanted.get("groups", [])]
    if path.name == "uv.lock":
        needs = tomllib.loads(path.read_text(encoding="utf-8")).get("requires-python", "")
        if not fits(spec["python"]["version"], needs):
            raise BuildError(
                f"uv.lock needs Python {needs}, and the app would run on {spec['python']['version']} "
                f"({spec['python']['path']}); set python to one that fits, or lock for this one"
            )
        exported = release.folder / "uv-lock.txt"
        tools.run(
            "export", "--quiet", "--frozen", "--no-header", "--no-emit-project", "--no-default-groups",
            f"--project={source}", f"--output-file={exported}", *options, *groups,
        )  # fmt: skip
        return Inputs([exported], lines, [], project)
    if path == source:
        return Inputs([], lines, [], project)
    if path.name != "pyproject.toml":
        options = []
    return Inputs([path], lines, [*options, *groups], project)


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
    inputs = find_inputs(release, spec, tools)
    pins, own = spec["server_pins"], spec["server_requirements"]
    digest = inputs.digest(
        json.dumps([pins, own]),
        python["path"],
        python["version"],
        tools.uv,
        *([spec["source"]["digest"]] if inputs.project or spec["source"]["kind"] == "wheel" else []),
    )
    mark = release.folder / "environment.digest"
    for other in others:
        there = other.folder / mark.name
        same = there.is_file() and there.read_text(encoding="utf-8") == digest
        # One that somebody changed by hand would bring the change along.
        if same and ledger.read(other).get("venv_stamp") == tree.stamp(other.venv):
            # Hard links of files that nobody writes to: a second copy costs neither time nor space.
            run(["cp", "--archive", "--link", str(other.venv), str(release.venv)])
            shutil.copy2(other.folder / LOCK, release.folder / LOCK)
            mark.write_text(digest, encoding="utf-8")
            return digest
    try:
        tools.run("venv", "--quiet", "--relocatable", f"--python={python['path']}", str(release.venv))
        for left in reversed(range(TRIES)):
            _resolve(release, inputs, tools, server_choices(pins, own, inputs.names()))
            try:
                _install(release, inputs, tools)
                break
            except CommandError as error:
                if not left or "there is no version of" not in error.output:
                    raise
            time.sleep(PAUSE)
            tools = replace(tools, refresh=True)
        if inputs.project:
            _install_project(release, tools)
    except CommandError as error:
        raise BuildError(error.output) from error
    # uv leaves its lock file writable for everyone.
    (release.venv / ".lock").unlink(missing_ok=True)
    mark.write_text(digest, encoding="utf-8")
    return digest


def _resolve(release: Release, inputs: Inputs, tools: Tools, choices: Sequence[Sequence[str]]) -> None:
    """Write the lock: first what the app alone would get, then the same together with a server that fits."""
    compile_ = [
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        f"--python={release.venv}/bin/python",
        # A dependency group is looked for in the working folder's project.
        f"--directory={release.source}",
    ]
    with tempfile.TemporaryDirectory(prefix="asgi-host-") as folder:
        lines, constraints, server = (
            Path(folder) / name for name in ("lines.in", "constraints.txt", "server.in")
        )
        lines.write_text("".join(f"{line}\n" for line in inputs.lines), encoding="utf-8")
        given = [*map(str, inputs.files), str(lines), *inputs.options]
        try:
            alone = tools.run(*compile_, *given).splitlines()
        except CommandError as error:
            raise BuildError(
                f"{error.output}\nThe app's own requirements cannot be met; change them (server_requirements only changes what comes beside)."
            ) from error
        # Left alone a resolver may fall back to an ancient version of the app to please the server's pins.
        direct = inputs.names() - set(OLDEST_SERVER)
        constraints.write_text(
            "".join(f"{line}\n" for line in alone if named([line]) & direct and "@" not in line),
            encoding="utf-8",
        )
        failure: CommandError | None = None
        for choice in dict.fromkeys(map(tuple, choices)):
            server.write_text("".join(f"{line}\n" for line in choice), encoding="utf-8")
            try:
                tools.run(
                    *compile_, *given, str(server), f"--constraints={constraints}",
                    f"--output-file={release.folder / LOCK}",
                )  # fmt: skip
            except CommandError as error:
                failure = failure or error
            else:
                return
    raise BuildError(
        f"{failure.output if failure else 'nothing to resolve'}\nThe app's requirements and its server's do not go "
        "together; name a server that does in server_requirements, or change the app's requirements."
    )


def _install(release: Release, inputs: Inputs, tools: Tools) -> None:
    """Install what the lock holds; with the hashes that the app gives."""
    hashed = [
        f"--requirement={path}"
        for path in inputs.files
        if path.suffix == ".txt" and "--hash=" in path.read_text()
    ]
    tools.run(
        "pip", "install", "--quiet", f"--python={release.venv}/bin/python", "--no-deps", "--compile-bytecode",
        *hashed, f"--requirement={release.folder / LOCK}",
    )  # fmt: skip


def _install_project(release: Release, tools: Tools) -> None:
    """Install the source as a project, from a copy: build backends write beside the source."""
    with tempfile.TemporaryDirectory(prefix="asgi-host-") as folder:
        copy = Path(folder) / "project"
        shutil.copytree(release.source, copy, symlinks=True)
        tools.run(
            "pip", "install", "--quiet", f"--python={release.venv}/bin/python", "--no-deps", "--compile-bytecode",
            str(copy),
        )  # fmt: skip


def compile_source(release: Release) -> None:
    """Write the source's bytecode; the app's user cannot, and would compile at each start."""
    run(
        [
            f"{release.venv}/bin/python",
            "-m",
            "compileall",
            "-q",
            "-j",
            str(os.cpu_count() or 1),
            str(release.source),
        ]
    )


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

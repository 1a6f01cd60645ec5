# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of a project that takes it from git: the controller has the repository, and hosts build without one.

It is what setuptools-scm makes of tags by default: the tag itself for its commit, and the next version with the number of commits
since for a later one.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._release import inputs, locks, requirements
from ansible_collections.asgi.host.plugins.module_utils._toml import Table, UnreadableError

# ansible-core itself depends on it; only the import check of ansible-test is without.
with contextlib.suppress(ImportError):
    from packaging.version import InvalidVersion, Version

# What git answers to _git_command.DESCRIBE.
DESCRIBED = re.compile(r"(?P<tag>.+)-(?P<since>\d+)-g(?P<commit>[0-9a-f]+)")
# A tag may have the project's name in front.
TAG = re.compile(r"(?:.*[-/])?v?(?P<version>\d[^+/]*)(?:\+.*)?", re.IGNORECASE)
BACKENDS = re.compile(
    r"\s*(setuptools[-_.]scm|vcs[-_.]versioning|hatch[-_.]vcs|uv[-_.]dynamic[-_.]versioning)\b", re.IGNORECASE
)


def name_of(source: Path, given: Mapping[str, Any]) -> str | None:
    """The name of a source's project, empty if it has none, where its version comes from git; else None.

    ``given`` is the app's ``source``: of a workspace the project is its ``member``.
    """
    path = requirements.choose(source, given.get("requirements"))
    home = requirements.home_of(source, path, foreign=path is not None and locks.is_foreign(path))
    try:
        if path is not None and path.name == "uv.lock" and given.get("member"):
            lock = Table(path.name, requirements.table_of(path, (source.resolve(),)))
            home /= inputs.member_of(lock, given["member"])
        file = home / "pyproject.toml"
        if not file.is_file():
            return "" if _legacy(home) else None
        table = Table("pyproject.toml", requirements.table_of(file, (source.resolve(),)))
        name = table.table("project").text("name") or table.table("tool", "poetry").text("name")
        return name if _from_git(table) or _legacy(home) else None
    except (UnreadableError, inputs.BuildError, OSError):
        # Said where the source is read.
        return None


def _from_git(pyproject: Table) -> bool:
    tool = pyproject.table("tool")
    return bool(
        "setuptools_scm" in tool
        or any(BACKENDS.match(each) for each in pyproject.table("build-system").texts("requires"))
        or tool.table("pdm", "version").text("source") == "scm"
        or tool.table("poetry-dynamic-versioning").flag("enable")
    )


def _legacy(home: Path) -> bool:
    """Whether a setup.py or setup.cfg asks for setuptools-scm."""
    for name in ("setup.py", "setup.cfg"):
        path = home / name
        if path.is_file() and b"use_scm_version" in path.read_bytes():
            return True
    return False


def version(described: str, *, commits: str = "", changed: bool = False) -> str:
    """The version by git's answer to _git_command.DESCRIBE; without a tag by ``commits``, ``NUMBER COMMIT``; empty without both.

    ``changed`` says that files differ from what is committed.
    """
    match = DESCRIBED.fullmatch(described)
    found = _of_tag(match["tag"]) if match else None
    if match and found:
        since, commit = int(match["since"]), match["commit"]
        if not since and not changed:
            return str(found)
        base = _next(found)
    elif commits:
        count, _space, commit = commits.partition(" ")
        base, since = "0.1", int(count)
    else:
        return ""
    return f"{base}.dev{since}+g{commit}{'.dirty' if changed else ''}"


def _of_tag(tag: str) -> Version | None:
    match = TAG.fullmatch(tag)
    try:
        return Version(match["version"]) if match else None
    except InvalidVersion:
        return None


def _next(found: Version) -> str:
    """The version that comes after a tag's, as far as one can guess."""
    base = ".".join(map(str, found.release))
    if found.pre:
        return f"{base}{found.pre[0]}{found.pre[1] + 1}"
    if found.dev is not None:
        return base
    *before, last = found.release
    return ".".join(map(str, [*before, last + 1]))

"""What the controller finds in a source before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils import _preflight, _project, _versions_from_git
from known_systems import TRIXIE

APP = "import starlette\n"
UV = """
version = 1
requires-python = "{python}"
[[package]]
name = "shop"
version = "1"
source = {{ virtual = "." }}
[package.metadata]
requires-dist = [{{ name = "starlette", extras = ["full"], specifier = ">=0.40" }}]
[package.metadata.requires-dev]
jobs = [{{ name = "celery" }}]
[[package]]
name = "starlette"
version = "0.45.3"
source = {{ registry = "https://index.test/simple" }}
"""
PROJECT = '[project]\nname = "shop"\nrequires-python = ">=3.11"\ndependencies = [{}]\n'


def app(**keys: Any) -> dict[str, Any]:
    given = {"name": "shop", "app": "main:app", "domains": ["shop.test"], "source": {"path": "."}}
    return _apps.normalize([given | keys])[0]


def read(folder: Path, files: dict[str, str], **keys: Any) -> _project.Project:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return _project.read(folder, app(**keys))


def uv(*dependencies: str, python: str = ">=3.11", more: str = "") -> dict[str, str]:
    listed = ", ".join(f"'{each}'" for each in dependencies)
    return {"uv.lock": UV.format(python=python), "pyproject.toml": PROJECT.format(listed) + more}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (uv("starlette[full]>=0.40"), None),
        # Newer than what was asked for then, and still what is locked.
        (uv("starlette>=0.41"), None),
        (uv("starlette>=0.41", "httpx"), "does not know the dependency httpx"),
        (uv("Starlette>=0.46"), "it has Starlette 0.45.3, and >=0.46 is asked for"),
        (uv("starlette[other]"), "does not know the extra other of starlette"),
        (uv("starlette", python=">=3.9"), "it is for Python >=3.9, and the project for >=3.11"),
        (uv("starlette", python=">=3.11.0"), None),
        (uv("starlette @ file:./libs/starlette"), None),
        # A group that is not deployed may be anything.
        (uv("starlette", more='[dependency-groups]\ndev = ["pytest"]\n'), None),
    ],
)
def test_lock_of_uv_that_is_older_than_its_project(
    tmp_path: Path, files: dict[str, str], words: str | None
) -> None:
    found = read(tmp_path, files).problems
    if words is None:
        assert not found
    else:
        assert len(found) == 1
        assert words in found[0]
        assert "uv.lock is older than pyproject.toml" in found[0]
        assert "(uv lock)" in found[0]
        chosen = {"path": ".", "requirements": "pyproject.toml"}
        assert not read(tmp_path, files, source=chosen).problems


def test_group_that_is_deployed_counts(tmp_path: Path) -> None:
    files = uv("starlette", more='[dependency-groups]\njobs = ["celery", "redis"]\n')
    source = {"path": ".", "groups": ["jobs"]}
    (problem,) = read(tmp_path, files, source=source).problems
    assert "the dependency redis" in problem


POETRY = '[tool.poetry.dependencies]\npython = "{}"\nstarlette = "{}"\n'
POETRY_LOCK = '[[package]]\nname = "starlette"\nversion = "0.45.3"\n[metadata]\nlock-version = "2.1"\npython-versions = "^3.11"\n'


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"poetry.lock": POETRY_LOCK, "pyproject.toml": POETRY.format("^3.11", "^0.45")}, ()),
        (
            {"poetry.lock": POETRY_LOCK, "pyproject.toml": POETRY.format("^3.11", "^0.46")},
            ("it has starlette 0.45.3, and ^0.46 is asked for", "(poetry lock)"),
        ),
        (
            {"poetry.lock": POETRY_LOCK, "pyproject.toml": POETRY.format("^3.11", "*") + 'httpx = "*"\n'},
            ("does not know the dependency httpx",),
        ),
        (
            {"poetry.lock": POETRY_LOCK, "pyproject.toml": POETRY.format("^3.12", "*")},
            ("it is for Python ^3.11, and the project for ^3.12",),
        ),
        (
            {
                "pdm.lock": '[[package]]\nname = "starlette"\nversion = "0.45.3"\n',
                "pyproject.toml": PROJECT.format("'starlette>=0.46', 'tomli; python_version < \"3.11\"'"),
            },
            ("pdm.lock is older", "it has starlette 0.45.3", "(pdm lock)"),
        ),
        (
            {
                "Pipfile.lock": '{"default": {"starlette": {"version": "==0.45.3"}}}',
                "Pipfile": '[packages]\nstarlette = "<0.46"\nhttpx = "*"\n',
            },
            ("Pipfile.lock is older than Pipfile", "httpx", "(pipenv lock)"),
        ),
        (
            {
                "pylock.toml": 'lock-version = "1.0"\n[[packages]]\nname = "starlette"\nversion = "0.45.3"\n',
                "pyproject.toml": PROJECT.format("'starlette', 'httpx'"),
            },
            ("pylock.toml is older", "httpx"),
        ),
    ],
)
def test_other_locks_that_are_older(tmp_path: Path, files: dict[str, str], words: tuple[str, ...]) -> None:
    found = read(tmp_path, files).problems
    assert len(found) == bool(words)
    for word in words:
        assert word in found[0]


@pytest.mark.parametrize(
    ("files", "keys", "words"),
    [
        ({"main.py": APP}, {}, ("names no dependency", "imports starlette", "set requirements")),
        ({"main.py": APP}, {"requirements": ["starlette"]}, ()),
        ({"main.py": "import json, uvicorn, helpers\nfrom . import x\n", "helpers.py": ""}, {}, ()),
        ({"main.py": APP, "environment.yml": "name: x"}, {}, ("environment.yml", "conda", "source.image")),
        ({"main.py": APP, "pyproject.toml": "[tool.ruff]\n"}, {}, ("names no dependency",)),
        ({"main.py": APP, "setup.py": "import setuptools; setuptools.setup()\n"}, {}, ()),
        (
            {"uv.lock": "package = 3\n", "pyproject.toml": PROJECT.format("")},
            {},
            ("uv.lock: package is not a list of tables",),
        ),
        (
            {"pyproject.toml": '[project]\ndependencies = {a = "1"}\n', "uv.lock": UV.format(python="")},
            {},
            ("pyproject.toml: project.dependencies is not a list of strings",),
        ),
        (
            {"pyproject.toml": "project = 3\n[build-system]\n"},
            {},
            ("pyproject.toml: project is not a table",),
        ),
        ({"requirements.txt": "-r gone.txt\n"}, {}, ("includes gone.txt",)),
        ({}, {"source": {"path": ".", "requirements": "prod.txt"}}, ("no file prod.txt",)),
        (uv("starlette"), {"source": {"path": ".", "member": "api"}}, ("has no member api",)),
        (
            {"requirements.txt": "x\n"},
            {"source": {"path": ".", "member": "api"}},
            ("members are those of a uv.lock",),
        ),
    ],
)
def test_what_keeps_a_source_from_being_built(
    tmp_path: Path, files: dict[str, str], keys: dict[str, Any], words: tuple[str, ...]
) -> None:
    found = read(tmp_path, files, **keys).problems
    assert len(found) == bool(words)
    for word in words:
        assert word in found[0]


@pytest.mark.parametrize(
    ("files", "keys", "words"),
    [
        (
            {"pyproject.toml": '[project]\nrequires-python = ">=3.14"\n'},
            {},
            (
                "the project is for Python >=3.14 (requires-python of pyproject.toml)",
                "3.13.5",
                'python: "3.14"',
                "mirror",
            ),
        ),
        ({"pyproject.toml": '[project]\nrequires-python = "<3.9"\n'}, {}, ("no Python fits",)),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.11,<4"\n'}, {}, ()),
        (
            {"pyproject.toml": POETRY.format("^3.10 <3.13", "*")},
            {},
            ("python of tool.poetry", 'python: "3.12"'),
        ),
        (
            {"requirements.txt": "", ".python-version": "# ours\n3.12.4\n"},
            {},
            (".python-version", 'or python: "3.13"'),
        ),
        # A named Python goes before what a developer's machine has.
        ({"requirements.txt": "", ".python-version": "3.12\n"}, {"python": "3.13"}, ()),
        ({"requirements.txt": "", ".python-version": "pypy3.10\n"}, {}, ()),
        ({"requirements.txt": "", ".python-version": "cpython-3.13\n"}, {}, ()),
        (
            {"Pipfile.lock": "{}", "Pipfile": '[requires]\npython_version = "3.12"\n'},
            {},
            ("requires of Pipfile",),
        ),
    ],
)
def test_python_that_a_project_is_not_for(
    tmp_path: Path, files: dict[str, str], keys: dict[str, Any], words: tuple[str, ...]
) -> None:
    project = read(tmp_path, files, **keys)
    python = {"path": "/usr/bin/python3", "version": "3.13.5"}
    facts = {**TRIXIE, "python": python, "pythons": [], "nginx": {"foreign_sites": []}}
    found = _preflight.host_problems([app(**keys)], facts, proxy=False, projects={"shop": project})
    assert len(found) == bool(words)
    for word in words:
        assert word in found[0]
    if words and "3.12" in "".join(files.values()):
        beside = {"path": "/usr/bin/python3.12", "version": "3.12.9"}
        (problem,) = _preflight.host_problems(
            [app(**keys)], {**facts, "pythons": [beside]}, proxy=False, projects={"shop": project}
        )
        assert 'set python: "3.12", which the host has' in problem


@pytest.mark.parametrize(
    ("described", "commits", "changed", "version"),
    [
        ("v1.4.0-0-g0123abc", "", False, "1.4.0"),
        ("1.4-0-g0123abc", "", True, "1.5.dev0+g0123abc.dirty"),
        ("v1.4.0-3-g0123abc", "", False, "1.4.1.dev3+g0123abc"),
        ("shop-2.0rc1-2-gab", "", False, "2.0rc2.dev2+gab"),
        ("release/v2.0-0-gab", "", False, "2.0"),
        ("", "7 0123abc", False, "0.1.dev7+g0123abc"),
        ("not-a-version1x-2-gab", "", False, ""),
        ("", "", False, ""),
    ],
)
def test_version_of_what_git_says(described: str, commits: str, changed: bool, version: str) -> None:
    assert _versions_from_git.version(described, commits=commits, changed=changed) == version


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (
            {
                "pyproject.toml": '[build-system]\nrequires = ["setuptools>=64", "setuptools-scm[toml]>=8"]\n[project]\nname = "a"\n'
            },
            "a",
        ),
        (
            {
                "pyproject.toml": '[build-system]\nrequires = ["hatchling", "hatch-vcs"]\n[project]\nname = "a"\n'
            },
            "a",
        ),
        (
            {
                "pyproject.toml": '[build-system]\nrequires = ["pdm-backend"]\n[tool.pdm.version]\nsource = "scm"\n[project]\nname = "a"\n'
            },
            "a",
        ),
        (
            {
                "pyproject.toml": '[build-system]\nrequires = []\n[tool.poetry]\nname = "a"\n[tool.poetry-dynamic-versioning]\nenable = true\n'
            },
            "a",
        ),
        ({"setup.py": "setup(use_scm_version=True)\n"}, ""),
        ({"pyproject.toml": '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "a"\n'}, None),
        ({"pyproject.toml": "[broken"}, None),
        ({}, None),
    ],
)
def test_project_whose_version_is_git_s(tmp_path: Path, files: dict[str, str], name: str | None) -> None:
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    assert _versions_from_git.name_of(tmp_path, {}) == name


def test_version_of_a_member_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "whole"\nversion = "1"\n')
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "api"\nsource = { editable = "apps/api" }\n')
    (tmp_path / "apps" / "api").mkdir(parents=True)
    member = '[build-system]\nrequires = ["hatchling", "hatch-vcs"]\n[project]\nname = "api"\n'
    (tmp_path / "apps" / "api" / "pyproject.toml").write_text(member)
    found = [_versions_from_git.name_of(tmp_path, {"member": member}) for member in (None, "api", "other")]
    assert found == [None, "api", None]


def test_lock_that_is_not_sent_is_not_judged(tmp_path: Path) -> None:
    """One that git ignores stays on the controller, so what the host builds from is the next file."""
    (tmp_path / "uv.lock").write_text('version = 1\nrequires-python = ">=3.99"\n', encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("fastapi\n", encoding="utf-8")
    assert _project.read(tmp_path, app()).pythons
    assert not _project.read(tmp_path, app(), {"requirements.txt"}).pythons


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pyproject.toml": f"[project]\na = {'[' * 5000}{']' * 5000}\n"}, "pyproject.toml is no valid TOML"),
        ({"Pipfile.lock": "[" * 200_000}, "Pipfile.lock is no valid JSON"),
        ({"main.py": f"x = {'(' * 5000}"}, ""),
    ],
)
def test_file_that_is_nested_without_end_is_a_problem_of_its_app_alone(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    assert words in " ".join(read(tmp_path, files).problems)

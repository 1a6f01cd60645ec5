"""Locks of Poetry, PDM, pipenv and PEP 751 as requirements and constraints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import locks, poetry
from ansible_collections.asgi.host.plugins.module_utils._toml import UnreadableError

POETRY_PROJECT = """
[tool.poetry.dependencies]
python = "^3.11"
Starlette = "^0.45"
httpx = {version = "^0.27", extras = ["http2"], optional = true}
tomli = {version = "*", python = "<3.11"}
inner = {git = "https://git.example.com/inner.git", tag = "v1"}
[tool.poetry.extras]
client = ["httpx"]
[tool.poetry.group.jobs.dependencies]
celery = "*"
"""
POETRY_LOCK = """
[[package]]
name = "starlette"
version = "0.45.3"
groups = ["main"]
files = [{file = "a.whl", hash = "sha256:bb"}, {file = "a.tar.gz", hash = "sha256:aa"}]
[[package]]
name = "httpx"
version = "0.27.2"
optional = true
groups = ["main"]
markers = "extra == \\"client\\""
files = [{file = "a.whl", hash = "sha256:cc"}]
[[package]]
name = "inner"
version = "1.0"
[package.source]
type = "git"
url = "https://git.example.com/inner.git"
reference = "v1"
resolved_reference = "0123abc"
[[package]]
name = "ours"
version = "2"
files = []
[package.source]
type = "legacy"
url = "https://pypi.example.com/simple"
reference = "ours"
[metadata]
lock-version = "2.1"
python-versions = "^3.11"
"""


def lay(folder: Path, **files: str) -> Path:
    """Write files, named with ``_`` for a dot; returns the first."""
    paths = [folder / name.replace("_", ".") for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text)
    return paths[0]


def test_lock_of_poetry(tmp_path: Path) -> None:
    path = lay(tmp_path, poetry_lock=POETRY_LOCK, pyproject_toml=POETRY_PROJECT)
    found = locks.read(path, ["jobs"], ["client"])
    assert found.wanted == [
        "Starlette",
        "httpx[http2]",
        "tomli ; (python_full_version < '3.11')",
        "inner @ git+https://git.example.com/inner.git@0123abc",
        "celery",
    ]
    assert found.versions == [
        "starlette==0.45.3 --hash=sha256:aa --hash=sha256:bb",
        # Its extra was chosen or not by what is asked for: the version holds whenever it is.
        "httpx==0.27.2 --hash=sha256:cc",
        "inner @ git+https://git.example.com/inner.git@0123abc",
        "ours==2",
    ]
    assert found.indexes == {"ours": "https://pypi.example.com/simple"}
    assert "httpx[http2]" not in locks.read(path, [], []).wanted


def test_several_versions_of_one_project_are_told_apart_by_their_markers(tmp_path: Path) -> None:
    package = '[[package]]\nname = "numpy"\nversion = "{}"\nmarkers = "python_version {} \\"3.12\\""\n'
    text = package.format("1.26", "<") + package.format("2.1", ">=")
    path = lay(tmp_path, poetry_lock=text, pyproject_toml="")
    assert locks.read(path, [], []).versions == [
        'numpy==1.26 ; python_version < "3.12"',
        'numpy==2.1 ; python_version >= "3.12"',
    ]
    path.write_text('[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "a"\nversion = "2"\n')
    with pytest.raises(UnreadableError, match=r"several versions of a, .*poetry lock.*poetry export"):
        locks.read(path, [], [])


def test_lock_of_pdm(tmp_path: Path) -> None:
    project = (
        '[project]\nname = "shop"\ndependencies = ["fastapi>=0.1"]\n'
        '[project.optional-dependencies]\nall = ["shop[db]"]\ndb = ["psycopg"]\n'
        '[dependency-groups]\njobs = ["celery", {include-group = "more"}]\nmore = ["redis"]\n'
    )
    lock = (
        '[[package]]\nname = "fastapi"\nversion = "0.115.0"\nfiles = [{file = "f.whl", hash = "sha256:aa"}]\n'
        '[[package]]\nname = "fastapi"\nversion = "0.115.0"\nextras = ["all"]\n'
    )
    found = locks.read(lay(tmp_path, pdm_lock=lock, pyproject_toml=project), ["jobs"], ["all"])
    assert found.wanted == ["fastapi>=0.1", "psycopg", "celery", "redis"]
    assert found.versions == ["fastapi==0.115.0 --hash=sha256:aa"]


def test_lock_of_pipenv(tmp_path: Path) -> None:
    lock = {
        "_meta": {
            "sources": [
                {"name": "a", "url": "https://a.test/simple"},
                {"name": "b", "url": "https://b.test/simple"},
            ]
        },
        "default": {
            "uvicorn": {
                "version": "==0.34",
                "extras": ["standard"],
                "markers": "python_version >= '3.9'",
                "hashes": ["sha256:aa"],
            },
            "ours": {"version": "==1", "index": "b", "hashes": []},
        },
        "develop": {"pytest": {"version": "==8", "hashes": []}},
    }
    found = locks.read(lay(tmp_path, Pipfile_lock=json.dumps(lock)), [], [])
    assert found.wanted == ["uvicorn[standard]==0.34 ; python_version >= '3.9' --hash=sha256:aa", "ours==1"]
    assert found.indexes == {"ours": "https://b.test/simple"}
    assert "pytest==8" in locks.read(tmp_path / "Pipfile.lock", ["dev"], []).wanted


def test_standard_lock_knows_extras_and_groups(tmp_path: Path) -> None:
    lock = """
lock-version = "1.0"
default-groups = ["web"]
[[packages]]
name = "Jinja2"
version = "3.1"
marker = "'web' in dependency_groups and sys_platform != 'win32'"
wheels = [{url = "https://f.test/j.whl", hashes = {sha256 = "aa"}}]
[[packages]]
name = "psycopg"
version = "3"
marker = "'db' in extras"
index = "https://a.test/simple"
[[packages]]
name = "inner"
vcs = {type = "git", url = "https://git.example.com/inner.git", commit-id = "0123abc"}
[[packages]]
name = "shop"
directory = {path = ".", editable = true}
"""
    path = lay(tmp_path, pylock_toml=lock)
    assert locks.read(path, [], []).wanted == [
        "jinja2==3.1 ; python_version >= '3' and sys_platform != 'win32' --hash=sha256:aa",
        "psycopg==3 ; python_version < '3'",
        "inner @ git+https://git.example.com/inner.git@0123abc",
    ]
    assert "psycopg==3 ; python_version >= '3'" in locks.read(path, [], ["db"]).wanted
    # The index that most of them have is the usual one.
    assert locks.read(path, [], []).indexes == {}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("poetry_lock", 'package = "x"\n', "package is not a list of tables"),
        ("poetry_lock", "[[package]]\nname = 1\n", r"package\[0\].name is not a string"),
        ("pdm_lock", "[[package]]\nname = 'a'\nfiles = 'x'\n", r"package\[0\].files is not a list of tables"),
        ("Pipfile_lock", "<<<<<<< HEAD", "no valid JSON"),
        ("Pipfile_lock", "[]", "holds no table"),
        ("Pipfile_lock", '{"default": {"a": {"hashes": 1}}}', "default.a.hashes is not a list of strings"),
        ("pylock_toml", 'lock-version = "2.0"\n', "lock-version is not 1.x"),
        ("pylock_toml", 'lock-version = "1.0"\npackages = {a = 1}\n', r"packages\[0\].name is not a string"),
    ],
)
def test_odd_lock_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = lay(tmp_path, **{name: text})
    with pytest.raises(UnreadableError, match=words):
        locks.read(path, [], [])


@pytest.mark.parametrize(
    ("constraint", "specifiers"),
    [
        ("^1.2.3", [">=1.2.3,<2"]),
        ("^0.2.3", [">=0.2.3,<0.3"]),
        ("^0.0.3", [">=0.0.3,<0.0.4"]),
        ("^0", [">=0,<1"]),
        ("~1.2.3", [">=1.2.3,<1.3"]),
        ("~1", [">=1,<2"]),
        ("1.2.*", ["==1.2.*"]),
        ("*", [""]),
        (">=1, <2 || ^3.1", [">=1,<2", ">=3.1,<4"]),
        ("~=1.4", ["~=1.4"]),
        ("2.0", ["==2.0"]),
    ],
)
def test_constraints_of_poetry(constraint: str, specifiers: list[str]) -> None:
    assert poetry.specifiers(constraint) == specifiers

"""Interpreters that uv brings: which, by what command, and what counts as brought."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps, _host
from ansible_collections.asgi.host.plugins.plugin_utils import _pythons

FACTS: dict[str, Any] = {
    "user": "root",
    **known_systems.BOOKWORM,
    "nginx": {"version": None},
    "python": {"path": "/usr/bin/python3", "version": "3.11.2"},
    "pythons": [{"path": "/usr/bin/python3.11", "version": "3.11.2"}],
}
# Stands for uv: makes one interpreter, and the link by which its minor version is found.
UV = """#!/bin/sh
test "$1 $2" = "python install" || exit 9
while [ $# -gt 1 ]; do [ "$1" = --install-dir ] && folder=$2; shift; done
touch "$folder/.lock"
[ "$1" = 3.99 ] && exit 2
mkdir -p "$folder/cpython-$1.1-linux/bin"
ln -sfn "cpython-$1.1-linux" "$folder/cpython-$1-linux"
touch "$folder/cpython-$1.1-linux/bin/python$1" "$folder/cpython-$1.1-linux/bin/python3"
"""


def apps(*wanted: str | None) -> list[dict[str, Any]]:
    return _apps.normalize(
        [
            {
                "name": f"a{number}",
                "app": "a:b",
                "source": {"path": "x"},
                **({"python": each} if each else {}),
            }
            for number, each in enumerate(wanted)
        ]
    )


def test_only_what_is_missing_is_brought_plain_versions_first() -> None:
    steps = _pythons.stage(apps(None, "3.11", ">=3.12", "3.13", "3.13", "/opt/python"), FACTS, "/uv")
    assert [step["command"][-1] for step in steps if "command" in step] == ["3.13", ">=3.12"]
    assert not [step for step in _pythons.stage(apps("3.11"), FACTS, "/uv") if "command" in step]


@pytest.mark.parametrize(("wanted", "by_uv"), [("3.13", True), (">=3.12", True), ("/opt/python", False)])
def test_missing_interpreter_is_a_problem_unless_uv_may_bring_it(wanted: str, by_uv: bool) -> None:
    (message,) = _apps.host_problems(apps(wanted), FACTS)
    assert ("asgi_host_python_mirror" in message) is by_uv
    assert (_apps.host_problems(apps(wanted), FACTS, brings_python=True) == []) is by_uv


@pytest.mark.parametrize(
    "address", ["", "https://m.example.com/x", "http://u:p@10.0.0.1:8000/", "file:///srv/m"]
)
def test_address_is_taken(address: str) -> None:
    assert _pythons.problems(address, address) == []


@pytest.mark.parametrize(
    "address", [None, 7, True, "m.example.com", "ftp://m", "file://m", "https://", "/srv/m", "http://a b"]
)
def test_other_address_is_refused(address: object) -> None:
    mirror, downloads = _pythons.problems(address, address)
    assert mirror.startswith("asgi_host_python_mirror: ")
    assert downloads.startswith("asgi_host_python_downloads: ")
    assert "https://" in mirror


def test_password_is_not_shown() -> None:
    (message,) = _pythons.problems("ftp://bot:s3cret@m.example.com/", "")
    assert "s3cret" not in message


def test_environment_names_what_is_given() -> None:
    assert _pythons.environment("", "") == {}
    assert _pythons.environment("https://m", "") == {"UV_PYTHON_INSTALL_MIRROR": "https://m"}
    assert _pythons.environment("", "https://l") == {"UV_PYTHON_DOWNLOADS_JSON_URL": "https://l"}


@pytest.fixture
def install(tmp_path: Path) -> Any:
    """Runs what a host would run, with a stand-in for uv, in a folder of its own."""
    uv, folder = tmp_path / "uv", tmp_path / "python"
    uv.write_text(UV)
    uv.chmod(0o755)
    folder.mkdir()

    def run(version: str) -> tuple[int, Path]:
        argv = ["sh", "-c", _pythons.INSTALL, "bring-python", str(uv), str(folder), version]
        return subprocess.run(argv, check=False).returncode, folder

    return run


def test_what_was_brought_is_found(install: Any) -> None:
    status, folder = install("3.13")
    assert status == 0
    assert _host.brought(folder) == [f"{folder}/cpython-3.13.1-linux/bin/python3.13"]
    assert not (folder / ".lock").exists()


def test_half_of_one_is_removed_and_whole_ones_stay(install: Any) -> None:
    _status, folder = install("3.13")
    kept = (folder / "cpython-3.13.1-linux").stat().st_ino
    (folder / "cpython-3.14.1-linux" / "bin").mkdir(parents=True)
    (folder / "cpython-3.14.1-linux" / "bin" / "python3.14").touch()
    os.symlink("cpython-3.10.1-linux", folder / "cpython-3.10-linux")
    assert _host.brought(folder) == [f"{folder}/cpython-3.13.1-linux/bin/python3.13"]
    install("3.12")
    assert [path.name for path in sorted(folder.glob("cpython-*"))] == [
        "cpython-3.12-linux",
        "cpython-3.12.1-linux",
        "cpython-3.13-linux",
        "cpython-3.13.1-linux",
    ]
    assert (folder / "cpython-3.13.1-linux").stat().st_ino == kept


def test_failure_is_told_and_nothing_counts_as_brought(install: Any) -> None:
    status, folder = install("3.99")
    assert status != 0
    assert _host.brought(folder) == []
    assert not (folder / ".lock").exists()

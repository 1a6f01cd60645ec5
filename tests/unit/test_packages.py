"""Debian packages: what counts as installed, and when apt is asked for new lists."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _host
from base_stage import base_steps

STATUS = """\
Package: libpq5
Status: install ok installed
Architecture: amd64
Version: 17.6-0+deb13u1
Description: library

Package: exim4-daemon-light
Status: install ok installed
Architecture: amd64
Version: 4.98.2-1
Provides: default-mta (= 4.98.2-1), mail-transport-agent

Package: nginx
Status: deinstall ok config-files
Architecture: amd64
Version: 1.26.3-3
"""
# Stands for apt-get: says what it was asked, and fails where the file `fails` is.
APT = """#!/bin/sh
for word in "$@"; do case $word in update|install) verb=$word;; esac; done
echo "$verb" >>"$0.log"
[ "$verb" = update ] && rm -f "$0.fails"
[ ! -e "$0.fails" ]
"""


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("libpq5", True),
        ("libpq5:amd64", True),
        ("libpq5:arm64", False),
        ("libpq5=17.6-0+deb13u1", True),
        ("libpq5:amd64=17.6-0+deb13u1", True),
        ("libpq5=17.5-0", False),
        ("default-mta", True),
        ("mail-transport-agent", True),
        ("nginx", False),
    ],
)
def test_what_is_installed(tmp_path: Path, name: str, there: bool) -> None:
    """In every form in which the inventory may name it."""
    status = tmp_path / "status"
    status.write_text(STATUS, encoding="utf-8")
    assert (name in _host.installed(status)) is there


@pytest.mark.parametrize(
    ("age", "fails", "asked"),
    [
        (60, False, ["install"]),
        (7200, False, ["update", "install"]),
        # A mirror that has moved on, or lists that somebody has just removed.
        (60, True, ["install", "update", "install"]),
    ],
)
def test_lists_are_renewed_when_they_must_be(tmp_path: Path, age: int, fails: bool, asked: list[str]) -> None:
    apt, lists = tmp_path / "apt-get", tmp_path / "lists"
    apt.write_text(APT, encoding="utf-8")
    apt.chmod(0o755)
    lists.mkdir()
    os.utime(lists, (time.time() - age,) * 2)
    if fails:
        Path(f"{apt}.fails").touch()
    steps = base_steps("nginx", "openssl")
    command = [word.replace("/var/lib/apt/lists", str(lists)) for word in steps[0]["command"]]
    assert steps[0]["name"] == "Debian packages: nginx, openssl"
    subprocess.run(command, check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert Path(f"{apt}.log").read_text(encoding="utf-8").split() == asked


def test_nothing_is_installed_where_nothing_is_missing() -> None:
    steps = base_steps()
    assert "Debian packages" not in str(steps)

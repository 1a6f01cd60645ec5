"""The sentence with the fix that follows the words of a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import hints
from ansible_collections.asgi.host.plugins.module_utils._release.build import BuildError
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App

APP = App(Path("/"), "shop", "asgi-shop")
SPEC: Any = {"root_path": "/api", "health": [{"path": "/api/healthz"}, {"path": "/other"}]}


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("error: Git executable not found. Ensure that Git is installed and available.", "packages: [git]"),
        ("Git operation failed\nfailed to clone into: /x\nCould not resolve host", "its address and version"),
        ("error: failed to fetch into git repository: Connection refused", "its address and version"),
        ("Failed to fetch: `https://pypi.example.com/simple/a/`", "package index"),
        ("error: can't find Rust compiler", "packages: [cargo]"),
        ("error: linker `cc` not found", "build-essential"),
        ("Cargo, the Rust package manager, is not installed or is not on PATH.", "packages: [cargo]"),
        ("error: command 'gcc' failed: No such file or directory", "build-essential"),
        ("x.c:1:10: fatal error: Python.h: No such file or directory", "python3-dev"),
        ("x.c:1:10: fatal error: libpq-fe.h: No such file or directory", "libpq-fe.h"),
        ("CMake Error: No CMAKE_C_COMPILER could be found.", "build-essential"),
    ],
)
def test_what_could_not_be_built(words: str, fix: str) -> None:
    said = hints.of(BuildError(words), words, APP)
    assert fix in said
    assert ("package index" in said) == (fix == "package index")


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("OSError: [Errno 30] Read-only file system: 'cache'", "{data}"),
        ("sqlite3.OperationalError: attempt to write a readonly database", "{data}"),
        ("PermissionError: [Errno 13] Permission denied: '/srv/asgi/shop/releases/1/src/x'", "{data}"),
        ("/bin/sh: 1: ./build.sh: bad interpreter", ""),
        ("./build.sh: /bin/sh\\x0d: bad interpreter: No such file or directory", "CRLF"),
        ("/usr/bin/env: \u2018bash\\r\u2019: No such file or directory", "CRLF"),
        ("asgi-shop@1.service: Main process exited, code=dumped, status=5/TRAP", "memory_deny_write_execute"),
        ("npm: was ended by signal 11", "memory_deny_write_execute"),
        ("/api/api/healthz: answered 404, wanted 200; it said: ''", "give /healthz"),
        ("/api/other: answered 404, wanted 200; it said: ''", ""),
        ("psycopg.OperationalError: Connection refused", ""),
    ],
)
def test_what_ran_and_failed(words: str, fix: str) -> None:
    said = hints.of(RuntimeError(words), words, APP, "gunicorn", SPEC)
    assert fix in said if fix else said == ""


def test_script_of_windows_is_seen_where_the_shell_only_says_not_found(tmp_path: Path) -> None:
    script = tmp_path / "build.sh"
    for content, found in ((b"#!/bin/sh\r\nx\r\n", True), (b"#!/bin/sh\nx\r\n", False), (b"", False)):
        script.write_bytes(content)
        assert hints.is_of_windows(script) == found
    (tmp_path / "link.sh").symlink_to(script)
    for name in ("link.sh", "gone.sh", "."):
        assert not hints.is_of_windows(tmp_path / name)

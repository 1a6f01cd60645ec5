# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the words of a failed deploy mean for the operator: a full disk, an index that is down, too little memory."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from . import tracebacks
from .inputs import BuildError
from .paths import App

if TYPE_CHECKING:
    from .._contract.release import ReleaseSpec

# How uv, pip and the resolver of names say that an index cannot be reached.
NO_INDEX = re.compile(
    r"Failed to fetch|error sending request|dns error|Connection refused|connection timed out|"
    r"Temporary failure in name resolution",
    re.IGNORECASE,
)
# How uv says that an index has refused to answer.
NO_LOGIN = re.compile(
    r"lack of valid authentication credentials|40[13] (?:Unauthorized|Forbidden)", re.IGNORECASE
)
# How setuptools-scm, hatch-vcs and pdm-backend say that they know no version.
NO_VERSION = re.compile(
    r"unable to detect version|Cannot find the version from SCM|does not seem to be a Git repository|Unable to determine version",
    re.IGNORECASE,
)
# With the words that uv has for a build backend of a package which the kernel killed.
NO_MEMORY = re.compile(
    r"out of memory|MemoryError|oom-kill|Cannot allocate memory|signal: 9 \(SIGKILL\)", re.IGNORECASE
)
# What uv says where it has no git, and where git itself fails: a repository is no index.
NO_GIT = re.compile(
    r"Git executable not found|(?:git|'git'|`git`)[^\n]{0,20}: (?:command )?not found", re.IGNORECASE
)
GIT_FAILED = re.compile(
    r"Git operation failed|failed to (?:clone|fetch)[^\n]*(?:git|repository)|process didn't exit successfully: `[^\n`]*git ",
    re.IGNORECASE,
)
# A file system or a folder that the sandbox does not let the app write to, as Python, SQLite and node say it.
READ_ONLY = re.compile(
    r"Read-only file system|\[Errno 30\]|\bEROFS\b|attempt to write a readonly database|unable to open database file|"
    r"Permission denied: '/srv/|EACCES: permission denied, (?:mkdir|open) '/srv/"
)
# The end of a line as Windows writes it, behind the name of an interpreter; made visible or not.
CRLF = re.compile(
    r"(?:\r|\\r|\^M|\\x0d)'?(?:: bad interpreter|[\u2019']?: (?:No such file|command not found|not found))"
)
WINDOWS = (
    "A script has the line ends of Windows (CRLF), and they belong to the name of its interpreter: save it with LF, or "
    "commit '*.sh text eol=lf' in .gitattributes."
)
NO_RUST = re.compile(
    r"can't find Rust compiler|Rust toolchain|Cargo, the Rust package manager, is not installed|"
    r"(?:cargo|rustc)[`'\"]?:? (?:command )?not found|No such file or directory: '(?:cargo|rustc)'|"
    r"requires Rust",
    re.IGNORECASE,
)
NO_HEADER = re.compile(r"fatal error: (?P<header>[\w./+-]+\.h(?:pp)?): No such file")
NO_COMPILER = re.compile(
    r"command '[^'\n]*(?:gcc|g\+\+|cc|clang)' failed: No such file|unable to execute '[^'\n]*(?:gcc|cc)'|"
    r"(?:gcc|g\+\+|\bcc|clang|make)[`'\"]?: (?:command )?not found|No such file or directory: '[^'\n]*(?:gcc|g\+\+|cc|make)'|"
    r"Unknown compiler\(s\)|No CMAKE_C(?:XX)?_COMPILER|linker `cc` not found"
)
# V8 and other makers of code in memory end so where memory may not be both written and executed.
NO_CODE_IN_MEMORY = re.compile(
    r"(?:signal(?: |=|: )(?:5|11)\b|SIGTRAP|SIGSEGV|status=(?:5/TRAP|11/SEGV)|Trace/breakpoint trap|Segmentation fault|"
    r"was sent SIG(?:TRAP|SEGV))"
)


def of(
    error: BaseException,
    text: str,
    app: App,
    server: str = "",
    spec: ReleaseSpec | None = None,
) -> str:
    """A sentence with the fix, on a line of its own; empty where the words speak for themselves.

    ``spec`` is what is wanted of the app, as far as it is known.
    """
    if found := _of_both(error, text, app, server):
        return found
    return _of_build(text) if isinstance(error, BuildError) else _of_run(text, spec)


def is_of_windows(script: Path) -> bool:
    """Whether a script's first line ends as Windows has it; of some shells it is only "not found"."""
    try:
        handle = os.open(script, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        first = os.read(handle, 256) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
    first = first[: first.find(b"\n") + 1]
    return first.startswith(b"#!") and first.endswith(b"\r\n")


def _of_both(error: BaseException, text: str, app: App, server: str) -> str:
    """What a build and a process have alike."""
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in text:
        free = shutil.disk_usage(app.root).free // 1_000_000
        return f"The disk is full ({free} MB free below {app.root}): make room, or lower keep_releases.\n"
    if NO_MEMORY.search(text):
        return (
            "The host, or sandbox.memory_max, has too little memory for it (a build of packages has three quarters of the host's): "
            "raise the limit, lower workers, or set strategy: restart on a host without memory for two instances.\n"
        )
    if server == "command" and "no answer" in text and not tracebacks.found_in(text):
        return (
            "The command must listen on the port in the variable PORT ($PORT in an argument), or on the socket that it "
            "has as file descriptor 3.\n"
        )
    if CRLF.search(text):
        return f"{WINDOWS}\n"
    return ""


def _of_run(text: str, spec: ReleaseSpec | None) -> str:
    if READ_ONLY.search(text):
        return (
            "The app writes to its data folder alone; its release and the rest of the host are read-only. Put the file "
            "below {data} ($STATE_DIRECTORY), or keep a path of the source there by shared, or name another place in "
            "sandbox.writable_paths.\n"
        )
    if toolchain := _of_toolchain(text):
        return toolchain
    if NO_CODE_IN_MEMORY.search(text) and not tracebacks.found_in(text):
        return (
            "A process ended as those do that make code in memory (node, torch, other JITs), which the sandbox forbids: "
            "set sandbox: {memory_deny_write_execute: false} if it is one.\n"
        )
    return _of_path(text, spec) if spec else ""


def _of_build(text: str) -> str:
    return _of_asking(text) or _of_toolchain(text) or _of_index(text)


def _of_index(text: str) -> str:
    # A hook or the app may say the same of its database.
    if NO_INDEX.search(text):
        return (
            "The package index cannot be reached from the host: try again when it is up, or name another with "
            "asgi_host_package_index.\n"
        )
    return ""


def _of_asking(text: str) -> str:
    """What git and indexes want to know."""
    if NO_GIT.search(text):
        return "A requirement comes from a repository (git+https), and the host has no git: set packages: [git].\n"
    if GIT_FAILED.search(text):
        return (
            "git could not get a requirement from its repository: check its address and version, that the host reaches it, and "
            "that it asks for no password (one that does gets it from asgi_host_package_index_logins, by its host).\n"
        )
    if NO_VERSION.search(text):
        return (
            "The project has its version from git, and its source comes without a repository or a tag: deploy it by source.git "
            "or from a checkout, or say the version in build_env: {SETUPTOOLS_SCM_PRETEND_VERSION: '1.4.0'} "
            "(PDM_BUILD_SCM_VERSION for pdm-backend).\n"
        )
    if NO_LOGIN.search(text):
        return (
            "An index asks for a login: give it in asgi_host_package_index_logins, by the index's name or host, or that of "
            "the usual index in the address asgi_host_package_index.\n"
        )
    return ""


def _of_toolchain(text: str) -> str:
    """What a package lacks that is compiled, because it has no wheel for this Python and machine."""
    if NO_RUST.search(text):
        return (
            "A package is compiled by Rust, which the host lacks: require a version of it that has a wheel, or set "
            "packages: [cargo].\n"
        )
    if header := NO_HEADER.search(text):
        if header["header"] == "Python.h":
            return (
                "A package is compiled and Python's own header is not on the host: add python3-dev to "
                "asgi_host_build_packages, or use a version of the package that has a wheel.\n"
            )
        return (
            f"A package is compiled and the header {header['header']} is not on the host: name the Debian package that "
            "has it (its name ends in -dev) in packages.\n"
        )
    if NO_COMPILER.search(text):
        return (
            "A package is compiled and the host has no compiler: add build-essential and python3-dev to "
            "asgi_host_build_packages, or use a version of the package that has a wheel.\n"
        )
    return ""


def _of_path(text: str, spec: ReleaseSpec) -> str:
    """A health check below the mount point is asked there by itself."""
    root = str(spec.get("root_path") or "").rstrip("/")
    for item in spec.get("health") or []:
        path = str(item.get("path") or "")
        if root and (path == root or path.startswith(f"{root}/")) and f"{root}{path}: answered" in text:
            return (
                f"health.path is meant below root_path: {path} was asked as {root}{path}; give "
                f"{path.removeprefix(root) or '/'}.\n"
            )
    return ""

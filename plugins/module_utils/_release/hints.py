# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the words of a failed deploy mean for the operator: a full disk, an index that is down, too little memory."""

from __future__ import annotations

import errno
import re
import shutil

from .build import BuildError
from .paths import App

# How uv, pip and the resolver of names say that an index cannot be reached.
NO_INDEX = re.compile(
    r"Failed to fetch|error sending request|dns error|Connection refused|connection timed out|"
    r"Temporary failure in name resolution",
    re.IGNORECASE,
)
# With the words that uv has for a build backend of a package which the kernel killed.
NO_MEMORY = re.compile(
    r"out of memory|MemoryError|oom-kill|Cannot allocate memory|signal: 9 \(SIGKILL\)", re.IGNORECASE
)


def of(error: BaseException, text: str, app: App, server: str = "") -> str:
    """A sentence with the fix, on a line of its own; empty where the words speak for themselves."""
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in text:
        free = shutil.disk_usage(app.root).free // 1_000_000
        return f"The disk is full ({free} MB free below {app.root}): make room, or lower keep_releases.\n"
    if NO_MEMORY.search(text):
        return (
            "The host, or sandbox.memory_max, has too little memory for it: raise the limit, lower workers, or set "
            "strategy: restart on a host without memory for two instances.\n"
        )
    if server == "command" and "no answer" in text:
        return (
            "The command must listen on the port in the variable PORT ($PORT in an argument), or on the socket that it "
            "has as file descriptor 3.\n"
        )
    # A hook or the app may say the same of its database.
    if isinstance(error, BuildError) and NO_INDEX.search(text):
        return (
            "The package index cannot be reached from the host: try again when it is up, or name another with "
            "asgi_host_package_index.\n"
        )
    return ""

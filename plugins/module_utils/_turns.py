# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What only one process of the engine does on a host at a time, while several deploy beside one another."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ._release import paths

# What is done by turns.
TURNS = ("switch", "sites")
# Seconds after which a turn is taken all the same: a deploy that hangs must not keep the others from going on.
LONGEST_WAIT_S = 900.0
LOOK_EACH_S = 0.2


def lock(what: str) -> Path:
    """The file that whoever has the turn holds; a dot is in no app's name."""
    return paths.TRIALS / f"asgi-host.{what}.lock"


@contextlib.contextmanager
def turn(what: str) -> Iterator[bool]:
    """Wait until nobody else does ``what`` on this host; yields whether that is so. A process that dies gives its turn up."""
    # Only root can open it, or anybody could hold it.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(lock(what), flags, 0o600)
    try:
        yield _taken(handle, time.monotonic() + LONGEST_WAIT_S)
    finally:
        os.close(handle)


def _taken(handle: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_EACH_S)
        else:
            return True

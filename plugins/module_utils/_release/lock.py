# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One deploy of an app at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import IO

from .. import _progress
from . import ledger
from .errors import BusyError
from .paths import App

# Seconds that one deploy waits for another of the same app.
LOCK_WAIT_S = 600.0
# Seconds between two tries.
LOCK_INTERVAL_S = 0.5


@contextlib.contextmanager
def held(app: App, by: str, wait: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold the app's lock, in the name of the operator ``by``. The kernel drops the lock of a process that died.

    Raises BusyError, which names the holder, when it is not free within ``wait`` seconds.
    """
    app.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    with contextlib.ExitStack() as stack:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(app.lock, flags, 0o600)
            stream = stack.enter_context(os.fdopen(handle, "r+", encoding="utf-8"))
            _wait_for(app, stream, deadline)
            with contextlib.suppress(FileNotFoundError):
                # The holder before may have removed the app, and the file with it.
                if os.path.samestat(os.fstat(stream.fileno()), app.lock.lstat()):
                    break
        # On a full disk the lock holds all the same, and nobody's name is in it.
        with contextlib.suppress(OSError):
            stream.truncate(0)
            stream.write(f"process {os.getpid()}, {by}, since {ledger.now()}\n")
            stream.flush()
        # Where it was before, any user could hold it.
        (app.folder / ".lock").unlink(missing_ok=True)
        yield


def _wait_for(app: App, stream: IO[str], deadline: float) -> None:
    waits = False
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                stream.seek(0)
                raise BusyError(
                    f"{app.name}: another deploy holds {app.lock} ({stream.read().strip()}); "
                    "wait for it to end"
                ) from None
            if not waits:
                _progress.step("lock", app=app.name)
            waits = True
            time.sleep(LOCK_INTERVAL_S)
        else:
            return

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a call on the host is at: each step is noted when it begins, for a controller that looks on.

The notes lie in a file of root's for as long as the call lasts. The controller reads it over a connection of its own; what
it has not read by then comes with the answer of the call.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

# A dot is in no app's name, so it is no app's file.
RUN = Path("/run")
PREFIX = "asgi-host.progress-"
# Paths that a line names; of more it gives the number.
NAMED = 4

# What a step does, in the imperative; each may name what it is about. With an app's name before it, where it is an app's.
WORDS = {
    "host": "{}",
    "lock": "wait for another deploy of it",
    "turn": "wait until another host has migrated",
    "send": "send the source ({})",
    "build": "build release {}",
    "again": "take release {} again, which is on the host",
    "reuse": "take the dependencies of release {}",
    "resolve": "resolve the dependencies",
    "install": "install the dependencies",
    "project": "build and install the project",
    "image": "bring the image",
    "build_commands": "run build.commands",
    "build_hooks": "run hooks.build",
    "import": "check that the app can be imported",
    "migrate": "run hooks.migrate",
    "hold": "hold the requests and stop release {}",
    "gate": "start release {} and ask its health checks",
    "processes": "start its background processes",
    "switch": "switch the traffic to release {}",
    "let_go": "wait until nginx has let go of release {}",
    "watch": "watch it under traffic for {} s",
    "after": "run hooks.after",
    "repair": "repair what it found: {}",
    "remove": "remove it",
}


class Notes:
    """The steps of one call, in order; with ``path`` they are written there as well."""

    def __init__(self, path: Path | None = None) -> None:
        self.taken: list[dict[str, str]] = []
        self._path = path

    def take(self, step: str, about: str, app: str) -> None:
        """Note a step that begins. A disk that takes no line is no reason to fail."""
        note = {"step": step, "about": about, "app": app}
        self.taken.append(note)
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "wb", buffering=0) as stream:
                stream.write(f"{json.dumps(note)}\n".encode())


# Of the call that is at work; empty where nobody asked for notes.
_NOW: list[Notes] = []


@contextlib.contextmanager
def noted(token: str | None) -> Iterator[Notes]:
    """Keep the steps of what is done within; with a ``token`` in the file that the controller reads."""
    path = RUN / f"{PREFIX}{token}" if token and token.isalnum() else None
    with contextlib.ExitStack() as stack:
        if path:
            try:
                _clear_away()
                handle = os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
                )
                stack.callback(os.close, handle)
                stack.callback(path.unlink, missing_ok=True)
                # By this the file of a call that goes on is told from one that a killed call has left.
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                path = None
        _NOW.append(notes := Notes(path))
        stack.callback(_NOW.remove, notes)
        yield notes


def step(name: str, about: object = "", *, app: str = "") -> None:
    """A step begins: one of WORDS, what it is ``about``, and the app that it is for."""
    for notes in _NOW:
        notes.take(name, str(about), app)


def _clear_away() -> None:
    """Remove the files of calls that were killed."""
    for path in RUN.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)


def several(verb: str, what: Sequence[str], *, all_of_them: bool = False) -> str:
    """``write /a, /b``, or ``write /a and 11 more`` where they are many and not ``all_of_them`` are wanted."""
    if all_of_them or len(what) <= NAMED:
        return f"{verb} {', '.join(what)}"
    return f"{verb} {what[0]} and {len(what) - 1} more"

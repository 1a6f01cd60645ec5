# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a program on the host and keep what it said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence


class CommandError(Exception):
    """A program exited with another status than 0, could not be started, or ran over its time.

    ``output`` is what it printed, both streams together.
    """

    def __init__(self, argv: Sequence[str], status: str, output: str) -> None:
        self.argv = list(argv)
        self.output = output.strip()
        super().__init__(f"{' '.join(self.argv)}: {status}\n{self.output}".rstrip())


def run(argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 900.0) -> str:
    """Run ``argv`` and return its output, both streams together.

    ``env`` is laid over this process's environment; ``timeout`` is in seconds.
    Raises CommandError for any end but exit status 0.
    """
    try:
        done = subprocess.run(
            list(argv),
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise CommandError(argv, "could not be started", str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(
            argv, f"still ran after {timeout:.0f} s and was ended", str(error.output or "")
        ) from error
    if done.returncode:
        raise CommandError(argv, f"exit status {done.returncode}", done.stdout)
    return done.stdout


def succeeds(argv: Sequence[str]) -> bool:
    """Whether ``argv`` exits with status 0."""
    try:
        run(argv)
    except CommandError:
        return False
    return True

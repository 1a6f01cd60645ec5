# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a program on the host and keep what it said."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

KILLED = "was killed, as the kernel does with what is out of memory"


class CommandError(Exception):
    """A program exited with another status than 0, could not be started, or ran over its time.

    ``status`` is how it ended, ``output`` what it printed, both streams together.
    """

    def __init__(self, argv: Sequence[str], status: str, output: str) -> None:
        self.argv = list(argv)
        self.status = status
        self.output = output.strip()
        super().__init__(f"{' '.join(self.argv)}: {status}\n{self.output}".rstrip())

    @property
    def words(self) -> str:
        """What there is to tell, never empty: its own words, and how it ended where those do not say it."""
        if self.output and self.status.startswith("exit status"):
            return self.output
        silent = "" if self.output else " and said nothing"
        return f"{self.output}\n{Path(self.argv[0]).name}: {self.status}{silent}".lstrip()


def run(argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float | None = 900.0) -> str:
    """Run ``argv`` and return its output, both streams together.

    ``env`` is laid over this process's environment; ``timeout`` is in seconds, None for no limit.
    Raises CommandError for any end but exit status 0.
    """
    try:
        # Without a module, whose run_command has neither a time limit nor both streams as one.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
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
        said = error.output or ""
        # Python gives what was read until then as it came, whatever encoding was asked for.
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise CommandError(argv, f"still ran after {error.timeout:.0f} s and was ended", said) from error
    if done.returncode:
        raise CommandError(argv, end_of(done.returncode), done.stdout)
    return done.stdout


def end_of(status: int) -> str:
    """How a program ended, by the status that subprocess gives."""
    if status == -signal.SIGKILL:
        return KILLED
    if status < 0:
        return f"was ended by signal {-status}"
    return f"exit status {status}"


def succeeds(argv: Sequence[str]) -> bool:
    """Whether ``argv`` exits with status 0."""
    try:
        run(argv)
    except CommandError:
        return False
    return True

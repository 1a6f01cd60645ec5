# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a program on the host and keep what it said."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Bytes of output that are kept, those of the end: a program may write without end, and this process holds the host's memory.
MOST = 16_000_000
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


class System:
    """The programs of this host, and so systemd and podman: the one door to them. A test puts a stand-in in its place."""

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> str:
        """Run a program, as the function run below says."""
        try:
            # Without a module, whose run_command has neither a time limit nor both streams as one.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                list(argv),
                env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise CommandError(argv, "could not be started", str(error)) from error
        said = bytearray()
        until = None if timeout is None else time.monotonic() + timeout
        with process:
            try:
                _read(process, said, until)
                status = process.wait(_left(until))
            except subprocess.TimeoutExpired:
                process.kill()
                raise CommandError(
                    argv, f"still ran after {timeout:.0f} s and was ended", said.decode("utf-8", "replace")
                ) from None
            except BaseException:
                process.kill()
                raise
        output = said.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        if status:
            raise CommandError(argv, end_of(status), output)
        return output


system = System()


def run(argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float | None = 900.0) -> str:
    """Run ``argv`` and return its output, both streams together; of more than MOST bytes the end.

    ``env`` is laid over this process's environment; ``timeout`` is in seconds, None for no limit.
    Raises CommandError for any end but exit status 0.
    """
    return system.run(argv, env=env, timeout=timeout)


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def _read(process: subprocess.Popen[bytes], said: bytearray, until: float | None) -> None:
    """Read all that a program says, and keep the last MOST bytes. Raises TimeoutExpired."""
    if process.stdout is None:
        return
    while True:
        left = _left(until)
        if not select.select([process.stdout], [], [], left)[0]:
            raise subprocess.TimeoutExpired(process.args, left or 0.0)
        chunk = os.read(process.stdout.fileno(), 1 << 16)
        if not chunk:
            return
        said += chunk
        if len(said) > 2 * MOST:
            del said[:-MOST]


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

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A look at a release in the first seconds of its traffic: does it restart, stay healthy, answer with 5xx?"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .._process import CommandError, run
from . import background, units
from .gate import Gate, GateError
from .paths import Release

if TYPE_CHECKING:
    from .._contract.release import Watch

# Seconds between two looks, and that a health check may take before it counts as failed.
EVERY = 1.0
HEALTH_LIMIT = 5.0
# Answers with 5xx that are too few to say anything, whatever their share.
TOO_FEW = 5
# What the app answered, at the end of a line of the log format `asgi`, where nothing of a client's can stand. The last of
# several is what counts: nginx repeats a request that died with its worker. nginx's own answers have none, and are no
# fault of a release: anybody can have a 501 from it, and could veto every deploy.
STATUS = re.compile(r" upstream=(?:[\d, :-]*[, ])?(\d{3}) wait=[\d., :-]+$", re.MULTILINE)


class WentBadError(Exception):
    """The release went bad under traffic; the message says how."""


@dataclass
class AccessLog:
    """The answers of an app that nginx has written down since this was made; those that nginx gave by itself do not count."""

    path: Path
    _at: int = field(init=False, default=0)
    total: int = 0
    errors: int = 0

    def __post_init__(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._at = self.path.stat().st_size

    def read_on(self) -> None:
        """Count the lines that came since the last look; a log that was rotated is read from its beginning."""
        try:
            with self.path.open("rb") as stream:
                size = stream.seek(0, 2)
                begin = stream.seek(self._at if size >= self._at else 0)
                text = stream.read()
        except FileNotFoundError:
            return
        # A line that is not whole yet is read the next time.
        text = text[: text.rfind(b"\n") + 1]
        self._at = begin + len(text)
        for status in STATUS.findall(text.decode("utf-8", "replace")):
            self.total += 1
            self.errors += status.startswith("5")

    def share(self) -> float:
        """The share of 5xx in percent; 0 while they are too few."""
        return 100 * self.errors / self.total if self.errors >= TOO_FEW else 0.0


def watch(release: Release, gate: Gate, wanted: Watch) -> None:
    """Look at a release for ``wanted["seconds"]``; more than ``wanted["errors"]`` percent of 5xx are too many.

    nginx keeps lines back for up to 5 s: it is told to write them before, for they are the old release's, and at
    the end. Raises WentBadError, and EndedError for a background process.
    """
    before = units.state(release.service).restarts
    processes = background.Watched(release)
    _have_the_log_written()
    log = AccessLog(Path(f"/var/log/nginx/asgi-{release.app.name}.access.log"))
    end = time.monotonic() + wanted["seconds"]
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(EVERY, left))
        _look(release, gate, before)
        processes.look()
        _judge(log, wanted["errors"])
    _have_the_log_written()
    _judge(log, wanted["errors"])


def _have_the_log_written() -> None:
    with contextlib.suppress(CommandError):
        run(["nginx", "-s", "reopen"])
        time.sleep(EVERY)


def _look(release: Release, gate: Gate, before: int) -> None:
    state = units.state(release.service)
    if state.restarts > before or state.active not in ("active", "reloading"):
        raise WentBadError(f"its process ended ({state.active}, {state.restarts - before} restarts)")
    try:
        gate.passes(release, HEALTH_LIMIT)
    except GateError as error:
        raise WentBadError(str(error)) from error


def _judge(log: AccessLog, most: float) -> None:
    log.read_on()
    if log.share() > most:
        raise WentBadError(
            f"{log.errors} of {log.total} answers were 5xx, {log.share():.0f} % (watch.errors allows {most:g} %)"
        )

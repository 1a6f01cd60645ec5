# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From one serving release to another, without losing a request; the way back goes the same way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from .. import _progress
from .._files import point_link
from .._process import CommandError
from .._turns import turn
from . import background, ledger, units
from .gate import Gate, GateError, wait_until_let_go
from .hold import Hold
from .paths import Release

# nginx keeps an idle upstream connection for 2 s and renews each after 2 s; measured with a margin of 1 s. A part of the
# chain in plugin_utils/_timeouts.py.
LET_GO = 5.0


class NotProvedError(Exception):
    """The candidate did not pass; what served before serves, and the message holds the reason and its journal."""


@dataclass(frozen=True)
class Switch:
    """How an app goes from the release that serves (None before the first) to a candidate."""

    previous: Release | None
    gate: Gate
    restart: bool = False
    """Whether the host has no memory for two instances, so that the old one stops first."""
    fit: Callable[[Release], bool] | None = None
    """Lowers the number of a proved candidate's workers where they do not fit; returns whether it did."""

    ready: Callable[[], None] | None = None
    """What is done once the candidate is proved, right before it gets the traffic."""

    def to(self, release: Release) -> None:
        """Start the candidate, prove it, give it the traffic. Raises NotProvedError, and it is stopped again.

        A host has memory for one app in two instances, not for as many as are deployed beside one another.
        """
        with turn("switch"):
            if self.restart and self.previous:
                self._in_place(release, self.previous)
                return
            took = self._prove(release)
            with background.handed_over(release, self.previous):
                self._try_processes(release, took)
                self._flip(release)
            if self.previous:
                _progress.step("let_go", self.previous.id, app=release.app.name)
                wait_until_let_go(self.previous.socket_path, LET_GO)

    def _prove(self, release: Release) -> float:
        """Start the candidate and ask it; returns the seconds that it took."""
        began = time.time()
        _progress.step("gate", release.id, app=release.app.name)
        try:
            units.start(release)
            self.gate.passes(release)
            self.gate.warm(release)
            if self.fit and self.fit(release):
                units.restart(release)
                self.gate.passes(release)
        except (GateError, CommandError) as error:
            said = units.with_journal(error, release.service, began)
            units.end(release)
            raise NotProvedError(said) from error
        except BaseException:
            units.end(release)
            raise
        return time.time() - began

    @staticmethod
    def _try_processes(release: Release, took: float) -> None:
        """Start the candidate's background processes, which import what the app itself ``took`` so long to import."""
        began = time.time()
        if background.of(release):
            _progress.step("processes", app=release.app.name)
        try:
            background.start(release)
            background.stay_up(release, min(background.STAYS_UP + took, background.STAYS_UP_AT_MOST))
        except background.EndedError as error:
            said = units.with_journal(error, error.unit, began)
            units.end(release)
            raise NotProvedError(f"processes: {said}") from error

    def _flip(self, release: Release) -> None:
        """Code and traffic follow one rename. A power cut after it must find the whole release on disk."""
        if self.ready:
            self.ready()
        _progress.step("switch", release.id, app=release.app.name)
        os.sync()
        point_link(release.app.current, f"releases/{release.id}")
        ledger.update(release, state=ledger.ACTIVE, activated=ledger.now())

    def _in_place(self, release: Release, previous: Release) -> None:
        # No request is held while a process takes its time to end.
        with background.handed_over(release, previous):
            hold = Hold(previous)
            serves = previous
            try:
                _progress.step("hold", previous.id, app=release.app.name)
                hold.begin()
                wait_until_let_go(previous.socket_path, LET_GO)
                units.pause(previous)
                self._try_processes(release, self._prove(release))
                self._flip(release)
                serves = release
            finally:
                if serves is previous:
                    hold.give_back()
                hold.end(serves, LET_GO)

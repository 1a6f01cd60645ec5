# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From one serving release to another, without losing a request; the way back goes the same way."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from .._files import point_link
from .._process import CommandError
from . import ledger, units
from .gate import Gate, GateError, wait_until_let_go
from .hold import Hold
from .paths import Release

# nginx keeps an idle upstream connection for 2 s and renews each after 2 s; measured with a margin of 1 s.
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

    def to(self, release: Release) -> None:
        """Start the candidate, prove it, give it the traffic. Raises NotProvedError, and it is stopped again."""
        if self.restart and self.previous:
            self._in_place(release, self.previous)
        else:
            self._prove(release)
            self._flip(release)
            if self.previous:
                wait_until_let_go(self.previous.socket_path, LET_GO)

    def _prove(self, release: Release) -> None:
        began = time.time()
        try:
            units.start(release)
            self.gate.passes(release)
            self.gate.warm(release)
        except (GateError, CommandError) as error:
            said = units.journal(release.service, began)
            units.end(release)
            raise NotProvedError(f"{error}\nFrom the journal of {release.service}:\n{said}") from error
        except BaseException:
            units.end(release)
            raise

    @staticmethod
    def _flip(release: Release) -> None:
        """Code and traffic follow one rename. A power cut after it must find the whole release on disk."""
        os.sync()
        point_link(release.app.current, f"releases/{release.id}")
        ledger.update(release, state=ledger.ACTIVE, activated=ledger.now())

    def _in_place(self, release: Release, previous: Release) -> None:
        hold = Hold(previous)
        serves = previous
        try:
            hold.begin()
            wait_until_let_go(previous.socket_path, LET_GO)
            units.pause(previous)
            self._prove(release)
            self._flip(release)
            serves = release
        finally:
            if serves is previous:
                hold.give_back()
            hold.end(serves, LET_GO)

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate: an instance counts as working when it answered over HTTP on its own socket, and not before.

``systemctl start`` proves nothing: gunicorn tells systemd that it is ready before its workers import the app.
"""

from __future__ import annotations

import http.client
import select
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .._answers import whole_within
from . import units
from .paths import Release

if TYPE_CHECKING:
    from .._contract.ledger import GateEntry
    from .._contract.release import HealthCheck

# Seconds between two questions to an instance that does not answer yet.
PAUSE = 0.1
# The same at most to one that answers wrongly, and by how much longer each wait is: every question fills its journal.
LONGEST_PAUSE, LONGER = 2.0, 1.3
# Seconds between two looks at an instance that has been asked and is silent.
LOOK = 0.25
# Requests of a warm-up that are on their way at the same time, so that every worker gets some.
WARM_UP_AT_ONCE = 8
# Text of a wrong answer that is shown, in characters.
SHOWN = 300
# How an app in development mode begins to say that its code does not load, which waiting does not change.
NOT_LOADED = "asgi.host, development mode: the code does not load."
# /proc/net/unix: the flag of a listening socket (__SO_ACCEPTCON in Linux's net.h).
LISTENING = 0x10000


class GateError(Exception):
    """The instance did not pass; the message says which check and how it was answered."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, url: str, host: str, timeout: float, still_there: Callable[[], None]) -> tuple[int, str]:
    """Ask an instance as nginx would for an HTTPS request to ``host``; returns status and body.

    systemd holds the socket, so a dead instance does not refuse: while the answer is awaited ``still_there`` is
    called every LOOK seconds and raises when waiting is in vain.
    Raises OSError or http.client.HTTPException when there is no whole answer within ``timeout`` seconds.
    """
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(
            "GET",
            url,
            headers={
                "Host": host,
                "X-Forwarded-For": "127.0.0.1",
                "X-Real-IP": "127.0.0.1",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": host,
                "X-Forwarded-Port": "443",
                "User-Agent": "asgi-host-gate",
                "Connection": "close",
            },
        )
        deadline = time.monotonic() + timeout
        while not select.select([connection.sock], [], [], LOOK)[0]:
            still_there()
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
        with whole_within(connection.sock, deadline - time.monotonic()):
            response = connection.getresponse()
            return response.status, response.read(65536).decode("utf-8", "replace")
    finally:
        connection.close()


@dataclass(frozen=True)
class Gate:
    """What an instance must answer before it gets traffic; kept in the ledger, for the way back."""

    checks: Sequence[HealthCheck]
    """Each with ``path``, ``status`` (a list), ``timeout`` (seconds) and ``text``."""
    host: str
    prefix: str
    warm_up: int = 0
    """Requests to be asked once the checks have passed."""

    def entry(self) -> GateEntry:
        """As it stands in the ledger."""
        return {
            "checks": list(self.checks),
            "host": self.host,
            "prefix": self.prefix,
            "warm_up": self.warm_up,
        }

    def passes(self, release: Release, limit: float | None = None) -> None:
        """Every check in turn, each within its own timeout or the shorter ``limit`` (seconds). Raises GateError."""
        before = units.state(release.service).restarts
        for item in self.checks:
            own = float(item["timeout"])
            self._check(release, item, own if limit is None else min(own, limit), before)

    def warm(self, release: Release) -> None:
        """Ask the warm-up's requests, the paths of the checks in turn. Raises GateError at a wrong answer."""
        if not self.warm_up:
            return
        before = units.state(release.service).restarts
        items = [self.checks[number % len(self.checks)] for number in range(self.warm_up)]
        with ThreadPoolExecutor(WARM_UP_AT_ONCE) as pool:
            list(
                pool.map(
                    lambda item: self._check(release, item, float(item["timeout"]), before, patient=False),
                    items,
                )
            )

    def _check(
        self, release: Release, item: HealthCheck, limit: float, before: int, *, patient: bool = True
    ) -> None:
        """Wait until one check is answered as it must be; without ``patient`` the first answer counts.

        Raises GateError when ``limit`` (seconds) is over, or at once when the instance died: when it has been
        restarted more often than ``before``, for one that runs for weeks may have been.
        """
        url = self.prefix + item["path"]
        deadline = time.monotonic() + limit
        last = "no answer"
        pause = PAUSE

        def still_there() -> None:
            state = units.states_now([release.service])[release.service]
            if state.restarts > before or state.active == "failed":
                raise GateError(f"{url}: the process ended while it started ({last})")

        while (left := deadline - time.monotonic()) > 0:
            try:
                status, body = ask(release.socket_path, url, self.host, left, still_there)
            except (OSError, http.client.HTTPException) as error:
                last = f"no answer ({error or type(error).__name__})"
            else:
                wrong = _what_is_wrong(item, status, body)
                if not wrong:
                    return
                last = wrong
                if body.startswith(NOT_LOADED):
                    raise GateError(f"{url}: {last}")
                if not patient:
                    raise GateError(f"{url}: {last}, during the warm-up")
                pause = min(pause * LONGER, LONGEST_PAUSE)
            still_there()
            # The last question comes when the time is nearly over.
            time.sleep(max(PAUSE, min(pause, deadline - time.monotonic() - PAUSE)))
        raise GateError(
            f"{url}: {last}, for {limit:g} s (the limit is health.timeout; raise it for a slow start)"
        )


def _what_is_wrong(item: HealthCheck, status: int, body: str) -> str:
    """What an answer has that it must not have; empty for a good one."""
    wanted = item["status"]
    if status not in wanted:
        wrong = f"answered {status}, wanted {' or '.join(map(str, wanted))}"
    elif (item.get("text") or "") not in body:
        wrong = f"answered {status} without the text {item['text']!r}"
    else:
        return ""
    return f"{wrong}; it said: {body.strip()[:SHOWN]!r}"


def connections(path: Path) -> int:
    """How many connections a unix socket's server has, those in its backlog included, as the kernel counts."""
    wanted = str(path)
    count = 0
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        columns = line.split(None, 7)
        if len(columns) == 8 and columns[7] == wanted and not int(columns[3], 16) & LISTENING:
            count += 1
    return count


def wait_until_let_go(path: Path, limit: float) -> int:
    """Wait until nobody is connected to ``path``, at most ``limit`` seconds; returns how many still are."""
    deadline = time.monotonic() + limit
    while (count := connections(path)) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return count

"""Requests in a row from several clients at once, each one counted: answered, or lost.

Each client is a process of its own, ahead of the play in the queue for the processor: what is measured is the
host's answer, not the wait of a busy tester.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import multiprocessing
import os
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from client import TIMEOUT, Connection, Door

# An end to every load, in seconds, so that a test that hangs does not load the host for ever; no play takes as long.
LIMIT = 660.0
# Seconds between a client's requests beside a play, on a kept connection and on new ones: a handshake takes as much of the
# processor as ten requests, and a play that waits for its turn finds no more by more of them.
KEPT, NEW = 0.01, 0.05
# Seconds between two beats of the metronome.
BEAT = 0.005
FORK = multiprocessing.get_context("fork")


@dataclass
class Outcome:
    """What became of the requests."""

    sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    """Requests that met a connection which the server had closed, and were sent again on a new one."""
    waits: list[float] = field(default_factory=list)
    """How long each answer took, in seconds."""
    began: list[float] = field(default_factory=list)
    """When each of these requests was sent, by this machine's monotonic clock."""
    lost_at: list[float] = field(default_factory=list)
    """When each lost request was sent."""
    names: list[str] = field(default_factory=list)
    """The body of each POST that was answered."""

    def add(self, other: Outcome) -> None:
        """Add what another client met."""
        self.sent += other.sent
        self.lost += other.lost
        self.repeated += other.repeated
        self.waits += other.waits
        self.began += other.began
        self.lost_at += other.lost_at
        self.names += other.names

    @property
    def lost_count(self) -> int:
        """How many requests had no answer, or a wrong one."""
        return sum(self.lost.values())

    @property
    def halves(self) -> int:
        """How many of the lost began as an answer and ended in its middle: nobody can send it again."""
        return sum(count for what, count in self.lost.items() if what.startswith("IncompleteRead"))

    @property
    def refused(self) -> int:
        """How many of the lost nginx answered in place of the app."""
        return self.lost["status 503"]

    @property
    def worst(self) -> float:
        """The longest wait for an answer, in seconds."""
        return max(self.waits, default=0.0)

    def percentile(self, share: float) -> float:
        """The wait that this share of the answers did not exceed, in seconds."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def __str__(self) -> str:
        repeated = f", {self.repeated} sent again" if self.repeated else ""
        return (
            f"{self.lost_count} of {self.sent} lost{repeated}, p99 {self.percentile(0.99) * 1000:.0f} ms, "
            f"worst {self.worst * 1000:.0f} ms {dict(self.lost) or ''}"
        )


@dataclass
class Stalls:
    """The times in which this machine kept a process like the clients from running."""

    found: list[tuple[float, float]] = field(default_factory=list)
    """When each began, by this machine's monotonic clock, and its length in seconds."""

    def longest(self, start: float = -math.inf, end: float = math.inf) -> float:
        """The longest that reached into the time from ``start`` to ``end``, in seconds."""
        return max(
            (took for began, took in self.found if began <= end and began + took >= start), default=0.0
        )


@contextmanager
def metronome() -> Iterator[Stalls]:
    """How long this machine kept a process like the clients from running; complete when the block ends.

    What a client waits for its own turn on the processor is nothing that the host did.
    """
    stop, answer, stalls = FORK.Event(), FORK.Queue(), Stalls()

    def tick() -> None:
        own_turn()
        found, end = [], time.monotonic() + LIMIT
        while not stop.is_set() and time.monotonic() < end:
            asleep = time.monotonic()
            time.sleep(BEAT)
            late = time.monotonic() - asleep - BEAT
            if late > BEAT / 5:
                found.append((asleep, late))
        answer.put(found)

    process = FORK.Process(target=tick, daemon=True)
    process.start()
    try:
        yield stalls
    finally:
        stop.set()
        stalls.found = answer.get(timeout=LIMIT)
        process.join()


def own_turn() -> None:
    """Make this process one that Linux's scheduler treats as a group, however busy the others are."""
    os.setsid()
    with contextlib.suppress(PermissionError):
        os.nice(-5)


@dataclass(frozen=True)
class Load:
    """``clients`` requests at a time; with ``keep_alive`` each client keeps its connection.

    With ``repeat`` a client does what browsers do: when a connection that it had used before is closed before a
    byte of the answer came, it sends the request once more on a new one. That is counted, and no loss.
    """

    door: Door
    domain: str
    path: str
    method: str = "GET"
    clients: int = 4
    keep_alive: bool = True
    pause: float = 0.002
    repeat: bool = False
    timeout: float = TIMEOUT
    """Seconds that a client waits for an answer."""

    @contextmanager
    def running(self, outcome: Outcome) -> Iterator[None]:
        """Load the host during the block; ``outcome`` is complete when it ends."""
        stop = FORK.Event()
        answers: Any = FORK.Queue()
        workers = [
            FORK.Process(target=self._client, args=(stop, answers, number), daemon=True)
            for number in range(self.clients)
        ]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            stop.set()
            for _turn in workers:
                outcome.add(answers.get(timeout=LIMIT))
            for worker in workers:
                worker.join()

    def _client(self, stop: Any, answers: Any, number: int) -> None:
        own_turn()
        outcome = Outcome()
        end = time.monotonic() + LIMIT
        connection: Connection | None = None
        used = False
        while not stop.is_set() and time.monotonic() < end:
            name = f"{os.getpid()}-{number}-{outcome.sent}"
            if connection is None or not self.keep_alive:
                if connection:
                    connection.close()
                connection, used = self.door.open(self.domain, self.timeout), False
            started = time.monotonic()
            trouble = self._request(connection, name)
            if trouble and trouble[0] and used and self.repeat:
                outcome.repeated += 1
                connection.close()
                connection = self.door.open(self.domain, self.timeout)
                trouble = self._request(connection, name)
            outcome.sent += 1
            outcome.waits.append(time.monotonic() - started)
            outcome.began.append(started)
            used = True
            if trouble:
                outcome.lost[trouble[1]] += 1
                outcome.lost_at.append(started)
                connection.close()
                connection = None
            elif self.method == "POST":
                outcome.names.append(name)
            stop.wait(self.pause)
        if connection:
            connection.close()
        answers.put(outcome)

    def _request(self, connection: Connection, name: str) -> tuple[bool, str] | None:
        """Send one request. What went wrong, and whether it was a connection closed without an answer; or None."""
        body = name.encode() if self.method == "POST" else None
        try:
            connection.request(self.method, self.path, body, {"Host": self.domain})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            closed = isinstance(error, (ConnectionError, ssl.SSLEOFError))
            return closed, f"{type(error).__name__}: {error}"
        return None if answer.status == 200 else (False, f"status {answer.status}")

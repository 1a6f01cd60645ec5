"""Requests in a row from several clients at once, each one counted: answered, or lost."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from client import Connection, Door

# An end to every load, in seconds, so that a test that hangs does not load the host for ever.
LIMIT = 60.0


@dataclass
class Outcome:
    """What became of the requests; ``worst`` is the longest wait for an answer in seconds."""

    sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0

    @property
    def lost_count(self) -> int:
        """How many requests had no answer, or a wrong one."""
        return sum(self.lost.values())

    def __str__(self) -> str:
        return f"{self.lost_count} of {self.sent} lost, worst wait {self.worst * 1000:.0f} ms {dict(self.lost) or ''}"


@dataclass(frozen=True)
class Load:
    """``clients`` requests at a time; with ``keep_alive`` each client keeps its connection."""

    door: Door
    domain: str
    path: str
    method: str = "GET"
    clients: int = 4
    keep_alive: bool = True
    pause: float = 0.002

    @contextmanager
    def running(self, outcome: Outcome) -> Iterator[None]:
        """Load the host during the block; ``outcome`` is complete when it ends."""
        stop = threading.Event()
        lock = threading.Lock()
        workers = [
            threading.Thread(target=self._client, args=(stop, lock, outcome)) for _ in range(self.clients)
        ]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            stop.set()
            for worker in workers:
                worker.join()

    def _client(self, stop: threading.Event, lock: threading.Lock, outcome: Outcome) -> None:
        end = time.monotonic() + LIMIT
        connection: Connection | None = None
        while not stop.is_set() and time.monotonic() < end:
            if connection is None or not self.keep_alive:
                if connection:
                    connection.close()
                connection = self.door.open(self.domain)
            started = time.monotonic()
            trouble = self._request(connection)
            waited = time.monotonic() - started
            with lock:
                outcome.sent += 1
                outcome.worst = max(outcome.worst, waited)
                if trouble:
                    outcome.lost[trouble] += 1
            if trouble:
                connection.close()
                connection = None
            stop.wait(self.pause)
        if connection:
            connection.close()

    def _request(self, connection: Connection) -> str | None:
        """Send one request; what went wrong, or None."""
        body = b"x" * 100 if self.method == "POST" else None
        try:
            connection.request(self.method, self.path, body, {"Host": self.domain})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        return None if answer.status == 200 else f"status {answer.status}"

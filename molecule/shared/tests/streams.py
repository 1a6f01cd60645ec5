"""A WebSocket and an event stream that stay open, and how each of them ended."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from client import Door
from websockets.exceptions import ConnectionClosed

# Seconds between two messages on the WebSocket.
BEAT = 0.1


@dataclass
class Streams:
    """How the connections of one kind ended, in order; the one that was open at the end of the test is left out."""

    websockets: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    unanswered: int = 0
    """Messages on a WebSocket that got no answer though the connection had not been closed before."""
    received: int = 0


@contextmanager
def open_streams(door: Door, domain: str, seen: Streams) -> Iterator[None]:
    """Keep one WebSocket and one event stream open during the block; either is opened again when it ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=kind, args=(door, domain, seen, stop)) for kind in (_talk, _listen)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _talk(door: Door, domain: str, seen: Streams, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with door.websocket(domain, "/ws") as socket:
                while not stop.is_set():
                    socket.send("hello")
                    assert str(socket.recv(timeout=10)).endswith(" hello")
                    seen.received += 1
                    time.sleep(BEAT)
        except ConnectionClosed as error:
            seen.websockets.append(f"closed with {error.rcvd.code if error.rcvd else 'no code'}")
        except (OSError, TimeoutError, AssertionError) as error:
            seen.websockets.append(f"{type(error).__name__}: {error}")
            seen.unanswered += 1


def _listen(door: Door, domain: str, seen: Streams, stop: threading.Event) -> None:
    while not stop.is_set():
        connection = door.open(domain)
        try:
            connection.request("GET", "/events", headers={"Host": domain})
            answer = connection.getresponse()
            while not stop.is_set():
                if not answer.readline():
                    seen.events.append("complete")
                    break
                seen.received += 1
        except (OSError, http.client.HTTPException) as error:
            seen.events.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

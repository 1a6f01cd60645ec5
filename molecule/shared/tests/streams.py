"""A WebSocket and an event stream that stay open, and how each of them ended."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from client import TIMEOUT, Door
from websockets.exceptions import ConnectionClosed, WebSocketException

# Seconds between two messages on the WebSocket.
BEAT = 0.1


@dataclass
class Streams:
    """How the connections of one kind ended, in order; the one that was open at the end of the test is left out."""

    websockets: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    unanswered: int = 0
    """Handshakes that were refused, and messages with no answer though the connection had not been closed before."""
    received: int = 0


@contextmanager
def open_streams(door: Door, domain: str, seen: Streams, timeout: float = TIMEOUT) -> Iterator[None]:
    """Keep one WebSocket and one event stream open during the block; either is opened again when it ends.

    ``timeout``, in seconds, is for the next message, or the answer to a new connection.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(kind, door, domain, seen, stop, timeout) for kind in (_talk, _listen)]
        try:
            yield
        finally:
            stop.set()
        for end in ends:
            end.result()


def _talk(door: Door, domain: str, seen: Streams, stop: threading.Event, timeout: float) -> None:
    while not stop.is_set():
        try:
            with door.websocket(domain, "/ws", timeout) as socket:
                while not stop.is_set():
                    socket.send("hello")
                    assert str(socket.recv(timeout=timeout)).endswith(" hello")
                    seen.received += 1
                    time.sleep(BEAT)
        except ConnectionClosed as error:
            seen.websockets.append(f"closed with {error.rcvd.code if error.rcvd else 'no code'}")
        except (OSError, WebSocketException, AssertionError) as error:
            seen.websockets.append(f"{type(error).__name__}: {error}")
            seen.unanswered += 1
            stop.wait(BEAT)


def _listen(door: Door, domain: str, seen: Streams, stop: threading.Event, timeout: float) -> None:
    while not stop.is_set():
        connection = door.open(domain, timeout)
        try:
            connection.request("GET", "/events", headers={"Host": domain})
            answer = connection.getresponse()
            if answer.status != 200:
                seen.events.append(f"status {answer.status}")
                seen.unanswered += 1
                stop.wait(BEAT)
                continue
            while not stop.is_set():
                if not answer.readline():
                    seen.events.append("complete")
                    break
                seen.received += 1
        except (OSError, http.client.HTTPException) as error:
            seen.events.append(f"{type(error).__name__}: {error}")
            stop.wait(BEAT)
        finally:
            connection.close()

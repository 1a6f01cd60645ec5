"""Many WebSockets of one client that are opened and then say nothing."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from client import Door, trusting

# Handshakes that are under way at the same time, and seconds for each.
AT_ONCE = 20
PATIENCE = 60.0


@contextmanager
def websockets(door: Door, domain: str, path: str, count: int) -> Iterator[Counter[int]]:
    """``count`` of them, open until the end; yields how many got which status. 0 is no answer."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    writers: list[asyncio.StreamWriter] = []
    try:
        opening = _open(door, domain, path, count, writers)
        yield asyncio.run_coroutine_threadsafe(opening, loop).result()
    finally:
        for writer in writers:
            loop.call_soon_threadsafe(writer.transport.abort)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _open(
    door: Door, domain: str, path: str, count: int, writers: list[asyncio.StreamWriter]
) -> Counter[int]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one() -> int:
        async with turns:
            try:
                return await asyncio.wait_for(_handshake(door, domain, path, writers), PATIENCE)
            except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
                return 0

    return Counter(await asyncio.gather(*(one() for _turn in range(count))))


async def _handshake(door: Door, domain: str, path: str, writers: list[asyncio.StreamWriter]) -> int:
    reader, writer = await asyncio.open_connection(*door.https, ssl=trusting(), server_hostname=domain)
    writers.append(writer)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {domain}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split(b" ")[1])

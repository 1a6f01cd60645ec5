"""The launcher of `server: command`: connections that are handed on to a program's port."""

from __future__ import annotations

import asyncio
import os
import socket
import types
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles/asgi_host/templates/release/serve-command.py.j2"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def launcher() -> Any:
    times = {"graceful": 30, "door": {"upstream_keepalive": 2}}
    text = Environment(undefined=StrictUndefined, autoescape=False).from_string(TEMPLATE.read_text())
    module = types.ModuleType("serve")
    exec(text.render(settings={"times": times}), module.__dict__)
    return module


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what it reads, and closes when the other side has."""
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Asks, reads, closes, as nginx does when it has kept a connection for long enough."""
    writer.write(b"parcel")
    assert await reader.readexactly(6) == b"parcel"
    writer.close()


async def half_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says that it sends no more, and still gets all of the answer."""
    writer.write(b"p" * 500_000)
    writer.write_eof()
    assert len(await reader.read(-1)) == 500_000
    writer.close()


async def abrupt(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Goes away with an answer on its way."""
    writer.write(b"p" * 500_000)
    await asyncio.sleep(0.01)
    writer.transport.abort()


@pytest.mark.parametrize("client", [polite, half_open, abrupt])
def test_connection_that_ended_leaves_nothing_open(launcher: Any, tmp_path: Path, client: Talk) -> None:
    async def run() -> None:
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(str(tmp_path / "app.sock"))
            hub = launcher.Hub(held)
            served = await asyncio.start_server(program, launcher.LOOPBACK, hub.port)
            door = await asyncio.get_running_loop().create_unix_server(lambda: launcher._End(hub), sock=held)
            before = descriptors()
            for _turn in range(5):
                await client(*await asyncio.open_unix_connection(tmp_path / "app.sock"))
            for _turn in range(500):
                if not hub.connections and descriptors() <= before:
                    break
                await asyncio.sleep(0.01)
            assert (len(hub.connections), descriptors()) == (0, before)
            door.close()
            served.close()

    asyncio.run(run())


def test_what_comes_before_the_program_listens_is_kept(launcher: Any, tmp_path: Path) -> None:
    async def run() -> None:
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(str(tmp_path / "app.sock"))
            hub = launcher.Hub(held)
            ends: asyncio.Queue[Any] = asyncio.Queue()

            def accepted() -> Any:
                end = launcher._End(hub)
                ends.put_nowait(end)
                return end

            door = await asyncio.get_running_loop().create_unix_server(accepted, sock=held)
            reader, writer = await asyncio.open_unix_connection(tmp_path / "app.sock")
            # As Python 3.11 does, though it was told to pause.
            (await ends.get()).data_received(b"par")
            writer.write(b"cel")
            await asyncio.sleep(0.1)
            served = await asyncio.start_server(program, launcher.LOOPBACK, hub.port)
            assert await asyncio.wait_for(reader.readexactly(6), 5) == b"parcel"
            writer.close()
            door.close()
            served.close()

    asyncio.run(run())

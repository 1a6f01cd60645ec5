"""The gate asks a real HTTP server on a unix socket."""

from __future__ import annotations

import contextlib
import itertools
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest
from ansible_collections.asgi.host.plugins.module_utils._contract.release import HealthCheck
from ansible_collections.asgi.host.plugins.module_utils._release import gate, units
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App, Release

CHECK: HealthCheck = {"path": "/healthz", "status": [200], "timeout": 5, "text": None}


class Handler(BaseHTTPRequestHandler):
    """Answers what the test says, and keeps the headers that it was asked with."""

    status: ClassVar[int] = 200
    asked: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        type(self).asked = {**dict(self.headers), "path": self.path}
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"all is well")

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    release = App(tmp_path, "a", "asgi-a").release("r")
    release.folder.mkdir(parents=True)
    alive = units.UnitState(active="active", enabled=True, restarts=0, main_pid=1)
    monkeypatch.setattr(units, "states_now", lambda names: dict.fromkeys(names, alive))
    Handler.status = 200
    with socketserver.ThreadingUnixStreamServer(str(release.socket_path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield release
        server.shutdown()


def test_asks_as_nginx_would(release: Release) -> None:
    gate.Gate([CHECK], "shop.example.com", "/mounted").passes(release, None)
    assert Handler.asked["path"] == "/mounted/healthz"
    assert Handler.asked["Host"] == "shop.example.com"
    assert Handler.asked["X-Forwarded-Proto"] == "https"
    assert Handler.asked["X-Forwarded-Port"] == "443"


def test_wrong_status_is_told_with_the_answer(release: Release) -> None:
    Handler.status = 500
    with pytest.raises(gate.GateError, match=r"answered 500, wanted 200; it said: 'all is well'"):
        gate.Gate([CHECK], "h", "").passes(release, 0.3)


def test_wrong_answers_are_asked_for_less_and_less_often(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question fills the journal of the app; it was ten a second for as long as it took."""
    asked: list[str] = []

    def ask(_path: Path, url: str, *_: object) -> tuple[int, str]:
        asked.append(url)
        return 500, ""

    monkeypatch.setattr(gate, "ask", ask)
    with pytest.raises(gate.GateError, match="answered 500"):
        gate.Gate([CHECK], "h", "").passes(release, 2.0)
    assert 3 < len(asked) < 12


def test_missing_text_fails(release: Release) -> None:
    with pytest.raises(gate.GateError, match="without the text 'ready'"):
        gate.Gate([{**CHECK, "text": "ready"}], "h", "").passes(release, 0.3)
    gate.Gate([{**CHECK, "text": "well"}], "h", "").passes(release, 0.3)


def test_dead_process_ends_the_wait_at_once(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    Handler.status = 503
    seen = itertools.chain([3], itertools.repeat(4))
    monkeypatch.setattr(units, "states_now", lambda names: dict.fromkeys(names, restarted(next(seen))))
    with pytest.raises(gate.GateError, match="the process ended while it started"):
        gate.Gate([CHECK], "h", "").passes(release, 60)


def test_restart_of_weeks_ago_is_no_death(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "states_now", lambda names: dict.fromkeys(names, restarted(3)))
    gate.Gate([CHECK], "h", "").passes(release, 60)
    Handler.status = 503
    with pytest.raises(gate.GateError, match="answered 503"):
        gate.Gate([CHECK], "h", "").passes(release, 0.3)


def restarted(times: int) -> units.UnitState:
    return units.UnitState(active="activating", enabled=True, restarts=times, main_pid=0)


def test_connections_are_counted(release: Release) -> None:
    assert gate.connections(release.socket_path) == 0
    connection = gate._UnixConnection(release.socket_path, 5)
    connection.connect()
    try:
        assert gate.wait_until_let_go(release.socket_path, 0.3) == 1
    finally:
        connection.close()
    assert gate.wait_until_let_go(release.socket_path, 5) == 0


@pytest.mark.parametrize(
    ("head", "again"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b".", id="a body without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n", id="a header without end"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="a promise without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"", id="a body that does not come"),
    ],
)
def test_answer_without_end_holds_nobody_up(
    release: Release, monkeypatch: pytest.MonkeyPatch, head: bytes, again: bytes
) -> None:
    """One app that sent a byte a second held up every later play of its host, all apps, for ever."""
    over = threading.Event()

    def drip(handler: Handler) -> None:
        with contextlib.suppress(OSError):
            handler.wfile.write(head)
            while not over.wait(0.05):
                handler.wfile.write(again)

    monkeypatch.setattr(Handler, "do_GET", drip)
    asking = threading.Timer(6.0, over.set)
    asking.start()
    began = time.monotonic()
    try:
        with pytest.raises(gate.GateError, match=r"no answer .*timed out"):
            gate.Gate([CHECK], "h", "").passes(release, 0.6)
    finally:
        asking.cancel()
        over.set()
    assert time.monotonic() - began < 3

"""The self-test: what counts as a lie, what the worker answers, and what is asked."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._apps import identity, normalize
from ansible_collections.asgi.host.plugins.module_utils._release import environment, paths
from ansible_collections.asgi.host.plugins.module_utils._self_test import (
    differences,
    forgery,
    model,
    on_host,
    outside,
    probe,
    request,
)
from ansible_collections.asgi.host.plugins.module_utils._self_test.forgery import FORGED
from ansible_collections.asgi.host.plugins.module_utils._self_test.model import Door, NoViewError
from ansible_collections.asgi.host.plugins.plugin_utils import _doors
from ansible_collections.asgi.host.plugins.plugin_utils._render import render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import derived

KEY = "5" * 64
OWN = "10.1.2.3"
DOOR = Door(app="shop", domain="shop.test", paths=["/x"])


def view(client: str | None = OWN, scheme: str = "https", **headers: str) -> dict[str, Any]:
    """What an app sees through a door that is as it must be."""
    told = {"host": "shop.test", "x-forwarded-for": client or "", "x-real-ip": client or "", **headers}
    return {
        "client": [client, 0] if client else None,
        "scheme": scheme,
        "server": ["shop.test", 443],
        "root_path": "",
        "path": "/x",
        "http_version": "1.1",
        "headers": [[name.replace("__", "-"), value] for name, value in told.items()],
    }


def lies(
    seen: dict[str, Any], *, truth: str | None = OWN, trusted: tuple[str, ...] = (), plain: Any = None
) -> str:
    return "\n".join(differences.lies(FORGED, plain or view(), seen, truth=truth, trusted=trusted))


def test_port_of_a_host_is_the_clients_to_say_and_nothing_else_of_it() -> None:
    def seen(port: str, host: str, server: int) -> dict[str, Any]:
        return {**view(host=host, x__forwarded__port=port), "server": ["shop.test", server]}

    sent = [("Host", "shop.test:8443"), *FORGED]
    plain = seen("443", "shop.test", 443)
    for told in (plain, seen("8443", "shop.test:8443", 8443)):
        assert differences.lies(sent, plain, told, truth=OWN, trusted=()) == []
    wrong = differences.lies(sent, plain, seen("8080", "shop.test:8443", 8080), truth=OWN, trusted=())
    assert [each[:24] for each in wrong] == ["the host and port shop.t", "the header x-forwarded-p"]
    assert differences.lies(FORGED, plain, seen("8443", "shop.test:8443", 8443), truth=OWN, trusted=())


def test_same_view_is_no_lie() -> None:
    assert lies(view()) == ""
    assert lies(view(), truth=None) == ""


@pytest.mark.parametrize("truth", [OWN, None])
def test_forged_client_is_named_with_its_header(truth: str | None) -> None:
    found = lies(view("203.0.113.61"), truth=truth)
    assert (
        "the client 203.0.113.61 instead of 10.1.2.3 (sent: X-Forwarded-For: 203.0.113.61 /" in found
        or "the client 203.0.113.61 instead of 10.1.2.3 (sent: X-Forwarded-For: 203.0.113.61)" in found
    )


def test_appended_header_is_a_lie_though_the_client_is_right() -> None:
    appended = view()
    appended["headers"][1][1] = f"203.0.113.61, 203.0.113.62, 127.0.0.1, {OWN}"
    assert "the header x-forwarded-for: 203.0.113.61, " in lies(appended)


def test_scheme_port_and_mount_point() -> None:
    assert "the scheme 'http' instead of 'https' (sent: X-Forwarded-Proto: http" in lies(view(scheme="http"))
    port = {**view(), "server": ["shop.test", 8080]}
    assert "shop.test:8080 instead of shop.test:443 (sent: X-Forwarded-Port: 8080)" in lies(port)
    assert "mount point '/forged-prefix'" in lies({**view(), "root_path": "/forged-prefix"})


def test_claim_without_a_mark_is_seen() -> None:
    """A value that any request might have, under a name that was forged."""
    assert "x-forwarded-ssl: off (sent: X-Forwarded-Ssl: off)" in lies(view(x__forwarded__ssl="off"))


def test_mark_under_any_other_name_is_seen() -> None:
    assert "the header x-copied: 203.0.113.61" in lies(view(x__copied="203.0.113.61"))


def test_name_with_underscores_is_the_same_claim() -> None:
    assert "X_Forwarded_For: 203.0.113.63" in lies(view(x_forwarded_for="203.0.113.63"))


def test_what_was_there_without_forgery_is_no_lie() -> None:
    fixed = view(x__forwarded__ssl="on")
    assert lies(fixed, plain=fixed) == ""


def test_trusted_peer_may_say_who_the_client_is() -> None:
    """By the rule, and no other: the last address that is not trusted."""
    assert lies(view("127.0.0.1"), trusted=("10.0.0.0/8",)) == ""
    assert lies(view("203.0.113.62"), trusted=("10.0.0.0/8", "127.0.0.0/8")) == ""
    assert "the client 203.0.113.61" in lies(view("203.0.113.61"), trusted=("10.0.0.0/8",))
    assert "the client 10.1.2.3 instead of 127.0.0.1" in lies(view(), trusted=("10.0.0.0/8",))


def test_from_outside_somebody_before_the_host_may_drop_the_chain() -> None:
    for client in (OWN, "127.0.0.1"):
        assert lies(view(client), truth=None, trusted=("10.0.0.0/8",)) == ""
    assert "the client 203.0.113.61" in lies(view("203.0.113.61"), truth=None, trusted=("10.0.0.0/8",))


def test_from_outside_another_address_of_the_network_is_no_lie() -> None:
    """A pool of addresses may take turns; what was forged is the question."""
    assert lies(view("198.51.100.8"), truth=None) == ""
    assert "the client 127.0.0.1" in lies(view("127.0.0.1"), truth=None), "it was in the forged chain"


@pytest.mark.parametrize(
    ("chain", "peer", "trusted", "client"),
    [
        (["203.0.113.1", "198.51.100.7", "10.9.8.7"], "10.0.0.1", ["10.0.0.0/8"], "198.51.100.7"),
        (["203.0.113.1"], "192.0.2.1", ["10.0.0.0/8"], "192.0.2.1"),
        (["10.0.0.2", "10.0.0.3"], "10.0.0.1", ["10.0.0.0/8"], "10.0.0.2"),
        ([], "10.0.0.1", ["10.0.0.0/8"], "10.0.0.1"),
        (["2001:db8:2::9", "2001:db8:1::7"], "2001:db8:1::1", ["2001:db8:1::/48"], "2001:db8:2::9"),
    ],
)
def test_rule_of_the_chain(chain: list[str], peer: str, trusted: list[str], client: str) -> None:
    assert differences.believed(chain, peer, trusted) == client


def test_every_forged_header_is_overwritten_or_dropped_for_every_location() -> None:
    """In the file that all locations include."""
    text = render("nginx/proxy.conf.j2", dropped=identity.dropped([]))
    told = {name.lower() for name in re.findall(r"^proxy_set_header (\S+) ", text, re.MULTILINE)}
    assert {name.lower().replace("_", "-") for name, _value in FORGED} <= told | {"remote-self-test"}
    assert "$http_x" not in text
    assert "proxy_add_x_forwarded_for" not in text


def test_forged_values_say_which_header_they_came_by() -> None:
    marked = [value for _name, value in FORGED if any(mark in value for mark in forgery.MARKS)]
    assert len(marked) == len(set(marked))


# The worker


def app_of(**keys: Any) -> dict[str, Any]:
    base = {"name": "shop", "app": "shop:app", "source": {"path": "x"}, "domains": ["shop.test"]}
    return normalize([{**base, **keys}])[0]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings file of a release, run with stand-ins for the server."""
    uvicorn, uvicorn_worker = types.ModuleType("uvicorn"), types.ModuleType("uvicorn_worker")
    uvicorn.Server = type("Server", (), {})  # type: ignore[attr-defined]
    uvicorn_worker.UvicornWorker = type("W", (), {"__module__": "uvicorn_worker", "CONFIG_KWARGS": {}})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uvicorn", uvicorn)
    monkeypatch.setitem(sys.modules, "uvicorn_worker", uvicorn_worker)
    monkeypatch.setenv("ASGI_HOST_VIEW_KEY", KEY)
    app = app_of(root_path="/shop")
    host = {"cores": 1, "memory_mb": 1000}
    text = render("release/gunicorn.conf.py.j2", app=app, root="/srv/asgi", settings=derived(app, host))
    space: dict[str, Any] = {"__name__": "gunicorn_conf", "__file__": "/nowhere/gunicorn.conf.py"}
    exec(compile(text, "gunicorn.conf.py", "exec"), space)
    return types.SimpleNamespace(**space)


def test_websocket_ends_a_moment_after_its_close_frame(worker: Any) -> None:
    closed: list[float] = []
    transport = types.SimpleNamespace(
        close=lambda: closed.append(asyncio.get_running_loop().time()), is_closing=lambda: False
    )
    other = types.SimpleNamespace(transport=transport)

    class Protocol(types.SimpleNamespace):
        pass

    websocket = Protocol(transport=transport)
    server = types.SimpleNamespace(
        server_state=types.SimpleNamespace(connections={1: websocket, 2: other}.values()),
        config=types.SimpleNamespace(ws_protocol_class=Protocol),
    )

    async def stop() -> float:
        assert worker._let_websockets_linger(server) == [websocket]
        assert other.transport is transport
        began = asyncio.get_running_loop().time()
        # uvicorn closes, and once more when the app has gone.
        websocket.transport.close()
        websocket.transport.close()
        assert not websocket.transport.is_closing()
        assert not closed
        await asyncio.sleep(worker.LINGER * 2)
        return began

    began = asyncio.run(stop())
    assert len(closed) == 1
    assert closed[0] - began >= worker.LINGER * 0.9


@pytest.mark.parametrize("refusal", [b"HTTP/1.1 431 \r\n\r\n", b""])
def test_handshake_that_cannot_be_read_is_answered(worker: Any, refusal: bytes) -> None:
    """uvicorn left its client waiting, and the library's own refusal unsent."""
    written: list[bytes] = []
    transport = types.SimpleNamespace(
        write=written.append, close=lambda: written.append(b"END"), is_closing=lambda: b"END" in written
    )

    class Protocol(types.SimpleNamespace):
        handle_connect = None

        def data_received(self, data: bytes) -> None:
            self.conn.handshake_exc = None if data == b"good" else ValueError()

    conn = types.SimpleNamespace(handshake_exc=None, data_to_send=lambda: [refusal])
    websocket = worker._answering(Protocol)(conn=conn, transport=transport, handshake_initiated=False)
    websocket.data_received(b"good")
    assert written == []
    websocket.data_received(b"bad")
    websocket.data_received(b"bad")
    assert len(written) == 2
    assert written[0].startswith(b"HTTP/1.1 431" if refusal else b"HTTP/1.1 400")
    assert worker._answering(None) is None


FORWARDED = (b"x-forwarded-port", b"443")


@pytest.mark.parametrize(
    ("scheme", "headers", "server"),
    [
        ("http", [], ("localhost", 80)),
        ("https", [(b"host", b"shop.test"), FORWARDED], ("shop.test", 443)),
        ("wss", [(b"host", b"shop.test"), FORWARDED], ("shop.test", 443)),
        ("https", [(b"host", b"shop.test:8443"), FORWARDED], ("shop.test", 8443)),
        ("https", [(b"host", b"shop.test")], ("shop.test", 443)),
        ("http", [(b"host", b"[::1]")], ("[::1]", 80)),
        ("http", [(b"x-forwarded-port", b"x")], ("localhost", 80)),
    ],
)
def test_app_is_told_host_and_port(
    worker: Any, scheme: str, headers: list[tuple[bytes, bytes]], server: tuple[str, int]
) -> None:
    got: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.update(scope)

    scope = {
        "type": "websocket" if scheme == "wss" else "http", "path": "/shop/x", "query_string": b"", "scheme": scheme,
        "client": None, "server": ("/run/app.sock", None), "root_path": "", "headers": headers,
    }  # fmt: skip
    asyncio.run(worker._WholeScope(app)(scope, None, None))
    assert got["server"] == server


@pytest.mark.parametrize(
    ("status", "kind", "stopping", "closes"),
    [(200, b"text/html", False, False), (500, b"text/html", False, True), (200, b"text/html", True, True)],
)
def test_nginx_is_told_when_a_connection_ends(
    worker: Any, monkeypatch: pytest.MonkeyPatch, status: int, kind: bytes, stopping: bool, closes: bool
) -> None:
    monkeypatch.setattr(worker._PatientServer, "stopping", stopping)
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"Content-Type", kind)]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(worker._with_a_proper_end(app, {}, None, send))
    assert ((b"connection", b"close") in sent[0]["headers"]) is closes
    assert len(sent) == 2


@pytest.mark.parametrize("kind", [b"text/event-stream", b"text/event-stream; charset=utf-8"])
def test_event_stream_that_is_ended_is_a_complete_answer(worker: Any, kind: bytes) -> None:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        # From a task of its own, as Starlette does.
        await asyncio.create_task(
            send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", kind)]})
        )
        await asyncio.sleep(60)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def ended() -> None:
        request = asyncio.create_task(worker._with_a_proper_end(app, {}, None, send))
        await asyncio.sleep(0.01)
        worker._end_event_streams()
        await request

    asyncio.run(ended())
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert not worker._event_streams
    assert not worker._ended


def answer(worker: Any, query: str) -> tuple[int, bytes]:
    """Status and body of a request with this query."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"the app"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/shop/x", "query_string": query.encode(), "scheme": "https",
        "http_version": "1.1", "client": (OWN, 0), "server": ("/run/app.sock", None), "root_path": "",
        "headers": [(b"host", b"shop.test"), (b"x-forwarded-port", b"443"), (b"x-a", "ü".encode("latin-1"))],
    }  # fmt: skip
    asyncio.run(worker._WholeScope(app)(scope, None, send))
    return sent[0]["status"], sent[1]["body"]


def test_worker_answers_a_signed_request_with_its_view(worker: Any) -> None:
    ticket = request.ticket(KEY, time.time())
    status, body = answer(worker, request.query(ticket, "n1"))
    assert status == 200
    seen = request.proved(body, ticket, "n1")
    assert seen is not None
    assert (seen["client"], seen["server"], seen["root_path"]) == ([OWN, 0], ["shop.test", 443], "/shop")
    assert ["x-a", "ü"] in seen["headers"]
    assert request.proved(body, ticket, "n2") is None
    forged = json.loads(body)
    forged["view"] = forged["view"].replace(OWN, "10.9.9.9")
    assert request.proved(json.dumps(forged).encode(), ticket, "n1") is None


def queries() -> Iterator[str]:
    good = request.query(request.ticket(KEY, time.time()), "n")
    yield good[:-1] + ("0" if good[-1] != "0" else "1")
    yield good.replace(".n.", ".m.")
    yield request.query(request.ticket("6" * 64, time.time()), "n")
    yield request.query(request.ticket(KEY, time.time() - 3600), "n")
    yield request.query(request.ticket(KEY, time.time() + 7200), "n")
    yield f"{good}&a=b"
    yield from (
        "asgi-host-view=",
        "asgi-host-view=1",
        "asgi-host-view=a.b.c",
        "asgi-host-view=1.2.ü",
        "a=b",
        "",
    )
    yield "a=b&" + good


@pytest.mark.parametrize("query", list(queries()))
def test_worker_leaves_every_other_request_to_the_app(worker: Any, query: str) -> None:
    assert answer(worker, query) == (418, b"the app")


def test_app_does_not_get_the_key(worker: Any) -> None:
    assert "ASGI_HOST_VIEW_KEY" not in os.environ


def test_worker_without_a_key_answers_nobody(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    function = worker._signed_view
    monkeypatch.setitem(function.__globals__, "_view_key", b"")
    scope = {"query_string": request.query(request.ticket("", time.time()), "n").encode()}
    assert function(scope) is None


def test_ticket_does_not_hold_the_key() -> None:
    assert KEY not in json.dumps(request.ticket(KEY, 0.0))


# A whole door


def judged(monkeypatch: pytest.MonkeyPatch, answers: list[Any], path: str = "/x", door: Door = DOOR) -> Any:
    """What is found when the door gives these views, or refuses, in turn and again from the start."""
    turns = itertools.cycle(answers)

    def ask(*_: Any) -> dict[str, Any]:
        found: dict[str, Any] | NoViewError = next(turns)
        if isinstance(found, NoViewError):
            raise found
        return found

    monkeypatch.setattr(probe, "ask", ask)
    monkeypatch.setattr(probe, "INTERVAL_S", 0)
    place = probe.Place("the host", (OWN, 443), OWN, 1.0)
    return probe.compare(door, path, {}, place, lambda: False)


def test_good_door(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, [view()])
    assert (found.asked, found.differences, found.untested) == (1, {}, {})


def test_message_says_what_and_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    text = judged(monkeypatch, [view(), view("203.0.113.61"), view()]).differences["https://shop.test/x"]
    for words in ("shop: ", "203.0.113.61", OWN, "proxy.extra", "nginx -T", "asgi_host_self_test: false"):
        assert words in text


def test_wrong_client_without_any_forgery(monkeypatch: pytest.MonkeyPatch) -> None:
    text = judged(monkeypatch, [view("127.0.0.1")]).differences["https://shop.test/x"]
    assert "with nothing forged, the client 127.0.0.1 instead of 10.1.2.3" in text


def test_answer_of_a_worker_from_before_the_reload_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    good = [view(), view(), view()]
    assert judged(monkeypatch, [view(), view("203.0.113.61"), view(), *good]).differences == {}


def test_refused_forgery_is_no_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = NoViewError("403 Forbidden")
    found = judged(monkeypatch, [view(), refused, view()])
    assert (found.differences, found.untested, found.asked) == ({}, {}, 1)
    found = judged(monkeypatch, [view(), refused, refused])
    assert (found.differences, found.asked) == ({}, 0)
    assert "403 Forbidden" in found.untested["https://shop.test/x"]


def test_door_that_does_not_lead_to_the_app_is_said_to_be_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, [NoViewError("401 Unauthorized")])
    assert "401 Unauthorized" in found.untested["https://shop.test/x"]
    assert found.asked == 0
    door = Door(app="shop", domain="shop.test", paths=["/x"], also=["/files/"])
    assert judged(monkeypatch, [NoViewError("404")], "/files/", door).untested == {}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_site_that_does_not_reach_its_app_is_no_success(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    refused = NoViewError(f"{status} …, which is not the app's view", status)
    found = judged(monkeypatch, [refused])
    assert f"is a {status}. nginx does not reach the app" in found.differences["https://shop.test/x"]
    assert found.untested == {}
    door = Door(app="shop", domain="shop.test", paths=["/x"], also=["/files/"])
    assert judged(monkeypatch, [refused], "/files/", door).differences == {}, "of the inventory's own"


@pytest.mark.parametrize(
    ("status", "healthy", "wrong"),
    [(200, [200], False), (503, [200], True), (503, [503], False), (401, [200], False)],
)
def test_server_without_a_view_is_asked_whether_it_is_reached(
    monkeypatch: pytest.MonkeyPatch, status: int, healthy: list[int], wrong: bool
) -> None:
    class Connection:
        def request(self, *_: Any, **__: Any) -> None: ...

        def getresponse(self) -> Any:
            return type("Answer", (), {"status": status})

        def close(self) -> None: ...

    monkeypatch.setattr(probe.Place, "connection", lambda *_: Connection())
    door = Door(app="shop", domain="shop.test", paths=[], health="/health", healthy=healthy)
    found = probe.reach(door, probe.Place("the host", (OWN, 443), OWN, 1.0), lambda: False)
    assert bool(found.differences) is wrong


@pytest.mark.parametrize(
    ("trusted", "plain", "forged", "wrong"),
    [
        # Whoever is not trusted came by plain HTTP, whatever it says.
        ((), "http", "http", False),
        ((), "https", "https", True),
        # What is trusted is believed, and ends TLS where it says nothing.
        (("10.0.0.0/8",), "https", "http", False),
        (("10.0.0.0/8",), "http", "http", True),
        (("10.0.0.0/8",), "https", "https", True),
    ],
)
def test_door_without_tls(
    monkeypatch: pytest.MonkeyPatch, trusted: tuple[str, ...], plain: str, forged: str, wrong: bool
) -> None:
    door = Door(app="shop", domain="shop.test", paths=["/x"], trusted=trusted, tls=False)
    # The last address of the chain is loopback, which is not trusted.
    client = "127.0.0.1" if trusted else OWN
    port = 80 if forged == "http" else 443
    seen = {**view(client, forged), "server": ["shop.test", port]}
    first = {**view(scheme=plain), "server": ["shop.test", 80 if plain == "http" else 443]}
    found = judged(monkeypatch, [first, seen, seen] * 3, door=door)
    assert bool(found.differences) is wrong
    assert door.url("/x") == "http://shop.test/x"


def test_nobody_at_the_door_is_nothing_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "PORT", 1)
    found = outside.from_outside([DOOR], {"shop": request.ticket(KEY, 0.0)}, "127.0.0.1")
    assert (found.asked, found.differences, found.untested) == (0, {}, {})


def test_own_addresses_are_addresses() -> None:
    assert all(model.within(address, ["0.0.0.0/0", "::/0"]) for address in on_host.own_addresses())


# What is asked


def test_doors_of_the_apps() -> None:
    apps = [
        app_of(proxy={"stream_paths": ["/events"], "trusted_proxies": ["10.0.0.0/8"]}, root_path="/s"),
        app_of(
            name="blog", root_path="/b", proxy={"extra": "location /leak/ { proxy_pass http://asgi_blog; }"}
        ),
        app_of(name="quiet", domains=[]),
        app_of(name="other", domains=["*.other.test"]),
    ]
    found = _doors.doors(apps, failed=[], bases=[], proxy_protocol=[])
    by_name = {door["app"]: door for door in found}
    assert set(by_name) == {"shop", "blog", "other"}
    assert by_name["shop"]["paths"] == ["/s/asgi-host-view", "/s/events"]
    assert by_name["blog"]["trusted"] == ["10.0.0.0/8"], "the site is one"
    assert by_name["blog"]["also"] == ["/leak/"]
    assert by_name["other"]["domain"] == "www.other.test"
    assert by_name["other"]["proxy_protocol"] is None
    assert {Door(**door).app for door in found} == set(by_name)


def test_site_of_a_failed_app_is_not_asked() -> None:
    apps = [
        app_of(root_path="/a"),
        app_of(name="blog", root_path="/b"),
        app_of(name="other", domains=["o.test"]),
    ]
    found = _doors.doors(apps, failed=["blog"], bases=[], proxy_protocol=["10.0.0.0/8"])
    assert [(door["app"], door["proxy_protocol"]) for door in found] == [("other", ["10.0.0.0/8"])]


def test_locations_of_extra_lines() -> None:
    extra = """
    # location /not/ {
    location /leak/ { proxy_pass http://x; }
    location = /exact{ return 204; }
      location ^~ "/with space/" {
    location ~ \\.php$ { deny all; }
    location ~* /img { deny all; }
    location @named { return 503; }
    """
    assert _doors.locations(extra) == ["/leak/", "/exact", "/with%20space/"]


def test_key_is_roots_alone(tmp_path: Path) -> None:
    class Here(paths.App):
        secrets = property(lambda self: tmp_path / "etc")

    app = Here(tmp_path, "shop", "asgi-shop")
    key = environment.view_key(app)
    assert key == environment.view_key(app), "constant, or every converge would be a new release"
    assert environment.keyed_digest(app, "x") != key
    assert (tmp_path / "etc" / "digest.key").stat().st_mode & 0o777 == 0o600


def test_workers_from_before_a_reload_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until they have closed their sockets a question may meet the configuration of before."""
    seen = iter([{1, 2}, {2, 3}, {3, 4}])
    asked: list[float] = []
    monkeypatch.setattr(on_host, "nginx_workers", lambda: next(seen))
    monkeypatch.setattr(time, "sleep", asked.append)
    on_host.await_end_of({1, 2})
    assert len(asked) == 2


def test_workers_that_stay_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_host, "nginx_workers", lambda: {1})
    monkeypatch.setattr(on_host, "RELOAD_TIMEOUT_S", 0.1)
    began = time.monotonic()
    on_host.await_end_of({1})
    assert 0.1 <= time.monotonic() - began < 5

"""What honest clients send: long and quiet connections, large bodies, many things at once; and where the limits are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from client import trusting
from outside import AUTHORITY, SITE, new_mark
from targets import Target

pytestmark = [pytest.mark.scenario("door"), pytest.mark.lane]

SHOP = "shop.test"
# nginx's patience with an app that says nothing, by the inventory, and a silence that is longer; in seconds.
READ_TIMEOUT = 5
SILENCE = 9
MEBIBYTE = 1024 * 1024
# No test is about speed, and the machine may be busy with others.
PATIENT = httpx.Timeout(120)


def context() -> ssl.SSLContext:
    """A client that trusts the authority of the tests and nobody else."""
    return ssl.create_default_context(cafile=str(AUTHORITY))


def browser(http2: bool, connections: int) -> httpx.AsyncClient:
    """A client with so many connections."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(
        http1=not http2, http2=http2, verify=context(), limits=limits, timeout=PATIENT, trust_env=False
    )


def build(
    client: httpx.AsyncClient, target: Target, method: str, path: str, domain: str = SITE, **options: object
) -> httpx.Request:
    """A request to a host under test by the name of one of its sites."""
    address, port = target.door.https
    request = client.build_request(method, f"https://{address}:{port}{path}", **options)  # type: ignore[arg-type]
    request.headers["Host"] = domain
    request.extensions["sni_hostname"] = domain
    return request


VERSIONS = {"HTTP/1.1": False, "HTTP/2": True}


# What is sent, then said again and again, and nginx's limit in seconds.
ENDLESS_MARK = new_mark()
HEAD = f"Host: {SITE}\r\nX-Mark: {ENDLESS_MARK}\r\n"
ENDLESS = {
    "header that stops": (f"GET / HTTP/1.1\r\n{HEAD}".encode(), b"", 15),
    "header that goes on": (f"GET / HTTP/1.1\r\n{HEAD}".encode(), b"X-A: b\r\n", 15),
    "body that stops": (f"POST /echo HTTP/1.1\r\n{HEAD}Content-Length: 100\r\n\r\nabc".encode(), b"", 30),
}
# When each was given up, in seconds, and what nginx said.
Ends = dict[str, tuple[float, bytes]]


def until_closed(target: Target, first: bytes, beat: bytes, ends: Ends, name: str) -> None:
    """Send the beginning, then a little every few seconds, until the host has had enough; how long that took."""
    began, got = time.monotonic(), b""
    plain = socket.create_connection(target.door.https, 20)
    with trusting().wrap_socket(plain, server_hostname=SITE) as opened:
        opened.sendall(first)
        opened.settimeout(4)
        while time.monotonic() - began < 90:
            try:
                more = opened.recv(65536)
            except TimeoutError:
                with contextlib.suppress(OSError):
                    opened.sendall(beat)
                continue
            except OSError:
                break
            if not more:
                break
            got += more
    ends[name] = (time.monotonic() - began, got)


@pytest.fixture(scope="module", autouse=True)
def endless(target: Target) -> Callable[[], Ends]:
    """Requests without an end, which wait beside the other tests of this module; call it for how they ended."""
    ends: Ends = {}
    threads = [
        threading.Thread(target=until_closed, args=(target, first, beat, ends, name), daemon=True)
        for name, (first, beat, _limit) in ENDLESS.items()
    ]
    for thread in threads:
        thread.start()

    def wait() -> Ends:
        for thread in threads:
            thread.join(timeout=100)
        return ends

    return wait


def test_websocket_that_is_quiet_for_longer_than_the_read_timeout(target: Target) -> None:
    """The server's pings keep it open, on a path that nobody has named; the client sends nothing by itself."""
    with target.door.websocket(SHOP, "/ws") as opened:
        opened.send("before")
        assert opened.recv(timeout=10) == "before"
        time.sleep(SILENCE)
        opened.send("after")
        assert opened.recv(timeout=10) == "after"


@pytest.mark.parametrize("version", VERSIONS)
def test_events_with_a_silence_longer_than_the_read_timeout(target: Target, version: str) -> None:
    """Each arrives when it is sent, and nginx waits for the next one."""

    async def listen() -> list[float]:
        async with browser(VERSIONS[version], 1) as client:
            request = build(client, target, "GET", f"/events?count=2&interval={READ_TIMEOUT + 2}", SHOP)
            answer = await client.send(request, stream=True)
            assert answer.http_version == version
            arrived = [time.monotonic() async for line in answer.aiter_lines() if line.startswith("data:")]
            await answer.aclose()
        return arrived

    arrived = asyncio.run(listen())
    assert len(arrived) == 2
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrived)]
    assert min(gaps) > READ_TIMEOUT, gaps


@pytest.mark.parametrize("version", VERSIONS)
def test_large_download(target: Target, version: str) -> None:
    """Every byte of 64 MiB."""
    size = 64 * MEBIBYTE

    async def fetch() -> int:
        got = 0
        async with browser(VERSIONS[version], 1) as client:
            answer = await client.send(build(client, target, "GET", f"/download?size={size}"), stream=True)
            assert answer.status_code == 200
            async for part in answer.aiter_bytes():
                got += len(part)
            await answer.aclose()
        return got

    assert asyncio.run(fetch()) == size


async def parts(body: bytes) -> AsyncIterator[bytes]:
    """A body whose length is not told beforehand."""
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


@pytest.mark.parametrize("told", ["with a length", "in parts"])
@pytest.mark.parametrize("version", VERSIONS)
def test_upload_of_ten_megabytes(target: Target, version: str, told: str) -> None:
    """As large as the limit allows; the app has every byte."""
    body = bytes(range(256)) * (10 * MEBIBYTE // 256)

    async def upload() -> httpx.Response:
        content = body if told == "with a length" else parts(body)
        async with browser(VERSIONS[version], 1) as client:
            return await client.send(build(client, target, "POST", "/echo", content=content))

    answer = asyncio.run(upload())
    assert answer.status_code == 200
    assert answer.json()["length"] == len(body)
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("told", ["with a length", "in parts"])
def test_body_limit_of_an_app(target: Target, told: str) -> None:
    """Its own, however the body is sent: 1 MiB on the shop."""
    chunk = b"x" * 65536

    def status(count: int) -> int:
        connection = target.door.open(SHOP)
        connection.putrequest("POST", "/echo", skip_host=True)
        connection.putheader("Host", SHOP)
        if told == "with a length":
            connection.putheader("Content-Length", str(len(chunk) * count))
        else:
            connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        # Refused before all is sent, the answer is there all the same.
        with contextlib.suppress(OSError):
            for _turn in range(count):
                framed = b"%x\r\n%s\r\n" % (len(chunk), chunk) if told == "in parts" else chunk
                connection.send(framed)
            if told == "in parts":
                connection.send(b"0\r\n\r\n")
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    assert status(16) == 200
    assert status(17) == 413


def test_expect_continue(target: Target) -> None:
    """nginx asks for the body, and refuses one that is too large before it is sent."""

    def ask(length: int) -> tuple[bytes, bytes]:
        with target.door.handshake(SITE) as opened:
            opened.settimeout(20)
            opened.sendall(
                f"POST /echo HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            first = opened.recv(65536)
            if not first.startswith(b"HTTP/1.1 100 "):
                return first, b""
            opened.sendall(b"x" * length)
            rest = b""
            while more := opened.recv(65536):
                rest += more
            return first, rest

    first, rest = ask(200_000)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert b'"length":200000' in rest
    first, rest = ask(20 * MEBIBYTE)
    assert first.startswith(b"HTTP/1.1 413 ")
    assert rest == b""


@pytest.mark.parametrize(("version", "connections"), [("HTTP/1.1", 6), ("HTTP/2", 1)])
def test_page_with_a_hundred_assets(target: Target, version: str, connections: int) -> None:
    """All at once, from nginx and from the app, on as many connections as a browser has: no limit is in the way."""
    paths = ["/", *(f"/{'static/hello.txt' if number % 2 else 'healthz'}?{number}" for number in range(100))]

    async def load() -> list[httpx.Response]:
        async with browser(VERSIONS[version], connections) as client:
            return await asyncio.gather(*(client.send(build(client, target, "GET", path)) for path in paths))

    answers = asyncio.run(load())
    assert Counter(answer.status_code for answer in answers) == {200: len(paths)}
    assert {answer.http_version for answer in answers} == {version}


def test_rate_limit(target: Target) -> None:
    """Five a second and thirty at once for each address on the mounted app; its neighbour on the domain has none."""

    async def ask(path: str, count: int) -> Counter[int]:
        async with browser(True, 1) as client:
            requests = [build(client, target, "GET", path) for _turn in range(count)]
            answers = await asyncio.gather(*map(client.send, requests))
        return Counter(answer.status_code for answer in answers)

    began = time.monotonic()
    limited = asyncio.run(ask("/mounted/", 100))
    took = time.monotonic() - began
    assert set(limited) == {200, 429}, limited
    assert 20 <= limited[200] <= 31 + 5 * took + 1, (limited, took)
    assert asyncio.run(ask("/healthz", 100)) == {200: 100}


def test_time_limits(target: Target, endless: Callable[[], Ends]) -> None:
    """A header that does not end, also when it goes on, and a body that stops: each is given up, and no app knew."""
    ends = endless()
    for name, (_first, _beat, limit) in ENDLESS.items():
        took, got = ends[name]
        assert limit - 2 < took < limit + 30, (name, took, got)
        assert not got or got.startswith(b"HTTP/1.1 408 "), (name, got)
    assert target.door.json(SITE, f"/seen?mark={ENDLESS_MARK}") == []

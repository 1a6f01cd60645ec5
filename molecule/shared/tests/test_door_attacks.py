"""What no honest client sends: requests that mean one thing to nginx and another to an app, and forged identities.

Each case is bytes of its own on a connection of its own, from the client host. Whether the app met it is not
guessed from the answer: the app records every request with a mark, and is asked afterwards.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from outside import SITE, Lot, Reply, http2, pseudo, raw, send, spoken
from targets import Target
from test_door import FORGED

pytestmark = [pytest.mark.scenario("door"), pytest.mark.lane]

# What a refusal may say; a closed connection is one as well.
REFUSALS = {400, 405, 413, 414, 421, 431, 501, 505}
# Who follows another request on its connection claims to be somebody else: past nginx, the app would believe it.
LIAR = "203.0.113.99"
SMUGGLED = b"GET /smuggled/MARK HTTP/1.1\r\nHost: probe.test\r\nX-Forwarded-For: 203.0.113.99\r\n\r\n"


def request(
    *lines: str,
    path: str = "/case/MARK",
    method: str = "GET",
    version: str = " HTTP/1.1",
    host: str | None = SITE,
) -> bytes:
    """The head of a request, with the mark in its path."""
    named = [f"Host: {host}"] if host is not None else []
    text = "\r\n".join([f"{method} {path}{version}", *named, *lines])
    return text.encode("latin-1") + b"\r\n\r\n"


def post(*lines: str, body: bytes = b"0\r\n\r\n", version: str = " HTTP/1.1") -> bytes:
    """A POST with a body, and another request behind it for whoever takes the body to be shorter."""
    return request(*lines, method="POST", path="/echo?case=MARK", version=version) + body + SMUGGLED


def chunked(body: bytes) -> bytes:
    """A POST with a chunked body, and another request behind it."""
    return post("Transfer-Encoding: chunked", body=body)


CHUNKED = "Transfer-Encoding: chunked"
LONG = "a" * 70_000

# Case by case, what must be refused; neither it nor what hides behind it may reach the app.
REFUSED: dict[str, bytes] = {
    # Two ideas of where a body ends.
    "CL.TE": post("Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG"),
    "TE.CL": post(CHUNKED, "Content-Length: 4", body=b"5c\r\n"),
    "TE.TE twice chunked": post(CHUNKED, CHUNKED),
    "TE.TE chunked and identity": post(CHUNKED, "Transfer-Encoding: identity"),
    "TE.TE chunked and unknown": post(CHUNKED, "Transfer-encoding: cow"),
    "TE with a space before the colon": post("Transfer-Encoding : chunked"),
    "TE with a tab before the colon": post("Transfer-Encoding\t: chunked"),
    "TE unknown": post("Transfer-Encoding: xchunked"),
    "TE chunked, identity": post("Transfer-Encoding: chunked, identity"),
    "TE identity, chunked": post("Transfer-Encoding: identity, chunked"),
    "TE chunked, chunked": post("Transfer-Encoding: chunked, chunked"),
    "TE with a tab before the value": post("Transfer-Encoding: \tchunked"),
    "TE with a vertical tab before the value": post("Transfer-Encoding: \x0bchunked"),
    "TE with a vertical tab behind the value": post("Transfer-Encoding: chunked\x0b"),
    "TE in quotes": post('Transfer-Encoding: "chunked"'),
    "TE with a parameter": post("Transfer-Encoding: chunked;q=1"),
    "TE with NUL": post("Transfer-Encoding: chunked\0"),
    "TE on a folded line": post("Transfer-Encoding:\r\n chunked"),
    "TE behind a folded line": post("X-Case: 1\r\n Transfer-Encoding: chunked"),
    "TE in HTTP/1.0": post(CHUNKED, version=" HTTP/1.0"),
    "TE and CL in HTTP/1.0": post(CHUNKED, "Content-Length: 5", version=" HTTP/1.0"),
    "CL twice, different": post("Content-Length: 0", "Content-Length: 85"),
    "CL twice, the same": post("Content-Length: 5", "Content-Length: 5"),
    "CL as a list": post("Content-Length: 5, 5"),
    "CL negative": post("Content-Length: -5"),
    "CL with a plus": post("Content-Length: +5"),
    "CL in hexadecimal": post("Content-Length: 0x5"),
    "CL with a fraction": post("Content-Length: 5.0"),
    "CL with a space inside": post("Content-Length: 5 5"),
    "CL empty": post("Content-Length: "),
    "CL too large for a number": post("Content-Length: 99999999999999999999"),
    # Header lines.
    "bare CR in a value": request("X-Case: a\rX-Forwarded-For: 203.0.113.99"),
    "bare CR as the end of a line": b"GET /case/MARK HTTP/1.1\rHost: probe.test\r\r",
    "NUL in a value": request("X-Case: a\0b"),
    "NUL in a name": request("X-Ca\0se: a"),
    "control character in a name": request("X-Ca\x01se: a"),
    "space in a name": request("X Case: a"),
    "space before the colon": request("X-Case : a"),
    "folded line": request("X-Case: a", " b"),
    "folded line with a tab": request("X-Case: a", "\tb"),
    "folded first line": b"GET /case/MARK HTTP/1.1\r\n X-Case: a\r\nHost: probe.test\r\n\r\n",
    "name that is empty": request(": a"),
    # Who is asked.
    "no Host": request(host=None),
    "no Host in HTTP/1.0": request(host=None, version=" HTTP/1.0"),
    "two Hosts": request("Host: probe.test"),
    "two Hosts, the second foreign": request("Host: foreign.example.net"),
    "Host empty": request(host=""),
    "Host with a user": request(host="admin@probe.test"),
    "Host with a path": request(host="probe.test/foreign"),
    "Host with a space": request(host="probe.test foreign"),
    "Host with NUL": request(host="probe.test\0"),
    "Host with a tab": request(host="probe.test\tforeign"),
    "Host that is a list": request(host="probe.test, foreign.example.net"),
    "Host foreign": request(host="foreign.example.net"),
    "Host above the site's": request(host="test"),
    "Host with two dots at its end": request(host="probe.test.."),
    "absolute URI of a foreign host": request(path="https://foreign.example.net/case/MARK"),
    "absolute URI with a user": request(path="https://admin@probe.test/case/MARK"),
    "absolute URI with a port that is none": request(path="https://probe.test:port/case/MARK"),
    # Request lines.
    "HTTP/0.9": b"GET /case/MARK\r\n",
    "HTTP/2.0 in text": request(version=" HTTP/2.0"),
    "HTTP/3.0 in text": request(version=" HTTP/3.0"),
    "version with two digits": request(version=" HTTP/11.1"),
    "version with a letter": request(version=" HTTP/1.x"),
    "version of another protocol": request(version=" RTSP/1.0"),
    "version twice": request(version=" HTTP/1.1 HTTP/1.1"),
    "method in lower case": request(method="get"),
    "method with a digit": request(method="G3T"),
    "method with a colon": request(method="GET:"),
    "method TRACE": request(method="TRACE"),
    "method CONNECT to a host": request(method="CONNECT", path="foreign.example.net:443", host="MARK.test"),
    "method CONNECT to a path": request(method="CONNECT"),
    "method empty": request(method=""),
    "asterisk with GET": request("X-Case: MARK", path="*"),
    "asterisk with OPTIONS": request("X-Case: MARK", method="OPTIONS", path="*"),
    "path that does not begin with a slash": request(path="case/MARK"),
    "path that is a host": request(path="@foreign.example.net/MARK"),
    "NUL in the path": request(path="/case/MARK\0"),
    "NUL in the path, encoded": request(path="/case/MARK%00"),
    "tab in the path": request(path="/case/MARK\tfoo"),
    "DEL in the path": request(path="/case/MARK\x7f"),
    "path with a space": request(path="/case/MARK foo"),
    "path with a wrong escape": request(path="/case/MARK%zz"),
    "path above the root": request(path="/../case/MARK"),
    "path above the root, encoded": request(path="/%2e%2e/case/MARK"),
    "path above the root, slashes encoded": request(path="/..%2f..%2fcase/MARK"),
    "preface of HTTP/2 in text": b"PRI * HTTP/2.0\r\nX-Case: MARK\r\n\r\nSM\r\n\r\n",
    # Too much.
    "request line too long": request(path=f"/case/MARK?{LONG}"),
    "header too long": request(f"X-Case: {LONG}"),
    "headers too many": request(*(f"X-Case-{number}: {number:040}" for number in range(2000))),
    "header name too long": request(f"{LONG}: a"),
    "body announced too large": request("Content-Length: 10485761", method="POST", path="/echo?case=MARK"),
    # Chunks.
    "chunk size too large for a number": chunked(b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    "chunk size that wraps to five": chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk size negative": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a plus": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a prefix": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with an underscore": chunked(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "chunk size empty": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "chunk size of a word": chunked(b"five\r\nhello\r\n0\r\n\r\n"),
    "chunk longer than its size": chunked(b"5\r\nhelloworld\r\n0\r\n\r\n"),
    "chunk shorter than its size": chunked(b"10\r\nhello\r\n0\r\n\r\n"),
    "chunk with bare CR behind its size": chunked(b"5\rhello\r\n0\r\n\r\n"),
}  # fmt: skip

# A request is good, and something hides behind it. The request may be answered; what hides may reach the app not at
# all, or as what it is to nginx as well: the next request on this connection, with the true identity of its client.
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
BEHIND: dict[str, bytes] = {
    "words behind the last chunk": chunked(b"5\r\nhello\r\n0\r\n\r\nX\r\n"),
    "no end behind the last chunk": chunked(b"5\r\nhello\r\n0\r\n"),
    "chunk extension": chunked(b"5;a=b\r\nhello\r\n0;c\r\n\r\n"),
    "chunk extension with a bare LF": chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with a bare CR": chunked(b"5;\rb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension as long as a request": chunked(b"5;" + b"a" * 4000 + b"\r\nhello\r\n0\r\n\r\n"),
    "chunk size behind zeros": chunked(b"0000000000000005\r\nhello\r\n0\r\n\r\n"),
    "trailer with a length": chunked(b"0\r\nContent-Length: 90\r\n\r\n"),
    "trailer with a host": chunked(b"0\r\nHost: foreign.example.net\r\n\r\n"),
    "body of a GET": request("Content-Length: 5") + b"hello" + SMUGGLED,
    "body of a HEAD": request("Content-Length: 5", method="HEAD") + b"hello" + SMUGGLED,
    "body of length zero": post("Content-Length: 0", body=b""),
    "upgrade to h2c": request("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings")
    + SMUGGLED,
    "upgrade to h2c without its settings": request("Upgrade: h2c", "Connection: Upgrade") + SMUGGLED,
    "upgrade to h2c and the preface": request("Upgrade: h2c", "Connection: Upgrade")
    + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "upgrade to h2c inside a list": request("Upgrade: websocket, h2c", "Connection: Upgrade") + SMUGGLED,
    "upgrade to TLS": request("Upgrade: TLS/1.0", "Connection: Upgrade") + SMUGGLED,
    "WebSocket where there is none": request(UPGRADE, "Sec-WebSocket-Version: 13") + SMUGGLED,
    "WebSocket of a version that is none": request(UPGRADE, "Sec-WebSocket-Version: 777", path="/ws?MARK") + SMUGGLED,
    "WebSocket without a key": request(
        "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", path="/ws?MARK"
    ) + SMUGGLED,
    "WebSocket by POST": request(
        UPGRADE, "Sec-WebSocket-Version: 13", "Content-Length: 5", method="POST", path="/ws?MARK"
    ) + b"hello" + SMUGGLED,
    "WebSocket without Connection": request("Upgrade: websocket", path="/case/MARK") + SMUGGLED,
}  # fmt: skip


@dataclass(frozen=True)
class Unusual:
    """A request that nginx is right to pass on, and what the app must see of it."""

    why: str
    sent: Lot
    holds: Mapping[str, str | None]
    """Keys of what the app saw, and the headers that it must have seen (None: must not)."""
    port: int = 443
    """What the client used, as the app must see it."""
    or_refused: bool = False
    """Whether some versions of nginx refuse it, which is right as well."""


def single(*lines: str, **options: Any) -> Lot:
    """One request, after which the connection is closed."""
    return raw(request(*lines, "Connection: close", **options))


def with_body(*lines: str, body: bytes) -> Lot:
    """One POST, after which the connection is closed."""
    return raw(request(*lines, "Connection: close", method="POST") + body)


UNUSUAL: dict[str, Unusual] = {
    "control": Unusual("nothing is wrong with it: what is never seen proves nothing", single(), {}),
    "bare LF as the end of lines": Unusual(
        "RFC 9112 2.2 lets a recipient take it; nginx ends all its own lines with CRLF",
        raw(b"GET /case/MARK HTTP/1.1\nHost: probe.test\nX-Case: a\nConnection: close\n\n"),
        {"x-case": "a"},
    ),
    "empty lines before the request": Unusual(
        "RFC 9112 2.2 asks for it", raw(b"\r\n\r\n" + request("Connection: close")), {}
    ),
    "TE in capitals": Unusual(
        "codings have no case; nginx sends a body on as it understood it",
        with_body("Transfer-Encoding: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"),
        {"method": "POST", "content-length": "5", "transfer-encoding": None},
    ),
    "TE with blanks": Unusual(
        "blanks around a value are no part of it",
        with_body("Transfer-Encoding:   chunked  ", body=b"5\r\nhello\r\n0\r\n\r\n"),
        {"method": "POST", "content-length": "5", "transfer-encoding": None},
    ),
    "chunked trailers": Unusual(
        "nginx drops them",
        with_body(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Forwarded-For: 203.0.113.99\r\n\r\n"),
        {"method": "POST", "content-length": "5"},
    ),
    "minor version that does not exist": Unusual(
        "RFC 9110 2.5 asks to treat it as the highest known", single(version=" HTTP/1.2"), {"http_version": "1.1"}
    ),
    "Host in capitals": Unusual("names have no case", single(host="PROBE.TEST"), {}),
    "Host with the root's dot": Unusual("the same name", single(host="probe.test."), {}),
    "Host with a port": Unusual(
        "what the client used, where something in front translates ports", single(host="probe.test:8443"), {}, port=8443
    ),
    "Host with the own port": Unusual("as without it", single(host="probe.test:443"), {}),
    "Host with a port beyond all": Unusual(
        "none is taken; nginx 1.30 refuses it", single(host="probe.test:65536"), {}, or_refused=True
    ),
    "Host with a port that is none": Unusual(
        "nginx drops what follows the colon, and so the app never sees it; nginx 1.30 refuses it",
        single(host="probe.test:foreign"),
        {},
        or_refused=True,
    ),
    "absolute URI": Unusual(
        "RFC 9112 3.2.2 asks for it", single(path="https://probe.test/case/MARK"), {"target": "/case/MARK?"}
    ),
    "absolute URI before a foreign Host": Unusual(
        "RFC 9112 3.2.2: the URI counts, Host does not",
        single(path="https://probe.test/case/MARK", host="foreign.example.net"),
        {"target": "/case/MARK?"},
    ),
    "absolute URI of a foreign scheme": Unusual(
        "the app sees the scheme that the connection has", single(path="gopher://probe.test/case/MARK"), {}
    ),
    "method of few": Unusual("the app's to refuse", single(method="PROPFIND"), {"method": "PROPFIND"}),
    "header without a colon": Unusual(
        "to nginx a header without a value, and it is sent on as one", single("X-Case"), {"x-case": ""}
    ),
    "two slashes": Unusual("the app's path as it is", single(path="//foreign.example.net/MARK"), {}),
    "encoded slash": Unusual(
        "the app's path as it is; nginx's own locations see it decoded",
        single(path="/case%2fMARK"),
        {"target": "/case%2fMARK?"},
    ),
    "encoded line ends": Unusual(
        "encoded they are no line ends", single(path="/case/MARK%0d%0aX-Forwarded-For:%20203.0.113.99"), {}
    ),
    "dots inside the path": Unusual(
        "nginx chooses the location by the path they lead to, and sends them on",
        single(path="/static/%2e%2e/case/MARK"),
        {},
    ),
    "header with an underscore": Unusual(
        "nginx drops it: apps cannot tell it from one with a hyphen", single("X_Case: a"), {"x_case": None}
    ),
    "Connection that names forwarded headers": Unusual(
        "nginx obeys no client's list: what it sets itself arrives",
        raw(request("Connection: close, X-Forwarded-For, X-Forwarded-Proto, X-Real-IP, Host")),
        {"x-case": None},
    ),
    "Keep-Alive, TE and Proxy-Connection": Unusual(
        "between the client and nginx only",
        single("TE: trailers", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=600"),
        {"connection": None, "te": None, "proxy-connection": None, "keep-alive": None},
    ),
    "expectation that is none": Unusual(
        "nginx knows 100-continue alone; the app never sees the header",
        single("Expect: 200-ok"),
        {"expect": None},
    ),
}  # fmt: skip

# HTTP/2 that must be refused: translated to HTTP/1.1, each would be another request.
REFUSED2: dict[str, Lot] = {
    "path with a line end": http2(
        pseudo("/case/MARK HTTP/1.1\r\nHost: probe.test\r\n\r\nGET /smuggled/MARK")
    ),
    "path with NUL": http2(pseudo("/case/MARK\0")),
    "path with a space": http2(pseudo("/case/MARK HTTP/1.1")),
    "path missing": http2([item for item in pseudo() if item[0] != ":path"] + [("x-case", "MARK")]),
    "path empty": http2([*pseudo(""), ("x-case", "MARK")]),
    "path that does not begin with a slash": http2(pseudo("case/MARK")),
    "path twice": http2([*pseudo(), (":path", "/smuggled/MARK")]),
    "method missing": http2([item for item in pseudo() if item[0] != ":method"]),
    "method twice": http2([*pseudo(), (":method", "POST")]),
    "method with a request in it": http2(pseudo(method="GET /smuggled/MARK HTTP/1.1\r\nX:")),
    "method in lower case": http2(pseudo(method="get")),
    "method TRACE": http2(pseudo(method="TRACE")),
    "method CONNECT": http2(pseudo(method="CONNECT")),
    "authority foreign": http2(pseudo(host="foreign.example.net")),
    "authority with a user": http2(pseudo(host="admin@probe.test")),
    "authority with a path": http2(pseudo(host="probe.test/foreign")),
    "authority with a line end": http2(pseudo(host="probe.test\r\nX-Forwarded-For: 203.0.113.99")),
    "authority missing": http2([item for item in pseudo() if item[0] != ":authority"]),
    "authority and another Host": http2([*pseudo(), ("host", "foreign.example.net")]),
    "scheme missing": http2([item for item in pseudo() if item[0] != ":scheme"]),
    "pseudo-header that does not exist": http2([*pseudo(), (":case", "MARK")]),
    "value with a line end": http2([*pseudo(), ("x-case", "a\r\nX-Forwarded-For: 203.0.113.99")]),
    "value with a bare LF": http2([*pseudo(), ("x-case", "a\nX-Forwarded-For: 203.0.113.99")]),
    "value with a bare CR": http2([*pseudo(), ("x-case", "a\rb")]),
    "value with NUL": http2([*pseudo(), ("x-case", "a\0b")]),
    "name in capitals": http2([*pseudo(), ("X-Case", "a")]),
    "name with a line end": http2([*pseudo(), ("x-case: a\r\nx-forwarded-for", "203.0.113.99")]),
    "name with a colon": http2([*pseudo(), ("x-forwarded-for:", "203.0.113.99")]),
    "name with a space": http2([*pseudo(), ("x-forwarded-for ", "203.0.113.99")]),
    "length shorter than the body": http2([*pseudo(method="POST"), ("content-length", "0")], SMUGGLED),
    "length longer than the body": http2([*pseudo(method="POST"), ("content-length", "500")], SMUGGLED),
    "length that is none": http2([*pseudo(method="POST"), ("content-length", "5x")], b"hello"),
    "length twice": http2(
        [*pseudo(method="POST"), ("content-length", "5"), ("content-length", "0")], b"hello"
    ),
}

UNUSUAL2: dict[str, Unusual] = {
    "control": Unusual("nothing is wrong with it", http2(pseudo()), {"http_version": "1.1"}),
    "transfer coding": Unusual(
        "RFC 9113 8.2.2 calls it malformed; nginx takes the body from the frames, and sends its length",
        http2([*pseudo(method="POST"), ("transfer-encoding", "chunked")], b"0\r\n\r\n" + SMUGGLED),
        {"method": "POST", "transfer-encoding": None},
    ),
    "length and transfer coding": Unusual(
        "nginx before 1.30 refuses it; from then on it drops the coding, and the length is that of the frames",
        http2([*pseudo(method="POST"), ("content-length", "5"), ("transfer-encoding", "chunked")], b"hello"),
        {"method": "POST", "transfer-encoding": None, "content-length": "5"},
        or_refused=True,
    ),
    "transfer coding unknown": Unusual(
        "the same",
        http2([*pseudo(method="POST"), ("transfer-encoding", "xchunked")], b"hello"),
        {"method": "POST", "transfer-encoding": None, "content-length": "5"},
        or_refused=True,
    ),
    "headers of a connection": Unusual(
        "RFC 9113 8.2.2 calls them malformed; nginx sets its own",
        http2([*pseudo(), ("connection", "x-forwarded-for, host"), ("keep-alive", "a"), ("te", "chunked")]),
        {"connection": None},
    ),
    "upgrade": Unusual(
        "HTTP/2 has no upgrade: the app must not be asked for one",
        http2([*pseudo(), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")]),
        {"upgrade": None, "connection": None},
    ),
    "scheme foreign": Unusual(
        "the app sees the scheme that the connection has",
        http2([(name, "http" if name == ":scheme" else value) for name, value in pseudo()]),
        {},
    ),
}

Replies = dict[str, Reply]


@pytest.fixture(scope="module")
def nonsense() -> list[int]:
    """How many complaints of the apps' servers all cases together brought about."""
    return []


@pytest.fixture(scope="module")
def replies(target: Target, nonsense: list[int]) -> dict[str, Replies]:
    """What became of every case, all of them sent at once."""
    tables: dict[str, dict[str, Lot]] = {
        "refused": {name: raw(sent) for name, sent in REFUSED.items()},
        "behind": {name: raw(sent) for name, sent in BEHIND.items()},
        "unusual": {name: case.sent for name, case in UNUSUAL.items()},
        "refused2": REFUSED2,
        "unusual2": {name: case.sent for name, case in UNUSUAL2.items()},
    }
    before = complaints(target)
    answers = iter(send(target, [lot for table in tables.values() for lot in table.values()]))
    nonsense[:] = [complaints(target) - before]
    return {table: {name: next(answers) for name in lots} for table, lots in tables.items()}


def test_there_are_many_cases() -> None:
    """Of raw bytes alone."""
    assert len(REFUSED) + len(REFUSED2) >= 30


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(replies: dict[str, Replies], name: str) -> None:
    """By an error or a closed connection, and the app never knew."""
    reply = replies["refused"][name]
    assert not reply.seen, reply
    assert reply.dropped or (reply.statuses and set(reply.statuses) <= REFUSALS), reply


@pytest.mark.parametrize("name", REFUSED2)
def test_is_refused_in_http2(replies: dict[str, Replies], name: str) -> None:
    """By an error, a reset stream or a closed connection, and the app never knew."""
    refused_in_http2(replies["refused2"][name])


def refused_in_http2(reply: Reply) -> None:
    """By nginx alone."""
    said = spoken(reply.received)
    assert not reply.seen, reply
    assert said.refused or said.status in REFUSALS or (said.status is None and reply.end != "silent"), (
        said,
        reply,
    )


@pytest.mark.parametrize("name", BEHIND)
def test_nothing_gets_past_nginx_behind_a_good_request(replies: dict[str, Replies], name: str) -> None:
    """No tunnel, and no second request but one that nginx itself read, with the true identity of its client."""
    reply = replies["behind"][name]
    assert 101 not in reply.statuses, reply
    assert reply.statuses or reply.dropped, reply
    for seen in reply.seen:
        true_identity(seen, reply)
        assert "upgrade" not in headers_of(seen) or seen["type"] == "websocket" or ws_asked(seen), reply


def ws_asked(seen: dict[str, Any]) -> bool:
    """Whether a request asks for a WebSocket and nothing else."""
    return headers_of(seen)["upgrade"] == ["websocket"]


@pytest.mark.parametrize("name", UNUSUAL)
def test_is_passed_on_as_it_should_be(replies: dict[str, Replies], name: str) -> None:
    """The app saw it once, and the truth about it."""
    passed_on(UNUSUAL[name], replies["unusual"][name])


@pytest.mark.parametrize("name", UNUSUAL2)
def test_is_passed_on_as_it_should_be_from_http2(replies: dict[str, Replies], name: str) -> None:
    """The app saw it once, and the truth about it."""
    passed_on(UNUSUAL2[name], replies["unusual2"][name])


def passed_on(case: Unusual, reply: Reply) -> None:
    """Once, with the true identity, and what must hold besides."""
    if case.or_refused and not reply.seen:
        if reply.received.startswith(b"HTTP/1"):
            assert set(reply.statuses) <= REFUSALS, reply
        else:
            refused_in_http2(reply)
        return
    assert len(reply.seen) == 1, (case.why, reply)
    seen = reply.seen[0]
    true_identity(seen, reply, case.port)
    found = headers_of(seen)
    for key, wanted in case.holds.items():
        value = seen[key] if key in seen else next(iter(found.get(key, [])), None)
        assert value == (wanted.replace("MARK", reply.mark) if wanted else wanted), (case.why, key, reply)


def headers_of(seen: dict[str, Any]) -> dict[str, list[str]]:
    """The headers that the app saw, each with all its values."""
    found: dict[str, list[str]] = {}
    for name, value in seen["headers"]:
        found.setdefault(name, []).append(value)
    return found


# What nginx says of each request, and no client.
def truth(source: str, port: int = 443) -> dict[str, str]:
    """The headers that every request has when it reaches the app."""
    host = SITE if port == 443 else f"{SITE}:{port}"
    return {
        "host": host,
        "x-forwarded-for": source,
        "x-forwarded-proto": "https",
        "x-forwarded-host": host,
        "x-forwarded-port": str(port),
        "x-real-ip": source,
    }


def true_identity(seen: dict[str, Any], reply: Reply, port: int = 443) -> None:
    """The client's address, the scheme and the host are what they are, and each is told once."""
    assert seen["client"] == reply.source, reply
    assert seen["scheme"] in ("https", "wss"), reply
    assert seen["server"] == [SITE, port], reply
    assert seen["root_path"] == "", reply
    found = headers_of(seen)
    for name, value in truth(reply.source, port).items():
        assert found.get(name) == [value], (name, reply)
    told = json.dumps([value for name, value in seen["headers"] if name != "x-case"])
    assert LIAR not in told, reply


def complaints(target: Target) -> int:
    """How often the apps' own servers said in the journal that a request was no request, or asked for the impossible."""
    words = "-e 'Invalid HTTP request' -e 'Unsupported upgrade' -e 'invalid HTTP'"
    return int(target.run(f"journalctl -u 'asgi-*' --no-pager -o cat | grep -c {words} || true"))


def test_the_servers_of_the_apps_met_no_nonsense(replies: dict[str, Replies], nonsense: list[int]) -> None:
    """What nginx sends on is well formed: uvicorn complains in the journal about what is not."""
    assert replies
    assert nonsense == [0]


def test_a_method_that_does_not_exist_is_refused(target: Target) -> None:
    """To nginx it is a method as any other; the app's server knows better, and the app never sees it."""
    [reply] = send(target, [single(method="BREW")])
    assert reply.statuses == [400], reply
    assert not reply.seen, reply


# Forged identity


def spellings(name: str) -> Iterator[str]:
    """Ways to write a header's name that an app may take to be the same."""
    yield name
    yield name.lower()
    yield name.upper()
    yield name.replace("-", "_")


def lines_of(name: str, value: str) -> Iterator[tuple[str, ...]]:
    """One forged header: alone, twice, spelled otherwise, and named in ``Connection`` so that it would be dropped."""
    for spelled in dict.fromkeys(spellings(name)):
        yield (f"{spelled}: {value}",)
    yield (f"{name}: {value}", f"{name}: {value}")
    yield (f"{name}: {value}", f"{name.replace('-', '_')}: {value}")
    yield (f"{name}: {value}", f"Connection: {name}")
    yield (f"Connection: close, {name}",)
    yield (f"{name}:{value}\r\n{name}:",)


FORGERIES = [
    *dict.fromkeys(itertools.chain.from_iterable(lines_of(name, value) for name, value in FORGED)),
    tuple(f"{name}: {value}" for name, value in FORGED),
]


def test_no_forged_identity_is_believed(target: Target) -> None:
    """Every header, in every way: the app sees what it sees of an honest client, header by header."""
    honest, *forged = send(target, [single(), *(single(*lines) for lines in FORGERIES)])
    wanted = own_words(honest)
    believed = []
    for lines, reply in zip(FORGERIES, forged, strict=True):
        if len(reply.seen) != 1 or own_words(reply) != wanted:
            believed.append(f"{lines}: {reply}")
    print(f"\n{target.name}: {len(forged)} forged requests, {len(believed)} believed")
    assert not believed, "\n".join(believed[:5])


def test_no_forged_identity_is_believed_from_http2(target: Target) -> None:
    """The same headers, alone and twice, where names are lower case and the list is compressed."""
    lots = [
        http2([*pseudo(), *[(name.lower(), value)] * times]) for name, value in FORGED for times in (1, 2)
    ]
    honest, *forged = send(target, [http2(pseudo()), *lots])
    wanted = own_words(honest)
    for reply in forged:
        assert len(reply.seen) == 1, reply
        assert own_words(reply) == wanted, reply


def own_words(reply: Reply) -> Any:
    """What the app saw of a request, but for its mark."""
    assert reply.seen, reply
    return json.loads(json.dumps(reply.seen[0]).replace(reply.mark, ""))


def test_forged_identity_of_a_websocket(target: Target) -> None:
    """A handshake is a request as any other."""
    forged = [f"{name}: {value}" for name, value in FORGED]
    [reply] = send(target, [raw(request(UPGRADE, "Sec-WebSocket-Version: 13", *forged, path="/ws?MARK"))])
    assert reply.statuses == [101], reply
    [seen] = reply.seen
    assert seen["type"] == "websocket"
    true_identity(seen, reply)
    assert "203.0.113." not in json.dumps(seen)
    assert "forged" not in json.dumps(seen)


UNREAD = {
    "a line longer than the library takes": [f"X-Case: {'a' * 9000}"],
    "more lines than it takes": [f"X-Case-{number}: a" for number in range(200)],
    "a body": ["Content-Length: 5"],
}


@pytest.mark.parametrize("name", UNREAD)
def test_handshake_that_cannot_be_read_is_answered(target: Target, name: str) -> None:
    """uvicorn left it waiting: a 504 a minute later, in `watch` a fault of the release that anybody could cause."""
    head = request(UPGRADE, "Sec-WebSocket-Version: 13", *UNREAD[name], path="/ws?MARK")
    [reply] = send(target, [raw(head + (b"hello" if name == "a body" else b""))])
    assert reply.statuses in ([400], [431]), reply


# Port 80


PLAIN: dict[str, bytes] = {
    "good": request(),
    "line ends in the path, encoded": request(path="/MARK%0d%0aSet-Cookie:%20a=b"),
    "line ends in the query, encoded": request(path="/?a=%0d%0aSet-Cookie:%20a=b"),
    "two slashes": request(path="//foreign.example.net/MARK"),
    "two slashes and dots": request(path="//foreign.example.net/%2e%2e"),
    "backslash": request(path="/\\foreign.example.net/MARK"),
    "user": request(path="/@foreign.example.net/MARK"),
    "absolute URI": request(path="http://probe.test/MARK"),
    "absolute URI without a path": request(path="http://probe.test?.foreign.example.net/"),
    "Host with a port": request(host="probe.test:8080"),
    "Host with a port that is none": request(host="probe.test:foreign.example.net"),
    "Host in capitals": request(host="PROBE.test"),
    "forwarded headers": request("X-Forwarded-Host: foreign.example.net", "X-Forwarded-Proto: http"),
}


def test_the_redirect_of_port_80_leads_nowhere_else(target: Target) -> None:
    """One header line, to this site and no other."""
    answers = dict(zip(PLAIN, send(target, [raw(sent, sni=None) for sent in PLAIN.values()]), strict=True))
    for name, reply in answers.items():
        assert reply.statuses[:1] in ([301], [400]), (name, reply)
        lines = reply.head.split("\r\n")
        found = [line.partition(": ")[2] for line in lines if line.lower().startswith("location:")]
        assert len(found) == (reply.statuses[0] == 301), (name, reply)
        for place in found:
            assert place.startswith(("https://probe.test/", "https://probe.test?")), (name, place)
        assert not any(line.lower().startswith("set-cookie") for line in lines), (name, reply)
        assert not reply.seen, (name, reply)


def test_what_is_refused_by_https_is_no_page_by_http_either(target: Target) -> None:
    """On port 80 nothing reaches an app, and no wrong request gets a redirect."""
    redirected = ("absolute URI of a foreign host", "absolute URI with a user")
    for name, reply in zip(
        REFUSED, send(target, [raw(sent, sni=None) for sent in REFUSED.values()]), strict=True
    ):
        assert not reply.seen, (name, reply)
        if name in redirected:
            assert 301 not in reply.statuses, (name, reply)


# Names


@dataclass(frozen=True)
class Names:
    """Which names a request gives, and whether it may be answered."""

    sni: str
    host: str
    answered: Callable[[Reply], bool]


def nobody(reply: Reply) -> bool:
    """No handshake, or a closed connection."""
    return reply.dropped or reply.end.startswith("refused")


NAMES = {
    "both right": Names(SITE, SITE, lambda reply: reply.statuses == [404]),
    "the other name of the site": Names(SITE, "www.probe.test", lambda reply: reply.statuses == [404]),
    "SNI wrong": Names("foreign.example.net", SITE, nobody),
    "Host wrong": Names(SITE, "foreign.example.net", nobody),
    "both wrong": Names("foreign.example.net", "foreign.example.net", nobody),
    "Host an address": Names(SITE, "127.0.0.1", nobody),
    "Host the placeholder of the default server": Names(SITE, "_", nobody),
}


def test_a_wrong_name_gets_nothing(target: Target) -> None:
    """SNI, Host, or both."""
    lots = [raw(request("Connection: close", host=names.host), sni=names.sni) for names in NAMES.values()]
    for (name, names), reply in zip(NAMES.items(), send(target, lots), strict=True):
        assert names.answered(reply), (name, reply)
        if names.answered is nobody:
            assert not reply.seen, (name, reply)

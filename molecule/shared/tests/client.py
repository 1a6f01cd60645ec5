"""A client outside the hosts that chooses address, SNI and Host each by itself."""

from __future__ import annotations

import asyncio
import functools
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect

TIMEOUT = 20.0

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; an answer that is none is shown whole."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"no JSON in the answer {self.status}: {self.text[:500]!r}") from None


@functools.cache
def trusting(alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A TLS context that takes any certificate: the tests of certificates look at them on their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Talk:
    """A WebSocket that one thread alone reads and writes.

    The synchronous client of websockets does it in two threads, and OpenSSL bears but one for a connection: of a hundred
    handshakes one or two never saw their answer, which nginx had logged.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, opening: connect) -> None:
        self._loop = loop
        self._opened = self._do(_opened(opening))

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def send(self, text: str) -> None:
        """Raises ConnectionClosed."""
        self._do(self._opened.send(text))

    def recv(self, timeout: float) -> str | bytes:
        """The next message. Raises TimeoutError after ``timeout`` seconds, or ConnectionClosed."""
        return self._do(asyncio.wait_for(self._opened.recv(), timeout))

    def close(self) -> None:
        """Say farewell, or find that it is over."""
        self._do(self._opened.close())


async def _opened(opening: connect) -> ClientConnection:
    return await opening


class Connection(http.client.HTTPConnection):
    """A connection to an address, with TLS for ``sni`` unless that is None."""

    def __init__(self, address: tuple[str, int], sni: str | None, timeout: float = TIMEOUT) -> None:
        super().__init__(*address, timeout=timeout)
        self._sni = sni

    def connect(self) -> None:
        """Connect, and shake hands."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = trusting().wrap_socket(plain, server_hostname=self._sni) if self._sni else plain


@dataclass(frozen=True)
class Door:
    """The two public ports of a host, as this client reaches them."""

    http: tuple[str, int]
    https: tuple[str, int]

    def open(self, sni: str | None, timeout: float = TIMEOUT) -> Connection:
        """A connection: HTTPS with an SNI, plain HTTP without."""
        return Connection(self.https if sni else self.http, sni, timeout)

    def ask(
        self,
        domain: str,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        sni: str | None = None,
        tls: bool = True,
        timeout: float = TIMEOUT,
    ) -> Answer:
        """One request with ``domain`` as Host, and as SNI unless another is given.

        Raises OSError or http.client.HTTPException when there is no answer.
        """
        connection = self.open((sni or domain) if tls else None, timeout)
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", domain)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            for name, value in pairs:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def json(self, domain: str, path: str = "/", **options: Any) -> Any:
        """The JSON of an answer that must be a 200."""
        answer = self.ask(domain, path, **options)
        assert answer.status == 200, f"{domain}{path}: {answer.status} {answer.text[:500]}"
        return answer.json()

    def source_address(self) -> str:
        """This client's own address as the host must see it."""
        with socket.create_connection(self.https, TIMEOUT) as probe:
            return str(probe.getsockname()[0])

    def handshake(self, sni: str | None, alpn: tuple[str, ...] = ()) -> ssl.SSLSocket:
        """A finished TLS handshake; the caller closes it. Raises ssl.SSLError or OSError when refused."""
        plain = socket.create_connection(self.https, TIMEOUT)
        try:
            return trusting(alpn).wrap_socket(plain, server_hostname=sni)
        except OSError:
            plain.close()
            raise

    @contextmanager
    def websocket(self, domain: str, path: str, timeout: float = TIMEOUT) -> Iterator[Talk]:
        """A WebSocket; ``timeout`` is for its handshake, in seconds."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        host, port = self.https
        try:
            talk = Talk(
                loop,
                connect(
                    f"wss://{domain}{path}",
                    host=host,
                    port=port,
                    ssl=trusting(),
                    server_hostname=domain,
                    proxy=None,
                    open_timeout=timeout,
                ),
            )
            try:
                yield talk
            finally:
                talk.close()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

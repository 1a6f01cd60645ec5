# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One signed request for an app's view, and the proof in its answer."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import secrets
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from .._answers import whole_within
from .model import Door, Headers, NoViewError, View

# The worker looks for this at the start of a query, so that each location of a site can be asked on its own path.
QUERY = "asgi-host-view="
# Seconds that a ticket is good for; the worker takes none that is good for more than an hour.
TICKET_S = 600
# Seconds for an answer.
ANSWER_TIMEOUT_S = 5.0
# An answer longer than this is none of ours.
MAX_ANSWER_BYTES = 262144
AGENT = "asgi-host-self-test"


def sign(key: bytes, text: str) -> bytes:
    """The signature of a text, as hex digits."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest().encode()


def ticket(view_key: str, now: float) -> dict[str, Any]:
    """What lets its holder ask for one app's view until it ``expires`` (seconds of the epoch)."""
    expires = int(now) + TICKET_S
    return {"expires": expires, "key": sign(view_key.encode(), f"ticket {expires}").decode()}


def query(own: Mapping[str, Any], nonce: str) -> str:
    signature = sign(str(own["key"]).encode(), f"ask {nonce}").decode()
    return f"{QUERY}{own['expires']}.{nonce}.{signature}"


def proved(body: bytes, own: Mapping[str, Any], nonce: str) -> View | None:
    """The view in an answer; None where the answer is not the worker's."""
    try:
        answer = json.loads(body)
        text, proof = answer["view"], answer["proof"]
        if not hmac.compare_digest(sign(str(own["key"]).encode(), f"view {nonce} {text}").decode(), proof):
            return None
        view: View = json.loads(text)
    except (ValueError, KeyError, TypeError):
        return None
    return view


class Connection(http.client.HTTPConnection):
    """TLS to an address, with a name of its own choice; ``claimed`` is what a line of the PROXY protocol says."""

    def __init__(
        self,
        address: tuple[str, int],
        name: str,
        timeout: float,
        *,
        proxied: bool,
        claimed: str | None,
        tls: bool = True,
    ) -> None:
        super().__init__(*address, timeout=timeout)
        self._name, self._proxied, self._claimed, self._tls = name, proxied, claimed, tls
        self.own = ""

    def connect(self) -> None:
        """Connect and shake hands; a certificate proves nothing here, the answer does."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.own = str(plain.getsockname()[0])
            if self._proxied:
                plain.sendall(_proxy_line(plain, self._claimed))
            if not self._tls:
                self.sock = plain
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise


def _proxy_line(opened: socket.socket, claimed: str | None) -> bytes:
    """Version 1 of the PROXY protocol: who a load balancer would say that its client is."""
    own, peer = opened.getsockname(), opened.getpeername()
    family = "TCP6" if opened.family == socket.AF_INET6 else "TCP4"
    return f"PROXY {family} {claimed or own[0]} {peer[0]} {own[1]} {peer[1]}\r\n".encode()


def ask(connection: Connection, door: Door, path: str, own: Mapping[str, Any], headers: Headers = ()) -> View:
    """The app's view of one request. Raises NoViewError."""
    nonce = secrets.token_hex(16)
    try:
        connection.putrequest("GET", f"{path}?{query(own, nonce)}", skip_host=True, skip_accept_encoding=True)
        if not any(name == "Host" for name, _value in headers):
            connection.putheader("Host", door.domain)
        connection.putheader("User-Agent", AGENT)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        with whole_within(connection.sock, connection.timeout or ANSWER_TIMEOUT_S):
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        raise NoViewError(f"no answer ({error or type(error).__name__})") from error
    view = proved(body, own, nonce)
    if view is None:
        connection.close()
        raise NoViewError(f"{answer.status} {answer.reason}, which is not the app's view", answer.status)
    return view

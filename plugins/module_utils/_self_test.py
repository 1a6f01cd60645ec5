# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The self-test: forged requests through the real door, and the app's own view of them against the truth.

The app's worker answers a signed request with what the app would have seen (release/gunicorn.conf.py.j2). The key is
the app's own and stays on its host; what leaves it is a ticket that is good for TICKET_SECONDS. The answer carries
a proof, so it does not matter whether the certificate can be checked, or who else listens at an address.

On the host the truth is known: a connection to an own address comes from that very address, which is not loopback.
From the controller it is not, for networks translate addresses; but what was forged must not turn up either way.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ._answers import whole_within
from ._release.environment import view_key
from ._release.paths import App

View: TypeAlias = dict[str, Any]
Headers: TypeAlias = Sequence[tuple[str, str]]

PORT, PLAIN_PORT = 443, 80
# The worker looks for this at the start of a query, so that each location of a site can be asked on its own path.
QUERY = "asgi-host-view="
# How long a ticket is good for; the worker takes none that is good for more than an hour.
TICKET_SECONDS = 600
# Seconds for an answer on the host, and for a connection from the controller, which may not reach the door at all.
PATIENCE = 5.0
OUTSIDE_PATIENCE = 2.0
# Seconds that nginx's workers from before a reload get to end, between two looks at them, and in which what nginx has just
# loaded must be there.
RELOADING = 1.0
LOOK = 0.05
SETTLING = 5.0
PAUSE = 0.5
# A difference is one when it is there this many times: a worker of nginx from before a reload may still answer once.
TIMES = 3
# What a message tells of one address, in lines.
SHOWN = 8
# Doors that are asked at the same time.
AT_ONCE = 8
# An answer longer than this is none of ours, in bytes.
LONGEST = 262144

# Addresses of a documentation range (RFC 5737) and names of no zone (RFC 2606), each value but a few once, so that
# what the app saw says which header it came by.
MARKS = ("203.0.113.", "forged")
FORGED: Headers = (
    ("X-Forwarded-For", "203.0.113.61"),
    ("X-Forwarded-For", "203.0.113.62, 127.0.0.1"),
    ("X_Forwarded_For", "203.0.113.63"),
    ("X-Real-IP", "203.0.113.64"),
    ("X_Real_IP", "203.0.113.65"),
    ("Forwarded", "for=203.0.113.66;proto=http;host=forged-forwarded.invalid"),
    ("X-Forwarded", "for=203.0.113.67"),
    ("Forwarded-For", "203.0.113.68"),
    ("Client-IP", "203.0.113.69"),
    ("X-Client-IP", "203.0.113.70"),
    ("X-Cluster-Client-IP", "203.0.113.71"),
    ("True-Client-IP", "203.0.113.72"),
    ("CF-Connecting-IP", "203.0.113.73"),
    ("Fastly-Client-IP", "203.0.113.74"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Protocol", "http"),
    ("X-Forwarded-Scheme", "http"),
    ("X-Url-Scheme", "http"),
    ("X-Forwarded-Ssl", "off"),
    ("Front-End-Https", "off"),
    ("X-Forwarded-Host", "forged-host.invalid"),
    ("X-Forwarded-Server", "forged-server.invalid"),
    ("X-Forwarded-Port", "8080"),
    ("X-Forwarded-Prefix", "/forged-prefix"),
    ("X-Forwarded-User", "forged-forwarded-user"),
    ("Remote-User", "forged-remote-user"),
    ("X-Remote-User", "forged-x-remote-user"),
    # Of each kind of proxy one, and a name that only the rule of its family knows.
    ("X-Auth-Request-Email", "forged-auth-request"),
    ("X-authentik-username", "forged-authentik"),
    ("Tailscale-User-Login", "forged-tailscale"),
    ("Cf-Access-Authenticated-User-Email", "forged-cf-access"),
    ("X-Goog-Authenticated-User-Email", "forged-goog"),
    ("X-MS-CLIENT-PRINCIPAL-NAME", "forged-ms-client"),
    ("X-Amzn-Oidc-Identity", "forged-amzn"),
    ("X-Forwarded-Client-Cert", "Subject=forged-client-cert"),
    ("X-SSL-Client-Verify", "SUCCESS-forged"),
    ("SSL-Client-Subject-DN", "CN=forged-subject"),
    ("Remote-Self-Test", "forged-family"),
    ("Proxy", "http://203.0.113.75"),
    ("X-Original-URL", "/forged-original"),
    ("X-Rewrite-URL", "/forged-rewrite"),
)
# A proxy that took this word would drop the headers by which nginx tells the truth.
HOP_BY_HOP = ("Connection", "close, X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Forwarded-Host")
FORGED_PORT = "8443"
# Where a load balancer that speaks the PROXY protocol may claim that its client is.
FORGED_PROXIED = {4: "203.0.113.76", 6: "2001:db8::76"}

WHERE_TO_LOOK = (
    "Look at the app's proxy.extra, at files of others below /etc/nginx (nginx -T shows all that counts), and at "
    "proxy.trusted_proxies. asgi_host_self_test: false leaves this test out."
)


AGENT = "asgi-host-self-test"
# What nginx says of an app that it does not reach; the app's view never has it.
UNREACHED = (502, 503, 504)


class NoViewError(Exception):
    """The door gave another answer than the app's view; the message says which, ``status`` is its own."""

    def __init__(self, words: str, status: int | None = None) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class Door:
    """What one app is asked, as _doors.doors describes it on the controller."""

    app: str
    domain: str
    """The site's name, for SNI and Host."""
    paths: Sequence[str]
    """A path in each location that the role made for the app."""
    also: Sequence[str] = ()
    """Paths of locations of the inventory's own; those that do not lead to the app are passed over."""
    trusted: Sequence[str] = ()
    """The address ranges whose word about the client counts."""
    identity: Sequence[str] = ()
    """Headers in which the same may say who somebody is."""
    certificate: bool = False
    """Whether who shows no certificate is refused: the self-test has none."""
    password: bool = False
    """Whether who gives no password is refused: the self-test has none."""
    proxy_protocol: Sequence[str] | None = None
    """None without the PROXY protocol, else the address ranges whose word counts in it."""
    health: str | None = None
    """The path that a server which gives no view is asked on instead."""
    healthy: Sequence[int] = ()
    """The statuses that its health check may have."""
    tls: bool = True
    """Whether it is behind TLS of ours; what is trusted says how the client came where it is not."""

    def url(self, path: str) -> str:
        """Where it is asked."""
        return f"{'https' if self.tls else 'http'}://{self.domain}{path}"

    def schemes(self, peer: str | None) -> Sequence[str]:
        """What an app may see where nothing is forged; ``peer`` is None where it is not known."""
        if self.tls:
            return ("https",)
        if peer is None:
            return ("http", "https")
        return ("https",) if within(peer, self.trusted) else ("http",)


@dataclass
class Findings:
    """What the self-test found, in words for each address that was asked; ``asked`` counts those that gave the view."""

    asked: int = 0
    differences: dict[str, str] = field(default_factory=dict)
    untested: dict[str, str] = field(default_factory=dict)

    def add(self, other: Findings) -> None:
        """Take in what another one found, the first words of each address."""
        self.asked += other.asked
        self.differences = {**other.differences, **self.differences}
        self.untested = {**other.untested, **self.untested}


# Tickets and proofs


def sign(key: bytes, text: str) -> bytes:
    """The signature of a text, as hex digits."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest().encode()


def ticket(view_key: str, now: float) -> dict[str, Any]:
    """What lets its holder ask for one app's view until it ``expires`` (seconds of the epoch)."""
    expires = int(now) + TICKET_SECONDS
    return {"expires": expires, "key": sign(view_key.encode(), f"ticket {expires}").decode()}


def _query(own: Mapping[str, Any], nonce: str) -> str:
    signature = sign(str(own["key"]).encode(), f"ask {nonce}").decode()
    return f"{QUERY}{own['expires']}.{nonce}.{signature}"


def _proved(body: bytes, own: Mapping[str, Any], nonce: str) -> View | None:
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


# One request


class _Connection(http.client.HTTPConnection):
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


def _ask(
    connection: _Connection, door: Door, path: str, own: Mapping[str, Any], headers: Headers = ()
) -> View:
    """The app's view of one request. Raises NoViewError."""
    nonce = secrets.token_hex(16)
    try:
        connection.putrequest(
            "GET", f"{path}?{_query(own, nonce)}", skip_host=True, skip_accept_encoding=True
        )
        if not any(name == "Host" for name, _value in headers):
            connection.putheader("Host", door.domain)
        connection.putheader("User-Agent", AGENT)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        with whole_within(connection.sock, connection.timeout or PATIENCE):
            answer = connection.getresponse()
            body = answer.read(LONGEST)
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        raise NoViewError(f"no answer ({error or type(error).__name__})") from error
    view = _proved(body, own, nonce)
    if view is None:
        connection.close()
        raise NoViewError(f"{answer.status} {answer.reason}, which is not the app's view", answer.status)
    return view


# Judging


def within(address: str | None, ranges: Iterable[str]) -> bool:
    """Whether an address lies in one of the ranges."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(each, strict=False) for each in ranges)


def believed(chain: Sequence[str], peer: str, trusted: Sequence[str]) -> str:
    """Who the client is, by nginx's rule: the last address of the chain that is not trusted, of trusted peers."""
    client = peer
    for address in reversed(chain):
        if not within(client, trusted):
            break
        client = address
    return client


def chain_of(headers: Headers) -> list[str]:
    """The addresses of every X-Forwarded-For, in order."""
    values = [value for name, value in headers if name == "X-Forwarded-For"]
    return [address.strip() for value in values for address in value.split(",")]


def lies(
    sent: Headers,
    plain: View,
    seen: View,
    *,
    truth: str | None,
    trusted: Sequence[str],
    identity: Sequence[str] = (),
) -> list[str]:
    """What the app saw of a forged request that is not true, a line each.

    ``plain`` is its view of the same request without forgeries. ``truth`` is the address that the request came from
    as the host saw it; None where that is not known, and then it is what ``plain`` says. ``identity`` are headers in which
    who is trusted may say more.
    """
    peer = truth or _client(plain) or ""
    allowed = {peer}
    if within(peer, trusted):
        # Whoever is trusted may say who the client is; without the truth, somebody before may have dropped it.
        by_rule = believed(chain_of(sent), peer, trusted)
        allowed = {by_rule} if truth else {peer, by_rule}
        theirs = {_plain_name(name) for name in identity}
        seen = {**seen, "headers": [pair for pair in seen["headers"] if _plain_name(pair[0]) not in theirs]}
    found = []
    client = _client(seen)
    if truth is None and client and not _marked(client) and client not in chain_of(sent):
        # Addresses of one network may take turns before the host.
        allowed.add(client)
    if not any(_same(client, each) for each in allowed) and (truth or client):
        found.append(
            f"the client {client or '(none)'} instead of {' or '.join(sorted(allowed)) or '(none)'}{_by(sent, client)}"
        )
    asked = _with_port(plain, sent)
    for key, word in (("scheme", "scheme"), ("server", "host and port"), ("root_path", "mount point")):
        if seen[key] not in (plain[key], asked[key]):
            found.append(
                f"the {word} {_text(seen[key])} instead of {_text(plain[key])}{_by(sent, seen[key])}"
            )
    if any(_same(client, each) for each in allowed):
        # nginx says in headers as well who the client is; where that is right it is no lie.
        plain, asked = (
            {**view, "headers": [[k, client if _same(v, peer) else v] for k, v in view["headers"]]}
            for view in (plain, asked)
        )
    return found + list(_lying_headers(sent, (plain, asked), seen, allowed))


def _by_scheme(plain: View, scheme: str) -> View:
    """The view of a request that came by this scheme."""
    port = 443 if scheme == "https" else 80
    own = {"x-forwarded-proto": scheme, "x-forwarded-port": str(port)}
    headers = [[key, own.get(_plain_name(key), value)] for key, value in plain["headers"]]
    return {**plain, "scheme": scheme, "server": [plain["server"][0], port], "headers": headers}


def _with_port(plain: View, sent: Headers) -> View:
    """The view of a request that names a port in its Host: the one thing of all that was sent which is the client's to say."""
    host = next((value for name, value in sent if name == "Host"), "")
    name, _sign, port = host.rpartition(":")
    if not name:
        return plain
    own = {"host": host, "x-forwarded-host": host, "x-forwarded-port": port}
    headers = [[key, own.get(_plain_name(key), value)] for key, value in plain["headers"]]
    return {**plain, "server": [name, int(port)], "headers": headers}


def _lying_headers(sent: Headers, true: Sequence[View], seen: View, allowed: set[str]) -> Iterator[str]:
    claims = {_plain_name(name) for name, _value in sent} - {"connection"}
    views, now = [_by_name(view) for view in true], _by_name(seen)
    for name in sorted(now):
        was = [view.get(name, []) for view in views]
        if now[name] in was:
            continue
        for value in now[name]:
            marked = any(mark in value for mark in MARKS) and not any(_same(value, each) for each in allowed)
            if marked or (name in claims and not any(value in each for each in was)):
                yield f"the header {name}: {value}{_by(sent, value, name)}"


def _by_name(view: View) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in view["headers"]:
        found.setdefault(_plain_name(name), []).append(value)
    return found


def _plain_name(name: str) -> str:
    """A name as servers compare them, some of which make no difference between - and _."""
    return name.lower().replace("_", "-")


def _client(view: View) -> str | None:
    return view["client"][0] if view["client"] else None


def _same(one: str | None, other: str) -> bool:
    try:
        return ipaddress.ip_address(one or "") == ipaddress.ip_address(other)
    except ValueError:
        return one == other


def _marked(value: str | None) -> bool:
    return any(mark in (value or "") for mark in MARKS)


def _text(value: Any) -> str:
    return ":".join(map(str, value)) if isinstance(value, list) else repr(value)


def _by(sent: Headers, seen: Any, name: str = "") -> str:
    """Which of the headers that were sent shows in what the app saw, in words; one of the same name before all."""
    text = _text(seen) if isinstance(seen, list) else str(seen)
    shown = [
        (header, value)
        for header, value in sent
        if any(part.strip() in text for part in value.split(",") if part.strip())
    ]
    same = [(header, value) for header, value in shown if _plain_name(header) == name]
    return f" (sent: {' / '.join(f'{header}: {value}' for header, value in same or shown)})" if shown else ""


# A whole door


@dataclass(frozen=True)
class _Place:
    """From where a door is asked: ``truth`` is the own address, where that is what the host sees."""

    words: str
    address: tuple[str, int]
    truth: str | None
    patience: float

    def connection(self, door: Door, claimed: str | None = None) -> _Connection:
        proxied = door.proxy_protocol is not None
        address = self.address if door.tls else (self.address[0], PLAIN_PORT)
        return _Connection(
            address, door.domain, self.patience, proxied=proxied, claimed=claimed, tls=door.tls
        )


def _path(door: Door, path: str, own: Mapping[str, Any], place: _Place) -> list[str]:
    """What the app believes and is not so, after a plain and two forged requests.

    A forged request that is refused is no lie. Raises NoViewError where the plain one is refused, or both others are.
    """
    connection = place.connection(door)
    try:
        if door.certificate or door.password:
            return _let_in(connection, door, path, own)
        plain = _ask(connection, door, path, own)
        found = []
        if place.truth and not _same(_client(plain), place.truth):
            found.append(
                f"with nothing forged, the client {_client(plain) or '(none)'} instead of {place.truth}"
            )
        if plain["scheme"] not in (schemes := door.schemes(place.truth)):
            found.append(f"with nothing forged, the scheme {plain['scheme']!r} instead of {schemes[0]!r}")
        host = ("Host", f"{door.domain}:{FORGED_PORT}")
        refusals = []
        forgeries = ([host, *FORGED], [HOP_BY_HOP, *FORGED])
        for sent in forgeries:
            try:
                seen = _ask(connection, door, path, own, sent)
            except NoViewError as error:
                refusals.append(error)
                continue
            told = plain
            if not door.tls and (place.truth is None or within(place.truth, door.trusted)):
                # Who is trusted may say how the client came; without the truth, somebody before may have dropped it.
                scheme = dict(sent)["X-Forwarded-Proto"]
                told = _by_scheme(plain, scheme) if place.truth or seen["scheme"] == scheme else plain
            found += lies(sent, told, seen, truth=place.truth, trusted=door.trusted, identity=door.identity)
        if len(refusals) == len(forgeries) and not found:
            raise refusals[0]
        if place.truth and door.proxy_protocol is not None:
            found += _proxied(door, path, own, place)
        return list(dict.fromkeys(found))
    finally:
        connection.close()


def _let_in(connection: _Connection, door: Door, path: str, own: Mapping[str, Any]) -> list[str]:
    """What is wrong where who shows no certificate, or password, is refused: that the app was asked. Raises NoViewError."""
    try:
        _ask(connection, door, path, own, FORGED)
    except NoViewError as error:
        # nginx's own word to who has none.
        if error.status == (http.client.BAD_REQUEST if door.certificate else http.client.UNAUTHORIZED):
            return []
        raise
    if door.certificate:
        return ["a request without a client's certificate (tls.client_certificate: required)"]
    return ["a request without a password (proxy.basic_auth)"]


def _proxied(door: Door, path: str, own: Mapping[str, Any], place: _Place) -> list[str]:
    """What a forged line of the PROXY protocol does: nothing, but from an address that may say so."""
    truth = place.truth or ""
    claimed = FORGED_PROXIED[ipaddress.ip_address(truth).version]
    wanted = claimed if within(truth, door.proxy_protocol or ()) else truth
    connection = place.connection(door, claimed)
    try:
        client = _client(_ask(connection, door, path, own))
    except NoViewError:
        return []
    finally:
        connection.close()
    if _same(client, wanted):
        return []
    return [f"the client {client} instead of {wanted} (sent: a PROXY protocol line that says {claimed})"]


def _judged(
    door: Door, path: str, own: Mapping[str, Any], place: _Place, until: Callable[[], bool]
) -> Findings:
    """One path of a door. ``until`` says whether there is time to wait for nginx."""
    findings = Findings()
    found: list[str] = []
    url = door.url(path)
    for attempt in range(TIMES):
        while True:
            try:
                found = _path(door, path, own, place)
                break
            except NoViewError as error:
                if path in door.also or not until():
                    if place.truth and path not in door.also and error.status in UNREACHED:
                        findings.differences[url] = _unreached(door, url, error.status, place)
                    elif path not in door.also:
                        findings.untested[url] = (
                            f"{door.app}: {url} was not tested with forged headers from {place.words}: {error}"
                        )
                    return findings
                time.sleep(PAUSE)
        if not found:
            break
        if attempt + 1 < TIMES:
            time.sleep(PAUSE)
    findings.asked = 1
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        findings.differences[url] = (
            f"{door.app}: what a client forges reaches the app as the truth. Asked from {place.words} for {url}, it "
            "saw\n" + "".join(f"  {line}\n" for line in found[:SHOWN] + more) + WHERE_TO_LOOK
        )
    return findings


def _unreached(door: Door, url: str, status: int, place: _Place) -> str:
    return (
        f"{door.app}: its release serves, and its site does not: {url}, asked from {place.words}, is a {status}. nginx does "
        f"not reach the app; the reason is in /var/log/nginx/asgi-{door.app}.error.log or that of the site's first app."
    )


def _reached(door: Door, place: _Place, until: Callable[[], bool]) -> Findings:
    """Whether a server that is not ours, which has no view to give, is reached: no answer of nginx's in its place.

    Such a status is the app's own where its health check may have it.
    """
    url = door.url(str(door.health))
    while True:
        status = None
        connection = place.connection(door)
        try:
            connection.request("GET", str(door.health), headers={"Host": door.domain, "User-Agent": AGENT})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        if status not in UNREACHED or status in door.healthy or not until():
            break
        time.sleep(PAUSE)
    if status in UNREACHED and status not in door.healthy:
        return Findings(differences={url: _unreached(door, url, status, place)})
    return Findings()


def nginx_workers() -> set[int]:
    """The numbers of nginx's workers that take requests. One that ends says so in its title, from when it listens no more."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"nginx: worker process") and b"shutting down" not in title:
            found.add(int(process.name))
    return found


def _await_end_of(workers: set[int]) -> None:
    """Wait until none of these takes requests any more: ``systemctl reload`` does not. What keeps them keeps us not for long."""
    end = time.monotonic() + RELOADING
    while workers & nginx_workers() and time.monotonic() < end:
        time.sleep(LOOK)


def on_the_host(
    doors: Sequence[Door], keys: Mapping[str, str], *, reloaded: set[int] | None = None
) -> dict[str, Any]:
    """Ask every door by the host's own addresses.

    ``keys`` holds each app's view key. ``reloaded`` are nginx's workers from before a change of its sites, None where there
    was none. Returns asked, differences, untested, and a ticket for each app.
    """
    tickets = {name: ticket(key, time.time()) for name, key in keys.items()}
    if reloaded and tickets:
        _await_end_of(reloaded)
    end = time.monotonic() + (PAUSE if reloaded is None else SETTLING)
    jobs = [
        (door, path, _Place(f"the host itself ({own})", (own, PORT), own, PATIENCE))
        for own in own_addresses()
        for door in doors
        if door.app in tickets
        for path in ((None,) if door.health else (*door.paths, *door.also))
    ]

    def judged(job: tuple[Door, str | None, _Place]) -> Findings:
        door, path, place = job

        def until() -> bool:
            return time.monotonic() < end

        if path is None:
            return _reached(door, place, until)
        return _judged(door, path, tickets[door.app], place, until)

    total = Findings()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for findings in pool.map(judged, jobs):
            total.add(findings)
    return {
        "asked": total.asked,
        "differences": total.differences,
        "untested": total.untested,
        "tickets": tickets,
    }


def of_apps(doors: Sequence[Mapping[str, Any]], *, reloaded: set[int] | None = None) -> dict[str, Any]:
    """Ask those apps that a release was built for on this host, as on_the_host(); ``doors`` hold the fields of Door."""
    apps = {door["app"]: App(Path(), door["app"], "") for door in doors}
    keys = {name: view_key(app) for name, app in apps.items() if app.secrets.is_dir()}
    return on_the_host([Door(**door) for door in doors], keys, reloaded=reloaded)


def from_outside(doors: Sequence[Door], tickets: Mapping[str, Mapping[str, Any]], address: str) -> Findings:
    """Ask every door from this machine, as far as ``address`` leads there; where it does not, nothing is found."""
    total = Findings()
    try:
        with socket.create_connection((address, PORT), OUTSIDE_PATIENCE):
            pass
    except OSError:
        return total
    place = _Place(f"the controller, at {address}", (address, PORT), None, PATIENCE)
    jobs = [(door, path) for door in doors if door.app in tickets for path in (*door.paths, *door.also)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for findings in pool.map(
            lambda job: _judged(job[0], job[1], tickets[job[0].app], place, lambda: False), jobs
        ):
            total.add(findings)
    return total


def own_addresses() -> list[str]:
    """The host's own addresses on the way to elsewhere, IPv4 and IPv6; loopback where it has none.

    To connect a UDP socket sends nothing: the kernel only chooses the address (of documentation ranges).
    """
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return found or ["127.0.0.1"]

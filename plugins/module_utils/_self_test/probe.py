# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One door, asked from one place: a plain request, two forged ones, and what differs."""

from __future__ import annotations

import http.client
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .differences import by_scheme, client_of, lies, same_address
from .forgery import FORGED, FORGED_PORT, FORGED_PROXIED, HOP_BY_HOP
from .model import PLAIN_PORT, Door, Findings, NoViewError, within
from .request import AGENT, Connection, ask

# Seconds between two questions to a door.
INTERVAL_S = 0.5
# A difference is one when it is there this many times: a worker of nginx from before a reload may still answer once.
CONFIRMATIONS = 3
# Lines that a message tells of one address.
MAX_LINES = 8
WHERE_TO_LOOK = (
    "Look at the app's proxy.extra, at files of others below /etc/nginx (nginx -T shows all that counts), and at "
    "proxy.trusted_proxies. asgi_host_self_test: false leaves this test out."
)

# What nginx says of an app that it does not reach; the app's view never has it.
UNREACHED = (502, 503, 504)


@dataclass(frozen=True)
class Place:
    """From where a door is asked: ``truth`` is the own address, where that is what the host sees."""

    words: str
    address: tuple[str, int]
    truth: str | None
    patience: float

    def connection(self, door: Door, claimed: str | None = None) -> Connection:
        proxied = door.proxy_protocol is not None
        address = self.address if door.tls else (self.address[0], PLAIN_PORT)
        return Connection(address, door.domain, self.patience, proxied=proxied, claimed=claimed, tls=door.tls)


def _path(door: Door, path: str, own: Mapping[str, Any], place: Place) -> list[str]:
    """What the app believes and is not so, after a plain and two forged requests.

    A forged request that is refused is no lie. Raises NoViewError where the plain one is refused, or both others are.
    """
    connection = place.connection(door)
    try:
        if door.certificate or door.password:
            return _let_in(connection, door, path, own)
        plain = ask(connection, door, path, own)
        found = []
        if place.truth and not same_address(client_of(plain), place.truth):
            found.append(
                f"with nothing forged, the client {client_of(plain) or '(none)'} instead of {place.truth}"
            )
        if plain["scheme"] not in (schemes := door.schemes(place.truth)):
            found.append(f"with nothing forged, the scheme {plain['scheme']!r} instead of {schemes[0]!r}")
        host = ("Host", f"{door.domain}:{FORGED_PORT}")
        refusals = []
        forgeries = ([host, *FORGED], [HOP_BY_HOP, *FORGED])
        for sent in forgeries:
            try:
                seen = ask(connection, door, path, own, sent)
            except NoViewError as error:
                refusals.append(error)
                continue
            told = plain
            if not door.tls and (place.truth is None or within(place.truth, door.trusted)):
                # Who is trusted may say how the client came; without the truth, somebody before may have dropped it.
                scheme = dict(sent)["X-Forwarded-Proto"]
                told = by_scheme(plain, scheme) if place.truth or seen["scheme"] == scheme else plain
            found += lies(sent, told, seen, truth=place.truth, trusted=door.trusted, identity=door.identity)
        if len(refusals) == len(forgeries) and not found:
            raise refusals[0]
        if place.truth and door.proxy_protocol is not None:
            found += _proxied(door, path, own, place)
        return list(dict.fromkeys(found))
    finally:
        connection.close()


def _let_in(connection: Connection, door: Door, path: str, own: Mapping[str, Any]) -> list[str]:
    """What is wrong where who shows no certificate, or password, is refused: that the app was asked. Raises NoViewError."""
    try:
        ask(connection, door, path, own, FORGED)
    except NoViewError as error:
        # nginx's own word to who has none.
        if error.status == (http.client.BAD_REQUEST if door.certificate else http.client.UNAUTHORIZED):
            return []
        raise
    if door.certificate:
        return ["a request without a client's certificate (tls.client_certificate: required)"]
    return ["a request without a password (proxy.basic_auth)"]


def _proxied(door: Door, path: str, own: Mapping[str, Any], place: Place) -> list[str]:
    """What a forged line of the PROXY protocol does: nothing, but from an address that may say so."""
    truth = place.truth or ""
    claimed = FORGED_PROXIED[ipaddress.ip_address(truth).version]
    wanted = claimed if within(truth, door.proxy_protocol or ()) else truth
    connection = place.connection(door, claimed)
    try:
        client = client_of(ask(connection, door, path, own))
    except NoViewError:
        return []
    finally:
        connection.close()
    if same_address(client, wanted):
        return []
    return [f"the client {client} instead of {wanted} (sent: a PROXY protocol line that says {claimed})"]


def compare(
    door: Door, path: str, own: Mapping[str, Any], place: Place, until: Callable[[], bool]
) -> Findings:
    """One path of a door. ``until`` says whether there is time to wait for nginx."""
    findings = Findings()
    found: list[str] = []
    url = door.url(path)
    for attempt in range(CONFIRMATIONS):
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
                time.sleep(INTERVAL_S)
        if not found:
            break
        if attempt + 1 < CONFIRMATIONS:
            time.sleep(INTERVAL_S)
    findings.asked = 1
    if found:
        more = [f"and {len(found) - MAX_LINES} more"] if len(found) > MAX_LINES else []
        findings.differences[url] = (
            f"{door.app}: what a client forges reaches the app as the truth. Asked from {place.words} for {url}, it "
            "saw\n" + "".join(f"  {line}\n" for line in found[:MAX_LINES] + more) + WHERE_TO_LOOK
        )
    return findings


def _unreached(door: Door, url: str, status: int, place: Place) -> str:
    return (
        f"{door.app}: its release serves, and its site does not: {url}, asked from {place.words}, is a {status}. nginx does "
        f"not reach the app; the reason is in /var/log/nginx/asgi-{door.app}.error.log or that of the site's first app."
    )


def reach(door: Door, place: Place, until: Callable[[], bool]) -> Findings:
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
        time.sleep(INTERVAL_S)
    if status in UNREACHED and status not in door.healthy:
        return Findings(differences={url: _unreached(door, url, status, place)})
    return Findings()

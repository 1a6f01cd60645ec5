# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an app saw of a forged request, compared with the truth."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

from .forgery import MARKS
from .model import Headers, View, within


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
    peer = truth or client_of(plain) or ""
    allowed = {peer}
    if within(peer, trusted):
        # Whoever is trusted may say who the client is; without the truth, somebody before may have dropped it.
        by_rule = believed(chain_of(sent), peer, trusted)
        allowed = {by_rule} if truth else {peer, by_rule}
        theirs = {plain_name(name) for name in identity}
        seen = {**seen, "headers": [pair for pair in seen["headers"] if plain_name(pair[0]) not in theirs]}
    found = []
    client = client_of(seen)
    if truth is None and client and not _marked(client) and client not in chain_of(sent):
        # Addresses of one network may take turns before the host.
        allowed.add(client)
    if not any(same_address(client, each) for each in allowed) and (truth or client):
        found.append(
            f"the client {client or '(none)'} instead of {' or '.join(sorted(allowed)) or '(none)'}{_by(sent, client)}"
        )
    asked = _with_port(plain, sent)
    for key, word in (("scheme", "scheme"), ("server", "host and port"), ("root_path", "mount point")):
        if seen[key] not in (plain[key], asked[key]):
            found.append(
                f"the {word} {_text(seen[key])} instead of {_text(plain[key])}{_by(sent, seen[key])}"
            )
    if any(same_address(client, each) for each in allowed):
        # nginx says in headers as well who the client is; where that is right it is no lie.
        plain, asked = (
            {**view, "headers": [[k, client if same_address(v, peer) else v] for k, v in view["headers"]]}
            for view in (plain, asked)
        )
    return found + list(_lying_headers(sent, (plain, asked), seen, allowed))


def by_scheme(plain: View, scheme: str) -> View:
    """The view of a request that came by this scheme."""
    port = 443 if scheme == "https" else 80
    own = {"x-forwarded-proto": scheme, "x-forwarded-port": str(port)}
    headers = [[key, own.get(plain_name(key), value)] for key, value in plain["headers"]]
    return {**plain, "scheme": scheme, "server": [plain["server"][0], port], "headers": headers}


def _with_port(plain: View, sent: Headers) -> View:
    """The view of a request that names a port in its Host: the one thing of all that was sent which is the client's to say."""
    host = next((value for name, value in sent if name == "Host"), "")
    name, _sign, port = host.rpartition(":")
    if not name:
        return plain
    own = {"host": host, "x-forwarded-host": host, "x-forwarded-port": port}
    headers = [[key, own.get(plain_name(key), value)] for key, value in plain["headers"]]
    return {**plain, "server": [name, int(port)], "headers": headers}


def _lying_headers(sent: Headers, true: Sequence[View], seen: View, allowed: set[str]) -> Iterator[str]:
    claims = {plain_name(name) for name, _value in sent} - {"connection"}
    views, now = [_by_name(view) for view in true], _by_name(seen)
    for name in sorted(now):
        was = [view.get(name, []) for view in views]
        if now[name] in was:
            continue
        for value in now[name]:
            marked = any(mark in value for mark in MARKS) and not any(
                same_address(value, each) for each in allowed
            )
            if marked or (name in claims and not any(value in each for each in was)):
                yield f"the header {name}: {value}{_by(sent, value, name)}"


def _by_name(view: View) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in view["headers"]:
        found.setdefault(plain_name(name), []).append(value)
    return found


def plain_name(name: str) -> str:
    """A name as servers compare them, some of which make no difference between - and _."""
    return name.lower().replace("_", "-")


def client_of(view: View) -> str | None:
    return view["client"][0] if view["client"] else None


def same_address(one: str | None, other: str) -> bool:
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
    same = [(header, value) for header, value in shown if plain_name(header) == name]
    return f" (sent: {' / '.join(f'{header}: {value}' for header, value in same or shown)})" if shown else ""

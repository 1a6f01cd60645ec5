# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked, and what was found."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

View: TypeAlias = dict[str, Any]
"""What an app saw of one request."""
Headers: TypeAlias = Sequence[tuple[str, str]]

PORT, PLAIN_PORT = 443, 80


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


def within(address: str | None, ranges: Iterable[str]) -> bool:
    """Whether an address lies in one of the ranges."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(each, strict=False) for each in ranges)

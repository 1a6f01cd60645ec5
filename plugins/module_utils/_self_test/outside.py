# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every door of a host, asked from the controller."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .model import PORT, Door, Findings
from .probe import Place, compare
from .request import ANSWER_TIMEOUT_S

# Seconds for a connection from the controller, which may not reach the door at all.
OUTSIDE_TIMEOUT_S = 2.0
# Doors that are asked at the same time.
AT_ONCE = 8


def from_outside(doors: Sequence[Door], tickets: Mapping[str, Mapping[str, Any]], address: str) -> Findings:
    """Ask every door from this machine, as far as ``address`` leads there; where it does not, nothing is found."""
    total = Findings()
    try:
        with socket.create_connection((address, PORT), OUTSIDE_TIMEOUT_S):
            pass
    except OSError:
        return total
    place = Place(f"the controller, at {address}", (address, PORT), None, ANSWER_TIMEOUT_S)
    jobs = [(door, path) for door in doors if door.app in tickets for path in (*door.paths, *door.also)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for findings in pool.map(
            lambda job: compare(job[0], job[1], tickets[job[0].app], place, lambda: False), jobs
        ):
            total.add(findings)
    return total

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every door of a host, asked by the host's own addresses."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .._release.environment import view_key
from .._release.paths import App
from .model import PORT, Door, Findings
from .probe import INTERVAL_S, Place, compare, reach
from .request import ANSWER_TIMEOUT_S, ticket

# Seconds that nginx's workers from before a reload get to end.
RELOAD_TIMEOUT_S = 1.0
# Seconds between two looks at them.
RELOAD_INTERVAL_S = 0.05
# Seconds in which what nginx has just loaded must be there.
SETTLE_TIMEOUT_S = 5.0
# Doors that are asked at the same time.
AT_ONCE = 8


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


def await_end_of(workers: set[int]) -> None:
    """Wait until none of these takes requests any more: ``systemctl reload`` does not. What keeps them keeps us not for long."""
    end = time.monotonic() + RELOAD_TIMEOUT_S
    while workers & nginx_workers() and time.monotonic() < end:
        time.sleep(RELOAD_INTERVAL_S)


def on_the_host(
    doors: Sequence[Door], keys: Mapping[str, str], *, reloaded: set[int] | None = None
) -> dict[str, Any]:
    """Ask every door by the host's own addresses.

    ``keys`` holds each app's view key. ``reloaded`` are nginx's workers from before a change of its sites, None where there
    was none. Returns asked, differences, untested, and a ticket for each app.
    """
    tickets = {name: ticket(key, time.time()) for name, key in keys.items()}
    if reloaded and tickets:
        await_end_of(reloaded)
    end = time.monotonic() + (INTERVAL_S if reloaded is None else SETTLE_TIMEOUT_S)
    jobs = [
        (door, path, Place(f"the host itself ({own})", (own, PORT), own, ANSWER_TIMEOUT_S))
        for own in own_addresses()
        for door in doors
        if door.app in tickets
        for path in ((None,) if door.health else (*door.paths, *door.also))
    ]

    def probed(job: tuple[Door, str | None, Place]) -> Findings:
        door, path, place = job

        def until() -> bool:
            return time.monotonic() < end

        if path is None:
            return reach(door, place, until)
        return compare(door, path, tickets[door.app], place, until)

    total = Findings()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for findings in pool.map(probed, jobs):
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

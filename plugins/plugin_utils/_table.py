# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases and certificates of all hosts as lines for a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

HEADER = ("APP", "HOST", "RELEASE", "STATE", "VERSION", "SINCE", "BY")
# What makes two hosts' releases of an app differ. The environment is left out: its digest is keyed on each host.
COMPARED = ("source", "requirements", "interpreter", "settings")
# Characters of a commit or version that are shown.
SHOWN = 20
DAY = 86400
# A certificate that nothing renews by itself is spoken of this many days before its end; a short-lived one when a third
# of its life is left, which is when it is renewed.
WARN_DAYS = 14


def releases_table(hosts: Mapping[str, Mapping[str, Any]], now: float | None = None) -> list[str]:
    """A line for each release of each app and host, what serves first; then what differs between hosts.

    Below it a line for each certificate. ``hosts`` holds what the module releases_info said of each; ``now`` is in
    seconds since 1970, this machine's clock without it.
    """
    rows: list[Sequence[str]] = [HEADER]
    notes = []
    for name in sorted({app for apps in hosts.values() for app in apps}):
        having = [host for host in sorted(hosts) if name in hosts[host]]
        for host in having:
            rows += [(name, host, *columns) for columns in _lines(hosts[host][name])]
        notes += _differences(name, [_active(hosts[host][name]) for host in having])
        for host in having:
            notes += _certificate(name, host, hosts[host][name].get("certificate"), now or time.time())
    if len(rows) == 1:
        return ["no host has a release of any app"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines] + notes


def _active(found: Mapping[str, Any]) -> dict[str, Any]:
    return next((dict(each) for each in found["releases"] if each["id"] == found["active"]), {})


def _lines(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    active = _active(found)
    others = [each for each in reversed(found["releases"]) if each["id"] != found["active"]]
    lines = [_columns(active, "serves" if active["runs"] else "DOES NOT RUN")] if active else []
    for each in others:
        if each.get("state") == "bad":
            state = "went bad"
        elif each.get("state") not in ("superseded", "active"):
            state = "half built"
        else:
            state = "warm" if each["runs"] else "to go back to"
        lines.append(_columns(each, state))
    return lines or [("-", "nothing serves", "-", "-", "-")]


def _columns(entry: Mapping[str, Any], state: str) -> tuple[str, ...]:
    what = str(entry.get("version") or entry.get("source") or "-")[:SHOWN]
    return (entry["id"], state, what, str(entry.get("activated") or "-"), str(entry.get("by") or "-"))


def _differences(name: str, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    differ = [part for part in COMPARED if len({entry.get("parts", {}).get(part) for entry in entries}) > 1]
    return [f"{name}: the hosts differ in {' and '.join(differ)}"] if differ else []


def _certificate(name: str, host: str, shown: Mapping[str, Any] | None, now: float) -> list[str]:
    """How long the certificate of an app's site is good, and what is wrong with it."""
    if not shown:
        return []
    where = f"{name} on {host}: the certificate of {shown['domain']}"
    if "error" in shown:
        return [f"{where} cannot be seen: {shown['error']}"]
    left = shown["end"] - now
    days = int(left // DAY)
    until = time.strftime("%Y-%m-%d", time.gmtime(shown["end"]))
    by = "is self-signed, which browsers refuse, and" if shown["self_signed"] else f"by {shown['issuer']}"
    if left <= 0:
        said = f"WARNING: {where} {by} HAS EXPIRED on {until}; give a new one"
    elif left < min(WARN_DAYS * DAY, (shown["end"] - shown["start"]) / 3):
        said = f"WARNING: {where} {by} ends in {_days(days)}, on {until}; see to its renewal"
    else:
        said = f"{where} {by} has {_days(days)} left, until {until}"
    failure = [f"WARNING: its last renewal failed: {shown['failure']}"] if shown.get("failure") else []
    return [said, *failure]


def _days(number: int) -> str:
    return f"{number} day" if number == 1 else f"{number} days"

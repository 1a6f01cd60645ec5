# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of all hosts as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEADER = ("APP", "HOST", "RELEASE", "STATE", "VERSION", "SINCE", "BY")
# What makes two hosts' releases of an app differ. The environment is left out: its digest is keyed on each host.
COMPARED = ("source", "requirements", "interpreter", "settings")
# Characters of a commit or version that are shown.
SHOWN = 20


def releases_table(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each release of each app and host, what serves first; then what differs between hosts.

    ``hosts`` holds what the module releases_info said of each.
    """
    rows: list[Sequence[str]] = [HEADER]
    notes = []
    for name in sorted({app for apps in hosts.values() for app in apps}):
        having = [host for host in sorted(hosts) if name in hosts[host]]
        for host in having:
            rows += [(name, host, *columns) for columns in _lines(hosts[host][name])]
        notes += _differences(name, [_active(hosts[host][name]) for host in having])
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
    # The same requirements may be met by other versions a week later.
    if len({entry["locked"] for entry in entries if entry.get("locked")}) > 1:
        differ.append("installed versions")
    return [f"{name}: the hosts differ in {' and '.join(differ)}"] if differ else []

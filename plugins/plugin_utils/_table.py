# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases and certificates of all hosts as lines for a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._words import safe_all

HEADER = ("APP", "HOST", "RELEASE", "STATE", "VERSION", "SINCE", "BY")
CERTIFICATES = ("APP", "HOST", "DOMAIN", "LEFT", "UNTIL", "ISSUER")
# What makes two hosts' releases of an app differ. The environment is left out: its digest is keyed on each host.
COMPARED = ("source", "requirements", "interpreter", "settings")
# Characters of a commit, version or issuer that are shown.
SHOWN = 20
COMMIT = 9
DAY = 86400
# A certificate that nothing renews by itself is spoken of this many days before its end; a short-lived one when a third
# of its life is left, which is when it is renewed.
WARN_DAYS = 14


def releases_table(hosts: Mapping[str, Mapping[str, Any]], now: float | None = None) -> list[str]:
    """A line for each release of each app and host, what serves first; then what differs between hosts.

    Then the same for certificates. ``hosts`` holds what the module releases_info said of each; ``now`` is in
    seconds since 1970, this machine's clock without it.
    """
    # Versions come from sources, issuers from certificates.
    hosts = safe_all(hosts)
    rows: list[Sequence[str]] = [HEADER]
    notes = []
    for name in sorted({app for apps in hosts.values() for app in apps}):
        having = [host for host in sorted(hosts) if name in hosts[host]]
        for host in having:
            rows += [(name, host, *columns) for columns in _lines(hosts[host][name])]
            notes += [
                f"WARNING {name} on {host}: the process {each} does not run; see journalctl -t asgi-{name}.{each}"
                for each in hosts[host][name].get("down", [])
            ]
        notes += _differences(name, [_active(hosts[host][name]) for host in having])
    if len(rows) == 1:
        return ["no host has a release of any app"]
    return _aligned(rows) + notes + _certificates(hosts, now or time.time())


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]


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
    if ref := entry.get("ref"):
        # Of a commit its beginning is enough beside the name of what it was.
        what = f"{what[:COMMIT]} ({str(ref)[:SHOWN]})"
    if entry.get("mode"):
        state = f"{state} ({entry['mode']})"
    return (entry["id"], state, what, str(entry.get("activated") or "-"), str(entry.get("by") or "-"))


def _differences(name: str, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    differ = [part for part in COMPARED if len({entry.get("parts", {}).get(part) for entry in entries}) > 1]
    # The same requirements may be met by other versions a week later.
    if len({entry["locked"] for entry in entries if entry.get("locked")}) > 1:
        differ.append("installed versions")
    return [f"{name}: the hosts differ in {' and '.join(differ)}"] if differ else []


def _certificates(hosts: Mapping[str, Mapping[str, Any]], now: float) -> list[str]:
    """What each site shows and how long it is good, as a table, and below it what is wrong with them."""
    rows: list[Sequence[str]] = [CERTIFICATES]
    notes = []
    for name in sorted({app for apps in hosts.values() for app in apps}):
        for host in sorted(hosts):
            shown = hosts[host].get(name, {}).get("certificate")
            if not shown:
                continue
            if "error" in shown:
                rows.append((name, host, shown["domain"], "not seen", "-", "-"))
                notes.append(f"{name} on {host}: nginx shows no certificate: {shown['error']}")
                continue
            until = time.strftime("%Y-%m-%d", time.gmtime(shown["end"]))
            issuer = "self-signed" if shown["self_signed"] else str(shown["issuer"])[:SHOWN].rstrip()
            days = int((shown["end"] - now) // DAY)
            left = "EXPIRED" if days < 0 else "1 day" if days == 1 else f"{days} days"
            rows.append((name, host, shown["domain"], left, until, issuer))
            notes += _warnings(f"{name} on {host}", shown, now)
    return [*_aligned(rows), *notes] if len(rows) > 1 else []


def _warnings(where: str, shown: Mapping[str, Any], now: float) -> list[str]:
    found = []
    left, life = shown["end"] - now, shown["end"] - shown["start"]
    if left <= 0:
        found.append(f"WARNING {where}: the certificate has expired; give a new one")
    elif left < min(WARN_DAYS * DAY, life / 3):
        found.append(f"WARNING {where}: the certificate ends soon; see to its renewal")
    if shown.get("failure"):
        found.append(f"WARNING {where}: the last try to renew it failed: {shown['failure']}")
    return found

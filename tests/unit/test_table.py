"""The table of releases."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils._table import releases_table


def entry(identity: str, source: str, **more: Any) -> dict[str, Any]:
    return {
        "id": identity, "version": "1.4-dirty", "activated": "2026-11-24T04:00:00Z", "by": "eve@laptop",
        "state": "active", "runs": True, "parts": {"source": source, "environment": identity}, **more,
    }  # fmt: skip


def test_line_for_each_app_and_host_and_what_differs() -> None:
    old = entry("r1", "a", state="superseded", runs=False)
    hosts = {
        "one": {"shop": {"active": "r2", "releases": [old, entry("r2", "b")]}},
        "two": {"shop": {"active": "r1", "releases": [entry("r1", "a", runs=False)]}},
    }
    header, serves, earlier, two, note = releases_table(hosts)
    assert header.split() == ["APP", "HOST", "RELEASE", "STATE", "VERSION", "SINCE", "BY"]
    assert serves.split() == [
        "shop",
        "one",
        "r2",
        "serves",
        "1.4-dirty",
        "2026-11-24T04:00:00Z",
        "eve@laptop",
    ]
    assert earlier.split()[:7] == ["shop", "one", "r1", "to", "go", "back", "to"]
    assert two.split()[:6] == ["shop", "two", "r1", "DOES", "NOT", "RUN"]
    assert note == "shop: the hosts differ in source"


def test_same_release_on_all_hosts_has_no_note() -> None:
    hosts = {name: {"shop": {"active": "r", "releases": [entry("r", "a")]}} for name in ("one", "two")}
    assert len(releases_table(hosts)) == 3


def test_nothing_anywhere() -> None:
    assert releases_table({"one": {}}) == ["no host has a release of any app"]


NOW = 1_800_000_000.0
DAY = 86400


@pytest.mark.parametrize(
    ("life", "left", "more", "words"),
    [
        (90, 61.5, {}, "shop on one: the certificate of shop.test by R11 has 61 days left, until 2027-03-17"),
        (90, 13.9, {}, "WARNING: shop on one: the certificate of shop.test by R11 ends in 13 days, on 2027-01-29; see"),
        (90, 14.1, {}, "has 14 days left"),
        # A certificate of six days is renewed when two are left.
        (6, 2.1, {}, "has 2 days left"),
        (6, 1.9, {}, "WARNING: shop on one: the certificate of shop.test by R11 ends in 1 day, on"),
        (90, -0.5, {}, "by R11 HAS EXPIRED on 2027-01-14"),
        (3650, 3000, {"self_signed": True}, "is self-signed, which browsers refuse, and has 3000 days left"),
        (90, 40, {"failure": "shop: no answer"}, "\nWARNING: its last renewal failed: shop: no answer"),
    ],
)  # fmt: skip
def test_days_left_of_a_certificate(life: float, left: float, more: dict[str, Any], words: str) -> None:
    end = NOW + left * DAY
    shown = {
        "domain": "shop.test",
        "issuer": "R11",
        "self_signed": False,
        "start": end - life * DAY,
        "end": end,
    }
    hosts = {
        "one": {"shop": {"active": "r", "releases": [entry("r", "a")], "certificate": {**shown, **more}}}
    }
    assert words in "\n".join(releases_table(hosts, NOW))


def test_certificate_that_cannot_be_seen() -> None:
    unseen = {"domain": "shop.test", "error": "Connection refused"}
    hosts = {"one": {"shop": {"active": "r", "releases": [entry("r", "a")], "certificate": unseen}}}
    assert releases_table(hosts)[-1].endswith(
        "the certificate of shop.test cannot be seen: Connection refused"
    )

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


def test_branch_or_tag_stands_beside_the_commit() -> None:
    release = entry("r", "a", version="3f9a1c0" * 5 + "abcde", ref="v3.1")
    lines = releases_table({"one": {"shop": {"active": "r", "releases": [release]}}})
    assert "  3f9a1c03f (v3.1)  " in lines[1]


def test_hosts_that_resolved_the_same_requirements_otherwise_differ() -> None:
    def noted(*locks: str | None) -> list[str]:
        hosts = {
            str(number): {"shop": {"active": "r", "releases": [entry("r", "a", locked=lock)]}}
            for number, lock in enumerate(locks)
        }
        return [line for line in releases_table(hosts) if line.startswith("shop:")]

    assert noted("x", "y") == ["shop: the hosts differ in installed versions"]
    assert noted("x", "x") == []
    assert noted("x", None) == [], "an entry that does not say"


def test_same_release_on_all_hosts_has_no_note() -> None:
    hosts = {name: {"shop": {"active": "r", "releases": [entry("r", "a")]}} for name in ("one", "two")}
    assert len(releases_table(hosts)) == 3


def test_process_that_does_not_run_is_named() -> None:
    apps = {"active": "r", "releases": [entry("r", "a")]}
    lines = releases_table(
        {"one": {"shop": {**apps, "down": ["worker.2"]}}, "two": {"shop": {**apps, "down": []}}}
    )
    assert [line for line in lines if "process" in line] == [
        "WARNING shop on one: the process worker.2 does not run; see journalctl -t asgi-shop.worker.2"
    ]


def test_nothing_anywhere() -> None:
    assert releases_table({"one": {}}) == ["no host has a release of any app"]


NOW = 1_800_000_000.0
DAY = 86400


def with_certificate(**shown: Any) -> list[str]:
    hosts = {"one": {"shop": {"active": "r", "releases": [entry("r", "a")], "certificate": shown}}}
    return releases_table(hosts, NOW)[2:]


@pytest.mark.parametrize(
    ("life", "left", "columns", "warning"),
    [
        (90, 61.5, "61 days 2027-03-17", ""),
        (90, 14.1, "14 days 2027-01-29", ""),
        (90, 13.9, "13 days 2027-01-29", "ends soon"),
        # A certificate of six days is renewed when two are left.
        (6, 2.1, "2 days 2027-01-17", ""),
        (6, 1.9, "1 day 2027-01-17", "ends soon"),
        (90, 0.5, "0 days 2027-01-15", "ends soon"),
        (90, -0.5, "EXPIRED 2027-01-14", "has expired"),
    ],
)
def test_days_left_of_a_certificate(life: float, left: float, columns: str, warning: str) -> None:
    end = NOW + left * DAY
    header, line, *rest = with_certificate(
        domain="shop.test", issuer="R11", self_signed=False, start=end - life * DAY, end=end, failure=None
    )
    assert header.split() == ["APP", "HOST", "DOMAIN", "LEFT", "UNTIL", "ISSUER"]
    assert " ".join(line.split()) == f"shop one shop.test {columns} R11"
    assert len(rest) == bool(warning)
    assert all(each.startswith("WARNING shop on one: ") and warning in each for each in rest)


def test_certificates_with_something_to_say() -> None:
    good = {"domain": "shop.test", "issuer": "x", "start": NOW - DAY, "end": NOW + 3000 * DAY}
    assert with_certificate(**good, self_signed=True)[1].endswith("self-signed")
    failed = with_certificate(**good, self_signed=False, failure="shop: no answer")
    assert failed[2] == "WARNING shop on one: the last try to renew it failed: shop: no answer"
    unseen = with_certificate(domain="shop.test", error="Connection refused")
    assert unseen[1].split()[3:5] == ["not", "seen"]
    assert unseen[2].endswith("Connection refused")

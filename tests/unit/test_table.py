"""The table of releases."""

from __future__ import annotations

from typing import Any

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


def test_nothing_anywhere() -> None:
    assert releases_table({"one": {}}) == ["no host has a release of any app"]

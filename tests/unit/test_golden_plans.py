"""What a host is to be, and by what an app's release is known, is the same as before: golden_plans.py says how."""

from __future__ import annotations

import golden_plans


def test_plans_and_digests_are_those_that_were_kept() -> None:
    """A release whose digest differs is deployed anew on every host."""
    found = list(golden_plans.differences(golden_plans.read(), golden_plans.plans()))
    fix = "if it is on purpose: make golden, and commit tests/unit/golden_plans.json with the change"
    assert not found, "\n".join([*found, fix])


def test_difference_names_its_place() -> None:
    kept = {"full": {"shop": {"files": "a", "texts": "b"}, "gone": {}}}
    now = {"full": {"shop": {"files": "a", "texts": "c", "door": "d"}}}
    assert list(golden_plans.differences(kept, now)) == [
        "full / gone is gone",
        "full / shop / door is new",
        "full / shop / texts differs",
    ]

"""What the controller makes for a host has the keys and types of the contract, and no others."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import golden_plans
import pytest
from ansible_collections.asgi.host.plugins.module_utils._contract.ledger import LedgerEntry
from ansible_collections.asgi.host.plugins.module_utils._contract.release import (
    AppPrivate,
    AppSpec,
    ReleaseSpec,
)
from ansible_collections.asgi.host.plugins.module_utils._contract.steps import Step
from ansible_collections.asgi.host.plugins.plugin_utils import _specs

KINDS = ("line", "file", "folder", "owned", "link", "absent", "command", "notice")


def wrong(value: Any, kind: Any, place: str) -> Iterator[str]:
    """Where a value is not of a type."""
    if get_origin(kind) in (Union, types.UnionType):
        if all(any(wrong(value, each, place)) for each in get_args(kind)):
            yield f"{place}: {value!r} is no {kind}"
    elif get_origin(kind) is Literal:
        if value not in get_args(kind):
            yield f"{place}: {value!r} is none of {get_args(kind)}"
    elif typing.is_typeddict(kind):
        yield from _wrong_keys(value, kind, place)
    elif get_origin(kind) in (list, dict):
        yield from _wrong_items(value, kind, place)
    elif not isinstance(value, (int, float) if kind is float else kind) or (
        isinstance(value, bool) and kind is not bool
    ):
        yield f"{place}: {value!r} is no {kind}"


def _wrong_items(value: Any, kind: Any, place: str) -> Iterator[str]:
    if not isinstance(value, get_origin(kind)):
        yield f"{place}: {value!r} is no {kind}"
        return
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from wrong(each, get_args(kind)[-1], f"{place}.{key}")


def _wrong_keys(value: Any, kind: Any, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place}: {value!r} is no dict"
        return
    hints = typing.get_type_hints(kind)
    # Annotations that are text do not tell the class itself which keys are required.
    marked = typing.get_type_hints(kind, include_extras=True)
    required = {
        key for key, each in marked.items() if kind.__total__ and get_origin(each) is not typing.NotRequired
    }
    yield from (f"{place}.{key} is missing" for key in required - value.keys())
    yield from (f"{place}.{key} is not in the contract" for key in value.keys() - hints.keys())
    for key in value.keys() & hints.keys():
        yield from wrong(value[key], hints[key], f"{place}.{key}")


@pytest.fixture(scope="module")
def told() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """What a host is told for every inventory, with the name of each and with what must not be shown."""
    return [
        (f"{inventory} on {suite}", *golden_plans.told(inventory, suite, facts)[:2])
        for inventory in (*golden_plans.INVENTORIES, "more")
        for suite, facts in golden_plans.HOSTS.items()
    ]


def test_apps_are_as_the_contract_says(told: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
    found = [
        words
        for place, everything, private in told
        for spec in everything["apps"]
        for words in (
            *wrong(spec, ReleaseSpec, f"{place}: {spec['name']}"),
            *wrong(private["apps"][spec["name"]], AppPrivate, f"{place}: private of {spec['name']}"),
        )
    ]
    assert found == []


def test_app_that_goes_is_as_the_contract_says() -> None:
    gone = {"name": "shop", "state": "absent", "user": "asgi-shop", "purge": False}
    assert list(wrong(_specs.describe(gone, {"root": "/srv"}, None, by="me"), AppSpec, "shop")) == []


def test_steps_are_as_the_contract_says(told: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
    for place, everything, _private in told:
        for step in (*everything["base"], *everything["sites"]):
            assert list(wrong(step, Step, place)) == []
            assert sum(kind in step for kind in KINDS) == 1, step


def test_what_is_wrong_is_named() -> None:
    entry = {"state": "on fire", "number": True, "image": {"uid": "0"}, "colour": "red"}
    assert sorted(words.partition(" is n")[0] for words in wrong(entry, LedgerEntry, "it")) == [
        "it.colour",
        "it.image.uid: '0'",
        "it.number: True",
        "it.state: 'on fire'",
    ]

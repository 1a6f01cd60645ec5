"""The inventory changes under load, one row of a table after the other, and no request is lost."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from load import KEPT, NEW, Load, Outcome
from playbook import Run, changed_inventory, play
from targets import APPS, App, Target

pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane]

FIRST, SECOND, OTHER = "first.test", "second.test", "other.test"
Places = dict[str, str]


def app(name: str, *domains: str, **keys: Any) -> App:
    """An app of the table."""
    common = {"app": "parcels.main:app", "source": {"path": str(APPS / "parcels")}, "workers": 1}
    return {"name": name, **common, "graceful_timeout": 5, "domains": list(domains), **keys}


def gone(name: str) -> App:
    return {"name": name, "state": "absent", "purge": True}


BROKEN = {"app": "parcels.nowhere:app", "health": {"timeout": 5}}


@dataclass(frozen=True)
class Row:
    """The inventory as it is from this row on, what is asked meanwhile, and what is so when it is over."""

    what: str
    apps: list[App]
    asked: list[tuple[str, str]]
    """Domains and paths that answer before, meanwhile and after it."""
    fails: str = ""
    """What the play says in the end, where it must fail."""
    serves: dict[str, str] = field(default_factory=dict)
    """By domain the app that serves it afterwards, of those that tell."""


def greeting(name: str) -> dict[str, Any]:
    """By its environment an app tells which one it is."""
    return {"env": {"GREETING": name}}


ROWS = [
    Row("a broken app takes over the name", [gone("one"), app("two", FIRST, **BROKEN)], [(FIRST, "/")], "two", {FIRST: "one"}),
    Row("renamed", [gone("one"), app("two", FIRST, **greeting("two"))], [(FIRST, "/")], "", {FIRST: "two"}),
    Row(
        "added below a domain",
        [app("two", FIRST, **greeting("two")), app("three", FIRST, root_path="/three", **greeting("three"))],
        [(FIRST, "/")],
        "",
        {FIRST: "two"},
    ),
    Row(
        "settings of nginx changed, and served by uvicorn itself",
        [
            app("two", FIRST, server="uvicorn", proxy={"body_limit": "50m"}, **greeting("two")),
            app("three", FIRST, root_path="/three", **greeting("three")),
        ],
        [(FIRST, "/"), (FIRST, "/three/")],
    ),
    Row(
        "removed from below a domain, and served by a program of its own",
        [app("two", FIRST, server="command", command="python run.py", **greeting("two")), gone("three")],
        [(FIRST, "/")],
    ),
    Row(
        "domain given to another app, and served by gunicorn again",
        [app("two", SECOND, **greeting("two")), app("three", FIRST, **greeting("three"))],
        [(FIRST, "/")],
        "",
        {FIRST: "three", SECOND: "two"},
    ),
    Row(
        "domains exchanged by apps that serve",
        [app("two", FIRST, **greeting("two")), app("three", SECOND, **greeting("three"))],
        [(FIRST, "/"), (SECOND, "/")],
        "",
        {FIRST: "two", SECOND: "three"},
    ),
]  # fmt: skip


@contextlib.contextmanager
def loaded(target: Target, places: list[tuple[str, str]]) -> Iterator[Outcome]:
    """Requests to all places during the block: on kept connections as browsers send them, and on new ones."""
    whole, parts = Outcome(), []
    with contextlib.ExitStack() as stack:
        for domain, path in places:
            for keep, pause in ((True, KEPT), (False, NEW)):
                parts.append(Outcome())
                load = Load(
                    target.door,
                    domain,
                    path,
                    clients=1,
                    keep_alive=keep,
                    pause=pause,
                    repeat=keep,
                    timeout=30,
                )
                stack.enter_context(load.running(parts[-1]))
        yield whole
    for part in parts:
        whole.add(part)


def brought(target: Target, folder: Path, apps: list[App], **variables: Any) -> Run:
    """A play of these apps beside those of the scenario."""
    inventory = changed_inventory(folder, [target], add=apps)
    options = ["-e", json.dumps(variables)] if variables else []
    return play(*options, inventory=inventory, targets=[target])


@pytest.fixture(scope="module")
def stage(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The first app, before any row."""
    folder = tmp_path_factory.mktemp("rows")
    run = brought(target, folder, [app("one", FIRST, **greeting("one"))])
    assert run.status == 0, run.output[-3000:]
    yield folder
    run = brought(target, folder, [gone(name) for name in ("one", "two", "three")])
    assert run.status == 0, run.output[-3000:]
    assert target.run("ls /srv/asgi").split() == ["victim"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_inventory_changes_and_nothing_is_lost(target: Target, stage: Path, row: Row) -> None:
    with loaded(target, [("victim.test", "/"), *row.asked]) as outcome:
        run = brought(target, stage, row.apps)
    print(f"\n{target.name}: {row.what}: {outcome}")
    assert (run.status != 0) == bool(row.fails), run.output[-3000:]
    assert row.fails in run.messages(target.name)
    assert outcome.sent > 100
    assert outcome.lost_count == 0, outcome
    for domain, name in row.serves.items():
        assert target.door.json(domain)["greeting"] == name
    if row is ROWS[-1]:
        assert brought(target, stage, row.apps).changed(target.name) == 0

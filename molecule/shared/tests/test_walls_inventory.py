"""The inventory changes under load, one row of a table after the other, and no request is lost."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from load import KEPT, NEW, Load, Outcome
from playbook import Run, changed_inventory, play
from targets import APPS, App, Target
from test_servers import bring_base_image, has_images, image_app

pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane, pytest.mark.in_turn(1)]

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
    by_image: bool = False
    """Whether it has an app in an image, which Debian 12 cannot run."""


def greeting(name: str) -> dict[str, Any]:
    """By its environment an app tells which one it is."""
    return {"env": {"GREETING": name}}


ROWS = [
    Row("a broken app takes over the name", [gone("one"), app("two", FIRST, **BROKEN)], [(FIRST, "/")], "two", {FIRST: "one"}),
    Row(
        "an app whose site nginx refuses takes over the name",
        [gone("one"), app("two", FIRST, proxy={"extra": "this_is_no_directive on;"}, **greeting("two"))],
        [(FIRST, "/")],
        "two",
        {FIRST: "one"},
    ),
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
        "served from an image",
        [{**image_app(APPS / "parcels"), "name": "two", "domains": [FIRST], "graceful_timeout": 5, **greeting("two")}],
        [(FIRST, "/")],
        "",
        {FIRST: "two"},
        by_image=True,
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
    # Apps of other topics may be there.
    assert {"victim", "one", "two", "three"} & set(target.run("ls /srv/asgi").split()) == {"victim"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_inventory_changes_and_nothing_is_lost(target: Target, stage: Path, row: Row) -> None:
    if row.by_image and not has_images(target):
        pytest.skip("Debian 12 runs no images")
    if row.by_image:
        bring_base_image(target)
    began = time.monotonic()
    with loaded(target, [("victim.test", "/"), *row.asked]) as outcome:
        run = brought(target, stage, row.apps)
    print(f"\n{target.name}: {row.what}: {outcome}; {time.monotonic() - began:.0f} s")
    assert (run.status != 0) == bool(row.fails), run.output[-3000:]
    assert row.fails in run.messages(target.name)
    assert outcome.sent > 100
    assert outcome.lost_count == 0, outcome
    for domain, name in row.serves.items():
        assert target.door.json(domain)["greeting"] == name
    if row.by_image:
        assert "podman" in target.run(f"systemctl show -P ExecStart {target.service('two')}")
    if row is ROWS[-1]:
        assert brought(target, stage, row.apps).changed(target.name) == 0


def test_app_is_public_at_once_beside_one_that_is_slow_and_fails(target: Target, stage: Path) -> None:
    """It comes after it in the list, has a hook of its own, and does not wait for the end of the other's."""
    slow = app("slow", "slow.test", hooks={"build": ["sleep 20; false"]})
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not (seen or over.wait(0.2)):
            with contextlib.suppress(OSError):
                if target.door.ask(OTHER, "/").status == 200:
                    seen.append(time.monotonic())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        run = brought(target, stage, [*ROWS[-1].apps, slow, app("quick", OTHER, hooks={"after": ["true"]})])
        end = time.monotonic()
    finally:
        over.set()
        looking.join()
    assert "slow: " in run.messages(target.name), run.output[-3000:]
    assert seen, "it was not public before the play's end"
    print(f"\n{target.name}: public {end - seen[0]:.1f} s before the end of the play")
    assert end - seen[0] > 8.0
    with pytest.raises(OSError, match=r"(?i)unrecognized.name"):
        target.door.ask("slow.test", "/")


def test_renamed_host_and_another_root_touch_nothing(target: Target, stage: Path) -> None:
    """The name of a host is the controller's alone; a root that would split what serves is refused."""
    processes = target.pids()
    inventory = changed_inventory(stage, [target], add=[*ROWS[-1].apps, app("quick", OTHER)])
    listed = json.loads(inventory.read_text())
    hosts = listed["asgi_hosts"]["hosts"]
    hosts["renamed"] = hosts.pop(target.name)
    renamed = stage / "renamed.json"
    renamed.write_text(json.dumps(listed))
    with loaded(target, [(FIRST, "/")]) as outcome:
        run = play(inventory=renamed)
        assert (run.status, run.changed("renamed")) == (0, 0), run.output[-3000:]
        for root, words in {
            "/opt/asgi": "serves from /srv/asgi on this host",
            "/srv": "not for the apps alone",
            "/var/lib/asgi": "another purpose",
        }.items():
            refused = brought(target, stage, ROWS[-1].apps, asgi_host_root=root)
            assert words in refused.messages(target.name)
    assert outcome.lost_count == 0, outcome
    assert target.pids() == processes
    target.run("test ! -e /opt/asgi")


def test_folder_of_somebody_else_is_neither_taken_over_nor_taken_away(target: Target, stage: Path) -> None:
    target.run("install -d /srv/asgi/quack && echo theirs > /srv/asgi/quack/index.html")
    try:
        run = brought(target, stage, [app("quack", "quack.test")])
        assert "/srv/asgi/quack is there, and the role has not made it" in run.messages(target.name)
        assert brought(target, stage, [gone("quack")]).status == 0
        assert target.run("cat /srv/asgi/quack/index.html").strip() == "theirs"
    finally:
        target.run("rm -r /srv/asgi/quack")


def test_what_somebody_put_beside_the_releases_stays(target: Target, stage: Path) -> None:
    """An app goes with all that the role made, and with nothing else."""
    target.run("echo notes > /srv/asgi/quick/notes.txt")
    try:
        assert brought(target, stage, [gone("quick"), gone("slow")]).status == 0
        assert target.run("ls -A /srv/asgi/quick").split() == ["notes.txt"]
    finally:
        target.run("rm -r /srv/asgi/quick")

"""A deploy with a stand-in for systemd, uv and HTTP: what is on disk and what runs after each ending."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _progress
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import (
    activate,
    build,
    ledger,
    lock,
    store,
    tree,
    units,
    watch,
)
from ansible_collections.asgi.host.plugins.module_utils._release.errors import BusyError, DeployError
from app_world import World, deployed, note_holds, serving, wanted

HOOK = {"command": "notify", "creates": None, "every_host": None}


def test_order_of_a_deploy(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
    first = wanted(tmp_path, "one").app.active()
    world.calls.clear()
    wanted(tmp_path, "two").deploy(None)
    second = wanted(tmp_path, "two").app.active()
    assert first
    assert second
    order = [
        call for call in world.calls if call.split()[0] in ("start", "gate", "drain", "stop", "daemon-reload")
    ]
    # systemd stands still while it reads its units: once, when both releases are where they shall be.
    assert order == [f"start {second.id}", f"gate {second.id}", "drain", f"stop {first.id}", "daemon-reload"]
    assert ledger.read(first)["state"] == ledger.SUPERSEDED
    assert ledger.read(second)["previous"] == first.id


def test_release_that_fails_its_gate_leaves_nothing(tmp_path: Path, world: World) -> None:
    good = wanted(tmp_path, "one")
    good.deploy(None)
    before = sorted(os.listdir(good.app.releases))
    world.bad = True
    with pytest.raises(DeployError) as caught:
        wanted(tmp_path, "two").deploy(None)
    assert "answered 500" in str(caught.value)
    assert "the app's own words" in str(caught.value)
    assert f"Release {before[0]} serves as before" in str(caught.value)
    assert serving(good) == "one"
    assert sorted(os.listdir(good.app.releases)) == before
    assert not any("drain" in call for call in world.calls)


def test_crash_of_the_build_leaves_nothing(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = wanted(tmp_path, "one")
    monkeypatch.setattr(build, "make", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        deployment.deploy(None)
    assert list(deployment.app.releases.iterdir()) == []


def test_deploy_notes_its_steps(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
    with _progress.noted(None) as notes:
        wanted(tmp_path, "two").deploy(None)
    assert [note["step"] for note in notes.taken] == ["build", "gate", "switch", "let_go"]
    with _progress.noted(None) as notes:
        wanted(tmp_path, "two").deploy(None)
    assert notes.taken == []
    with _progress.noted(None) as notes:
        wanted(tmp_path, "one").deploy(None)
    assert [note["step"] for note in notes.taken] == ["again", "gate", "switch", "let_go"]
    assert {note["app"] for note in notes.taken} == {"shop"}


def test_prune_keeps_the_running_and_the_previous(tmp_path: Path, world: World) -> None:
    for digest in ("one", "two", "three", "four"):
        wanted(tmp_path, digest).deploy(None)
    kept = [ledger.read(release)["version"] for release in wanted(tmp_path, "x").app.all_releases()]
    assert kept == ["three", "four"]


def test_release_made_while_the_clock_was_ahead_is_pruned(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted(tmp_path, "one").deploy(None)
    ahead = wanted(tmp_path, "two")
    name = store.name_release
    with monkeypatch.context() as patched:
        patched.setattr(store, "name_release", lambda own: own.app.release(f"2099{name(own).id[4:]}"))
        ahead.deploy(None)
    for digest in ("three", "four", "five"):
        wanted(tmp_path, digest).deploy(None)
    kept = [ledger.read(release)["version"] for release in wanted(tmp_path, "x").app.all_releases()]
    assert kept == ["four", "five"]


def test_leftover_of_a_dead_deploy_is_removed(tmp_path: Path, world: World) -> None:
    deployment = wanted(tmp_path, "one")
    left = deployment.app.releases / "20200101T000000-abcdef"
    (left / "src").mkdir(parents=True)
    deployment.deploy(None)
    assert not left.exists()
    assert world.calls.count("forget") == 1, "uv's cache may hold what the same cut left empty"
    wanted(tmp_path, "two").deploy(None)
    assert world.calls.count("forget") == 1


def test_second_deploy_says_who_holds_the_lock(tmp_path: Path, world: World) -> None:
    one = deployed(tmp_path, "one")
    with (
        lock.held(one.app, "a@b"),
        pytest.raises(BusyError, match=r"another deploy holds .*process \d+, a@b, since 20"),
    ):
        lock.held(one.app, "c@d", wait=0.0).__enter__()


def test_deploy_that_waited_for_the_same_one_does_nothing(tmp_path: Path, world: World) -> None:
    one = deployed(tmp_path, "one")
    assert one.deploy(None)["status"] == "current"
    assert len(one.app.all_releases()) == 1


def test_release_that_goes_bad_is_taken_back(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def went_bad(*_: object) -> None:
        raise watch.WentBadError("40 of 50 answers were 5xx")

    one = deployed(tmp_path, "one")
    first = one.app.active()
    assert first
    monkeypatch.setattr(activate, "watch", went_bad)
    with pytest.raises(DeployError) as caught:
        wanted(tmp_path, "two", watch={"seconds": 5, "errors": 5}).deploy(None)
    assert "40 of 50 answers were 5xx" in str(caught.value)
    assert f"Release {first.id} serves again" in str(caught.value)
    assert serving(one) == "one"
    assert list(world.instances) == [first.id]
    bad = next(release for release in one.app.all_releases() if release != first)
    assert ledger.read(bad)["state"] == ledger.BAD


@pytest.mark.parametrize(("choice", "serves"), [("keep", "two"), ("rollback", "one")])
def test_failing_after_hook(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, choice: str, serves: str
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise CommandError(["notify"], "exit status 1", "nobody listens")

    one = deployed(tmp_path, "one")
    monkeypatch.setattr(units, "run_in_sandbox", fails)
    hook = {"command": "notify", "creates": None, "every_host": None}
    hooks = {"build": [], "migrate": [], "after": [hook], "after_failure": choice}
    with pytest.raises(DeployError, match=r"hooks\.after: 'notify' failed"):
        wanted(tmp_path, "two", hooks=hooks).deploy(None)
    assert serving(one) == serves


def test_full_disk_is_named(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    one = deployed(tmp_path, "one")
    monkeypatch.setattr(build, "make", full)
    with pytest.raises(DeployError, match="The disk is full"):
        wanted(tmp_path, "two").deploy(None)
    assert (serving(one), len(one.app.all_releases())) == ("one", 1)


def test_restart_holds_requests_and_gives_them_to_whoever_serves(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_holds(world, monkeypatch)
    one = deployed(tmp_path, "one", strategy="restart")
    first = one.app.active()
    assert first
    world.calls.clear()
    two = deployed(tmp_path, "two", strategy="restart")
    second = two.app.active()
    assert second
    steps = ("begin", "pause", "start", "gate", "end", "stop", "give_back")
    order = [call for call in world.calls if call.split()[0] in steps]
    assert order == [
        "begin", f"pause {first.id}", f"start {second.id}", f"gate {second.id}", f"end {second.id}",
        f"stop {first.id}",
    ]  # fmt: skip
    world.calls.clear()
    world.bad = True
    with pytest.raises(DeployError, match=f"Release {second.id} serves as before"):
        deployed(tmp_path, "three", strategy="restart")
    assert world.calls[-2:] == ["give_back", f"end {second.id}"] or "give_back" in world.calls
    assert serving(two) == "two"


def test_source_without_the_app_is_refused_with_what_it_has(tmp_path: Path, world: World) -> None:
    with pytest.raises(DeployError, match=r"a module store .*correct app, or name the folder"):
        wanted(tmp_path, "one", module="store").deploy(None)


def test_release_on_disk_is_migrated_again(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(
        units, "run_in_sandbox", lambda release, texts, argv, **_: ran.append(f"{release.id} {argv[-1]}")
    )
    monkeypatch.setattr(tree, "changed_since", lambda *_: False)
    hooks = {"build": [], "migrate": [HOOK], "after": [], "after_failure": "keep"}
    two = deployed(tmp_path, "one", "two", hooks=hooks)
    two.rollback(None)
    ran.clear()
    two.deploy(None)
    active = two.app.active()
    assert active
    assert f"{active.id} notify" in ran

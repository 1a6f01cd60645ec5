"""The background processes of one release run, never those of two."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import (
    activate,
    background,
    ledger,
    switch,
    units,
    watch,
)
from ansible_collections.asgi.host.plugins.module_utils._release.errors import DeployError
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release
from app_world import World, deployed, note_holds, wanted
from fake_systemd import RUNS

WORKER = {"worker": "[Service]\nExecStart=work\n"}
BOTH = {**WORKER, "scheduler": "[Service]\nExecStart=plan\n"}
STEPS = ("start", "stop", "gate", "drain", "enable", "disable")


def test_processes_of_the_old_release_end_before_those_of_the_new_one_start(
    tmp_path: Path, world: World
) -> None:
    one = deployed(tmp_path, "one", processes=BOTH)
    assert world.up() == {"scheduler@000": True, "worker@000": True}
    world.calls.clear()
    two = deployed(tmp_path, "two", processes=BOTH)
    first, second = two.app.all_releases()
    assert [call for call in world.calls if call.split()[0] in STEPS] == [
        f"start {second.id}",
        f"gate {second.id}",
        "stop scheduler@000",
        "stop worker@000",
        "enable worker@001",
        "enable scheduler@001",
        "start worker@001",
        "start scheduler@001",
        "drain",
        f"stop {first.id}",
        "disable scheduler@000",
        "disable worker@000",
        "stop scheduler@000",
        "stop worker@000",
    ]
    assert world.up() == {"scheduler@001": True, "worker@001": True}
    assert ledger.read(second)["processes"] == ["worker", "scheduler"]
    assert not list(tmp_path.glob("*.trial")), "the trial outlived the switch"
    assert one.look(dry=True)["status"] == "needed"


def test_process_that_ends_fails_the_release_and_the_old_ones_run_again(tmp_path: Path, world: World) -> None:
    one = deployed(tmp_path, "one", processes=WORKER)
    first = one.app.active()
    assert first
    world.dies = {"scheduler"}
    with pytest.raises(DeployError) as caught:
        deployed(tmp_path, "two", processes=BOTH)
    assert "processes: scheduler ended by itself, with exit status 0" in str(caught.value)
    assert "From the journal of asgi-shop.scheduler@001" in str(caught.value)
    assert "the app's own words" in str(caught.value)
    assert f"Release {first.id} serves as before" in str(caught.value)
    assert "drain" not in world.calls
    assert world.up() == {"worker@000": True}
    assert list(world.instances) == [first.id]
    assert one.app.all_releases() == [first]
    assert [path.name for path in (tmp_path / "systemd").glob("*.service")] == [
        f"asgi-shop.worker@{first.id}.service"
    ]


def test_switch_that_fails_gives_the_processes_back(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    two = deployed(tmp_path, "one", "two", processes=WORKER)
    monkeypatch.setattr(switch, "point_link", full)
    with pytest.raises(DeployError, match="The disk is full"):
        two.rollback(None)
    assert world.up() == {"worker@001": True}


def test_rollback_takes_the_processes_back(tmp_path: Path, world: World) -> None:
    deployed(tmp_path, "one", processes=WORKER)
    two = deployed(tmp_path, "two", processes=BOTH, keep_warm=True)
    assert world.up() == {"scheduler@001": True, "worker@001": True}
    two.rollback(None)
    assert world.up() == {"worker@000": True}, "a release kept warm keeps no processes"
    bare = deployed(tmp_path, "three")
    assert world.up() == {}
    bare.rollback(None)
    assert world.up() == {"worker@000": True}


@pytest.mark.parametrize("ending", ["watch", "process"])
def test_release_taken_back_gives_the_processes_back(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def went_bad(release: Release, *_: object) -> None:
        if ending == "watch":
            raise watch.WentBadError("40 of 50 answers were 5xx")
        raise background.EndedError(release.process("worker"), "worker was ended by signal 11")

    deployed(tmp_path, "one", processes=WORKER)
    monkeypatch.setattr(activate, "watch", went_bad)
    with pytest.raises(DeployError, match="serves again") as caught:
        deployed(tmp_path, "two", processes=WORKER, watch={"seconds": 5, "errors": 5})
    assert ("asgi-shop.worker@001" in str(caught.value)) == (ending == "process")
    assert world.up() == {"worker@000": True}


def test_processes_end_before_requests_are_held_in_place(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_holds(world, monkeypatch)
    keys: dict[str, Any] = {"strategy": "restart", "processes": WORKER}
    first = deployed(tmp_path, "one", **keys).app.active()
    assert first
    world.calls.clear()
    second = deployed(tmp_path, "two", **keys).app.active()
    assert second
    steps = ("begin", "pause", "start", "gate", "end", "give_back", "stop")
    order = [call for call in world.calls if call.split()[0] in steps]
    assert order[:8] == [
        "stop worker@000", "begin", f"pause {first.id}", f"start {second.id}", f"gate {second.id}",
        "start worker@001", f"end {second.id}", f"stop {first.id}",
    ]  # fmt: skip
    world.calls.clear()
    world.bad = True
    with pytest.raises(DeployError, match=f"Release {second.id} serves as before"):
        deployed(tmp_path, "three", **keys)
    order = [call for call in world.calls if call.split()[0] in ("give_back", "end", "start")]
    assert order[-3:] == ["give_back", f"end {second.id}", "start worker@001"], "the app first"
    assert world.up() == {"worker@001": True}


def test_killed_deploy_leaves_what_the_next_one_puts_right(tmp_path: Path, world: World) -> None:
    """It had begun to hand over; whether the same release is wanted still, or the old one."""
    one = deployed(tmp_path, "one", processes=WORKER)
    active = one.app.active()
    assert active
    own = active.process("worker")
    stray = own.replace("@000", "@007")
    world.processes = {own: units.UnitState("inactive", True, 0, 0), stray: RUNS}
    found = one.look(dry=True)["reasons"]
    assert f"{stray} ran beside it" in found
    assert f"{own} was inactive" in found
    assert world.processes[stray] == RUNS, "a dry run stopped it"
    one.look(dry=False)
    assert world.up() == {"worker@000": True}
    world.processes = {own: units.UnitState("inactive", True, 0, 0), stray: RUNS}
    world.calls.clear()
    deployed(tmp_path, "two", processes=WORKER)
    order = [call for call in world.calls if "worker@" in call and call.split()[0] in ("start", "stop")]
    assert order[:2] == ["stop worker@007", "start worker@000"], "the old release went without"
    assert world.up() == {"worker@001": True}


def test_drift_of_a_process(tmp_path: Path, world: World) -> None:
    one = deployed(tmp_path, "one", processes=BOTH)
    release = one.app.active()
    assert release
    world.instances[release.id] = RUNS
    worker, scheduler = (release.process(name) for name in BOTH)
    path = tmp_path / "systemd" / worker
    path.write_text("[Service]\n# by hand\n")
    world.calls.clear()
    found = one.look(dry=False)["reasons"]
    assert f"{path} differed" in found
    assert path.read_text() == BOTH["worker"]
    assert f"restart {release.id}" not in world.calls, "the app has no part in it"
    assert "stop worker@000" in world.calls
    assert "stop scheduler@000" not in world.calls
    assert world.up() == {"scheduler@000": True, "worker@000": True}
    (release.secrets / "environment").write_text("ODD=1\n")
    world.calls.clear()
    one.look(dry=False)
    order = [call for call in world.calls if call.split()[0] in ("restart", "stop", "start")]
    assert order == [
        f"start {release.id}",
        f"restart {release.id}",
        "stop worker@000",
        "stop scheduler@000",
        "start worker@000",
        "start scheduler@000",
    ], "the app first, then what may ask it"
    world.processes[scheduler] = units.UnitState("activating", True, 9, 0)
    world.dies = {"scheduler"}
    with pytest.raises(DeployError, match="processes: scheduler ended by itself"):
        one.look(dry=False)


def test_one_that_was_just_started_again_is_looked_at_for_longer(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "STAYS_UP", 0.3)
    one = deployed(tmp_path, "one", processes=WORKER)
    release = one.app.active()
    assert release
    own = release.process("worker")
    again = units.UnitState("active", True, 7, 1, since=time.monotonic() - 1)
    world.processes[own] = again
    assert background.down(release) == []
    counted = itertools.count(7)
    monkeypatch.setattr(
        units, "states_now", lambda _: {own: dataclasses.replace(again, restarts=next(counted))}
    )
    assert background.down(release) == ["worker"]
    # What systemd said at first would be the same for as long as one waits.
    with units.overview():
        assert background.lacking(release)[0].startswith(f"{own} was ending again and again (started ")
    monkeypatch.setattr(
        units, "states_now", lambda names: {name: dataclasses.replace(again, since=0.0) for name in names}
    )
    began = time.monotonic()
    assert background.down(release) == []
    assert time.monotonic() - began < 0.2, "one of weeks ago is steady"


def test_changed_process_is_a_new_release(tmp_path: Path, world: World) -> None:
    deployed(tmp_path, "one", processes=WORKER)
    other = wanted(tmp_path, "one", processes={"worker": "[Service]\nExecStart=work harder\n"})
    assert other.look(dry=True)["reasons"] == ["settings changed: processes.worker"]


def test_removal_leaves_no_process(tmp_path: Path, world: World) -> None:
    two = deployed(tmp_path, "one", "two", processes=BOTH)
    assert len(list((tmp_path / "systemd").glob("asgi-shop.*"))) == 4
    two.remove(purge=False, dry=False)
    assert world.up() == {}
    assert list((tmp_path / "systemd").glob("asgi-shop.*")) == []

"""The release model with a stand-in for systemd, uv and HTTP: what is on disk after each ending."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import (
    build,
    candidate,
    deploy,
    environment,
    gate,
    hold,
    ledger,
    paths,
    switch,
    tree,
    units,
    watch,
)
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release

RUNS = units.UnitState(active="active", enabled=True, restarts=0, main_pid=1)
IDLE = units.UnitState(active="inactive", enabled=False, restarts=0, main_pid=0)


class World:
    """What the fakes were told, and whether the next gate opens."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bad = False
        self.instances: dict[str, units.UnitState] = {}

    def passes(self, release: Release) -> None:
        self.calls.append(f"gate {release.id}")
        if self.bad:
            raise gate.GateError("/: answered 500, wanted 200")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def make(release: Release, *_: object) -> str:
        (release.venv / "bin").mkdir(parents=True)
        (release.venv / "bin" / "python").touch()
        (release.venv / "lib" / "python3.11" / "site-packages" / "shop").mkdir(parents=True)
        return ""

    def drained(*_: object) -> int:
        world.calls.append("drain")
        return 0

    monkeypatch.setattr(paths, "SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(paths.App, "secrets", property(lambda self: tmp_path / "etc" / self.name))
    for module in (deploy, candidate):
        monkeypatch.setattr(module, "run", lambda argv, **_: world.calls.append(" ".join(argv[:2])))
    monkeypatch.setattr(deploy.Deployment, "_repair_socket", staticmethod(lambda *_, **__: []))
    monkeypatch.setattr(build, "make", make)
    monkeypatch.setattr(build, "compile_source", lambda release: None)
    monkeypatch.setattr(build.Tools, "forget", lambda own: world.calls.append("forget"))
    monkeypatch.setattr(gate.Gate, "passes", lambda own, release, *_: world.passes(release))
    monkeypatch.setattr(switch, "wait_until_let_go", drained)
    monkeypatch.setattr(units, "instances", lambda app: dict(world.instances))
    monkeypatch.setattr(units, "restart", lambda release: world.calls.append(f"restart {release.id}"))

    def start(release: Release) -> None:
        world.calls.append(f"start {release.id}")
        world.instances[release.id] = RUNS

    def stop(release: Release, **_: object) -> None:
        world.calls.append(f"stop {release.id}")
        world.instances.pop(release.id, None)

    monkeypatch.setattr(units, "start", start)
    monkeypatch.setattr(units, "stop", stop)
    monkeypatch.setattr(units, "end", stop)
    monkeypatch.setattr(units, "hasten", lambda release, patience: None)
    monkeypatch.setattr(units, "end_commands", lambda app: None)
    monkeypatch.setattr(units, "forget_failure", lambda release: None)
    monkeypatch.setattr(units, "journal", lambda service, since: "the app's own words")
    monkeypatch.setattr(units, "states", lambda names: dict.fromkeys(names, IDLE))
    numbers = iter(range(100))
    original = paths.App.release

    def numbered(app: paths.App, identity: str) -> Release:
        known = (app.releases / identity).exists()
        return original(app, identity if known else f"{next(numbers):03}-{identity}")

    monkeypatch.setattr(paths.App, "release", numbered)
    return world


def wanted(root: Path, digest: str, **more: Any) -> deploy.Deployment:
    """A deployment of a source with this digest."""
    spec = {
        "name": "shop", "root": str(root), "user": "asgi-shop", "by": "a@b", "host": "localhost", "domains": [],
        "root_path": "", "health": [], "shared": [],
        "hooks": {"build": [], "migrate": [], "after": [], "after_failure": "keep"}, "strategy": "overlap",
        "warm_up": 0, "watch": {"seconds": 0, "errors": 5}, "keep_warm": False,
        "app_dir": "", "python": {"path": "/usr/bin/python3", "version": "3.11.2"}, "requirements": [],
        "server_pins": [], "server_requirements": None, "keep_releases": 2,
        "module": "shop",
        "source": {"kind": "package", "digest": digest, "describe": "path shop", "version": digest},
        "texts": {"service": "", "release.conf": "[Service]\n"},
        "files": {"gunicorn.conf.py": "workers = 1\n"},
        "command": None,
        "check": [],
        **more,
    }  # fmt: skip
    private = {"env": {}, "secrets": {"S": "hush-hush"}, "credentials": {}}
    return deploy.Deployment(spec, private, build.Tools(uv="uv", index=None))


def serving(deployment: deploy.Deployment) -> str:
    active = deployment.app.active()
    assert active is not None
    return str(ledger.read(active)["version"])


def test_order_of_a_deploy(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
    first = wanted(tmp_path, "one").app.active()
    world.calls.clear()
    wanted(tmp_path, "two").deploy(None)
    second = wanted(tmp_path, "two").app.active()
    assert first
    assert second
    order = [call for call in world.calls if call.split()[0] in ("start", "gate", "drain", "stop")]
    assert order == [f"start {second.id}", f"gate {second.id}", "drain", f"stop {first.id}"]
    assert ledger.read(first)["state"] == ledger.SUPERSEDED
    assert ledger.read(second)["previous"] == first.id


def test_release_that_fails_its_gate_leaves_nothing(tmp_path: Path, world: World) -> None:
    good = wanted(tmp_path, "one")
    good.deploy(None)
    before = sorted(os.listdir(good.app.releases))
    world.bad = True
    with pytest.raises(deploy.DeployError) as caught:
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


def test_same_digest_needs_nothing_and_another_does(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
    active = units.UnitState(active="active", enabled=True, restarts=0, main_pid=1)
    units.states = lambda names: dict.fromkeys(names, active)  # type: ignore[assignment]
    assert wanted(tmp_path, "one").look(dry=False)["status"] == "current"
    found = wanted(tmp_path, "two").look(dry=False)
    assert (found["status"], found["reasons"]) == ("needed", ["source changed"])


def test_drift_of_a_release(tmp_path: Path, world: World) -> None:
    deployment = wanted(tmp_path, "one")
    deployment.deploy(None)
    release = deployment.app.active()
    assert release
    (release.folder / "gunicorn.conf.py").write_text("workers = 99\n")
    assert deployment.look(dry=True)["status"] == "repaired"
    assert (release.folder / "gunicorn.conf.py").read_text() == "workers = 99\n", "a dry run wrote"
    deployment.look(dry=False)
    assert (release.folder / "gunicorn.conf.py").read_text() == "workers = 1\n"
    (release.source / "added.py").write_text("x")
    assert deployment.look(dry=False)["status"] == "needed"


def test_rollback_and_the_way_forward_again(tmp_path: Path, world: World) -> None:
    for digest in ("one", "two"):
        wanted(tmp_path, digest).deploy(None)
    two = wanted(tmp_path, "two")
    two.rollback(None)
    assert serving(two) == "one"
    built = len(os.listdir(two.app.releases))
    two.deploy(None)
    assert serving(two) == "two"
    assert len(os.listdir(two.app.releases)) == built, "a release that is there was built again"


def test_rollback_to_what_is_not_there_names_what_is(tmp_path: Path, world: World) -> None:
    deployment = wanted(tmp_path, "one")
    deployment.deploy(None)
    only = deployment.app.active()
    assert only
    with pytest.raises(deploy.DeployError, match=f"no release nonsense; there are: {only.id}"):
        deployment.rollback("nonsense")
    with pytest.raises(deploy.DeployError, match="no earlier release"):
        deployment.rollback(None)


def test_prune_keeps_the_running_and_the_previous(tmp_path: Path, world: World) -> None:
    for digest in ("one", "two", "three", "four"):
        wanted(tmp_path, digest).deploy(None)
    kept = [ledger.read(release)["version"] for release in wanted(tmp_path, "x").app.all_releases()]
    assert kept == ["three", "four"]


def test_leftover_of_a_dead_deploy_is_removed(tmp_path: Path, world: World) -> None:
    deployment = wanted(tmp_path, "one")
    left = deployment.app.releases / "20200101T000000-abcdef"
    (left / "src").mkdir(parents=True)
    deployment.deploy(None)
    assert not left.exists()
    assert world.calls.count("forget") == 1, "uv's cache may hold what the same cut left empty"
    wanted(tmp_path, "two").deploy(None)
    assert world.calls.count("forget") == 1


def test_secrets_are_in_the_identity_but_not_to_be_read_there(tmp_path: Path, world: World) -> None:
    deployment = wanted(tmp_path, "one")
    deployment.deploy(None)
    release = deployment.app.active()
    assert release
    assert "hush" not in release.ledger.read_text()
    changed = wanted(tmp_path, "one")
    changed.private = {**changed.private, "secrets": {"S": "another"}}
    assert changed.look(dry=True)["reasons"] == ["environment changed"]
    assert environment.keyed_digest(deployment.app, {}) != environment.keyed_digest(deployment.app, {"S": ""})


def deployed(root: Path, *digests: str, **more: Any) -> deploy.Deployment:
    """The last of several deploys in a row."""
    for digest in digests:
        last = wanted(root, digest, **more)
        last.deploy(None)
    return last


def test_switch_that_a_power_cut_ended_is_finished(tmp_path: Path, world: World) -> None:
    two = deployed(tmp_path, "one", "two")
    one, active = two.app.all_releases()
    ledger.update(active, state=ledger.BUILT, activated=None)
    ledger.update(one, state=ledger.ACTIVE)
    world.instances = {one.id: RUNS, active.id: RUNS}
    dry = two.look(dry=True)
    assert dry["reasons"][:2] == [
        f"the switch to {active.id} was not finished",
        f"release {one.id} ran beside it",
    ]
    assert ledger.read(active)["state"] == ledger.BUILT, "a dry run wrote"
    assert two.look(dry=False)["status"] == "repaired"
    assert (ledger.read(active)["state"], ledger.read(one)["state"]) == (ledger.ACTIVE, ledger.SUPERSEDED)
    assert list(world.instances) == [active.id]


def test_what_a_dead_deploy_left_is_swept_but_not_while_another_works(tmp_path: Path, world: World) -> None:
    one = deployed(tmp_path, "one")
    left = one.app.releases / "20991231T000000-abcdef"
    (left / "src").mkdir(parents=True)
    with one._lock():
        one.look(dry=False)
        assert left.exists()
    one.look(dry=True)
    assert left.exists()
    assert "forget" not in world.calls
    assert one.look(dry=False)["reasons"][0] == f"release {left.name} was left half built"
    assert not left.exists()
    assert "forget" in world.calls


def test_second_deploy_says_who_holds_the_lock(tmp_path: Path, world: World) -> None:
    one = deployed(tmp_path, "one")
    with (
        one._lock(),
        pytest.raises(deploy.BusyError, match=r"another deploy holds .*process \d+, a@b, since 20"),
    ):
        one._lock(wait=0.0).__enter__()


def test_deploy_that_waited_for_the_same_one_does_nothing(tmp_path: Path, world: World) -> None:
    one = deployed(tmp_path, "one")
    assert one.deploy(None)["status"] == "current"
    assert len(one.app.all_releases()) == 1


def test_previous_stays_warm_and_no_other(tmp_path: Path, world: World) -> None:
    three = deployed(tmp_path, "one", "two", "three", keep_warm=True, keep_releases=5)
    _, two, active = three.app.all_releases()
    assert set(world.instances) == {two.id, active.id}
    world.instances.pop(active.id)
    assert f"release {two.id} ran beside it" not in three.look(dry=True)["reasons"]
    cold = wanted(tmp_path, "three", keep_releases=5)
    assert f"release {two.id} ran beside it" in cold.look(dry=False)["reasons"]
    assert two.id not in world.instances


def test_release_that_goes_bad_is_taken_back(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def went_bad(*_: object) -> None:
        raise watch.WentBadError("40 of 50 answers were 5xx")

    one = deployed(tmp_path, "one")
    first = one.app.active()
    assert first
    monkeypatch.setattr(deploy, "watch", went_bad)
    with pytest.raises(deploy.DeployError) as caught:
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
    with pytest.raises(deploy.DeployError, match=r"hooks\.after: 'notify' failed"):
        wanted(tmp_path, "two", hooks=hooks).deploy(None)
    assert serving(one) == serves


def test_full_disk_is_named(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    one = deployed(tmp_path, "one")
    monkeypatch.setattr(build, "make", full)
    with pytest.raises(deploy.DeployError, match="The disk is full"):
        wanted(tmp_path, "two").deploy(None)
    assert (serving(one), len(one.app.all_releases())) == ("one", 1)


def test_restart_holds_requests_and_gives_them_to_whoever_serves(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("begin", "give_back"):
        monkeypatch.setattr(hold.Hold, name, lambda own, name=name: world.calls.append(name))
    monkeypatch.setattr(hold.Hold, "end", lambda own, to, limit: world.calls.append(f"end {to.id}"))
    monkeypatch.setattr(units, "pause", lambda release: world.calls.append(f"pause {release.id}"))
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
    with pytest.raises(deploy.DeployError, match=f"Release {second.id} serves as before"):
        deployed(tmp_path, "three", strategy="restart")
    assert world.calls[-2:] == ["give_back", f"end {second.id}"] or "give_back" in world.calls
    assert serving(two) == "two"


def test_source_without_the_app_is_refused_with_what_it_has(tmp_path: Path, world: World) -> None:
    with pytest.raises(deploy.DeployError, match=r"a module store .*correct app, or name the folder"):
        wanted(tmp_path, "one", module="store").deploy(None)


HOOK = {"command": "notify", "creates": None, "every_host": None}


def test_after_hook_that_failed_is_run_by_the_next_converge(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise CommandError(["notify"], "exit status 1", "nobody listens")

    hooks = {"build": [], "migrate": [], "after": [HOOK], "after_failure": "keep"}
    deployment = wanted(tmp_path, "one", hooks=hooks)
    monkeypatch.setattr(units, "run_in_sandbox", fails)
    with pytest.raises(deploy.DeployError, match=r"hooks\.after"):
        deployment.deploy(None)
    assert "hooks.after had not run to their end" in deployment.look(dry=True)["reasons"]
    with pytest.raises(deploy.DeployError, match="nobody listens"):
        deployment.look(dry=False)
    monkeypatch.setattr(units, "run_in_sandbox", lambda *_, **__: "")
    assert "hooks.after had not run to their end" in deployment.look(dry=False)["reasons"]
    assert "hooks.after had not run to their end" not in deployment.look(dry=False)["reasons"]


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


def test_look_at_a_rollback_changes_nothing(tmp_path: Path, world: World) -> None:
    two = deployed(tmp_path, "one", "two")
    before = {release: ledger.read(release) for release in two.app.all_releases()}
    assert two.rollback(None, dry=True)["status"] == "rolled back"
    assert serving(two) == "two"
    assert {release: ledger.read(release) for release in two.app.all_releases()} == before


def test_bad_release_is_nothing_to_go_back_to(tmp_path: Path, world: World) -> None:
    two = deployed(tmp_path, "one", "two")
    one = two.app.all_releases()[0]
    ledger.update(one, state=ledger.BAD)
    with pytest.raises(deploy.DeployError, match="no earlier release"):
        two.rollback(None)


def test_switch_that_fails_after_the_gate_leaves_no_second_instance(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    two = deployed(tmp_path, "one", "two")
    active = two.app.active()
    assert active
    monkeypatch.setattr(switch, "point_link", full)
    with pytest.raises(deploy.DeployError, match="The disk is full"):
        two.rollback(None)
    assert list(world.instances) == [active.id]

"""The release model with a stand-in for systemd, uv and HTTP: what is on disk after each ending."""

from __future__ import annotations

import dataclasses
import errno
import io
import itertools
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _progress
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import (
    background,
    build,
    candidate,
    deploy,
    environment,
    gate,
    hold,
    images,
    ledger,
    paths,
    switch,
    tree,
    units,
    watch,
    workshop,
)
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release
from near_workshop import NearWorkshop

RUNS = units.UnitState(active="active", enabled=True, restarts=0, main_pid=1)
IDLE = units.UnitState(active="inactive", enabled=False, restarts=0, main_pid=0)


class World:
    """What the fakes were told, and whether the next gate opens."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[str] = []
        self.bad = False
        self.instances: dict[str, units.UnitState] = {}
        # Units of background processes, and those that end as soon as they are started.
        self.processes: dict[str, units.UnitState] = {}
        self.dies: set[str] = set()

    def passes(self, release: Release) -> None:
        self.calls.append(f"gate {release.id}")
        if self.bad:
            raise gate.GateError("/: answered 500, wanted 200")

    def systemctl(self, argv: list[str], **_: object) -> str:
        """What systemd does with the units of background processes."""
        verb, *names = [word for word in argv[1:] if not word.startswith("-")]
        if verb == "daemon-reload":
            return ""
        self.calls += [f"{verb} {short(name)}" for name in names]
        for name in names:
            seen = self.processes.get(name, IDLE)
            if verb in ("enable", "disable"):
                seen = dataclasses.replace(seen, enabled=verb == "enable")
            elif verb in ("start", "stop"):
                dies = any(part in name for part in self.dies)
                idle = verb == "stop" or not self.may_start(name)
                fate = "inactive" if idle else "activating" if dies else "active"
                seen = dataclasses.replace(seen, active=fate)
            self.processes[name] = seen
        return ""

    def may_start(self, unit: str) -> bool:
        """The condition that the unit has."""
        release = paths.App(self.root, "shop", "").release(unit.partition("@")[2].removesuffix(".service"))
        return release.app.active() == release or release.trial.exists()

    def up(self) -> dict[str, bool]:
        """The processes that run, with whether they would at boot, and those that would."""
        return {
            short(name): seen.enabled
            for name, seen in sorted(self.processes.items())
            if seen.active == "active" or seen.enabled
        }


def short(unit: str) -> str:
    """A process and the number of its release: ``worker@001``."""
    return unit.removeprefix("asgi-shop.").partition("-")[0]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)

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
    monkeypatch.setattr(candidate, "SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(deploy, "SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    monkeypatch.setattr(background, "run", world.systemctl)
    monkeypatch.setattr(background, "succeeds", lambda argv: world.systemctl(argv) == "")
    monkeypatch.setattr(background, "STAYS_UP", 0.0)
    monkeypatch.setattr(units, "listed", lambda *_: list(world.processes))
    monkeypatch.setattr(units, "how_it_ended", lambda unit: "ended by itself, with exit status 0")
    for module in (deploy, candidate):
        monkeypatch.setattr(module, "run", lambda argv, **_: world.calls.append(" ".join(argv[:2])))
    monkeypatch.setattr(deploy.Deployment, "_repair_socket", staticmethod(lambda *_, **__: []))
    monkeypatch.setattr(build, "make", make)
    monkeypatch.setattr(build, "compile_source", lambda *_: None)
    monkeypatch.setattr(build.Tools, "forget", lambda *_: world.calls.append("forget"))
    monkeypatch.setattr(workshop, "forget", lambda app: None)
    monkeypatch.setattr(
        candidate, "Workshop", lambda release, *_, **__: NearWorkshop(release, tmp_path / "build")
    )
    monkeypatch.setattr(gate.Gate, "passes", lambda own, release, *_: world.passes(release))
    monkeypatch.setattr(switch, "wait_until_let_go", drained)
    monkeypatch.setattr(units, "instances", lambda app: dict(world.instances))
    monkeypatch.setattr(units, "restart", lambda release: world.calls.append(f"restart {release.id}"))
    monkeypatch.setattr(units, "reload", lambda: world.calls.append("reload"))
    monkeypatch.setattr(units, "enable", lambda release: world.calls.append(f"enable {release.id}"))

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
    monkeypatch.setattr(
        units, "states_now", lambda names: {name: world.processes.get(name, IDLE) for name in names}
    )
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
        "warm_up": 0, "watch": {"seconds": 0, "errors": 5}, "keep_warm": False, "static": [],
        "app_dir": "", "python": {"path": "/usr/bin/python3", "version": "3.11.2"}, "requirements": [],
        "server_pins": [], "server_requirements": None, "keep_releases": 2,
        "module": "shop",
        "source": {"kind": "package", "digest": digest, "describe": "path shop", "version": digest},
        "texts": {"service": "", "release.conf": "[Service]\n"},
        "processes": {},
        "files": {"gunicorn.conf.py": "workers = 1\n"},
        "server": "gunicorn",
        "command": None,
        "workers": {"wanted": 1, "room": None},
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
    order = [call for call in world.calls if call.split()[0] in ("start", "gate", "drain", "stop", "reload")]
    # systemd stands still while it reads its units: once, when both releases are where they shall be.
    assert order == [f"start {second.id}", f"gate {second.id}", "drain", f"stop {first.id}", "reload"]
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
    units.states_now = lambda names: dict.fromkeys(names, active)  # type: ignore[assignment]
    assert wanted(tmp_path, "one").look(dry=False)["status"] == "current"
    found = wanted(tmp_path, "two").look(dry=False)
    assert (found["status"], found["reasons"]) == ("needed", ["source changed: one → two"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"requirements": ["redis"]}, "dependencies changed: requirements"),
        ({"server_pins": ["gunicorn==1"]}, "dependencies changed: the role's server"),
        ({"python": {"path": "/usr/bin/python3", "version": "3.11.9"}}, "python changed: 3.11.2 → 3.11.9"),
        ({"python": {"path": "/opt/python3", "version": "3.11.2"}}, "python changed"),
        ({"files": {"gunicorn.conf.py": "workers = 2\n"}}, "settings changed: gunicorn.conf.py"),
        (
            {"texts": {"service": "", "release.conf": ""}, "command": "run"},
            "settings changed: command, unit",
        ),
        ({"processes": {"worker": ""}}, "settings changed: processes.worker"),
    ],
)
def test_new_release_has_its_reason_by_the_names_of_the_inventory(
    tmp_path: Path, world: World, change: dict[str, Any], reason: str
) -> None:
    wanted(tmp_path, "one").deploy(None)
    now = wanted(tmp_path, "one", **change)
    found = now.look(dry=True)
    active = now.app.active()
    assert active
    assert (found["reasons"], found["previous"], found["again"]) == ([reason], active.id, None)
    now.deploy(None)
    new = now.app.active()
    assert new
    assert new.id.endswith(f"-{found['wanted']}")
    assert wanted(tmp_path, "one").look(dry=True)["again"] == active.id


def test_release_of_an_earlier_version_says_which_part_differs(tmp_path: Path, world: World) -> None:
    """It has noted no details."""
    wanted(tmp_path, "one").deploy(None)
    now = wanted(tmp_path, "one", requirements=["redis"])
    active = now.app.active()
    assert active
    entry = ledger.read(active)
    del entry["details"]
    ledger.write(active, entry)
    assert now.look(dry=True)["reasons"] == ["dependencies changed"]
    now.deploy(None)
    wanted(tmp_path, "one").deploy(None)
    assert now.look(dry=True)["reasons"] == ["dependencies changed: requirements"]


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


def test_release_made_while_the_clock_was_ahead_is_pruned(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
    ahead = wanted(tmp_path, "two")
    name = ahead._name_release
    ahead._name_release = lambda: ahead.app.release(f"2099{name().id[4:]}")  # type: ignore[method-assign]
    ahead.deploy(None)
    for digest in ("three", "four", "five"):
        wanted(tmp_path, digest).deploy(None)
    kept = [ledger.read(release)["version"] for release in wanted(tmp_path, "x").app.all_releases()]
    assert kept == ["four", "five"]


def test_mark_of_a_killed_deploy_is_removed(tmp_path: Path, world: World) -> None:
    deployment = wanted(tmp_path, "one")
    deployment.deploy(None)
    mark = tmp_path / "asgi-shop@gone.trial"
    other = tmp_path / "asgi-shop-two@gone.trial"
    other.touch()
    mark.touch()
    assert f"{mark} was left" in deployment.look(dry=True)["reasons"]
    assert deployment.look(dry=False)["status"] == "repaired"
    assert not mark.exists()
    mark.touch()
    wanted(tmp_path, "two").deploy(None)
    assert not mark.exists()
    assert other.exists()


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
    assert changed.look(dry=True)["reasons"] == ["environment changed: secrets.S"]
    changed.private = {**changed.private, "secrets": {}, "env": {"E": ""}}
    assert changed.look(dry=True)["reasons"] == ["environment changed: env.E, secrets.S"]
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
    _one, two, active = three.app.all_releases()
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


def note_holds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down, in place of doing it, that requests are held and the old instance is paused."""
    for name in ("begin", "give_back"):
        monkeypatch.setattr(hold.Hold, name, lambda own, name=name: world.calls.append(name))
    monkeypatch.setattr(hold.Hold, "end", lambda own, to, limit: world.calls.append(f"end {to.id}"))
    monkeypatch.setattr(units, "pause", lambda release: world.calls.append(f"pause {release.id}"))


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


# Development mode


def live(tmp_path: Path, dependencies: str, content: str, **more: Any) -> deploy.Deployment:
    """A deployment of an app in development mode."""
    source = {
        "kind": "tree", "digest": dependencies, "describe": "live path shop", "version": content,
    }  # fmt: skip
    return wanted(
        tmp_path, dependencies, source=source, live={"mount": None, "digest": content},
        files={"serve.py": "reload\n"}, texts={"service": "", "release.conf": "# reload\n"}, **more,
    )  # fmt: skip


def parcel(folder: Path, text: str) -> Path:
    """An archive of an app with this code."""
    path = folder / "source.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("shop.py")
        member.size, member.mode = len(text), 0o644
        tar.addfile(member, io.BytesIO(text.encode()))
    return path


def running(world: World) -> None:
    units.states_now = lambda names: dict.fromkeys(names, RUNS)  # type: ignore[assignment]


def test_code_is_sent_and_dependencies_make_a_release(tmp_path: Path, world: World) -> None:
    first = live(tmp_path, "deps", "one")
    assert first.deploy(parcel(tmp_path, "one"))["status"] == "deployed"
    release = first.app.active()
    assert release
    assert (release.source / "shop.py").read_text() == "one"
    assert ledger.read(release)["mode"] == "development"
    running(world)
    assert live(tmp_path, "deps", "one").look(dry=False)["unsynced"] is False
    world.calls.clear()
    found = live(tmp_path, "deps", "two").look(dry=False)
    assert (found["status"], found["unsynced"]) == ("current", True)
    second = live(tmp_path, "deps", "two")
    assert second.deploy(parcel(tmp_path, "two"))["status"] == "synced"
    assert second.synced == ["shop.py"]
    assert second.app.active() == release
    assert (release.source / "shop.py").read_text() == "two"
    assert serving(second) == "two"
    assert not any(call.startswith(("start", "stop", "restart", "gate")) for call in world.calls)
    found = live(tmp_path, "others", "two").look(dry=False)
    assert (found["status"], found["reasons"]) == ("needed", ["source changed"])
    third = live(tmp_path, "others", "two")
    assert third.deploy(parcel(tmp_path, "two"))["status"] == "deployed"
    assert [each.id for each in third.app.all_releases()] == [third.app.active().id]  # type: ignore[union-attr]
    assert third.look(dry=False)["reasons"] == []


def test_code_that_does_not_pass_is_spoken_of_and_left(tmp_path: Path, world: World) -> None:
    live(tmp_path, "deps", "one").deploy(parcel(tmp_path, "one"))
    running(world)
    world.bad = True
    world.calls.clear()
    found = live(tmp_path, "deps", "one").look(dry=False)
    assert found["status"] == "current"
    assert "does not pass the health check: /: answered 500" in found["warnings"][0]
    assert not any(call.startswith("restart") for call in world.calls)
    # Nothing is said of code that is about to change.
    assert live(tmp_path, "deps", "two").look(dry=False)["warnings"] == []


def test_mode_comes_and_goes_without_leftovers(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
    production = wanted(tmp_path, "one").app.active()
    assert production
    live(tmp_path, "deps", "code").deploy(parcel(tmp_path, "code"))
    running(world)
    assert live(tmp_path, "deps", "code").look(dry=False)["reasons"] == []
    back = wanted(tmp_path, "one")
    back.deploy(None)
    assert back.app.active() == production
    assert sorted(os.listdir(back.app.folder)) == ["current", "releases"]
    assert os.listdir(back.app.releases) == [production.id]
    assert ledger.read(production)["previous"] is None, "its own predecessor"
    assert wanted(tmp_path, "one").look(dry=False)["reasons"] == []


def test_what_a_dead_change_of_the_mode_left_is_cleared(tmp_path: Path, world: World) -> None:
    live(tmp_path, "deps", "code").deploy(parcel(tmp_path, "code"))
    left = wanted(tmp_path, "one").app.active()
    assert left
    clear = deploy.Deployment._clear_development
    deploy.Deployment._clear_development = lambda *_, **__: []  # type: ignore[method-assign]
    try:
        wanted(tmp_path, "one").deploy(None)
    finally:
        deploy.Deployment._clear_development = clear  # type: ignore[method-assign]
    running(world)
    world.instances.pop(left.id, None)
    dry = wanted(tmp_path, "one").look(dry=True)["reasons"]
    assert any(f"release {left.id} of the development mode was left" in reason for reason in dry)
    assert any("/live was left" in reason for reason in dry)
    assert left.folder.is_dir(), "a dry run removed it"
    assert wanted(tmp_path, "one").look(dry=False)["reasons"] == dry
    assert not left.folder.exists()
    assert wanted(tmp_path, "one").look(dry=False)["reasons"] == []


def test_rollback_of_the_development_mode_is_refused(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
    development = live(tmp_path, "deps", "code")
    development.deploy(parcel(tmp_path, "code"))
    # The inventory may say something else by now.
    for deployment in (development, wanted(tmp_path, "one")):
        with pytest.raises(deploy.DeployError, match="it runs in development mode"):
            deployment.rollback(None)
    # What serves in production after it goes back to production.
    wanted(tmp_path, "two").deploy(None)
    two = wanted(tmp_path, "two")
    two.rollback(None)
    assert serving(two) == "one"


def test_mount_is_read_where_it_lies(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate.Candidate, "_must_be_readable", lambda *_: None)
    mount = tmp_path / "home" / "shop"
    mount.mkdir(parents=True)
    (mount / "shop.py").write_text("app = 1\n")
    (mount / "requirements.txt").write_text("httpx\n")
    keys = {
        "live": {"mount": str(mount), "digest": ""},
        "source": {"kind": "tree", "digest": "", "describe": ""},
    }
    deployment = wanted(tmp_path, "", **keys)
    deployment.deploy(None)
    release = deployment.app.active()
    assert release
    assert release.source.resolve() == mount
    running(world)
    (mount / "shop.py").write_text("app = 2\n")
    found = wanted(tmp_path, "", **keys).look(dry=False)
    assert (found["status"], found["unsynced"]) == ("current", False)
    (mount / "requirements.txt").write_text("httpx<1\n")
    assert wanted(tmp_path, "", **keys).look(dry=False)["reasons"] == ["source changed"]
    (mount / "requirements.txt").write_text("-r gone.txt\n")
    with pytest.raises(deploy.DeployError, match=r"source.mount: .* includes gone.txt"):
        wanted(tmp_path, "", **keys).look(dry=False)
    deployment._discard(release)
    assert (mount / "shop.py").exists()


def test_release_that_is_an_image(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    container = {
        "workers": 2, "graceful_timeout": 30, "stop_timeout": 45, "keepalive": 75, "network": "any", "writable_paths": [], "static": [],
    }  # fmt: skip
    source = {"kind": "image", "digest": "d", "describe": "image x", "image": {"from": "archive"}}
    there = True
    discarded = []

    def make(release: Release, *_: object) -> None:
        ledger.update(release, image={"id": "1", "uid": 10001, "gid": 0, "sets": []})

    monkeypatch.setattr(images, "make", make)
    monkeypatch.setattr(images, "exists", lambda release: there)
    monkeypatch.setattr(images, "left_behind", lambda app: [])
    monkeypatch.setattr(images, "prune", lambda app, **_: None)
    monkeypatch.setattr(images, "discard", lambda release: discarded.append(release.id))
    monkeypatch.setattr(images, "uid_of", lambda name: 995)
    monkeypatch.setattr(images, "gid_of", lambda name: 995)
    monkeypatch.setattr(units, "states_now", lambda names: dict.fromkeys(names, RUNS))
    app = wanted(tmp_path, "d", source=source, container=container, files={}, module="", python=None)
    app.deploy(None)
    release = app.app.active()
    assert release
    assert not release.venv.exists()
    assert "localhost/asgi-shop:" in release.drop_in.with_name("image.conf").read_text()
    assert (release.secrets / "container.env").stat().st_mode & 0o777 == 0o600
    assert app.look(dry=False)["status"] == "current"
    there = False
    assert app.look(dry=False)["reasons"] == ["files of the release are missing or differ"]
    there = True
    more = {**container, "workers": 3}
    changed = wanted(tmp_path, "d", source=source, container=more, files={}, module="", python=None)
    assert changed.look(dry=True)["reasons"] == ["settings changed: image"]
    world.bad = True
    with pytest.raises(deploy.DeployError):
        changed.deploy(None)
    assert len(discarded) == 1
    assert app.app.active() == release


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
    with pytest.raises(deploy.DeployError) as caught:
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
    with pytest.raises(deploy.DeployError, match="The disk is full"):
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
    monkeypatch.setattr(deploy, "watch", went_bad)
    with pytest.raises(deploy.DeployError, match="serves again") as caught:
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
    with pytest.raises(deploy.DeployError, match=f"Release {second.id} serves as before"):
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
    with pytest.raises(deploy.DeployError, match="processes: scheduler ended by itself"):
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


def test_user_whom_logind_keeps_running_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app may ask it to linger, and a user with a process is not removed: `userdel` failed for ever."""
    said: list[list[str]] = []
    monkeypatch.setattr(deploy, "LINGERING", tmp_path)
    monkeypatch.setattr(deploy, "run", said.append)
    monkeypatch.setattr(deploy, "uid_of", lambda _name: 993)
    deploy._end_lingering("asgi-shop")
    assert said == []
    (tmp_path / "asgi-shop").touch()
    deploy._end_lingering("asgi-shop")
    assert said == [["loginctl", "disable-linger", "asgi-shop"], ["systemctl", "stop", "user@993.service"]]


def test_user_who_alone_is_left_is_still_to_be_removed(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal that failed at its end was done for every later play."""
    app = wanted(tmp_path, "one")
    assert app.remove(purge=True, dry=True) == []
    monkeypatch.setattr(deploy, "_has_user", lambda _name: True)
    assert app.remove(purge=True, dry=True) == ["user asgi-shop"]
    monkeypatch.setattr(paths.App, "data", tmp_path / "data")
    (tmp_path / "data" / "media").mkdir(parents=True)
    assert "user asgi-shop" not in app.remove(purge=False, dry=True)

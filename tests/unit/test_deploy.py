"""The release model with a stand-in for systemd, uv and HTTP: what is on disk after each ending."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import (
    build,
    deploy,
    environment,
    gate,
    ledger,
    paths,
    units,
)
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release

IDLE = units.UnitState(active="inactive", enabled=False, restarts=0, main_pid=0)


class World:
    """What the fakes were told, and whether the next gate opens."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bad = False

    def passes(self, release: Release, *_: object, **__: object) -> None:
        self.calls.append(f"gate {release.id}")
        if self.bad:
            raise gate.GateError("/: answered 500, wanted 200")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def make(release: Release, *_: object) -> str:
        (release.venv / "bin").mkdir(parents=True)
        (release.venv / "bin" / "python").touch()
        return ""

    def drained(*_: object) -> int:
        world.calls.append("drain")
        return 0

    def told(what: str) -> Any:
        return lambda release, **_: world.calls.append(f"{what} {release.id}")

    monkeypatch.setattr(paths, "SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(paths.App, "secrets", property(lambda self: tmp_path / "etc" / self.name))
    monkeypatch.setattr(deploy, "run", lambda argv, **_: world.calls.append(" ".join(argv[:2])))
    monkeypatch.setattr(build, "make", make)
    monkeypatch.setattr(build, "compile_source", lambda release: None)
    monkeypatch.setattr(gate, "passes", world.passes)
    monkeypatch.setattr(gate, "wait_until_let_go", drained)
    for name in ("start", "stop", "restart"):
        monkeypatch.setattr(units, name, told(name))
    monkeypatch.setattr(units, "forget_failure", lambda release: None)
    monkeypatch.setattr(units, "journal", lambda release: "the app's own words")
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
        "root_path": "", "health": [], "hooks": {"build": [], "migrate": [], "after": []}, "shared": [],
        "app_dir": "", "python": {"path": "/usr/bin/python3", "version": "3.11.2"}, "requirements": [],
        "server_pins": [], "server_requirements": None, "keep_releases": 2,
        "source": {"kind": "path", "digest": digest, "describe": "path shop", "version": digest},
        "texts": {"service": "", "release.conf": "[Service]\n", "gunicorn.conf.py": "workers = 1\n"},
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

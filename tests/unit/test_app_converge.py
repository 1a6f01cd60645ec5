"""What a converge finds out about an app, and what it repairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import (
    environment,
    ledger,
    lock,
    units,
)
from ansible_collections.asgi.host.plugins.module_utils._release.errors import DeployError
from ansible_collections.asgi.host.plugins.module_utils._release.images import cleanup as image_cleanup
from ansible_collections.asgi.host.plugins.module_utils._release.images import container
from ansible_collections.asgi.host.plugins.module_utils._release.images import names as image_names
from ansible_collections.asgi.host.plugins.module_utils._release.images import source as image_source
from ansible_collections.asgi.host.plugins.module_utils._release.images.gate import ContainerGate
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release
from app_world import World, deployed, wanted
from fake_systemd import RUNS

HOOK = {"command": "notify", "creates": None, "every_host": None}


def test_same_digest_needs_nothing_and_another_does(tmp_path: Path, world: World) -> None:
    wanted(tmp_path, "one").deploy(None)
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
    with lock.held(one.app, "a@b"):
        one.look(dry=False)
        assert left.exists()
    one.look(dry=True)
    assert left.exists()
    assert "forget" not in world.calls
    assert one.look(dry=False)["reasons"][0] == f"release {left.name} was left half built"
    assert not left.exists()
    assert "forget" in world.calls


def test_previous_stays_warm_and_no_other(tmp_path: Path, world: World) -> None:
    three = deployed(tmp_path, "one", "two", "three", keep_warm=True, keep_releases=5)
    _one, two, active = three.app.all_releases()
    assert set(world.instances) == {two.id, active.id}
    world.instances.pop(active.id)
    assert f"release {two.id} ran beside it" not in three.look(dry=True)["reasons"]
    cold = wanted(tmp_path, "three", keep_releases=5)
    assert f"release {two.id} ran beside it" in cold.look(dry=False)["reasons"]
    assert two.id not in world.instances


def test_after_hook_that_failed_is_run_by_the_next_converge(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise CommandError(["notify"], "exit status 1", "nobody listens")

    hooks = {"build": [], "migrate": [], "after": [HOOK], "after_failure": "keep"}
    deployment = wanted(tmp_path, "one", hooks=hooks)
    monkeypatch.setattr(units, "run_in_sandbox", fails)
    with pytest.raises(DeployError, match=r"hooks\.after"):
        deployment.deploy(None)
    assert "hooks.after had not run to their end" in deployment.look(dry=True)["reasons"]
    with pytest.raises(DeployError, match="nobody listens"):
        deployment.look(dry=False)
    monkeypatch.setattr(units, "run_in_sandbox", lambda *_, **__: "")
    assert "hooks.after had not run to their end" in deployment.look(dry=False)["reasons"]
    assert "hooks.after had not run to their end" not in deployment.look(dry=False)["reasons"]


def test_release_that_is_an_image(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    boxed = {
        "workers": 2, "graceful_timeout": 30, "stop_timeout": 45, "keepalive": 75, "network": "any", "writable_paths": [], "static": [],
    }  # fmt: skip
    source = {"kind": "image", "digest": "d", "describe": "image x", "image": {"from": "archive"}}
    there = True
    discarded = []

    def make(release: Release, *_: object) -> None:
        ledger.update(release, image={"id": "1", "uid": 10001, "gid": 0, "sets": []})

    monkeypatch.setattr(image_source, "make", make)
    monkeypatch.setattr(image_names, "exists", lambda release: there)
    monkeypatch.setattr(image_cleanup, "left_behind", lambda app: [])
    monkeypatch.setattr(image_cleanup, "prune", lambda app, **_: None)
    monkeypatch.setattr(image_cleanup, "discard", lambda release: discarded.append(release.id))
    monkeypatch.setattr(container, "uid_of", lambda name: 995)
    monkeypatch.setattr(container, "gid_of", lambda name: 995)
    app = wanted(tmp_path, "d", source=source, container=boxed, files={}, module="", python=None)
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
    more = {**boxed, "workers": 3}
    changed = wanted(tmp_path, "d", source=source, container=more, files={}, module="", python=None)
    assert changed.look(dry=True)["reasons"] == ["settings changed: image"]
    world.bad = True
    with pytest.raises(DeployError):
        changed.deploy(None)
    assert len(discarded) == 1
    assert app.app.active() == release
    # Whatever the inventory wants by now, on the way back it says where a container's program listens.
    assert isinstance(wanted(tmp_path, "one").gate_of(release), ContainerGate)

"""The way back to an earlier release."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import (
    ledger,
    switch,
)
from ansible_collections.asgi.host.plugins.module_utils._release.errors import DeployError
from app_world import World, deployed, serving, wanted


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
    with pytest.raises(DeployError, match=f"no release nonsense; there are: {only.id}"):
        deployment.rollback("nonsense")
    with pytest.raises(DeployError, match="no earlier release"):
        deployment.rollback(None)


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
    with pytest.raises(DeployError, match="no earlier release"):
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
    with pytest.raises(DeployError, match="The disk is full"):
        two.rollback(None)
    assert list(world.instances) == [active.id]

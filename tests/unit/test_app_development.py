"""Development mode: a release whose source is a live folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import (
    candidate,
    ledger,
    store,
)
from ansible_collections.asgi.host.plugins.module_utils._release.errors import DeployError
from app_world import Deployment, World, serving, wanted


def live(tmp_path: Path, dependencies: str, content: str, **more: Any) -> Deployment:
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


def test_code_is_sent_and_dependencies_make_a_release(tmp_path: Path, world: World) -> None:
    first = live(tmp_path, "deps", "one")
    assert first.deploy(parcel(tmp_path, "one"))["status"] == "deployed"
    release = first.app.active()
    assert release
    assert (release.source / "shop.py").read_text() == "one"
    assert ledger.read(release)["mode"] == "development"
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
    assert live(tmp_path, "deps", "code").look(dry=False)["reasons"] == []
    back = wanted(tmp_path, "one")
    back.deploy(None)
    assert back.app.active() == production
    assert sorted(os.listdir(back.app.folder)) == ["current", "releases"]
    assert os.listdir(back.app.releases) == [production.id]
    assert ledger.read(production)["previous"] is None, "its own predecessor"
    assert wanted(tmp_path, "one").look(dry=False)["reasons"] == []


def test_what_a_dead_change_of_the_mode_left_is_cleared(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(tmp_path, "deps", "code").deploy(parcel(tmp_path, "code"))
    left = wanted(tmp_path, "one").app.active()
    assert left
    with monkeypatch.context() as patched:
        patched.setattr(store, "development_leftovers", lambda *_: iter(()))
        wanted(tmp_path, "one").deploy(None)
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
        with pytest.raises(DeployError, match="it runs in development mode"):
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
    (mount / "shop.py").write_text("app = 2\n")
    found = wanted(tmp_path, "", **keys).look(dry=False)
    assert (found["status"], found["unsynced"]) == ("current", False)
    (mount / "requirements.txt").write_text("httpx<1\n")
    assert wanted(tmp_path, "", **keys).look(dry=False)["reasons"] == ["source changed"]
    (mount / "requirements.txt").write_text("-r gone.txt\n")
    with pytest.raises(DeployError, match=r"source.mount: .* includes gone.txt"):
        wanted(tmp_path, "", **keys).look(dry=False)
    store.discard(release)
    assert (mount / "shop.py").exists()

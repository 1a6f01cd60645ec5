"""An app on a host that is a stand-in for systemd, uv and HTTP: what the tests of its verbs work with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _process
from ansible_collections.asgi.host.plugins.module_utils._release import (
    background,
    build,
    candidate,
    converge,
    deploy,
    gate,
    hold,
    ledger,
    paths,
    remove,
    repair,
    rollback,
    switch,
    units,
    workshop,
)
from ansible_collections.asgi.host.plugins.module_utils._release.context import AppContext
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release
from ansible_collections.asgi.host.plugins.module_utils._release.uv import Tools
from fake_systemd import FakeSystemd
from near_workshop import NearWorkshop


class World(FakeSystemd):
    """The host of one app; tells whether the next gate opens."""

    bad = False

    def passes(self, release: Release) -> None:
        self.calls.append(f"gate {release.id}")
        if self.bad:
            raise gate.GateError("/: answered 500, wanted 200")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(_process, "system", world)
    _have_places_of_its_own(tmp_path, monkeypatch)
    _have_nothing_built(world, monkeypatch)
    monkeypatch.setattr(background, "STAYS_UP", 0.0)
    monkeypatch.setattr(repair, "socket_defects", lambda release: iter(()))
    monkeypatch.setattr(gate.Gate, "passes", lambda own, release, *_: world.passes(release))
    monkeypatch.setattr(switch, "wait_until_let_go", lambda *_: world.calls.append("drain"))
    return world


def _have_places_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all that is written below a folder, and releases that are numbered."""
    monkeypatch.setattr(paths, "SYSTEMD", folder / "systemd")
    monkeypatch.setattr(paths, "TRIALS", folder)
    monkeypatch.setattr(paths.App, "secrets", property(lambda self: folder / "etc" / self.name))
    numbers = iter(range(100))
    original = paths.App.release

    def numbered(app: paths.App, identity: str) -> Release:
        known = (app.releases / identity).exists()
        return original(app, identity if known else f"{next(numbers):03}-{identity}")

    monkeypatch.setattr(paths.App, "release", numbered)


def _have_nothing_built(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have virtualenvs that hold nothing."""

    def make(release: Release, *_: object) -> str:
        (release.venv / "bin").mkdir(parents=True)
        (release.venv / "bin" / "python").touch()
        (release.venv / "lib" / "python3.11" / "site-packages" / "shop").mkdir(parents=True)
        return ""

    def workshop_of(release: Release, *_: object, **__: object) -> NearWorkshop:
        return NearWorkshop(release, world.root / "build")

    monkeypatch.setattr(build, "make", make)
    monkeypatch.setattr(build, "compile_source", lambda *_: None)
    monkeypatch.setattr(Tools, "forget", lambda *_: world.calls.append("forget"))
    monkeypatch.setattr(workshop, "forget", lambda app: None)
    monkeypatch.setattr(candidate, "Workshop", workshop_of)


class Deployment(AppContext):
    """One app with its verbs, so that a test reads as a story."""

    def deploy(self, archive: Path | None) -> Any:
        return deploy.deploy(self, archive)

    def look(self, *, dry: bool) -> Any:
        return (converge.inspect if dry else converge.apply)(self)

    def rollback(self, identity: str | None, *, dry: bool = False) -> Any:
        return (rollback.inspect if dry else rollback.apply)(self, identity)

    def remove(self, *, purge: bool, dry: bool) -> list[str]:
        return (remove.inspect if dry else remove.apply)(self, purge=purge)


def wanted(root: Path, digest: str, **more: Any) -> Deployment:
    """A deployment of a source with this digest."""
    spec: Any = {
        "name": "shop", "state": "present", "root": str(root), "user": "asgi-shop", "by": "a@b", "host": "localhost", "domains": [],
        "root_path": "", "health": [], "shared": [], "groups": [], "live": None,
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
    private: Any = {"env": {}, "secrets": {"S": "hush-hush"}, "credentials": {}}
    return Deployment(spec, private, Tools(uv="uv", index=None))


def serving(deployment: Deployment) -> str:
    active = deployment.app.active()
    assert active is not None
    return str(ledger.read(active)["version"])


def deployed(root: Path, *digests: str, **more: Any) -> Deployment:
    """The last of several deploys in a row."""
    for digest in digests:
        last = wanted(root, digest, **more)
        last.deploy(None)
    return last


def note_holds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down, in place of doing it, that requests are held and the old instance is paused."""
    for name in ("begin", "give_back"):
        monkeypatch.setattr(hold.Hold, name, lambda own, name=name: world.calls.append(name))
    monkeypatch.setattr(hold.Hold, "end", lambda own, to, limit: world.calls.append(f"end {to.id}"))
    monkeypatch.setattr(units, "pause", lambda release: world.calls.append(f"pause {release.id}"))

"""An app goes, and its user with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import (
    paths,
    remove,
)
from app_world import World, wanted


def test_user_whom_logind_keeps_running_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app may ask it to linger, and a user with a process is not removed: `userdel` failed for ever."""
    said: list[list[str]] = []
    monkeypatch.setattr(remove, "LINGERING", tmp_path)
    monkeypatch.setattr(remove, "run", said.append)
    monkeypatch.setattr(remove, "uid_of", lambda _name: 993)
    remove._end_lingering("asgi-shop")
    assert said == []
    (tmp_path / "asgi-shop").touch()
    remove._end_lingering("asgi-shop")
    assert said == [["loginctl", "disable-linger", "asgi-shop"], ["systemctl", "stop", "user@993.service"]]


def test_user_who_alone_is_left_is_still_to_be_removed(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal that failed at its end was done for every later play."""
    app = wanted(tmp_path, "one")
    assert app.remove(purge=True, dry=True) == []
    monkeypatch.setattr(remove, "_has_user", lambda _name: True)
    assert app.remove(purge=True, dry=True) == ["user asgi-shop"]
    monkeypatch.setattr(paths.App, "data", tmp_path / "data")
    (tmp_path / "data" / "media").mkdir(parents=True)
    assert "user asgi-shop" not in app.remove(purge=False, dry=True)

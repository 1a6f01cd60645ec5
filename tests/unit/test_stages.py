"""The steps of the stages, carried out where they can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _stage
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.plugin_utils._plan import system
from base_stage import base_steps


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The steps that install uv, with what they ran; ``cut`` is where the power goes."""
    monkeypatch.setattr(system, "TOOLS", str(tmp_path))
    # The folders of tests are not for everybody.
    monkeypatch.setattr(system, "AS_NOBODY", ("env",))
    steps = base_steps()
    commands = [step for step in steps if "uv" in str(step.get("name"))]
    world: dict[str, Any] = {"steps": commands, "ran": [], "cut": "", "uv": Path(system.uv_path("uv==1"))}

    def run(argv: list[str], **_: object) -> str:
        world["ran"].append(" ".join(argv))
        if world["cut"] and world["cut"] in " ".join(argv):
            raise CommandError(argv, "exit status 1", "the power went")
        if "pip" in argv:
            world["uv"].parent.mkdir(exist_ok=True)
            world["uv"].write_text("" if world["cut"] else "uv")
            world["uv"].chmod(0o755)
        elif argv[0] == "sh":
            (world["uv"].parents[1] / "complete").touch()
        return ""

    monkeypatch.setattr(_stage, "run", run)
    return world


def converge(world: dict[str, Any]) -> list[str]:
    world["ran"].clear()
    return _stage.Stage(dry=False).carry_out(world["steps"]).changed


def test_uv_is_installed_once_and_synced_before_it_counts(uv: dict[str, Any]) -> None:
    assert converge(uv)
    assert [command.split()[0] for command in uv["ran"]] == ["python3", "sh", "sh"]
    assert "sync" in uv["ran"][-1]
    assert converge(uv) == []
    assert uv["ran"] == []


@pytest.mark.parametrize("cut", ["venv", "pip", "sync"])
def test_cut_in_the_middle_of_uv_is_healed(uv: dict[str, Any], cut: str) -> None:
    uv["cut"] = cut
    with pytest.raises(_stage.StageError):
        converge(uv)
    uv["uv"].parent.mkdir(parents=True, exist_ok=True)
    for name in ("uv", "pip"):
        (uv["uv"].parent / name).write_text("")
    uv["cut"] = ""
    assert converge(uv)
    assert uv["uv"].read_text() == "uv"
    assert converge(uv) == []


def test_uv_that_somebody_removed_is_installed_again(uv: dict[str, Any]) -> None:
    converge(uv)
    uv["uv"].unlink()
    assert converge(uv)
    assert uv["uv"].read_text() == "uv"

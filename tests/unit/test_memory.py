"""How many workers fit, by what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._apps import normalize
from ansible_collections.asgi.host.plugins.module_utils._release import memory
from ansible_collections.asgi.host.plugins.plugin_utils._settings import room_for_workers


def process(proc: Path, pid: int, parent: int, kb: int, command: str = "python") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (a name) with) S {parent} 1 1\n")
    (folder / "cmdline").write_bytes(command.encode().replace(b" ", b"\0"))
    (folder / "smaps_rollup").write_text(f"header\nRss: 999999 kB\nPss:   {kb} kB\nPss_Anon: 1 kB\n")


def test_children_are_measured_and_nobody_else(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, 20 * 1024)
    process(tmp_path, 11, 10, 50 * 1024)
    process(tmp_path, 12, 10, 60 * 1024)
    process(tmp_path, 13, 10, 8 * 1024, "python -c from multiprocessing.resource_tracker import main")
    process(tmp_path, 14, 1, 500 * 1024)
    measured = memory.of(10, tmp_path)
    assert measured is not None
    assert measured.main == 20
    assert sorted(measured.workers) == [50, 60]


def test_instance_without_workers_says_nothing(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, 20 * 1024)
    assert memory.of(10, tmp_path) is None
    assert memory.of(99, tmp_path) is None


@pytest.mark.parametrize(("limit", "fitting"), [(1000, 9), (320, 3), (319, 2), (50, 1), (0, 1)])
def test_fitting(limit: float, fitting: int) -> None:
    assert memory.Measured(main=20, workers=[80, 100]).fitting(limit) == fitting


@pytest.mark.parametrize(
    ("keys", "room"),
    [
        ({}, 400),
        ({"server": "uvicorn"}, 400),
        ({"sandbox": {"memory_max": "200M"}}, 180),
        ({"sandbox": {"memory_max": "10%"}}, 90),
        ({"sandbox": {"memory_max": "2G"}}, 400),
        ({"workers": 3}, None),
        ({"workers": "cores"}, None),
        ({"server": "command", "command": ["./run"]}, None),
    ],
)
def test_room(keys: dict[str, Any], room: float | None) -> None:
    (app,) = normalize([{"name": "shop", "app": "shop:app", "source": {"path": "."}, **keys}])
    assert room_for_workers(app, {"memory_mb": 1000}) == room

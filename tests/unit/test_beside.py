"""Apps that are deployed beside one another: which may be, with what, and what becomes of an error."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _turns
from ansible_collections.asgi.host.plugins.module_utils._release import paths
from ansible_collections.asgi.host.plugins.plugin_utils import _beside


def apps(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("domains", "expected"),
    [
        ({"a": ["a.test"], "b": ["b.test"], "c": []}, [["a"], ["b"], ["c"]]),
        ({"a": ["one.test"], "b": ["two.test"], "c": ["one.test"]}, [["b"], ["a", "c"]]),
        # The last one joins two sites.
        ({"a": ["one.test"], "b": ["two.test"], "c": ["two.test", "one.test"]}, [["b", "a", "c"]]),
    ],
)
def test_apps_of_one_site_go_in_a_row(domains: dict[str, list[str]], expected: list[list[str]]) -> None:
    rows = _beside.rows(apps("a", "b", "c"), domains)
    assert [[app["name"] for app in row] for row in rows] == expected


class Connection:
    def __init__(self) -> None:
        self._shell = SimpleNamespace(tmpdir="/tmp/of-the-task")
        self.become: Any = SimpleNamespace(of=self)

    def set_become_plugin(self, become: Any) -> None:
        self.become = become


class Action:
    def __init__(self) -> None:
        self._connection = Connection()


def test_rows_are_worked_on_at_the_same_time_each_with_its_own_connection() -> None:
    action, met, seen = Action(), threading.Barrier(2, timeout=10), []

    def work(own: Any, app: Any) -> None:
        met.wait()
        seen.append((app["name"], own._connection, own._connection._shell, own._connection.become))

    _beside.carry_out(action, [apps("a"), apps("b")], work)
    assert sorted(name for name, *_own in seen) == ["a", "b"]
    for own in zip(*[others for _name, *others in seen], strict=True):
        assert own[0] is not own[1]
    assert all(connection is not action._connection for _name, connection, *_rest in seen)


def test_one_row_has_no_thread_and_the_connection_of_the_task() -> None:
    action = Action()
    seen: list[Any] = []
    _beside.carry_out(action, [apps("a", "b")], lambda own, app: seen.append((own, app["name"])))
    assert seen == [(action, "a"), (action, "b")]


def test_others_end_before_the_error_of_one_is_told() -> None:
    ended = []

    def work(_own: Any, app: Any) -> None:
        if app["name"] == "a":
            raise ConnectionError("the host is away")
        threading.Event().wait(0.2)
        ended.append(app["name"])

    with pytest.raises(ConnectionError, match="away"):
        _beside.carry_out(Action(), [apps("a"), apps("b")], work)
    assert ended == ["b"]


def test_one_process_of_a_host_has_a_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    monkeypatch.setattr(_turns, "LOOK_EACH_S", 0.01)
    order: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with _turns.turn("switch"):
            inside.set()
            go_on.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    with _turns.turn("sites") as mine:
        assert mine, "another thing is another turn"
    monkeypatch.setattr(_turns, "LONGEST_WAIT_S", 0.05)
    with _turns.turn("switch") as mine:
        assert not mine, "it goes on when it has waited for long"
    monkeypatch.setattr(_turns, "LONGEST_WAIT_S", 10)
    go_on.set()
    with _turns.turn("switch") as mine:
        order.append("second")
    thread.join()
    assert (mine, order) == (True, ["first", "second"])
    assert (tmp_path / "asgi-host.switch.lock").stat().st_mode & 0o777 == 0o600

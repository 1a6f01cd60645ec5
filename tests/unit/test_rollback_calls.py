# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How often a rollback asks a host: once where its facts are those of the last play. And what a converge tells of apps that go."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import known_systems
import pytest
from ansible import constants
from ansible_collections.asgi.host.plugins.action import release
from ansible_collections.asgi.host.plugins.module_utils import _host
from ansible_collections.asgi.host.plugins.modules import host as module

FACTS: dict[str, Any] = {
    **known_systems.TRIXIE,
    "cores": 2,
    "memory_mb": 4096,
    "python": {"path": "/usr/bin/python3", "version": "3.13.5"},
    "pythons": [{"path": "/usr/bin/python3.13", "version": "3.13.5"}],
}
ROLE = {
    "apps": [{"name": "shop", "app": "shop.main:app", "source": {"path": "gone"}}],
    "app_defaults": {},
    "build_packages": [],
    "package_index": "",
    "proxy": False,
    "root": "/srv/asgi",
    "server_pins": [],
    "uv_requirements": "uv==1 --hash=sha256:0\n",
    "wheels": "",
}


class Host:
    """What the module release answers on a host with these facts."""

    def __init__(self) -> None:
        self.facts = copy.deepcopy(FACTS)
        self.calls: list[dict[str, Any]] = []

    def __call__(self, *, module_args: dict[str, Any], **_: Any) -> dict[str, Any]:
        """One call."""
        given = module_args["arguments"]
        self.calls.append(given)
        if given.get("question") and given["host"] != self.facts:
            return {"changed": False, "host": self.facts}
        return {"changed": True, "apps": {"shop": {"status": "rolled back"}}, "failures": {}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants.config, "get_config_value", lambda _: str(tmp_path / "ansible"))


def roll_back(host: Host, folder: Path, app: str = "shop") -> dict[str, Any]:
    return act(host, folder, {"role": ROLE, "mode": "rollback", "app": app, "release": ""})


def act(host: Host, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    action: Any = object.__new__(release.ActionModule)
    action._task = SimpleNamespace(
        args=arguments,
        async_val=0,
        check_mode=False,
        action="asgi.host.release",
        diff=False,
    )
    action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None), transport="local", become=None)
    action._display = SimpleNamespace(v=lambda _: None, warning=lambda _: None, display=lambda _: None)
    action._loader = None
    action._execute_module = host
    return dict(action.run(task_vars={"inventory_dir": str(folder), "inventory_hostname": "one"}))


def test_known_host_is_asked_once(tmp_path: Path) -> None:
    host = Host()
    assert roll_back(host, tmp_path)["apps"]["shop"]["status"] == "rolled back"
    assert [len(call["apps"]) for call in host.calls] == [0, 1]
    host.calls.clear()
    assert roll_back(host, tmp_path)["apps"]["shop"]["status"] == "rolled back"
    assert [len(call["apps"]) for call in host.calls] == [1]


def test_changed_host_is_asked_twice_and_by_its_own_facts(tmp_path: Path) -> None:
    host = Host()
    roll_back(host, tmp_path)
    host.calls.clear()
    host.facts["cores"] = 4
    assert roll_back(host, tmp_path)["changed"]
    assert [call["host"]["cores"] for call in host.calls] == [2, 4]


def test_app_that_the_inventory_does_not_have_is_refused_before_a_host_is_asked(tmp_path: Path) -> None:
    host = Host()
    found = roll_back(host, tmp_path, app="shopp")
    assert found["msg"] == (
        "app: shopp is not among asgi_host_apps of this host (shop); give one of them with -e app=NAME"
    )
    assert host.calls == []


def test_host_with_other_facts_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_host, "facts", lambda **_: {"cores": 4})
    given = {
        "mode": "rollback",
        "question": {"root": "/srv/asgi"},
        "host": {"cores": 2},
        "apps": [{"name": "shop"}],
    }
    nobody: Any = SimpleNamespace()
    assert module.release(nobody, given, {}) == {"changed": False, "host": {"cores": 4}}


def test_app_that_is_still_to_go_is_not_told_as_removed(tmp_path: Path) -> None:
    """It goes in a task of its own, and in a part of a run not at all."""
    (tmp_path / "shop").mkdir()
    shop = {"name": "shop", "app": "shop.main:app", "source": {"path": "shop"}}
    role = {**ROLE, "apps": [shop, {"name": "old", "state": "absent"}]}
    current = {"status": "current", "reasons": [], "release": {"id": "1-a"}}
    looked = {"shop": current, "old": {"status": "removed", "reasons": ["its folder"]}}
    found = act(Host(), tmp_path, {"role": role, "host": FACTS, "looked": looked})
    assert list(found["apps"]) == ["shop"]

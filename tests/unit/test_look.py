"""How often a host is asked, and what its answers lead to; what the module finds is tested on hosts."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import known_systems
import pytest
from ansible import constants
from ansible_collections.asgi.host.plugins.action import look
from ansible_collections.asgi.host.plugins.module_utils import _host
from ansible_collections.asgi.host.plugins.module_utils._private import unwrap
from ansible_collections.asgi.host.plugins.module_utils._release import units
from ansible_collections.asgi.host.plugins.modules import host as module
from ansible_collections.asgi.host.plugins.plugin_utils import _controller, _doors, _parcels, _role, _sources

FACTS: dict[str, Any] = {
    "user": "root",
    **known_systems.TRIXIE,
    "cores": 2,
    "memory_mb": 4096,
    "python": {"path": "/usr/bin/python3", "version": "3.13.5"},
    "pythons": [{"path": "/usr/bin/python3.13", "version": "3.13.5"}],
    "missing_packages": [],
    "users": ["root"],
    "listeners": [],
    "nginx": {
        "version": "1.26.3",
        "packaged_default": False,
        "foreign_sites": [],
        "foreign_files": [],
        "foreign_default_servers": [],
    },
    "acme": {"sites": [], "set_up": False},
    "wheels": {},
    "folders": [],
    "apps": ["shop"],
}
NOTHING: dict[str, list[str]] = {"base": [], "releases": [], "sites": []}
QUIET = {"asked": 0, "differences": {}, "untested": {}, "tickets": {}}


class Host:
    """What the module look would say on a host with these facts."""

    def __init__(self) -> None:
        self.facts = FACTS
        self.due: dict[str, list[str]] = NOTHING
        self.calls: list[dict[str, Any]] = []
        self.followed: list[bool] = []
        self.warnings: list[str] = []
        self.said: list[str] = []
        self.parcels: dict[str, bytes] = {}
        self.more: dict[str, Any] = {}

    def __call__(self, *, module_args: dict[str, Any], **_: Any) -> dict[str, Any]:
        """One call of the module."""
        given = module_args["arguments"]
        self.calls.append(given)
        self.followed.append(bool(module_args["progress"]))
        if given.get("host") != self.facts:
            return {"host": self.facts, "compared": False}
        packed: dict[str, str] = unwrap(module_args["private"])["parcels"]
        self.parcels = {name: base64.b64decode(text) for name, text in packed.items()}
        apps = {spec["name"]: {"status": "current", "reasons": []} for spec in given["apps"]}
        found = {"host": self.facts, "compared": True, "due": self.due, "apps": apps, "self_test": QUIET}
        return {**found, **self.more}


@pytest.fixture
def host() -> Host:
    """A host where nothing is due."""
    return Host()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts of one test are not those of another."""
    monkeypatch.setattr(constants.config, "get_config_value", lambda _: str(tmp_path / "ansible"))


def play(
    host: Host,
    folder: Path,
    code: str = "app = None\n",
    *,
    check: bool = False,
    fatal: bool = False,
    max_fail: float | None = None,
    tags: Sequence[str] = ("all",),
    **variables: Any,
) -> dict[str, Any]:
    """The task's result."""
    (folder / "shop" / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "shop" / "shop" / "main.py").write_text(code, encoding="utf-8")
    arguments = {
        "apps": [{"name": "shop", "app": "shop.main:app", "source": {"path": "shop"}}],
        "app_defaults": {},
        "build_packages": [],
        "ca_file": "",
        "environment": "",
        "package_index": "",
        "proxy": False,
        "proxy_protocol": [],
        "python_downloads": "",
        "python_mirror": "",
        "root": "/srv/asgi",
        "self_test": True,
        "server_pins": [],
        "tls_policy": "intermediate",
        "uv_requirements": "uv==1 --hash=sha256:0\n",
        "wheels": "",
        **variables,
    }
    action: Any = object.__new__(look.ActionModule)
    action._task = SimpleNamespace(
        args={"role": arguments},
        async_val=0,
        check_mode=check,
        action="asgi.host.look",
        diff=False,
        any_errors_fatal=fatal,
        tags=["always"],
        get_play=lambda: SimpleNamespace(
            max_fail_percentage=max_fail, roles=[], pre_tasks=[], tasks=[], post_tasks=[]
        ),
    )
    action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None), transport="local", become=None)
    action._display = SimpleNamespace(
        v=lambda _: None, warning=host.warnings.append, display=host.said.append
    )
    action._loader = None
    action._execute_module = host
    known = {"inventory_dir": str(folder), "inventory_hostname": "one", "ansible_run_tags": list(tags)}
    return dict(action.run(task_vars=known))


def test_known_host_is_asked_once(host: Host, tmp_path: Path) -> None:
    """The first play learns the facts, the next one guesses them."""
    assert play(host, tmp_path)["due"] == {}
    assert len(host.calls) == 2
    assert play(host, tmp_path)["due"] == {}
    assert len(host.calls) == 3


def test_wrong_guess_costs_a_call_and_counts_for_nothing(host: Host, tmp_path: Path) -> None:
    play(host, tmp_path)
    host.facts = {**FACTS, "memory_mb": 8192}
    assert play(host, tmp_path)["due"] == {}
    assert host.calls[-2]["host"]["memory_mb"] == 4096
    assert host.calls[-1]["host"]["memory_mb"] == 8192
    assert len(host.calls) == 4


def test_damaged_memory_costs_a_call(host: Host, tmp_path: Path) -> None:
    play(host, tmp_path)
    (kept,) = (tmp_path / "ansible" / "asgi-host" / "facts").iterdir()
    kept.write_text("{", encoding="utf-8")
    assert play(host, tmp_path)["due"] == {}
    assert len(host.calls) == 4


def test_two_hosts_of_one_name_have_facts_of_their_own(tmp_path: Path) -> None:
    one = _controller.Remembered({"inventory_dir": "/a", "inventory_hostname": "one"})
    one.write({"cores": 2}, {"shop": "abc"})
    assert one.read() == ({"cores": 2}, {"shop": "abc"})
    other = _controller.Remembered({"inventory_dir": "/b", "inventory_hostname": "one"})
    assert other.read() == (None, {})


def test_what_lacks_comes_first(host: Host, tmp_path: Path) -> None:
    """A host without its packages is not compared: half of the commands would be missing."""
    host.facts = {**FACTS, "missing_packages": ["nginx"]}
    result = play(host, tmp_path)
    assert result["due"] == {"base": ["the package nginx"]}
    assert result["lacks"]["packages"] == ["nginx"]
    assert len(host.calls) == 1


def test_apps_of_a_new_host_need_no_look(host: Host, tmp_path: Path) -> None:
    host.facts = {**FACTS, "missing_packages": ["nginx"], "apps": []}
    assert play(host, tmp_path)["apps"] == {
        "shop": {"status": "needed", "reasons": ["no release serves yet"]}
    }
    host.facts = {**FACTS, "missing_packages": ["nginx"]}
    assert play(host, tmp_path)["apps"] == {}


def test_bad_inventory_asks_no_host(host: Host, tmp_path: Path) -> None:
    result = play(host, tmp_path, apps=[{"name": "Shop", "app": "shop.main:app", "source": {"path": "shop"}}])
    assert result["failed"]
    assert "name" in result["msg"][0]
    assert host.calls == []


def test_bad_host_is_refused(host: Host, tmp_path: Path) -> None:
    host.facts = {**FACTS, "versions": {**FACTS["versions"], "systemd": "247.3"}}
    result = play(host, tmp_path)
    assert result["failed"]
    assert "Debian 12" in result["msg"][0]


def test_system_that_no_test_runs_on_is_named_once_in_each_play_and_asked_once(
    host: Host, tmp_path: Path
) -> None:
    host.facts = {**FACTS, "distribution": "ubuntu", "release": "26.04"}
    play(host, tmp_path)
    assert play(host, tmp_path)["due"] == {}
    assert len(host.calls) == 3
    assert [words.partition(":")[0] for words in host.warnings] == ["untested"] * 2


def test_drift_is_due_with_its_reasons(host: Host, tmp_path: Path) -> None:
    host.due = {**NOTHING, "releases": ["shop: asgi-shop@1.socket was inactive"]}
    result = play(host, tmp_path)
    assert result["due"] == {"releases": ["shop: asgi-shop@1.socket was inactive"]}
    assert "shop" in result["apps"]


def test_what_was_found_of_apps_is_not_passed_on_beside_a_base_that_changes(
    host: Host, tmp_path: Path
) -> None:
    """A unit that is about to be written anew may be what an app lacks."""
    host.due = {**NOTHING, "base": ["/etc/systemd/system/asgi-shop@.service"]}
    assert play(host, tmp_path)["apps"] == {}


@pytest.mark.parametrize(("where", "when"), [(_role.Role, "tell"), (_parcels, "changed")])
def test_source_that_is_away_is_left_to_the_task_that_needs_it(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, when: str
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise _sources.UnreachableError("the repository does not answer")

    play(host, tmp_path)
    monkeypatch.setattr(where, when, away)
    assert play(host, tmp_path)["due"] == {"base": ["what could not be compared"]}


def test_new_source_goes_along(host: Host, tmp_path: Path) -> None:
    """Of a source that was asked for before, or was not known, there is nothing to send."""
    play(host, tmp_path)
    assert host.parcels == {}
    play(host, tmp_path)
    assert host.parcels == {}
    play(host, tmp_path, "app = 1\n")
    assert len(host.calls) == 4
    with tarfile.open(fileobj=io.BytesIO(host.parcels["shop"])) as archive:
        packed = archive.extractfile("shop/main.py")
        assert packed
        assert packed.read() == b"app = 1\n"
    play(host, tmp_path, "app = 1\n")
    assert host.parcels == {}


def test_call_that_brings_nothing_is_not_looked_at(host: Host, tmp_path: Path) -> None:
    play(host, tmp_path, progress=True)
    play(host, tmp_path, progress=True)
    assert host.followed == [False, False, False]
    play(host, tmp_path, "app = 1\n", progress=True)
    play(host, tmp_path, "app = 2\n", progress=False)
    assert host.followed[3:] == [True, False]


def test_new_source_goes_along_with_the_call_that_counts(host: Host, tmp_path: Path) -> None:
    play(host, tmp_path)
    host.facts = {**FACTS, "memory_mb": 8192}
    play(host, tmp_path, "app = 1\n")
    assert len(host.calls) == 4
    assert "shop" in host.parcels


@pytest.mark.parametrize("how", [{"check": True}, {"fatal": True}, {"max_fail": 0.0}], ids=str)
def test_new_source_stays_where_nothing_may_be_changed_yet(
    host: Host, tmp_path: Path, how: dict[str, Any]
) -> None:
    """The next play sends it, if it may."""
    play(host, tmp_path)
    play(host, tmp_path, "app = 1\n", **how)
    assert host.parcels == {}
    play(host, tmp_path, "app = 1\n")
    assert "shop" in host.parcels


def test_source_of_an_app_with_migrations_stays(host: Host, tmp_path: Path) -> None:
    app = {
        "name": "shop",
        "app": "shop.main:app",
        "source": {"path": "shop"},
        "hooks": {"migrate": ["true"]},
    }
    play(host, tmp_path, apps=[app])
    play(host, tmp_path, "app = 1\n", apps=[app])
    assert host.parcels == {}


def test_large_source_is_packed_for_that_once(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parcels, "SMALL", 1)
    play(host, tmp_path)
    play(host, tmp_path, "app = 1\n")
    assert host.parcels == {}
    monkeypatch.undo()
    play(host, tmp_path, "app = 2\n")
    assert host.parcels == {}


def test_release_that_was_brought_at_once_is_a_change(host: Host, tmp_path: Path) -> None:
    deployed = {"shop": {"status": "deployed", "release": {"id": "20261129T160923-0dcedf"}}}
    host.more = {"changed": True, "apps": deployed, "failures": {}}
    result = play(host, tmp_path)
    assert (result["changed"], result["due"], "failed" in result) == (True, {}, False)


def test_release_that_was_not_good_enough_fails_the_play(host: Host, tmp_path: Path) -> None:
    host.more = {"changed": False, "failures": {"shop": "shop: it does not answer"}}
    result = play(host, tmp_path)
    assert (result["failed"], result["changed"], result["msg"]) == (True, False, "shop: it does not answer")


def test_last_app_leaves(host: Host, tmp_path: Path) -> None:
    result = play(host, tmp_path, apps=[{"name": "shop", "state": "absent"}])
    assert result["leaves"]
    assert "leave" in result["due"]


def test_app_that_believes_a_forgery_fails_the_play(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        "asked": {"host": 1, "outside": 1},
        "differences": {"https://a": "shop: believes"},
        "untested": {},
    }
    monkeypatch.setattr(_doors, "conclude", lambda *_: found)
    result = play(host, tmp_path)
    assert (result["failed"], result["msg"]) == (True, "shop: believes")
    assert "failed" not in play(host, tmp_path, check=True)


CURRENT, NEEDED = {"status": "current"}, {"status": "needed"}


@pytest.mark.parametrize(
    ("found", "due", "new"),
    [
        ({"shop": NEEDED, "blog": CURRENT}, NOTHING, ["shop"]),
        ({"shop": CURRENT, "blog": CURRENT}, NOTHING, []),
        ({"shop": NEEDED, "blog": NEEDED}, NOTHING, []),
        ({"shop": NEEDED, "blog": {"status": "repaired"}}, NOTHING, []),
        ({"shop": NEEDED, "blog": {**CURRENT, "unsynced": True}}, NOTHING, []),
        ({"shop": NEEDED}, NOTHING, []),
        ({"shop": NEEDED, "blog": CURRENT}, {**NOTHING, "base": ["a unit"]}, []),
        ({"shop": NEEDED, "blog": CURRENT}, {**NOTHING, "sites": ["a site"]}, []),
    ],
)
def test_only_code_is_brought_at_once(
    found: dict[str, Any], due: dict[str, list[str]], new: list[str]
) -> None:
    """The source of shop came along; blog's is not here, and what else is due comes in an order of its own."""
    apps: Any = [{"name": "shop"}, {"name": "blog"}]
    assert [app["name"] for app in module.only_new(apps, found, due, {"shop": "H4sI"})] == new


def test_code_that_is_brought_at_once_brings_no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of the sites were looked at, and are no steps of the release."""
    told: dict[str, Any] = {}

    def release(_module: Any, given: dict[str, Any], __: Any) -> dict[str, Any]:
        told.update(given)
        return {"changed": True, "apps": {}, "failures": {}}

    monkeypatch.setattr(_host, "facts", lambda **_: FACTS)
    monkeypatch.setattr(units, "overview", contextlib.nullcontext)
    monkeypatch.setattr(
        module, "look_at_apps", lambda *_: ({"shop": {"status": "needed"}}, ["shop: source changed"])
    )
    monkeypatch.setattr(module, "release", release)
    given = {
        "question": {}, "host": FACTS, "uv": "uv", "wheels": None, "base": [], "sites": [{"absent": "/nowhere/at/all"}],
        "apps": [{"name": "shop"}], "doors": [],
    }  # fmt: skip
    private = {"index": None, "sites": {}, "parcels": {"shop": "H4sI"}}
    answer = module.look(SimpleNamespace(check_mode=True), given, private)  # type: ignore[arg-type]
    assert answer["due"] == {"base": [], "releases": [], "sites": []}
    assert (told["mode"], told["sites"]) == ("deploy", {})


def test_sites_come_beside_a_release(tmp_path: Path) -> None:
    """What fails of them is undone, and no failure of the release: the stage of all sites says why."""
    said: list[str] = []
    steps = {
        "before": [
            {"file": str(tmp_path / "shared"), "content": "x"},
            {"command": ["false"], "when": [str(tmp_path)]},
        ],
        "after": [
            {"file": str(tmp_path / "site"), "content": "y"},
            {"notice": "restart", "when": [str(tmp_path)]},
        ],
    }
    sites = module.Sites(SimpleNamespace(warn=said.append, check_mode=False), steps, {})  # type: ignore[arg-type]
    assert not sites.bring("before")
    assert not (tmp_path / "shared").exists()
    assert sites.bring("after")
    assert (tmp_path / "site").read_text() == "y"
    assert said == ["restart"]
    assert [each["after"] for each in sites.diff] == ["y"]
    assert not sites.bring("after")
    assert not module.Sites(SimpleNamespace(check_mode=False), {}, {}).bring("after")  # type: ignore[arg-type]


def test_run_for_nginx_sends_no_source_and_leaves_releases_alone(host: Host, tmp_path: Path) -> None:
    play(host, tmp_path)
    host.due = {"base": [], "releases": ["shop: source changed"], "sites": ["its site"]}
    host.more = {"apps": {"shop": {"status": "needed", "reasons": ["source changed"], "previous": "1-a"}}}
    found = play(host, tmp_path, code="app = 1\n", tags=["asgi_host_nginx"])
    assert host.parcels == {}
    assert (found["due"], found["parts"], found["new"]) == ({"sites": ["its site"]}, ["nginx"], False)
    assert found["unserved"] == []
    assert "this run is for nginx alone; due as well: releases" in host.said[-1]


def test_run_for_nginx_brings_no_site_of_an_app_that_has_no_release(host: Host, tmp_path: Path) -> None:
    host.due = {"base": [], "releases": ["shop: no release serves yet"], "sites": ["its site"]}
    host.more = {"apps": {"shop": {"status": "needed", "reasons": ["no release serves yet"]}}}
    assert play(host, tmp_path, tags=["asgi_host_nginx"])["unserved"] == ["shop"]
    assert play(host, tmp_path)["unserved"] == []


def test_part_of_a_run_needs_the_system_part(host: Host, tmp_path: Path) -> None:
    host.due = {"base": ["a unit"], "releases": [], "sites": ["its site"]}
    found = play(host, tmp_path, tags=["asgi_host_nginx"])
    assert found["failed"]
    assert "add asgi_host_system" in found["msg"]
    assert play(host, tmp_path)["due"] == {"base": ["a unit"], "sites": ["its site"]}


def test_tag_that_selects_nothing_is_told_and_no_host_is_asked(host: Host, tmp_path: Path) -> None:
    found = play(host, tmp_path, tags=["nginx"])
    assert found["skipped"]
    assert "did you mean asgi_host_nginx?" in host.warnings[-1]
    assert host.calls == []


@pytest.mark.parametrize("time", ["before_releases", "after_releases", "after"])
def test_own_tasks_come_around_a_deploy_so_the_first_call_brings_nothing(
    host: Host, tmp_path: Path, time: str
) -> None:
    (tmp_path / "own.yml").write_text("---\n[]\n", encoding="utf-8")
    own: dict[str, Any] = {f"{time}_tasks": ["own.yml"]}
    play(host, tmp_path, **own)
    found = play(host, tmp_path, code="app = 1\n", **own)
    assert host.parcels == {}
    assert found["tasks"][time] == [str(tmp_path / "own.yml")]


def test_missing_own_tasks_are_refused_before_a_host_is_asked(host: Host, tmp_path: Path) -> None:
    found = play(host, tmp_path, after_tasks=["nowhere.yml"])
    assert found["failed"]
    assert found["msg"][0].startswith("asgi_host_after_tasks[0]: nowhere.yml is not on the controller")
    assert host.calls == []


def test_each_play_gives_the_public_result(host: Host, tmp_path: Path) -> None:
    entry = {"id": "1-a", "version": "v1"}
    host.more = {"apps": {"shop": {"status": "current", "reasons": [], "release": entry}}}
    found = play(host, tmp_path)
    assert found["ansible_facts"] == {
        "asgi_host": {
            "apps": {
                "shop": {"status": "current", "release": "1-a", "version": "v1", "url": "", "reasons": []}
            }
        }
    }


def test_part_of_a_run_on_a_host_that_was_not_compared_is_refused(host: Host, tmp_path: Path) -> None:
    """Nobody knows then whether the part is due."""
    host.facts = {**FACTS, "missing_packages": ["nginx"]}
    found = play(host, tmp_path, tags=["asgi_host_releases"])
    assert found["failed"]
    assert (
        "asgi_host_releases: the system part of this host is not as it must be (the package nginx)"
        in found["msg"]
    )
    assert play(host, tmp_path, tags=["asgi_host_system"])["due"] == {"base": ["the package nginx"]}


def test_part_of_a_run_removes_nothing_and_says_so(host: Host, tmp_path: Path) -> None:
    apps = [
        {"name": "shop", "app": "shop.main:app", "source": {"path": "shop"}},
        {"name": "old", "state": "absent"},
    ]
    host.due = {"base": [], "releases": ["old: its folder"], "sites": []}
    host.more = {
        "apps": {
            "shop": {"status": "current", "reasons": [], "release": {"id": "1-a"}},
            "old": {"status": "removed", "reasons": ["its folder"]},
        }
    }
    found = play(host, tmp_path, tags=["asgi_host_releases"], apps=apps)
    assert not found["removes"]
    assert "old: it is removed by a run without tags" in host.said[-1]
    assert list(found["ansible_facts"]["asgi_host"]["apps"]) == ["shop"]
    assert play(host, tmp_path, apps=apps)["removes"]


def test_last_app_stays_in_a_part_of_a_run(host: Host, tmp_path: Path) -> None:
    found = play(host, tmp_path, tags=["asgi_host_nginx"], apps=[{"name": "shop", "state": "absent"}])
    assert (found["due"], found["removes"]) == ({}, False)
    assert "shop: it is removed by a run without tags" in host.said[-1]
    whole = play(host, tmp_path, apps=[{"name": "shop", "state": "absent"}])
    assert "leave" in whole["due"]

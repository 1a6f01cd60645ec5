"""What a release's workers are told: tokens in the import string, messages of WebSockets, numbers to count under."""

from __future__ import annotations

import ast
import os
import sys
import types
from pathlib import Path
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps, _groups
from ansible_collections.asgi.host.plugins.module_utils._nginx import Account
from ansible_collections.asgi.host.plugins.module_utils._release import candidate
from ansible_collections.asgi.host.plugins.module_utils._release.candidate import Candidate, RefusedError
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App
from ansible_collections.asgi.host.plugins.module_utils._release.runtime.choice import runtime_of
from ansible_collections.asgi.host.plugins.plugin_utils import _origins, _preflight, _specs
from ansible_collections.asgi.host.plugins.plugin_utils._render import render

HOST = {
    "cores": 2,
    "memory_mb": 2000,
    "python": {"path": "/usr/bin/python3", "version": "3.13.5"},
    "pythons": [],
}
SERVERS = ("gunicorn", "uvicorn")
KEYS = ("groups", "ws_max_size", "prometheus")


def full(**keys: Any) -> dict[str, Any]:
    given = {"name": "shop", "app": "shop:app", "source": {"path": "../shop"}, "domains": ["shop.test"]}
    return _apps.normalize([given | keys])[0]


def told(**keys: Any) -> dict[str, Any]:
    common = {"root": "/srv/asgi", "host": HOST, "server_pins": []}
    return _specs.describe(full(**keys), common, _origins.Unasked(), by="test")


def code(**keys: Any) -> str:
    (text,) = told(**keys)["files"].values()
    ast.parse(text)
    return str(text)


def of_metrics() -> dict[str, Any]:
    """What the include for counting workers defines."""
    found: dict[str, Any] = {}
    exec(compile(render("release/metrics.py.j2"), "metrics.py", "exec"), found)
    return found


@pytest.mark.parametrize("server", SERVERS)
def test_tokens_stand_for_places_of_the_release(server: str, tmp_path: Path) -> None:
    text = code(
        server=server, app='shop:make("{data}/index", ["{source}", "{venv}"], at="{release} {domain} {else}")'
    )
    # The part that knows the tokens, and nothing of a server.
    own = text[text.index("_RELEASE =") : text.index("class _WholeScope")]
    found: dict[str, Any] = {"os": os, "__file__": str(tmp_path / "serve.py")}
    exec(own, found)
    assert found["_filled"]("{data} {source} {venv} {release} {domain} {else}") == (
        f"/var/lib/asgi/shop {tmp_path}/src {tmp_path}/venv {tmp_path} shop.test {{else}}"
    )
    assert text.count("_filled(") == 2


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_not_asked_for_is_not_in_a_release(server: str) -> None:
    """An app that has none of the keys keeps its digest."""
    said = code(server=server) + told(server=server)["texts"]["release.conf"]
    for word in ("_filled", "ws_max_size", "metrics", "SupplementaryGroups", "AF_NETLINK"):
        assert word not in said


@pytest.mark.parametrize("server", SERVERS)
def test_largest_message_of_a_websocket(server: str) -> None:
    assert f'"ws_max_size": {64 * 1024**2},' in code(server=server, ws_max_size="64m")
    assert '"ws_max_size": 70000,' in code(server=server, ws_max_size=70000)


def test_unit_of_the_app_and_of_its_processes_have_groups_and_interfaces() -> None:
    spec = told(
        groups=["redis", "ssl-cert"],
        sandbox={"netlink": True},
        processes=[{"name": "worker", "command": "celery worker"}],
    )
    for text in (spec["texts"]["release.conf"], spec["processes"]["worker"]):
        assert "\nSupplementaryGroups=redis ssl-cert\n" in text
        assert "\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n" in text
    assert spec["groups"] == ["redis", "ssl-cert"]


def test_group_that_the_host_lacks_is_refused_before_anything_is_done() -> None:
    apps = [full(groups=["redis", "asgi-other"], packages=["redis-server"]), full(name="other")]
    assert _preflight.groups(apps) == ["redis"], "the apps' own are made"
    lacking = {**HOST, **known_systems.TRIXIE, "missing_groups": ["redis"]}
    (said,) = _apps.host_problems(apps, lacking, proxy=False)
    assert "asgi_host_apps (shop): groups: the host has no group redis; name the Debian package" in said
    assert not _apps.host_problems(apps, {**lacking, "missing_packages": ["redis-server"]}, proxy=False)


def test_group_that_no_package_has_brought_ends_a_release_before_it_is_built(tmp_path: Path) -> None:
    release = App(tmp_path, "shop", "asgi-shop").release("1")
    spec: Any = told(groups=["asgi-host-has-none"])
    made = Candidate(release, spec, {}, runtime_of(release.app, spec, {}))
    with pytest.raises(
        RefusedError, match="groups: the host has no group asgi-host-has-none; name the Debian"
    ):
        made.build(None, None, [])  # type: ignore[arg-type]
    assert _groups.lacking(["root", "asgi-host-has-none"]) == ["asgi-host-has-none"]


def test_group_of_an_nginx_that_is_not_debians_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx.conf names the account, and the sockets of all apps are its group's."""
    monkeypatch.setattr(candidate, "account", lambda: Account("daemon", "daemon"))
    release = App(tmp_path, "shop", "asgi-shop").release("1")
    spec: Any = told(groups=["daemon"])
    made = Candidate(release, spec, {}, runtime_of(release.app, spec, {}))
    with pytest.raises(RefusedError, match="groups: daemon is root's or nginx's group on this host"):
        made.build(None, None, [])  # type: ignore[arg-type]
    assert _groups.reserved(["root", "bin", "daemon"], "daemon") == ["root", "daemon"]
    assert _groups.reserved(["bin"], "asgi-host-has-none") == []


def test_new_worker_takes_the_least_number_that_is_free() -> None:
    free = of_metrics()["_free_number"]
    assert [free([]), free([1, 2]), free(iter([1, 3])), free({2})] == [1, 3, 2, 1]


def test_worker_counts_under_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    values = types.SimpleNamespace(MultiProcessValue=lambda identify: identify, ValueClass=None)
    dead: list[int] = []
    multiprocess = types.SimpleNamespace(mark_process_dead=dead.append)
    library = types.SimpleNamespace(values=values, multiprocess=multiprocess)
    monkeypatch.setitem(sys.modules, "prometheus_client", library)
    own = of_metrics()
    own["_count_as"](3)
    assert values.ValueClass() == 3
    own["_counts_no_more"](3)
    assert dead == [3]


def test_app_without_the_library_is_served_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    own = of_metrics()
    own["_count_as"](1)
    own["_counts_no_more"](1)

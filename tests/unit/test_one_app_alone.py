"""What nobody foresaw in one app is told of that app, and the others of the host go on."""

from __future__ import annotations

import signal
import types
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _words
from ansible_collections.asgi.host.plugins.module_utils._release import converge
from ansible_collections.asgi.host.plugins.module_utils._release.overview import overview
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App, MisplacedError
from ansible_collections.asgi.host.plugins.module_utils._release.uv import Tools
from ansible_collections.asgi.host.plugins.module_utils._stage import StageError
from ansible_collections.asgi.host.plugins.modules import host
from ansible_collections.asgi.host.plugins.plugin_utils import _origins, _specs


@pytest.fixture(autouse=True)
def _no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_words, "keep", lambda text: "journalctl")
    # The module's own ends are no business of the tests' process.
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def spec(tmp_path: Path, name: str) -> Any:
    return {"name": name, "root": str(tmp_path), "user": "x", "state": "present"}


def test_folder_in_the_place_of_the_link_is_named(tmp_path: Path) -> None:
    app = App(tmp_path, "shop", "")
    (app.folder / "current").mkdir(parents=True)
    app.releases.mkdir()
    with pytest.raises(MisplacedError, match=r"shop/current is no link.*move it away"):
        app.active()


def test_module_goes_on_with_the_next_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(context: Any, app: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        if app["name"] == "odd":
            raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "hush-hush of this app")
        if app["name"] == "placed":
            context.app.active()
        return {"status": "current"}

    monkeypatch.setattr(host, "act", act)
    (tmp_path / "placed" / "current").mkdir(parents=True)
    module: Any = types.SimpleNamespace(check_mode=False, tmpdir=str(tmp_path))
    given = {
        "uv": "uv",
        "mode": "deploy",
        "apps": [spec(tmp_path, name) for name in ("odd", "placed", "good")],
    }
    answer = host.release(module, given, {"apps": {"odd": {"secrets": {"A": "hush-hush"}}}})
    assert answer["apps"] == {"good": {"status": "current"}}
    assert answer["failures"]["odd"].startswith("odd: unexpected UnicodeDecodeError: ")
    assert "hush-hush" not in answer["failures"]["odd"]
    assert "What served before serves as it did." in answer["failures"]["odd"]
    assert "move it away" in answer["failures"]["placed"]


def test_look_says_what_it_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(context: Any, **_: Any) -> dict[str, Any]:
        raise RuntimeError("of one app")

    monkeypatch.setattr(converge, "inspect", inspect)
    found, reasons = host.look_at_apps([spec(tmp_path, "shop")], {}, Tools(uv="uv", index=None))
    assert found == {}
    assert "RuntimeError: of one app" in reasons[0]


def test_controller_goes_on_with_the_next_app(monkeypatch: pytest.MonkeyPatch) -> None:
    def origin(app: dict[str, Any], *_: Any) -> _origins.Origin:
        raise UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed")

    monkeypatch.setattr(_origins, "origin", origin)
    apps = [
        {"name": "odd", "state": "present", "user": "x"},
        {"name": "gone", "state": "absent", "user": "x", "purge": False},
    ]
    told = _specs.tell(apps, {"root": "/srv"}, ["."], Path.read_bytes, by="me")  # type: ignore[arg-type]
    assert [each["name"] for each in told.specs] == ["gone"]
    assert "unexpected UnicodeEncodeError" in told.failures["odd"]


def test_overview_of_a_host_with_a_folder_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ansible_collections.asgi.host.plugins.module_utils._release.units.instances", lambda app: {}
    )
    for part in ("current", "releases"):
        (tmp_path / "shop" / part).mkdir(parents=True)
    assert overview(tmp_path)["shop"]["active"] is None


def test_journal_of_the_host_gets_no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units, sites and variables stay out of it; task and apps are named."""
    said: list[str] = []
    monkeypatch.setattr(host.QuietModule.__base__, "log", lambda _self, line: said.append(line))
    module = host.QuietModule.__new__(host.QuietModule)
    secret = {"env": {"TOKEN": "of-the-app"}, "files": ["x" * 100_000]}
    module.params = {"task": "look", "arguments": {"apps": [{"name": "shop", **secret}, {"name": "wiki"}]}}
    module._log_invocation()
    module.params = {"task": "host_info", "arguments": {}}
    module._log_invocation()
    assert said == ["look: shop, wiki", "host_info: the host"]


def test_stage_that_fails_leaves_every_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was to be replaced is then not taken away either."""

    def fail(_stage: Any, _steps: Any) -> None:
        raise StageError("nginx -t: no")

    monkeypatch.setattr("ansible_collections.asgi.host.plugins.modules.host.Stage.carry_out", fail)
    steps = [{"file": "/x", "part": ["two"]}, {"absent": "/y"}, {"file": "/z", "part": ["one", "two"]}]
    module: Any = types.SimpleNamespace(check_mode=False, warn=lambda _: None)
    answer = host.stage(module, {"steps": steps, "doors": [], "told_later": True}, {})
    assert answer["left"] == ["one", "two"]
    assert answer["failures"] == ["nginx -t: no"]

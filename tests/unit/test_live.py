# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development mode: what a live folder gets and keeps, which files make a release, what the inventory may say."""

from __future__ import annotations

import asyncio
import os
import sys
import types
from pathlib import Path
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._release import gate, live, paths
from ansible_collections.asgi.host.plugins.plugin_utils import _origins, _sources, _specs
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx

HOST = {
    "cores": 2,
    "memory_mb": 2000,
    "python": {"path": "/usr/bin/python3", "version": "3.13.5"},
    "pythons": [],
}


class Sent:
    """A source on the controller and the live folder that it is sent to."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.live = live.Live(paths.App(folder / "srv", "shop", "asgi-shop"))
        self.there = self.live.folder
        self.there.parent.mkdir(parents=True)
        self.archive = folder / "source.tar.gz"

    def write(self, name: str, text: str = "x") -> Path:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def send(self, shared: tuple[str, ...] = ()) -> list[str]:
        _sources.pack(_sources.entries(self.source), self.archive)
        return sorted(self.live.receive(self.archive, _sources.digest(_sources.entries(self.source)), shared))

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.there)) for path in self.there.rglob("*") if not path.is_dir()
        )


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    return Sent(tmp_path)


def test_only_what_differs_is_written(sent: Sent) -> None:
    sent.write("shop/main.py", "one")
    sent.write("shop/other.py")
    sent.write("run.sh").chmod(0o755)
    assert sent.send() == ["run.sh", "shop/main.py", "shop/other.py"]
    assert sent.live.holds(_sources.digest(_sources.entries(sent.source)))
    seen = (sent.there / "shop" / "other.py").stat()
    sent.write("shop/main.py", "two")
    assert not sent.live.holds(_sources.digest(_sources.entries(sent.source)))
    assert sent.send() == ["shop/main.py"]
    assert (sent.there / "shop" / "main.py").read_text() == "two"
    assert (sent.there / "shop" / "other.py").stat().st_ino == seen.st_ino
    assert os.access(sent.there / "run.sh", os.X_OK)
    (sent.source / "run.sh").chmod(0o644)
    assert sent.send() == ["run.sh"]
    assert not any(name.endswith(".asgi-host") for name in sent.files())


def test_what_is_gone_is_removed_and_what_others_made_stays(sent: Sent) -> None:
    for name in ("shop/old/a.py", "shop/old/b.py", "shop/main.py"):
        sent.write(name)
    sent.send()
    (sent.there / "shop" / "made-here.py").write_text("mine")
    (sent.there / "shop.egg-info").mkdir()
    (sent.there / "shop.egg-info" / "PKG-INFO").write_text("made by a build")
    for name in ("a.py", "b.py"):
        (sent.source / "shop" / "old" / name).unlink()
    (sent.source / "shop" / "main.py").unlink()
    (sent.source / "shop" / "main.py").mkdir()
    sent.write("shop/main.py/deep.py")
    assert sent.send() == ["shop/main.py/deep.py", "shop/old/a.py", "shop/old/b.py"]
    assert sent.files() == ["shop.egg-info/PKG-INFO", "shop/made-here.py", "shop/main.py/deep.py"]
    assert not (sent.there / "shop" / "old").exists()


def test_no_link_is_followed(sent: Sent, tmp_path: Path) -> None:
    """A build hook runs as the app's user, and owns the folder while it does."""
    target = tmp_path / "etc"
    target.mkdir()
    (target / "passwd").write_text("root")
    sent.write("shop/passwd", "from the source")
    sent.write("top", "from the source")
    sent.there.mkdir()
    (sent.there / "shop").symlink_to(target)
    (sent.there / "top").symlink_to(target / "passwd")
    (sent.there / ".top.asgi-host").symlink_to(target / "passwd")
    sent.send()
    assert (target / "passwd").read_text() == "root"
    assert (sent.there / "shop" / "passwd").read_text() == "from the source"
    assert not (sent.there / "top").is_symlink()
    (sent.source / "shop" / "passwd").unlink()
    (sent.there / "shop" / "passwd").unlink()
    (sent.there / "shop").rmdir()
    (sent.there / "shop").symlink_to(target)
    sent.write("again")
    assert sent.send() == ["again"]
    assert (target / "passwd").exists()


def test_shared_paths_are_left_alone_once_they_are_links(sent: Sent, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    sent.write("uploads/logo", "of the source")
    assert sent.send(("uploads",)) == ["uploads/logo"]
    (sent.there / "uploads" / "logo").unlink()
    (sent.there / "uploads").rmdir()
    (sent.there / "uploads").symlink_to(data)
    sent.write("uploads/logo", "another")
    sent.write("main.py")
    assert sent.send(("uploads",)) == ["main.py"]
    assert list(data.iterdir()) == []
    assert (sent.there / "uploads").is_symlink()


def test_links_of_the_source_are_links(sent: Sent) -> None:
    sent.write("a.py")
    (sent.source / "b.py").symlink_to("a.py")
    assert sent.send() == ["a.py", "b.py"]
    assert os.readlink(sent.there / "b.py") == "a.py"
    sent.write("c.py")
    assert sent.send() == ["c.py"]


def test_folder_that_is_gone_or_half_removed_is_sent_anew(sent: Sent) -> None:
    sent.write("a.py")
    sent.send()
    digest = _sources.digest(_sources.entries(sent.source))
    assert len(sent.live.leftovers()) == 2
    sent.live.clear()
    assert sent.live.leftovers() == []
    assert not sent.live.holds(digest)
    sent.send()
    sent.live._record.write_text("cut off by a power cut")
    assert not sent.live.holds(digest)
    assert live.Live(sent.live.app, "/vagrant/shop").holds("")


# What makes a release


def dependencies(folder: Path, **wanted: Any) -> str:
    return live.dependencies(folder, wanted)


def test_only_what_decides_the_virtualenv_makes_a_release(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements.txt").write_text("-r requirements/base.txt\n")
    base = tmp_path / "requirements" / "base.txt"
    base.write_text("httpx\n")
    before = dependencies(tmp_path)
    (tmp_path / "main.py").write_text("changed = True\n")
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert dependencies(tmp_path) == before
    base.write_text("httpx<1\n")
    included = dependencies(tmp_path)
    assert included != before
    (tmp_path / "other.txt").write_text("starlette\n")
    assert dependencies(tmp_path, requirements="other.txt") not in (before, included)
    (tmp_path / "uv.lock").write_text("version = 1\n")
    locked = dependencies(tmp_path)
    assert locked != included
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    assert dependencies(tmp_path) != locked


def test_project_that_is_built_counts(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("httpx\n")
    project = tmp_path / "pyproject.toml"
    project.write_text("[build-system]\nrequires = ['setuptools']\n")
    before = dependencies(tmp_path)
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = shop\n")
    assert dependencies(tmp_path) != before


def test_folder_of_the_controller_is_known_by_its_dependencies(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("one\n")
    app = _apps.normalize(
        [{"name": "shop", "app": "main:app", "source": {"path": str(tmp_path)}, "reload": True}]
    )[0]
    first = _origins.origin(app, ["."]).describe()
    (tmp_path / "main.py").write_text("two\n")
    second = _origins.origin(app, ["."]).describe()
    assert first["digest"] == second["digest"]
    assert first["content"] != second["content"]
    (tmp_path / "requirements.txt").write_text("-r gone.txt\n")
    with pytest.raises(_sources.SourceError, match=r"includes gone.txt"):
        _origins.origin(app, ["."]).describe()


# What the process is told


def described(**keys: Any) -> dict[str, Any]:
    app = _apps.normalize([{"name": "shop", "app": "main:app", "domains": ["shop.test"], **keys}])[0]
    common = {
        "root": "/srv/asgi",
        "host": HOST,
        "server_pins": ["gunicorn==1", "uvicorn[standard]==2", "uvicorn-worker==3"],
    }
    origin = _origins.origin(app, ["."])
    return _specs.describe(app, common, origin, by="a@b")


def test_app_in_development_mode(tmp_path: Path) -> None:
    spec = described(source={"path": str(tmp_path)}, reload=True, keep_warm=True)
    assert spec["live"] == {"mount": None, "digest": _sources.digest(_sources.entries(tmp_path))}
    assert "content" not in spec["source"]
    assert list(spec["files"]) == ["serve.py"]
    assert gate.NOT_LOADED in spec["files"]["serve.py"]
    compile(spec["files"]["serve.py"], "serve.py", "exec")
    assert spec["keep_warm"] is False
    drop_in = spec["texts"]["release.conf"]
    assert "Description=DEVELOPMENT" in drop_in
    assert "releases/%i/serve.py" in drop_in
    assert "gunicorn" not in drop_in
    # The virtualenv is that of production, so that a change of the mode builds none.
    production = described(source={"path": str(tmp_path)}, keep_warm=True)
    assert spec["server_pins"] == production["server_pins"]
    assert production["live"] is None
    assert production["keep_warm"] is True
    assert list(production["files"]) == ["gunicorn.conf.py"]
    assert "DEVELOPMENT" not in production["texts"]["release.conf"]
    assert "_end_streams()\n        websocket" not in production["files"]["gunicorn.conf.py"]


@pytest.mark.parametrize(
    ("mount", "home"),
    [("/home/dev/shop", "tmpfs"), ("/root/shop", "tmpfs"), ("/vagrant/shop", "yes"), ("/homes/shop", "yes")],
)
def test_sandbox_shows_the_mount_and_no_other_home(mount: str, home: str) -> None:
    spec = described(source={"mount": mount}, reload=True, static=[{"url": "/static/", "path": "static"}])
    lines = spec["texts"]["release.conf"].splitlines()
    assert f"ProtectHome={home}" in lines
    assert f"BindReadOnlyPaths={mount}" in lines
    assert lines.index(f"RequiresMountsFor={mount}") < lines.index("[Service]")
    assert spec["live"]["mount"] == mount


def test_nginx_sees_static_files_of_a_mount_below_a_home() -> None:
    app = _apps.normalize(
        [
            {
                "name": "shop",
                "app": "main:app",
                "source": {"mount": "/home/dev/shop"},
                "reload": True,
                "static": [{"url": "/static/", "path": "static"}, {"url": "/m/", "path": "{data}/m"}],
            }
        ]
    )[0]
    assert [nginx._on_disk(item["path"], app) for item in app["static"]] == [
        "/home/dev/shop/static",
        "{data}/m",
    ]


# What the inventory may say


def problems(**keys: Any) -> list[str]:
    return _apps.problems([{"name": "shop", "app": "main:app", "source": {"path": "x"}, **keys}])


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"workers": 1},
        {"workers": "auto"},
        {"server": "uvicorn"},
        {"server": "gunicorn"},
        {"hooks": {"build": ["make"]}, "shared": [{"path": "uploads"}]},
        {"source": {"mount": "/vagrant/shop"}},
    ],
)
def test_what_development_mode_goes_with(keys: dict[str, Any]) -> None:
    assert problems(reload=True, **keys) == []


@pytest.mark.parametrize("environment", ["", "development"])
def test_production_refuses_it_and_nothing_else_does(environment: str) -> None:
    apps = [
        {"name": "shop", "app": "main:app", "source": {"path": "x"}},
        {"name": "blog", "app": "main:app", "source": {"path": "x"}, "reload": "yes"},
        {"name": "gone", "state": "absent", "reload": True},
    ]
    assert _apps.problems(apps, environment=environment) == []
    found = _apps.problems(apps, environment="production")
    assert len(found) == 1
    assert found[0].startswith("asgi_host_apps[1] (blog): reload: true is the development mode")
    assert "asgi_host_environment" in found[0]
    assert "set reload: false" in found[0]
    by_defaults = _apps.problems(apps[:1], {"reload": True}, environment="production")
    assert len(by_defaults) == 1


@pytest.mark.parametrize("value", ["Production", "prod", None, True, []])
def test_environment_that_is_not_known(value: object) -> None:
    found = _apps.problems([], environment=value)
    assert len(found) == 1
    assert found[0].startswith("asgi_host_environment: ")
    assert "give production or development" in found[0]


def test_mount_that_the_host_lacks() -> None:
    apps = _apps.normalize(
        [{"name": "shop", "app": "main:app", "source": {"mount": "/vagrant/shop"}, "reload": True}]
    )
    facts = {**HOST, **known_systems.TRIXIE, "nginx": {"version": None}, "folders": []}
    assert "source.mount: the host has no folder /vagrant/shop" in "".join(_apps.host_problems(apps, facts))
    assert _apps.host_problems(apps, {**facts, "folders": ["/vagrant/shop"]}) == []


# The process


class Child:
    """A process of the reloader's."""

    def __init__(self, said: list[str], *, hangs: bool = False) -> None:
        self.said = said
        self.exitcode: int | None = None
        self.hangs = hangs

    def terminate(self) -> None:
        self.said.append("terminate")

    def join(self, limit: float | None = None) -> None:
        self.said.append("join" if limit is None else f"join {limit:g}")
        if not self.hangs:
            self.exitcode = 0

    def kill(self) -> None:
        self.said.append("kill")


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The file of a release in development mode, run with stand-ins for uvicorn."""
    uvicorn, supervisors = types.ModuleType("uvicorn"), types.ModuleType("uvicorn.supervisors")

    class ChangeReload:
        process: Any = None
        changes: Any = None
        restarts = 0

        def should_restart(self) -> Any:
            return self.changes

        def restart(self) -> None:
            self.restarts += 1

    uvicorn.Server = type("Server", (), {})  # type: ignore[attr-defined]
    uvicorn.Config = types.SimpleNamespace  # type: ignore[attr-defined]
    supervisors.ChangeReload = ChangeReload  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uvicorn", uvicorn)
    monkeypatch.setitem(sys.modules, "uvicorn.supervisors", supervisors)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    text = described(app="broken_of_the_tests:app", source={"path": str(tmp_path)}, reload=True)["files"][
        "serve.py"
    ]
    space: dict[str, Any] = {"__name__": "serve", "__file__": str(tmp_path / "serve.py")}
    exec(compile(text, "serve.py", "exec"), space)
    return types.SimpleNamespace(**space)


def test_code_that_does_not_load_is_said(process: Any, capfd: pytest.CaptureFixture[str]) -> None:
    app = process.make_app_or_say()
    assert "No module named 'broken_of_the_tests'" in capfd.readouterr().err
    sent: list[dict[str, Any]] = []

    async def ask(scope: dict[str, Any], *received: str) -> None:
        messages = iter(received)

        async def receive() -> dict[str, Any]:
            return {"type": next(messages)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)

    async def all_kinds() -> None:
        await ask({"type": "lifespan"}, "lifespan.startup", "lifespan.shutdown")
        scope = {
            "type": "http",
            "scheme": "https",
            "headers": [],
            "query_string": b"",
            "server": ("a", 1),
        }
        await ask(scope, "http.request")
        await ask({**scope, "type": "websocket"}, "websocket.connect")

    asyncio.run(all_kinds())
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
        "http.response.start",
        "http.response.body",
        "websocket.close",
    ]
    assert sent[2]["status"] == 503
    # By this the gate knows that waiting is in vain.
    assert sent[3]["body"].decode().startswith(gate.NOT_LOADED)
    with pytest.raises(ModuleNotFoundError):
        process.make_app()


def test_process_that_ended_by_itself_is_started_again(process: Any) -> None:
    reloader = process._Reloader()
    reloader.process = Child([])
    assert reloader.should_restart() is None
    assert reloader.restarts == 0
    reloader.process.exitcode = -9
    reloader.should_restart()
    assert reloader.restarts == 1
    reloader.process.exitcode = 3
    reloader.should_restart()
    assert reloader.restarts == 1, "it was started a moment ago"
    reloader.changes = [Path("main.py")]
    reloader.started = 0.0
    assert reloader.should_restart() == [Path("main.py")]
    assert reloader.restarts == 1, "uvicorn does it"


def test_process_that_hangs_is_killed(process: Any) -> None:
    reloader = process._Reloader()
    said: list[str] = []
    reloader.process = Child(said, hangs=True)
    reloader.restart()
    assert said == ["terminate", "join 35", "kill"]
    assert reloader.restarts == 1


def test_kind_of_file_system_is_that_of_the_mount_furthest_down(
    process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = (
        "21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "40 21 0:35 / /vagrant rw shared:2 - vboxsf vagrant rw\n"
        "41 21 0:36 / /vagrant2 rw - virtiofs x rw\n"
        "42 40 0:37 / /vagrant/shop/cache rw - tmpfs tmpfs rw\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: mounts)
    kinds = {
        folder: process._kind_of_file_system(folder)
        for folder in ("/vagrant/shop", "/vagrant2", "/srv/asgi/shop/live", "/vagrant/shop/cache/x")
    }
    assert list(kinds.values()) == ["vboxsf", "virtiofs", "ext4", "tmpfs"]
    assert "vboxsf".startswith(process.SHARED)
    assert not any(kind.startswith(process.SHARED) for kind in ("ext4", "tmpfs", "overlay"))

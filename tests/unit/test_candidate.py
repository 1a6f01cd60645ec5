"""What a release in the making does with the app's own data."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._process import run as really_run
from ansible_collections.asgi.host.plugins.module_utils._release import candidate, paths, units


class Host:
    """A release with a source and a data folder; what would run as the app's user runs as who tests."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        monkeypatch.setattr(paths.App, "data", property(lambda own: self.data))
        self.release = paths.App(folder, "shop", "asgi-shop").release("r")
        self.release.source.mkdir(parents=True)
        self.ran: list[list[str]] = []
        self.full = False
        monkeypatch.setattr(candidate, "run", self.run)
        monkeypatch.setattr(candidate, "succeeds", lambda argv: bool(self.run(argv)) or True)

    def run(self, argv: list[str]) -> str:
        assert argv[:5] == ["setpriv", "--reuid=asgi-shop", "--regid=asgi-shop", "--clear-groups", "--"]
        self.ran.append(argv[5:])
        said = really_run(argv[5:])
        if self.full and argv[5] == "cp":
            raise CommandError(argv[5:], "exit status 1", "cp: No space left on device")
        return said

    def share(self, path: str, data: str | None = None) -> None:
        item = {"path": path, "data": data or path}
        candidate.Candidate(self.release, {"shared": [item]}, {})._share()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_what_the_source_has_is_copied_once(host: Host) -> None:
    uploads = host.release.source / "uploads"
    (uploads / "deep").mkdir(parents=True)
    (uploads / "deep" / "logo").write_text("x")
    host.share("uploads", "kept/uploads")
    assert (host.data / "kept" / "uploads" / "deep" / "logo").read_text() == "x"
    assert uploads.is_symlink()
    assert (uploads / "deep" / "logo").read_text() == "x"
    host.ran.clear()
    host.share("uploads", "kept/uploads")
    assert host.ran == []


@pytest.mark.parametrize(("path", "made"), [("media", True), ("db.sqlite3", False)])
def test_what_the_source_lacks(host: Host, path: str, made: bool) -> None:
    host.share(path)
    assert (host.data / path).is_dir() is made
    assert (host.release.source / path).is_symlink()


def test_disk_that_fills_up_leaves_nothing_and_the_next_copy_is_whole(host: Host) -> None:
    (host.release.source / "uploads").mkdir()
    (host.release.source / "uploads" / "logo").write_text("x")
    host.full = True
    with pytest.raises(CommandError, match="No space left"):
        host.share("uploads")
    assert list(host.data.iterdir()) == []
    # A power cut leaves what was copied until then.
    (host.data / ".uploads.asgi-host").mkdir()
    (host.data / ".uploads.asgi-host" / "half").touch()
    host.full = False
    host.share("uploads")
    assert [path.name for path in host.data.iterdir()] == ["uploads"]
    assert [path.name for path in (host.data / "uploads").iterdir()] == ["logo"]


@pytest.mark.parametrize("link", ["kept", "kept/uploads"])
def test_link_of_the_app_is_not_followed(host: Host, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "etc"
    outside.mkdir()
    (host.data / link).parent.mkdir(exist_ok=True)
    (host.data / link).symlink_to(outside)
    with pytest.raises(
        candidate.RefusedError, match=rf"shared: {host.data / link} is a symbolic link \(.*etc\)"
    ):
        host.share("uploads", "kept/uploads")
    assert host.ran == []
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("stage", "loosened"), [("build", ["MemoryDenyWriteExecute=no", "ProcSubset=all"]), ("migrate", [])]
)
def test_build_hooks_alone_make_code_in_memory_and_see_the_processors(
    host: Host, monkeypatch: pytest.MonkeyPatch, stage: str, loosened: list[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(units, "run", lambda argv, **_: ran.append(argv))
    hook = {"command": ["npm", "run", "build"], "creates": None}
    sandbox = "[Service]\nMemoryDenyWriteExecute=yes\nProcSubset=pid"
    spec = {
        "hooks": {stage: [hook]},
        "domains": [],
        "server": "gunicorn",
        "source": {"kind": "archive"},
        "app_dir": "",
        "texts": {"service": "", "release.conf": sandbox},
    }
    candidate.Candidate(host.release, spec, {}).hooks(stage)
    ((*argv,),) = ran
    own = [word for word in argv if word.startswith(("--property=Memory", "--property=ProcSubset"))]
    # Of a directive that is there twice systemd takes the last.
    assert own[2:] == [f"--property={each}" for each in loosened]

"""Which folders are the role's own, on a host where somebody else has some as well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._release import footprint, paths
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App

ID = "20260101T000000-0a1b2c"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app that the role has not brought yet."""
    (tmp_path / "systemd").mkdir()
    (tmp_path / "srv").mkdir()
    monkeypatch.setattr(paths, "SYSTEMD", tmp_path / "systemd")
    return App(tmp_path / "srv", "www", "asgi-www")


def brought(app: App) -> None:
    """What a converge leaves."""
    (app.releases / ID / "src").mkdir(parents=True)
    app.current.symlink_to(f"releases/{ID}")
    (app.folder / ".lock").touch()


def unit(app: App, root: object) -> None:
    text = f"[Socket]\nListenStream={root}/{app.name}/releases/%i/app.sock\n"
    (paths.SYSTEMD / f"asgi-{app.name}@.socket").write_text(text)


def test_own_folder_is_known_with_and_without_its_unit(app: App) -> None:
    assert footprint.strangers(app.root, [app.name]) == []
    brought(app)
    assert footprint.strangers(app.root, [app.name]) == []
    (app.folder / "notes.txt").write_text("of an operator")
    unit(app, app.root)
    assert footprint.strangers(app.root, [app.name]) == []
    assert footprint.roots() == {"www": str(app.root)}


def test_unit_of_the_service_tells_as_well(app: App) -> None:
    """Somebody may have removed the socket's unit, and given the folder away."""
    brought(app)
    (app.folder / "notes.txt").write_text("of an operator")
    text = f"[Unit]\nDocumentation=file:{app.root}/{app.name}/releases/%i/release.json\n"
    (paths.SYSTEMD / f"asgi-{app.name}@.service").write_text(text)
    assert footprint.roots() == {"www": str(app.root)}
    assert footprint.strangers(app.root, [app.name]) == []


@pytest.mark.parametrize("name", ["index.html", "releases/20250101000000/index.php", "releases/v1/x"])
def test_folder_of_somebody_else_is_named_and_never_taken_away(app: App, name: str) -> None:
    path = app.folder / name
    path.parent.mkdir(parents=True)
    path.write_text("of somebody else")
    assert footprint.strangers(app.root, [app.name]) == [str(app.folder)]
    assert footprint.there(app) == []


def test_link_and_file_in_the_place_of_the_folder_are_strangers(app: App) -> None:
    app.folder.symlink_to("/etc")
    assert footprint.strangers(app.root, [app.name]) == [str(app.folder)]
    app.folder.unlink()
    app.folder.write_text("")
    assert footprint.strangers(app.root, [app.name]) == [str(app.folder)]


def test_what_somebody_put_beside_stays(app: App) -> None:
    brought(app)
    unit(app, app.root)
    (app.folder / "notes.txt").write_text("of an operator")
    (app.releases / "kept").mkdir()
    assert footprint.there(app) == [str(app.folder)]
    footprint.take_away(app)
    assert sorted(os.listdir(app.folder)) == ["notes.txt", "releases"]
    assert os.listdir(app.releases) == ["kept"]


def test_nothing_is_left_of_what_the_role_made(app: App) -> None:
    brought(app)
    (app.live / "x").mkdir(parents=True)
    (app.folder / "live.json").write_text("{}")
    footprint.take_away(app)
    assert not app.folder.exists()


def test_root_that_others_may_write_to_is_unsafe(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is above the folders of the tests is as the machine has it."""
    own, trouble = {app.root, app.root / "apps", app.root / "link"}, footprint._trouble
    monkeypatch.setattr(footprint, "_trouble", lambda place: trouble(place) if place in own else "")
    root = app.root / "apps"
    assert footprint.unsafe(root) == ""
    root.mkdir()
    root.chmod(0o775)
    assert "can be written to" in footprint.unsafe(root)
    (app.root / "link").symlink_to("apps")
    assert "can be written to" in footprint.unsafe(app.root / "link")
    root.rmdir()
    root.write_text("")
    assert "is no folder" in footprint.unsafe(root)


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("srv/asgi", "not an absolute path"),
        (7, "not an absolute path"),
        ("/", "not an absolute path"),
        ("/srv/../etc", "opens more than a folder"),
        ("/srv/a b", "not an absolute path"),
        ("/srv/asgi/", "not written plainly; give /srv/asgi"),
        ("//srv/asgi", "not written plainly; give /srv/asgi"),
        ("/srv", "is not for the apps alone"),
        ("/opt", "is not for the apps alone"),
        ("/var/opt", "is not for the apps alone"),
        ("/etc", "another purpose (/etc)"),
        ("/etc/asgi", "another purpose (/etc)"),
        ("/usr/local/apps", "another purpose (/usr)"),
        ("/var/lib/asgi", "another purpose (/var)"),
        ("/var/lib", "another purpose (/var)"),
        ("/home/deploy/apps", "another purpose (/home)"),
        ("/run/apps", "another purpose (/run)"),
        ("/tmp/apps", "another purpose (/tmp)"),
        ("/srv/" + "a" * 60, "too long by"),
        ("/srv/exchange", "lie in each other"),
        ("/srv/exchange/apps", "lie in each other"),
        ("/data", "lie in each other"),
    ],
)
def test_roots_that_are_refused(root: object, words: str) -> None:
    apps = [
        {"name": "shop", "sandbox": {"writable_paths": ["/srv/exchange/"]}},
        {"name": "wiki", "source": {"mount": "/data/wiki"}},
        {"name": "gone", "state": "absent", "sandbox": {"writable_paths": ["/opt/gone"]}},
    ]
    found = _apps.root_problems(root, apps)
    assert len(found) == 1
    assert found[0].startswith("asgi_host_root: ")
    assert words in found[0]


@pytest.mark.parametrize("root", ["/srv/asgi", "/opt/gone", "/apps", "/mnt/disk/apps", "/var/opt/asgi"])
def test_roots_that_are_taken(root: str) -> None:
    gone = {"name": "gone", "state": "absent", "sandbox": {"writable_paths": ["/opt/gone"]}}
    assert _apps.root_problems(root, [{"name": "shop"}, gone, "nonsense"]) == []


def test_length_counts_the_longest_name_and_bytes() -> None:
    """The sockets of an app of 31 letters fit below /srv/asgi; two bytes a letter do not below a long one."""
    assert _apps.root_problems("/srv/asgi", [{"name": "a" * 31}]) == []
    room = footprint_room("shop")
    assert _apps.root_problems("/" + "a" * (room - 1), [{"name": "shop"}]) == []
    assert "by 1 bytes" in _apps.root_problems("/" + "a" * room, [{"name": "shop"}])[0]
    assert "too long" in _apps.root_problems("/" + "ä" * (room - 1), [{"name": "shop"}])[0]


def footprint_room(name: str) -> int:
    return 107 - len(f"/{name}/releases/{ID}/hold.sock")


def test_host_says_what_is_in_the_way() -> None:
    apps: list[dict[str, Any]] = [{"name": "shop"}, {"name": "www"}]
    assert _apps.places_problems(apps, {"roots": {"shop": "/srv/asgi"}}, "/srv/asgi") == []
    facts = {
        "roots": {"shop": "/srv/asgi", "theirs": "/opt/theirs"},
        "strangers": ["/opt/asgi/www"],
        "unsafe_root": "/opt/asgi belongs to deploy",
    }
    found = _apps.places_problems(apps, facts, "/opt/asgi")
    assert [words for words in ("belongs to deploy", "has not made it", "shop serves from /srv/asgi") if
            not any(words in each for each in found)] == []  # fmt: skip
    assert "theirs" not in " ".join(found)

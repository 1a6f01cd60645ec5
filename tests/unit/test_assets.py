"""Static files of earlier releases: what is kept for whom and how long, and what no static folder may be."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._apps import normalize, problems
from ansible_collections.asgi.host.plugins.module_utils._contract.release import StaticFolder
from ansible_collections.asgi.host.plugins.module_utils._release import assets, paths
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release
from ansible_collections.asgi.host.plugins.plugin_utils._frontend import hidden_files
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx
from test_sites import host

FOLDERS: list[StaticFolder] = [{"url": "/shop/static/", "path": "static"}]
DAY = 24 * 3600.0


@pytest.fixture
def app(tmp_path: Path) -> paths.App:
    return paths.App(tmp_path, "shop", "asgi-shop")


def release(app: paths.App, name: str, **files: str) -> Release:
    """A release with these static files."""
    made = app.release(name)
    (made.source / "static").mkdir(parents=True)
    for file, text in files.items():
        (made.source / "static" / file.replace("_", ".")).write_text(text)
    return made


def keep(made: Release, folders: list[StaticFolder] | None = None) -> None:
    assets.keep(made, FOLDERS if folders is None else folders, os.getgid())


def there(app: paths.App) -> dict[str, str]:
    """Name and content of each file below the URL."""
    top = assets.pool(app) / "shop" / "static"
    return {str(path.relative_to(top)): path.read_text() for path in sorted(top.rglob("*")) if path.is_file()}


def test_files_of_all_releases_are_links_by_their_urls(app: paths.App) -> None:
    first, second = (
        release(app, "1", a1_js="one", same_css="old"),
        release(app, "2", a2_js="two", same_css="new"),
    )
    keep(first)
    keep(second)
    assert there(app) == {"a1.js": "one", "a2.js": "two", "same.css": "new"}
    linked = assets.pool(app) / "shop" / "static" / "a1.js"
    assert linked.samefile(first.source / "static" / "a1.js")
    assert assets.pool(app).stat().st_mode & 0o777 == 0o750
    keep(first)
    keep(first)
    assert there(app)["same.css"] == "old", "whoever goes back"
    assert not (assets.pool(app) / assets.NEW).exists()


def test_hidden_files_and_links_that_lead_out_are_left_out(app: paths.App) -> None:
    made = release(app, "1", a_js="one")
    static = made.source / "static"
    (made.source / "settings.py").write_text("secret")
    (static / ".env").write_text("secret")
    (static / ".git").mkdir()
    (static / ".git" / "config").write_text("secret")
    (static / "__pycache__").mkdir()
    (static / "__pycache__" / "settings.pyc").write_text("secret")
    for name, target in {
        "out": "../settings.py", "far": "/etc/passwd", "hidden": ".env", "loop": "loop", "inside.js": "a.js",
        "folder": ".", "up": "..",
    }.items():  # fmt: skip
        (static / name).symlink_to(target)
    os.mkfifo(static / "pipe")
    keep(made)
    assert there(app) == {"a.js": "one", "inside.js": "one"}
    assert not any(path.is_symlink() for path in assets.pool(app).rglob("*"))


@pytest.mark.parametrize("target", ["..", "../..", "/etc", "../venv"])
def test_folder_that_is_a_link_to_elsewhere_gives_nothing(app: paths.App, target: str) -> None:
    made = release(app, "1")
    made.venv.mkdir()
    (made.venv / "x").touch()
    (made.source / "static").rmdir()
    (made.source / "static").symlink_to(target)
    keep(made)
    assert not [path for path in assets.pool(app).rglob("*") if path.is_file()]


def test_file_becomes_a_folder_and_a_folder_a_file(app: paths.App) -> None:
    first, second = release(app, "1", a="file"), release(app, "2", b="file")
    (first.source / "static" / "b").mkdir()
    (first.source / "static" / "b" / "x").write_text("in b")
    (second.source / "static" / "a").mkdir()
    (second.source / "static" / "a" / "x").write_text("in a")
    keep(first)
    keep(second)
    assert there(app) == {"a/x": "in a", "b/x": "in b"}


def test_development_mode_keeps_nothing(app: paths.App) -> None:
    made = release(app, "1", a_js="one")
    shutil.move(made.source, app.live)
    made.source.symlink_to(app.live)
    keep(made)
    assert not assets.pool(app).exists()


def test_what_a_release_has_stays_and_what_none_has_stays_for_a_day(app: paths.App) -> None:
    first, second = release(app, "1", a1_js="one", both_js="1"), release(app, "2", a2_js="two", both_js="2")
    keep(first)
    keep(second)
    later = time.time() + 30 * DAY
    assert assets.prune(app, later) == []
    shutil.rmtree(first.folder)
    assert assets.prune(app) == []
    assert assets.prune(app, time.time() + DAY) == []
    assert assets.prune(app, time.time() + 1.1 * DAY) == ["shop/static/a1.js"]
    shutil.rmtree(second.folder)
    assert sorted(assets.prune(app, later)) == ["shop/static/a2.js", "shop/static/both.js"]
    assert [path.name for path in assets.pool(app).iterdir()] == [assets.LOOKED], "empty folders go"


def test_one_file_below_two_urls_is_no_release_of_its_own(app: paths.App) -> None:
    made = release(app, "1", a_js="one")
    keep(made, [*FOLDERS, {"url": "/other/", "path": "static"}])
    shutil.rmtree(made.folder)
    assert len(assets.prune(app, time.time() + 2 * DAY)) == 2


def test_converge_looks_once_in_an_hour(app: paths.App) -> None:
    made = release(app, "1", a_js="one")
    keep(made)
    shutil.rmtree(made.folder)
    assets.prune(app, at_once=False)
    later = time.time() + 2 * DAY
    os.utime(assets.pool(app) / assets.LOOKED, (later, later))
    assert assets.prune(app, later + 60, at_once=False) == []
    assert assets.prune(app, later + assets.PRUNE_EVERY_S + 1, at_once=False) == ["shop/static/a.js"]


def shop(path: str, **keys: Any) -> dict[str, Any]:
    static = [{"url": "/static/", "path": path}]
    base = {
        "name": "shop",
        "app": "shop.web.main:app",
        "source": {"path": "x"},
        "domains": ["shop.example.com"],
    }
    return {**base, "static": static, **keys}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        *(
            (path, "is the whole source")
            for path in (".", "./", "{source}", "{source}/", "{source}/.", "./.")
        ),
        *(
            (path, "holds the app's code")
            for path in ("shop", "shop/", "./shop", "{source}/shop", "shop/web")
        ),
        *((path, "whole data folder") for path in ("{data}", "{data}/", "{data}/.")),
        *(
            (path, "host's own")
            for path in ("/etc", "/etc/", "/var", "/var/lib/asgi", "/srv", "/srv/asgi/", "/usr")
        ),
        *((path, "token") for path in ("{venv}/lib", "{release}", "static/{domain}")),
        ("uploads", "give {data}/files"),
        ("uploads/pictures", "give {data}/files"),
        *(
            (path, "")
            for path in ("static", "shop/static", "shop/web/static", "{data}/media", "/srv/files", "sho")
        ),
    ],
)
def test_no_static_folder_holds_the_code_or_the_data(path: str, words: str) -> None:
    found = problems([shop(path, shared=[{"path": "uploads", "data": "files"}])])
    assert bool(found) is bool(words), found
    assert all("static[0].path: " in each and words in each for each in found)


def test_import_root_below_the_source_is_code() -> None:
    assert "holds the app's code" in problems([shop("src", app_dir="src")])[0]
    assert "holds the app's code" in problems([shop("back", app_dir="back/end")])[0]
    assert problems([shop("shop", app_dir="src")]) == []


@pytest.mark.parametrize(
    ("path", "normal"),
    [("{source}/static/", "static"), ("/var/lib/asgi/shop/media", "{data}/media"), ("./a/./b", "a/b")],
)
def test_path_in_one_form(path: str, normal: str) -> None:
    assert normalize([shop(path)])[0]["static"][0]["path"] == normal


def site(path: str) -> str:
    stage = nginx.proxy(
        normalize([shop(path)]),
        host=host(set_up=False),
        root="/srv/asgi",
        failed=[],
        bases=["."],
        tls_policy="intermediate",
        proxy_protocol=[],
    )
    return next(
        str(step["content"]) for step in stage["steps"] if step.get("file", "").endswith("app-shop.conf")
    )


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("static", "disable_symlinks on from=/srv/asgi/shop/current/src;"),
        ("{data}/media", "disable_symlinks if_not_owner from=/var/lib/asgi/shop;"),
        ("/srv/files", "disable_symlinks if_not_owner;"),
    ],
)
def test_links_are_looked_at_from_what_is_roots(path: str, links: str) -> None:
    text = site(path)
    assert links in text
    assert ("root /srv/asgi/shop/static;" in text) is (path == "static")
    assert "try_files" not in text


@pytest.mark.parametrize(
    ("url", "asked", "hidden"),
    [
        ("/static/", "/shop/static/.env", True),
        ("/static/", "/shop/static/a/.git/config", True),
        ("/static/", "/shop/static/a.b/c.d", False),
        ("/.well-known/", "/shop/.well-known/a.txt", False),
        ("/.well-known/", "/shop/.well-known/.x", True),
        ("/a+b/", "/shop/a+b/.x", True),
        ("/static/", "/shop/static/__pycache__/out.cpython-313.pyc", True),
        ("/static/", "/shop/static/my__pycache__/x", False),
    ],
)
def test_hidden_files_by_what_comes_after_the_url(url: str, asked: str, hidden: bool) -> None:
    pattern = hidden_files(f"/shop{url}").strip('"')
    assert bool(re.search(pattern, asked)) is hidden

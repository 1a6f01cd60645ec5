"""Frontends, private files, passwords, error pages and redirects: what nginx is told of them, and the rules behind that."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._apps import frontend, site_keys
from ansible_collections.asgi.host.plugins.module_utils._release import assets, frontends
from ansible_collections.asgi.host.plugins.module_utils._release.build import BuildError
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App, Release
from ansible_collections.asgi.host.plugins.module_utils._self_test import probe
from ansible_collections.asgi.host.plugins.module_utils._self_test.model import Door, NoViewError
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _doors,
    _error_pages,
    _frontend,
    _origins,
    _passwords,
    _redirects,
    _specs,
    _underscores,
)
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx, sites, system
from near_workshop import NearWorkshop
from test_site import HOST, app, site, steps

SPA = [{"url": "/", "path": "dist", "fallback": "index.html"}]


@pytest.mark.parametrize(
    ("root", "paths", "streams", "found"),
    [
        ("", [], [], ["/"]),
        ("/shop", [], ["/events"], ["/shop/"]),
        ("", ["/api"], [], ["= /api", "/api/"]),
        ("/shop", ["/api"], [], ["= /shop/api", "/shop/api/"]),
        ("", ["/api/"], [], ["/api/"]),
        ("", ["/api", "/api/"], [], ["= /api", "/api/"]),
        # What has a location of its own is not opened twice, and not taken from it by an exact one.
        ("", ["/events", "/api"], ["/events"], ["= /api", "/api/"]),
        ("", ["/events"], ["/events/"], ["= /events"]),
    ],
)
def test_locations_of_an_app(root: str, paths: list[str], streams: list[str], found: list[str]) -> None:
    assert frontend.app_locations(root, paths, streams) == found


def test_frontend_has_what_is_not_the_app_s() -> None:
    text = site(app(static=SPA, proxy={"paths": ["/api"]}))
    assert "location / {\n        alias /srv/asgi/shop/current/src/dist/;" in text
    assert "location = /api {" in text
    assert "location /api/ {" in text
    assert "location /shop/ {" in site(app(static=SPA, root_path="/shop", proxy={"paths": ["/api"]}))


def test_frontend_above_a_mount_point_has_the_rest_of_the_domain() -> None:
    text = site(app(static=SPA, root_path="/api"))
    assert "location / {\n        alias" in text
    assert "location /api/ {" in text
    assert "return 404;\n    }\n\n    location @" not in text.partition("No app is mounted")[2]
    assert "No app is mounted" not in text


def test_paths_alone_leave_nothing_else() -> None:
    text = site(app(proxy={"paths": ["/api"]}))
    assert "location / {" in text
    assert text.count("proxy_pass") == 2


def test_private_files_of_the_source_have_no_page_in_their_place() -> None:
    """nginx looks for the page of a 404 before it minds ``internal``, and a named location serves whoever comes to it."""
    text = site(app(static=[{"url": "/protected/", "path": "private", "internal": True}]))
    assert "internal;" in text
    assert "earlier" not in text
    assert "/srv/asgi/shop/static" not in text


def test_private_files_are_not_kept_for_pages_from_before() -> None:
    private = {"url": "/protected/", "path": "private", "internal": True}
    common = {"root": "/srv/asgi", "host": _facts(), "server_pins": []}
    spec = _specs.describe(app(static=[*SPA, private], root_path="/api"), common, _origins.Unasked(), by="me")
    assert [item["path"] for item in spec["static"]] == ["dist"]


def test_frontend_is_closed_in_maintenance_as_well() -> None:
    text = site(app(static=SPA, proxy={"paths": ["/api"]}, maintenance=True))
    assert "alias" not in text
    assert text.count("return 503;") == 3


def test_each_directive_of_a_location_is_there_once() -> None:
    """nginx refuses its whole configuration for a second one."""
    for fallback in (None, "index.html"):
        for pages in ({}, {404: "{source}/e/404.html"}, {503: "{source}/e/503.html"}):
            for path in ("dist", "{data}/dist", "/opt/dist"):
                text = site(
                    app(
                        static=[{"url": "/ui/", "path": path, "fallback": fallback}],
                        proxy={"error_pages": pages, "basic_auth": {"anna": "sesame"}},
                    )
                )
                for block in text.split("location ")[1:]:
                    assert block.count("recursive_error_pages") <= 1, block
                    assert block.count("auth_basic_user_file") <= 1, block


def test_pool_is_laid_out_as_the_urls_are() -> None:
    common = {"root": "/srv/asgi", "host": _facts(), "server_pins": []}
    for given, url in (
        ({"proxy": {"paths": ["/api"]}}, "/"),
        ({"root_path": "/api"}, "/"),
        ({"root_path": "/shop", "proxy": {"paths": ["/api"]}}, "/shop/"),
    ):
        spec = _specs.describe(app(static=SPA, **given), common, _origins.Unasked(), by="me")
        assert spec["static"] == [{"url": url, "path": "dist", "fallback": "index.html"}]


def _facts() -> dict[str, Any]:
    python = {"path": "/usr/bin/python3", "version": "3.13.5"}
    return {"cores": 1, "memory_mb": 1000, "pythons": [python], "python": python}


def test_self_test_asks_where_the_app_is() -> None:
    def door(**keys: Any) -> dict[str, Any]:
        return _doors.doors([app(**keys)], failed=[], bases=["."], proxy_protocol=[])[0]

    assert door(static=SPA, proxy={"paths": ["/api/"]})["paths"] == ["/api/asgi-host-view"]
    assert door(static=SPA, root_path="/api")["paths"] == ["/api/asgi-host-view"]
    command = {"server": "command", "command": "run", "static": SPA}
    assert door(**command, proxy={"paths": ["/api"]})["health"] == "/api"
    assert (
        door(**command, proxy={"paths": ["/api"]}, health={"path": "/api/up?x=1"})["health"] == "/api/up?x=1"
    )
    assert door(proxy={"basic_auth": {"anna": "sesame"}})["password"]


@pytest.mark.parametrize(("status", "found"), [(401, 0), (200, 1)])
def test_self_test_of_a_site_with_passwords(monkeypatch: pytest.MonkeyPatch, status: int, found: int) -> None:
    """Who gives none is refused by nginx; an app that answers all the same is found."""

    def ask(*_args: object) -> dict[str, Any]:
        if status != 200:
            raise NoViewError("refused", status)
        return {}

    monkeypatch.setattr(probe, "ask", ask)
    door = Door("shop", "shop.example.com", ["/"], password=True)
    place = probe.Place("here", ("127.0.0.1", 1), None, 1.0)
    assert len(probe._path(door, "/", {}, place)) == found


@pytest.mark.parametrize("password", ["sesame", "grün und blau", "x" * 200, 'a"b\\c:d', "$6$"])
@pytest.mark.parametrize("salt", ["abcdefghijklmnop", "./Az"])
def test_hash_is_crypt_s(password: str, salt: str) -> None:
    wanted = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", f"rounds=1000${salt}", "-stdin"],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert _passwords.hashed(password, salt=salt) == wanted.stdout.strip()


def test_passwords_are_the_same_each_time_and_shown_nowhere() -> None:
    given = app(proxy={"basic_auth": {"bob": "s3same", "anna": "s3same"}})
    text = _passwords.text(given)
    assert text == _passwords.text(app(proxy={"basic_auth": {"anna": "s3same", "bob": "s3same"}}))
    anna, bob = text.splitlines()
    assert anna.partition(":")[2] != bob.partition(":")[2]
    assert "s3same" not in str(steps([given]))
    assert "s3same" not in text
    assert _passwords.salt_of("shop", "anna") != _passwords.salt_of("blog", "anna")
    file = next(step for step in steps([given]) if step.get("file") == "/etc/nginx/asgi/passwords/shop")
    assert file["mode"] == "0640"
    assert "content" not in file
    assert (
        text
        in nginx.proxy(
            [given],
            host=HOST,
            root="/srv/asgi",
            failed=[],
            bases=["."],
            tls_policy="modern",
            proxy_protocol=[],
        )["private"].values()
    )


def test_empty_password_takes_a_name_of_the_defaults_away() -> None:
    assert app(proxy={"basic_auth": {"anna": "", "bob": None, "eve": 7}})["proxy"]["basic_auth"] == {
        "eve": "7"
    }


def test_password_is_no_business_of_the_app_s() -> None:
    text = site(app(static=SPA, proxy={"paths": ["/api"], "basic_auth": {"anna": "s"}}))
    assert text.count('proxy_set_header Authorization "";') == text.count("proxy_pass ")
    assert text.count("auth_basic_user_file") == text.count("proxy_pass ") + 3
    assert "Authorization" not in site(app())


def test_what_is_read_no_more_is_taken_away() -> None:
    found = {str(step["absent"]): step for step in steps([app()]) if "absent" in step}
    for path in ("/etc/nginx/asgi/passwords/shop", "/etc/nginx/asgi/pages/shop"):
        # A site that nginx refuses is put back as it was, and reads it still.
        assert found[path]["part"] == ["shop"]
    kept = app(proxy={"basic_auth": {"anna": "s"}, "error_pages": {404: "tests/unit/test_front.html"}})
    given = {key: value for key, value in kept["proxy"].items() if key == "basic_auth"}
    absent = {str(step["absent"]) for step in steps([app(proxy=given)]) if "absent" in step}
    assert "/etc/nginx/asgi/passwords/shop" not in absent
    assert "/etc/nginx/asgi/pages/shop" in absent


def test_error_pages_of_the_controller_and_of_the_release(tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text("none")
    given = app(proxy={"error_pages": {404: "404.html", "503": "{source}/e/sorry.htm"}})
    pages = {page.status: page for page in _error_pages.own_pages(given, "/srv/asgi")}
    assert pages["404"].file == "/etc/nginx/asgi/pages/shop/404.html"
    assert pages["503"].file == "/srv/asgi/shop/current/src/e/sorry.htm"
    assert pages["maintenance"].file == pages["503"].file
    assert [page.intercepts for page in pages.values()] == [True, False, False]
    made = _error_pages.steps(given, [str(tmp_path)])
    assert [step.get("content") for step in made] == ["none", None]
    assert list(_error_pages.problems(given, [str(tmp_path)])) == []
    (tmp_path / "404.html").write_bytes(b"\xff\xfe")
    assert "is no text" in next(_error_pages.problems(given, [str(tmp_path)]))


def test_only_pages_of_other_statuses_replace_answers_of_the_app() -> None:
    assert "proxy_intercept_errors" not in site(app(proxy={"error_pages": {503: "{source}/503.html"}}))
    text = site(app(proxy={"error_pages": {404: "{source}/404.html"}}))
    assert "proxy_intercept_errors on;" in text
    assert "error_page 502 504 =503 @asgi_shop_unavailable;" in text


def test_redirects_are_in_the_certificate_and_in_no_digest_of_a_site_without() -> None:
    given = app(redirects={"www.example.com": "shop.example.com", "/old": "/new"})
    text = site(given)
    assert "server_name www.example.com;" in text
    assert "return 301 https://shop.example.com$request_uri;" in text
    assert "location = /old {" in text
    site_, other = (sites.sites([each], ["."])[0][0] for each in (given, app()))
    assert site_["names"] == ["shop.example.com", "www.example.com"]
    assert site_["certificate"] != other["certificate"]
    assert _redirects.path_redirects(
        app(root_path="/s", redirects={"/a": "/b", "/c": "https://x.test/d"})
    ) == [
        {"path": "/s/a", "target": "/s/b$is_args$args"},
        {"path": "/s/c", "target": "https://x.test/d$is_args$args"},
    ]


def test_nginx_s_own_settings() -> None:
    assert site_keys.server_keys([app()]) == {}
    given = app(proxy={"keepalive_timeout": 5, "underscores_in_headers": "yes"})
    assert site_keys.server_keys([app(name="b", root_path="/b"), given]) == {
        "large_client_header_buffers": "4 16k",
        "underscores_in_headers": True,
        "keepalive_timeout": 5,
    }
    text = site(given)
    assert "keepalive_timeout 5s;" in text
    assert "include /etc/nginx/asgi/underscores.conf;" in text
    shared = {str(step.get("file")): str(step.get("content")) for step in steps([given])}
    assert 'proxy_set_header x_forwarded-for "";' in shared["/etc/nginx/asgi/underscores.conf"]
    assert "keepalive_timeout 65s;" in shared["/etc/nginx/asgi/server.conf"]


def test_every_form_of_a_name_but_its_own() -> None:
    assert set(_underscores.forms("X-Real-IP")) == {"X_Real-IP", "X-Real_IP", "X_Real_IP"}
    assert list(_underscores.forms("Proxy")) == []


def test_hidden_files_are_hidden_from_a_fallback() -> None:
    assert _frontend.hidden_files("/") == '"^/(?:.*/)?(?:\\.|__pycache__/)"'


BUILT = {
    "folder": "web",
    "commands": ["echo $npm_config_cache > ../dist.html && mkdir node_modules", ["test", "-e", "in.txt"]],
}


@pytest.fixture
def release(tmp_path: Path) -> Release:
    made = App(tmp_path / "srv", "shop", "root").release("20261130T120000-abcdef")
    (made.source / "web").mkdir(parents=True)
    (made.source / "web" / "in.txt").write_text("in")
    (made.source / "node_modules" / "kept").mkdir(parents=True)
    return made


def made(release: Release, tmp_path: Path, **wanted: object) -> NearWorkshop:
    """What the commands leave in the release's source."""
    shop = NearWorkshop(release, tmp_path / "shop", runs=True)
    shop._ask({"do": "set", "env": {"HOME": str(tmp_path / "home")}}, [])
    commands: Any = {**BUILT, **wanted}
    frontends.make(release, commands, shop, {"API": "/api"})
    return shop


def test_commands_make_a_part_of_the_source(release: Release, tmp_path: Path) -> None:
    shop = made(release, tmp_path)
    assert (release.source / "dist.html").read_text().strip() == str(shop.cache.parent / "caches" / "npm")
    assert not (release.source / "web" / "node_modules").exists()
    assert (release.source / "node_modules" / "kept").is_dir()
    assert sorted(path.name for path in release.folder.iterdir()) == ["src"]


def test_commands_leave_nothing_for_the_next_unit(release: Release, tmp_path: Path) -> None:
    """git and ssh, which uv starts with the password of an index, take programs from the configuration in a home."""
    home = tmp_path / "shop" / "work" / "home"
    leave = f'mkdir -p {home} && echo "[core] sshCommand=evil" > {home}/.gitconfig'
    shop = made(release, tmp_path, folder="", commands=[leave])
    assert shop.scratch.parent in home.parents
    assert list(shop.scratch.iterdir()) == []


def test_commands_have_the_apps_variables_for_builds(release: Release, tmp_path: Path) -> None:
    made(release, tmp_path, commands=["echo $API > api.txt"])
    assert (release.source / "web" / "api.txt").read_text() == "/api\n"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"folder": "none"}, "build.folder: the source has no folder none"),
        ({"commands": ["echo said; exit 3"]}, "build.commands: 'echo said; exit 3' failed:\nsaid"),
        ({"commands": ["no-such-program-here"]}, "build.packages"),
        ({"commands": ["ln -s /etc/passwd link"]}, "the link web/link, which leads out of the source"),
    ],
)
def test_commands_that_fail_leave_the_source(
    release: Release, tmp_path: Path, wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(BuildError, match=re.escape(words)):
        made(release, tmp_path, **wanted)
    assert (release.source / "web" / "in.txt").exists()
    assert not (release.source / "dist.html").exists()


def test_npm_s_variables_of_the_play_reach_the_commands(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://npm.example.com/")
    monkeypatch.setenv("SECRET", "sesame")
    found = frontends.environment(NearWorkshop(release, tmp_path / "shop"))
    assert found["NPM_CONFIG_REGISTRY"] == "https://npm.example.com/"
    assert "SECRET" not in found


def test_release_without_its_page_gets_no_traffic(release: Release) -> None:
    static = [{"url": "/", "path": "dist", "fallback": "index.html"}, {"url": "/s/", "path": "s"}]
    with pytest.raises(BuildError, match=re.escape("the release has no dist/index.html")):
        frontends.must_hold_pages(release, static)
    (release.source / "dist").mkdir()
    (release.source / "dist" / "index.html").touch()
    frontends.must_hold_pages(release, static)


def test_commands_are_part_of_a_release_where_there_are_some() -> None:
    common = {"root": "/srv/asgi", "host": _facts(), "server_pins": []}
    plain: Any
    with_build: Any
    plain, with_build = (
        _specs.describe(each, common, _origins.Unasked(), by="me")
        for each in (app(), app(build={"commands": ["npm ci"], "packages": ["npm"]}))
    )
    assert frontends.settings(plain) == []
    assert frontends.settings(with_build) == [{"folder": "", "commands": ["npm ci"]}]
    assert "npm" in system.packages(
        [app(build={"commands": ["npm ci"], "packages": ["npm"]})], [], proxy=True
    )


def test_files_at_the_top_of_the_pool_go_with_their_release(release: Release) -> None:
    (release.source / "dist").mkdir()
    (release.source / "dist" / "robots.txt").write_text("x")
    assets.keep(release, [{"url": "/", "path": "dist"}], 0)
    pool = assets.pool(release.app)
    assert (pool / "robots.txt").exists()
    (release.source / "dist" / "robots.txt").unlink()
    assert assets.prune(release.app, now=time.time() + assets.KEPT_S + 60) == ["robots.txt"]
    assert (pool / assets.LOOKED).exists()

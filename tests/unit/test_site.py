"""What nginx is told: rendered texts and the rules behind them; what it then does is tested on hosts."""

from __future__ import annotations

import re
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _browser,
    _by_address,
    _preflight,
    _settings,
)
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx, places, system

HOST: dict[str, Any] = {
    "user": "root",
    **known_systems.TRIXIE,
    "python": {"path": "/usr/bin/python3", "version": "3.13.5"},
    "apps": [],
    "acme": {"sites": [], "set_up": False},
    "nginx": {"version": None, "packaged_default": True, "foreign_files": [], "foreign_default_servers": []},
}


def app(**keys: Any) -> dict[str, Any]:
    """One normalized app."""
    given = {
        "name": "shop",
        "app": "shop.main:app",
        "source": {"path": "x"},
        "domains": ["shop.example.com"],
        **keys,
    }
    return _apps.normalize([given])[0]


def steps(apps: list[dict[str, Any]], host: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    made = nginx.proxy(
        apps,
        host=host or HOST,
        root="/srv/asgi",
        failed=[],
        bases=["."],
        tls_policy="intermediate",
        proxy_protocol=[],
    )
    return list(made["steps"])


def site(*apps: dict[str, Any], host: dict[str, Any] | None = None) -> str:
    path = "/etc/nginx/conf.d/asgi-app-shop.conf"
    return next(str(step["content"]) for step in steps(list(apps), host or HOST) if step.get("file") == path)


def test_preset_then_own_headers() -> None:
    headers = _browser.browser_headers(
        app(proxy={"browser_headers": "strict", "headers": {"x-frame-options": "", "X-Own": 1}})
    )
    assert "X-Frame-Options" not in headers
    assert headers["X-Own"] == "1"
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert _browser.browser_headers(app(proxy={"browser_headers": "none"})) == {}


@pytest.mark.parametrize(("mode", "has"), [("self_signed", False), ("files", True)])
def test_hsts_needs_a_certificate_that_browsers_take(mode: str, has: bool) -> None:
    tls = {"mode": mode, "files": {"certificate": "c", "key": "k"}} if mode == "files" else {"mode": mode}
    assert (_browser.HSTS in _browser.browser_headers(app(tls=tls))) == has


@pytest.mark.parametrize(
    ("cache", "says"),
    [(0, "no-cache"), (60, "public, max-age=60"), ("immutable", "public, max-age=31536000, immutable")],
)
def test_caching(cache: int | str, says: str) -> None:
    assert _browser.cache_control(cache) == says


def test_limits_are_there_when_asked_for() -> None:
    assert "limit_req" not in site(app())
    assert "limit_conn asgi_requests 500;" in site(app())
    assert "limit_conn asgi_websockets 1500;" in site(app())
    assert "limit_conn" not in site(app(proxy={"connection_limit": "none"}))
    text = site(app(proxy={"rate_limit": {"requests": 20, "burst": 40}, "connection_limit": 100}))
    assert "zone=asgi_shop_rate:1m rate=20r/s" in text
    assert "limit_req zone=asgi_shop_rate burst=40 nodelay;" in text
    assert "limit_conn asgi_shop_connections 100;" in text


def test_maintenance_asks_no_app() -> None:
    text = site(app(maintenance=True, proxy={"stream_paths": ["/events"]}))
    assert "proxy_pass" not in text
    assert "return 503;" in text


def test_nothing_is_mounted_at_the_top() -> None:
    assert "return 404;" in site(app(root_path="/shop"))
    assert "return 404;" not in site(app(), app(name="api", root_path="/api"))


def test_http3_is_for_an_nginx_that_has_it() -> None:
    wanting = app(proxy={"http3": True})
    assert "quic" not in site(app())
    assert "listen 443 quic;" in site(wanting)
    assert _preflight.host_problems([wanting], HOST) == []
    old = {**HOST, **known_systems.BOOKWORM}
    assert "proxy.http3" in _preflight.host_problems([wanting], old)[0]
    assert _preflight.host_problems([wanting], old, proxy=False) == []


def test_wait_of_a_host_without_memory_for_two() -> None:
    assert _settings.read_timeout(app()) == 60
    slow = app(strategy="restart", graceful_timeout=40, health={"timeout": 90})
    assert _settings.read_timeout(slow) > 40 + 2 * 90


def drop_in(apps: list[dict[str, Any]], host: dict[str, Any]) -> tuple[str, bool]:
    """The sandbox of nginx, and whether nginx is restarted for it."""
    found = steps(apps, host)
    text = next(str(step["content"]) for step in found if step.get("file") == places.NGINX_DROP_IN)
    return text, any(step.get("command") == ["systemctl", "restart", "nginx"] for step in found)


def test_sandbox_of_nginx_spares_others() -> None:
    text, restarts = drop_in([app()], HOST)
    assert "ProtectSystem=strict" in text
    assert restarts
    foreign = {
        **HOST,
        "nginx": {**HOST["nginx"], "version": "1.26.3", "foreign_files": ["/etc/nginx/conf.d/a.conf"]},
    }
    text, restarts = drop_in([app()], foreign)
    assert "ProtectSystem=full" in text
    assert not restarts
    assert any("systemctl restart nginx" in step.get("notice", "") for step in steps([app()], foreign))
    assert not drop_in([app()], {**HOST, "apps": ["shop"]})[1]
    assert "ProtectHome" not in drop_in([app(static=[{"url": "/s/", "path": "/home/shop/s"}])], HOST)[0]


def test_brotli_brings_its_modules() -> None:
    assert not any("brotli" in name for name in system.packages([app()], [], proxy=True))
    brotli = app(proxy={"compression": "brotli"})
    assert "libnginx-mod-http-brotli-filter" in system.packages([brotli], [], proxy=True)
    assert not any("brotli" in name for name in system.packages([brotli], [], proxy=False))


def test_host_without_ipv6_has_no_such_listener() -> None:
    def texts(**facts: Any) -> str:
        made = steps([app(proxy={"http3": True})], {**HOST, **facts})
        return "".join(str(step.get("content", "")) for step in made)

    assert texts().count("listen [::]:") == texts(ipv6=True).count("listen [::]:") == 6
    assert "[::]" not in texts(ipv6=False)
    assert texts(ipv6=False).count("listen ") == 6


@pytest.mark.parametrize(
    ("limits", "expected"),
    [(["10m"], 100), (["10m", "100m"], 20), (["1g"], 16), (["0"], 16), (["20000k"], 100), (["30000000"], 71)],
)
def test_bodies_of_one_connection_are_bounded(limits: list[str], expected: int) -> None:
    apps = [app(name=f"a{number}", proxy={"body_limit": limit}) for number, limit in enumerate(limits)]
    assert _settings.streams(apps) == expected


@pytest.mark.parametrize(
    ("longest", "bucket"),
    [(46, None), (47, 128), (49, 128), (110, 128), (111, 256), (200, 256), (238, 256), (253, 512)],
)
def test_long_names_have_room(longest: int, bucket: int | None) -> None:
    found = _settings.hash_of_names([["a.test", "n" * longest]], [], HOST)
    assert found == ({} if bucket is None else {"bucket_size": bucket})


def test_names_of_other_inventories_and_sizes_of_others_count() -> None:
    sites = {
        name: {"apps": [name], "domains": ["n" * longest]} for name, longest in (("blog", 90), ("shop", 200))
    }
    theirs = {**HOST, "nginx": {**HOST["nginx"], "sites": sites}}
    assert _settings.hash_of_names([["a.test"]], [app()], theirs) == {"bucket_size": 128}
    taken = {**HOST, "nginx": {**HOST["nginx"], "names_hash": ["bucket_size"]}}
    assert _settings.hash_of_names([["n" * 200]], [], taken) == {}
    many = [[f"n{number}.test" for number in range(300)]]
    assert _settings.hash_of_names(many, [], HOST) == {"max_size": 1024}


def test_plain_http_is_sent_to_the_port_that_clients_use() -> None:
    def redirect(**keys: Any) -> str:
        made = nginx.proxy(
            [app()],
            host=HOST,
            root="/srv/asgi",
            failed=[],
            bases=["."],
            tls_policy="intermediate",
            proxy_protocol=[],
            **keys,
        )
        text = "".join(str(step.get("content", "")) for step in made["steps"])
        return next(line.strip() for line in text.splitlines() if "return 301" in line)

    assert redirect() == "return 301 https://$host$request_uri;"
    assert redirect(https_port=8443) == "return 301 https://$host:8443$request_uri;"


def test_plain_http_is_for_what_ends_tls_in_front() -> None:
    plain = app(tls={"mode": "none"}, proxy={"trusted_proxies": ["10.0.0.0/24"]})
    text = site(plain)
    assert "443" not in text
    assert "ssl" not in text
    assert "return 301" not in text
    assert "set $asgi_scheme $asgi_shop_scheme;" in text
    assert text.count("10.0.0.0/24") == 2, "who the client is, and how it came"
    assert text.count("server {") == 1
    assert not [step for step in steps([plain]) if "openssl" in str(step.get("command"))]


def shared(*apps: dict[str, Any], host: dict[str, Any] | None = None) -> str:
    path = "/etc/nginx/conf.d/asgi-00-shared.conf"
    return next(str(step["content"]) for step in steps(list(apps), host or HOST) if step.get("file") == path)


def test_health_checks_by_address_are_for_the_first_that_names_who_asks() -> None:
    none = {"tls": {"mode": "none"}}
    one = app(domains=["*.shop.example.com"], proxy={"trusted_proxies": ["10.0.0.0/24"]}, **none)
    trusted = ["10.0.0.0/24", "192.0.2.7"]
    health = [{"path": "/up?deep=1"}, {"path": "/"}]
    other = app(name="blog", root_path="/b", health=health, proxy={"trusted_proxies": trusted})
    text = shared(one, other, app(name="wiki", domains=["wiki.test"]))
    assert 'geo $realip_remote_addr $asgi_shop_asks {\n    default "";\n    10.0.0.0/24 1;\n}' in text
    assert "    192.0.2.7 1;" in text
    assert "asgi_wiki" not in text, "it names nobody"
    # The first of the inventory; each by the port of its site.
    assert (
        'map "$asgi_by_address $https:$asgi_shop_asks:$request_uri" $asgi_checked {\n'
        "    default $asgi_checked_1;\n"
        '    "~^address :1:(?:/)$" asgi_shop;\n'
    ) in text
    assert (
        'map "$asgi_by_address $https:$asgi_blog_asks:$request_uri" $asgi_checked_1 {\n'
        '    default "";\n'
        r'    "~^address on:1:(?:/b/up\\?deep=1|/b/)$" asgi_blog;'
    ) in text
    assert "    asgi_shop www.shop.example.com;" in text
    assert text.count("proxy_pass http://$asgi_checked;") == 3, (
        "plain HTTP, no name, a name that is no site's"
    )


def test_handshake_without_a_name_is_for_those_whom_an_app_with_tls_names() -> None:
    plain = app(tls={"mode": "none"}, proxy={"trusted_proxies": ["10.0.0.0/24"]})
    trusting = app(proxy={"trusted_proxies": ["10.0.0.0/24"]})
    asking = {**trusting, "tls": {**trusting["tls"], "client_ca": "ca.pem", "client_certificate": "required"}}
    for refusing in (shared(app()), shared(plain)):
        assert refusing.count("ssl_reject_handshake on;") == 1
        assert "by-address" not in refusing
    assert "asgi_checked" not in shared(app())
    assert shared(app()).count("return 444;") == 2
    assert _by_address.checks([asking]) == [], "the site shows nothing without a certificate of the client"
    assert _by_address.checks([{**asking, "tls": {**asking["tls"], "client_certificate": "optional"}}])
    text = shared(trusting)
    assert "ssl_certificate $asgi_checked_certificate;" in text
    assert text.count("ssl_reject_handshake on;") == 1, "of names that are no site's"
    foreign = {**HOST, "nginx": {**HOST["nginx"], "foreign_sites": ["/etc/nginx/conf.d/blog.conf"]}}
    assert 'server_name "~."' not in shared(trusting, host=foreign), "theirs may have expressions"

    def pair(*apps: dict[str, Any]) -> list[dict[str, Any]]:
        return [step for step in steps(list(apps)) if "by-address" in str(step)]

    assert any("openssl" in str(step.get("command")) for step in pair(trusting))
    assert [step for step in pair(plain) if step.get("absent")] == [{"absent": "/etc/nginx/asgi/by-address"}]


def test_health_path_is_taken_word_for_word() -> None:
    """Whatever a path may hold is neither an expression nor the end of nginx's string."""
    odd = app(health={"path": '/a.b"c\\d$e{f}'}, proxy={"trusted_proxies": ["10.0.0.0/24"]})
    (check,) = _by_address.checks([odd])
    assert re.fullmatch(check.pattern.removeprefix("~"), 'address on:1:/a.b"c\\d$e{f}')
    assert not re.fullmatch(check.pattern.removeprefix("~"), 'address on:1:/aXb"c\\d$e{f}')
    written = next(line for line in shared(odd).splitlines() if line.endswith(" asgi_shop;") and "~" in line)
    assert re.sub(r"\\(.)", r"\1", written.strip()[1:].rpartition('" ')[0]) == check.pattern


def test_old_site_goes_with_the_one_that_takes_its_place_and_stays_with_it() -> None:
    """Both are one part of the stage: what nginx refuses of the new one leaves the old one as it was."""
    sites = {
        "old": {"apps": ["old"], "domains": ["a.test"]},
        "other": {"apps": ["other"], "domains": ["b.test"]},
    }
    host = {**HOST, "nginx": {**HOST["nginx"], "sites": sites}}
    source: dict[str, Any] = {"app": "a:b", "source": {"path": "x"}}
    apps = _apps.normalize(
        [
            {"name": "old", "state": "absent"},
            {"name": "other", "state": "absent"},
            {"name": "new", "domains": ["a.test"], **source},
        ]
    )
    made = {str(step.get("absent") or step.get("file")): step.get("part") for step in steps(apps, host)}
    conf = "/etc/nginx/conf.d/asgi-app-{}.conf".format
    assert made[conf("new")] == made[conf("old")] == made["/etc/nginx/asgi/tls/old"] == ["new"]
    assert made[conf("other")] is made["/etc/nginx/asgi/tls/other"] is None

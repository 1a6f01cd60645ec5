"""Headers that say who somebody is: what nginx drops, what a worker drops, and what is let through on purpose."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _certificates
from ansible_collections.asgi.host.plugins.module_utils._apps import identity, problems
from ansible_collections.asgi.host.plugins.module_utils._self_test import differences, forgery, model, probe
from ansible_collections.asgi.host.plugins.plugin_utils import _doors, _identity, _preflight
from ansible_collections.asgi.host.plugins.plugin_utils._render import render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import derived
from test_self_test import app_of, worker  # noqa: F401  # pylint: disable=unused-import  # a fixture

# One of each family, with a rest that no list has.
OF_FAMILIES = [f"{family}{'' if family[-1] != '-' else 'Never-Heard-Of'}" for family in identity.FAMILIES]
TRUSTED = {"trusted_proxies": ["10.0.0.0/8"], "identity_headers": ["Remote-User", "X-Corp-User"]}


def seen(worker: Any, *names: str) -> list[str]:  # noqa: F811
    """The headers that an app sees of those that came from nginx."""
    got: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        got.extend(name.decode() for name, _value in scope["headers"])

    headers = [(name.encode(), b"x") for name in names]
    scope = {"type": "websocket", "scheme": "wss", "server": ("h", 1), "headers": headers}
    asyncio.run(worker._WholeScope(app)(scope, None, None))
    return got


@pytest.mark.parametrize("name", [*identity.NAMES, *OF_FAMILIES])
def test_worker_drops_names_and_families(worker: Any, name: str) -> None:  # noqa: F811
    expected = [name.lower()] if name.lower() in identity.OURS else []
    assert seen(worker, name.lower()) == expected
    assert seen(worker, name.lower().replace("-", "_")) == [each.replace("-", "_") for each in expected]


@pytest.mark.parametrize(
    "name",
    [
        *identity.OURS,
        *("authorization", "cookie", "x-auth-token", "x-api-key", "x-requested-with", "x-client-version"),
        *(
            "x-hub-signature-256",
            "x-github-event",
            "stripe-signature",
            "cf-ipcountry",
            "cf-ray",
            "x-amzn-trace-id",
        ),
        *(
            "x-csrf-token",
            "x-goog-channel-id",
            "x-ms-version",
            "x-ms-date",
            "sec-websocket-key",
            "smtp",
            "remote",
        ),
    ],
)
def test_worker_leaves_the_rest_alone(worker: Any, name: str) -> None:  # noqa: F811
    assert seen(worker, name) == [name]


def test_what_nginx_is_told_to_say_goes_through() -> None:
    app = app_of(proxy=TRUSTED, tls={"client_ca": "ca.pem"})
    told = _identity.said_by_nginx(app)
    assert set(told) - set(identity.OURS) == {
        *("remote-user", "x-corp-user", "x-ssl-client-verify", "x-ssl-client-s-dn", "x-ssl-client-i-dn"),
        "x-ssl-client-serial",
    }
    text = render(
        "release/serve-uvicorn.py.j2",
        app=app,
        root="/srv/asgi",
        settings=derived(app, {"cores": 1, "memory_mb": 1000}),
    )
    assert all(f'b"{name}"' in text for name in told)


def test_name_that_one_app_believes_is_dropped_wherever_nothing_sets_it() -> None:
    """In a location of proxy.extra it would be the client's own word otherwise."""
    text = render("nginx/proxy.conf.j2", dropped=identity.dropped([app_of(proxy=TRUSTED)]))
    dropped = re.findall(r'^proxy_set_header (\S+) "";', text, re.MULTILINE)
    assert {"X-Corp-User", "Remote-User", "X-Forwarded-Prefix"} <= set(dropped)
    assert len(dropped) == len({name.lower() for name in dropped})


def test_no_name_is_of_what_every_request_needs() -> None:
    lower = {name.lower() for name in identity.NAMES}
    assert not lower & set(identity.NEEDED)
    assert not any(name.startswith(identity.FAMILIES) for name in identity.NEEDED)


def test_bare_name_is_a_trusted_proxys_and_a_variable_nginxs_own() -> None:
    given = {**TRUSTED, "identity_headers": ["Remote-User", {"name": "X-Me", "value": "$me"}]}
    first, second = _identity.identity_headers(app_of(proxy=given))
    assert first == {
        "name": "Remote-User",
        "value": "$asgi_shop_said_0",
        "variable": "asgi_shop_said_0",
        "client": "$http_remote_user",
    }
    assert (second["value"], second["client"]) == ("$me", "")


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ({"identity_headers": ["Remote-User"]}, "proxy.trusted_proxies: is empty"),
        ({**TRUSTED, "identity_headers": ["X-Real-IP"]}, "set by nginx"),
        ({**TRUSTED, "identity_headers": ["Cookie"]}, "the request's own"),
        ({**TRUSTED, "identity_headers": ["Remote User"]}, "not a header's name"),
        ({**TRUSTED, "identity_headers": [{"name": "Remote-User"}]}, "needs name and value"),
        (
            {"identity_headers": [{"name": "Remote-User", "value": "x; return 200"}]},
            "not a variable of nginx",
        ),
        ({"identity_headers": [{"name": "Remote-User", "value": "$me"}]}, ""),
        (
            {**TRUSTED, "identity_headers": ["Remote-User", {"name": "remote-user", "value": "$me"}]},
            "there twice",
        ),
    ],
)
def test_rules(proxy: dict[str, Any], words: str) -> None:
    app = {
        "name": "shop",
        "app": "shop:app",
        "source": {"path": "x"},
        "domains": ["shop.test"],
        "proxy": proxy,
    }
    found = problems([app])
    assert bool(found) is bool(words)
    assert all(words in each for each in found)


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({"client_certificate": "optional"}, "tls.client_ca: is missing"),
        ({"client_ca": "ca.pem", "client_certificate": "maybe"}, "required or optional"),
        ({"client_ca": 7}, "not a path"),
        ({"client_ca": "ca.pem"}, ""),
    ],
)
def test_rules_of_client_certificates(tls: dict[str, Any], words: str) -> None:
    app = {"name": "shop", "app": "shop:app", "source": {"path": "x"}, "domains": ["shop.test"], "tls": tls}
    found = problems([app])
    assert bool(found) is bool(words)
    assert all(words in each for each in found)


def test_apps_of_one_domain_have_one_authority_of_clients() -> None:
    base = {"app": "shop:app", "source": {"path": "x"}, "domains": ["shop.test"]}
    first = {"name": "shop", "tls": {"client_ca": "a.pem"}, **base}
    second = {"name": "blog", "root_path": "/blog", **base}
    assert "tls: differs from that of 'shop'" in problems([first, second])[0]
    assert problems([first, {**second, "tls": {"client_ca": "a.pem"}}]) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no certificate"),
        ("-----BEGIN PRIVATE KEY-----", "holds a private key"),
        (None, "tls.client_ca: "),
    ],
)
def test_authority_of_clients_is_looked_at_on_the_controller(
    tmp_path: Path, text: str | None, words: str
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "shop.py").touch()
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    found = _preflight.controller_problems([app_of(tls={"client_ca": "ca.pem"})], [str(tmp_path)])
    assert len(found) == 1
    assert words in found[0]


def test_files_are_refused_where_the_controller_cannot_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    for name in ("x/shop.py", "ca.pem", "site.pem", "site.key"):
        (tmp_path / name).touch()
    files = {"certificate": "site.pem", "key": "site.key"}
    monkeypatch.setattr(_certificates, "HAS_CRYPTOGRAPHY", False)
    app = app_of(tls={"mode": "files", "files": files, "client_ca": "ca.pem"})
    found = _preflight.controller_problems([app], [str(tmp_path)])
    assert [each.split(": ")[1] for each in found] == ["tls.client_ca", "tls.files"]
    assert all("-m pip install cryptography" in each for each in found)


# The self-test


def lies_of_identity(trusted: list[str], identity_headers: list[str]) -> list[str]:
    seen_headers = [["remote-user", "forged-remote-user"]]
    base = {"client": ["10.1.2.3", 0], "scheme": "https", "server": ["h", 443], "root_path": ""}
    truth = "10.1.2.3"
    plain, forged = {**base, "headers": []}, {**base, "headers": seen_headers}
    if trusted:
        forged["client"] = [differences.believed(differences.chain_of(forgery.FORGED), truth, trusted), 0]
    return differences.lies(
        forgery.FORGED, plain, forged, truth=truth, trusted=trusted, identity=identity_headers
    )


def test_word_of_a_trusted_proxy_is_no_lie() -> None:
    assert "the header remote-user" in lies_of_identity([], ["Remote-User"])[0]
    assert "the header remote-user" in lies_of_identity(["10.0.0.0/8"], [])[0]
    assert lies_of_identity(["10.0.0.0/8"], ["Remote-User"]) == []


@pytest.mark.parametrize(
    ("status", "found", "untested"),
    [(400, False, False), (200, True, False), (403, False, True), (503, True, False)],
)
def test_door_that_wants_a_certificate_refuses_who_has_none(
    monkeypatch: pytest.MonkeyPatch, status: int, found: bool, untested: bool
) -> None:
    def ask(*_: Any) -> dict[str, Any]:
        if status == 200:
            return {}
        error = model.NoViewError("refused")
        error.status = status
        raise error

    monkeypatch.setattr(probe, "ask", ask)
    monkeypatch.setattr(probe, "INTERVAL_S", 0)
    door = model.Door(app="shop", domain="shop.test", paths=["/x"], certificate=True)
    place = probe.Place("the host", ("10.1.2.3", 443), "10.1.2.3", 1.0)
    judged = probe.compare(door, "/x", {}, place, lambda: False)
    assert (bool(judged.differences), bool(judged.untested)) == (found, untested)


def test_doors_are_told_whose_word_counts() -> None:
    app = app_of(proxy={**TRUSTED, "identity_headers": ["Remote-User", {"name": "X-Me", "value": "$me"}]})
    (door,) = _doors.doors([app], failed=[], bases=[], proxy_protocol=[])
    assert (door["identity"], door["certificate"]) == (["Remote-User"], False)

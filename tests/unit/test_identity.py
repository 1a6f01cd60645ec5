"""Headers that say who somebody is: what nginx drops, what a worker drops, and what is let through on purpose."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._apps import identity, problems
from ansible_collections.asgi.host.plugins.plugin_utils import _identity
from ansible_collections.asgi.host.plugins.plugin_utils._render import render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import derived
from test_self_test import app_of, worker  # noqa: F401  (a fixture)

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

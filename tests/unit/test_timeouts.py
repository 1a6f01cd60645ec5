# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timeout chain holds for every inventory, and no template has a time of its own."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._release import switch, units
from ansible_collections.asgi.host.plugins.plugin_utils._render import TEMPLATES, render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import derived
from ansible_collections.asgi.host.plugins.plugin_utils._timeouts import DOOR, Timeouts, timeouts

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = {"cores": 2, "memory_mb": 4000}


def app(**keys: Any) -> dict[str, Any]:
    """One normalized app; ``server`` may be one that this release refuses."""
    server = keys.pop("server", "gunicorn")
    given = {
        "name": "shop",
        "app": "shop.main:app",
        "source": {"path": "x"},
        "domains": ["a.example"],
        **keys,
    }
    return {**_apps.normalize([given])[0], "server": server}


def times(**keys: Any) -> Timeouts:
    return timeouts(app(**keys))


def _inventories() -> list[dict[str, Any]]:
    values = itertools.product(
        (1, 2, 120, 100_000),
        (1, 2, 30, 100_000),
        (1, 60, 100_000),
        ({"timeout": 1}, {"timeout": 3600}, [{"timeout": 30}, {"path": "/b", "timeout": 300}]),
        ("overlap", "restart"),
        ("gunicorn", "uvicorn"),
    )
    # Each number by itself: that some of them clash is not for this function to say.
    return [
        {
            "timeout": timeout,
            "graceful_timeout": graceful,
            "health": health,
            "strategy": strategy,
            "server": server,
            "read": read,
        }
        for timeout, graceful, read, health, strategy, server in values
    ]


EVERY = _inventories()


def every() -> list[tuple[dict[str, Any], Timeouts]]:
    found = []
    for keys in EVERY:
        one = app(**{key: value for key, value in keys.items() if key != "read"})
        one["proxy"]["read_timeout"] = keys["read"]
        found.append((one, timeouts(one)))
    return found


def test_defaults() -> None:
    """What every release so far was made with; another number here is another release of every app."""
    made = times()
    assert (made.read, made.send, made.stream_read, made.ping_interval) == (60, 60, 3600, 20.0)
    assert (made.heartbeat, made.graceful, made.kill, made.stop, made.start) == (120, 30, 43, 45, 90)
    assert (made.keepalive, made.idle, made.arriving, made.linger, made.closing) == (75, 2.5, 0.2, 0.3, 1)
    assert (DOOR.connect, DOOR.upstream_keepalive) == (5, 2)


def test_nginx_goes_first() -> None:
    for _given, made in every():
        assert made.door.upstream_keepalive < made.idle < made.keepalive


def test_nginx_has_let_go_before_an_instance_is_stopped() -> None:
    assert 2 * DOOR.upstream_keepalive < switch.LET_GO


def test_who_ends_by_force_comes_last() -> None:
    for _given, made in every():
        patient = max(made.graceful, made.idle + made.arriving)
        # Ten seconds and more for the app's lifespan shutdown.
        assert patient + made.closing + 10 <= made.kill < made.stop
        assert made.linger < made.closing
        assert made.idle + made.arriving < units.PATIENCE


def test_a_manager_that_waits_for_a_hung_worker_still_lets_the_others_drain() -> None:
    assert times(server="uvicorn", timeout=50, graceful_timeout=40).stop == 50 + 40 + 15
    assert times(server="gunicorn", timeout=50, graceful_timeout=40).stop == 40 + 15


def test_a_quiet_websocket_lives() -> None:
    for one, made in every():
        assert 0 < made.ping_interval <= 20
        assert 3 * made.ping_interval <= one["proxy"]["read_timeout"] <= made.read


def test_nginx_waits_for_a_deploy_in_place() -> None:
    for one, made in every():
        if one["strategy"] == "restart":
            proving = sum(check["timeout"] for check in one["health"])
            held = switch.LET_GO + made.stop + proving + units.PATIENCE + proving
            assert min(made.read, made.send, made.stream_read) >= held
        else:
            assert made.read == one["proxy"]["read_timeout"]


def test_a_stream_and_an_upload_are_waited_for_at_least_as_long_as_an_answer() -> None:
    for _given, made in every():
        assert made.stream_read >= made.read
        assert made.send >= made.read
    assert times(proxy={"read_timeout": 5}).send == 60
    assert times(proxy={"read_timeout": 7200}).stream_read == 7200


def test_gunicorn_allows_more_than_a_worker_needs_to_say_that_it_lives() -> None:
    assert [times(timeout=value).heartbeat for value in (1, 2, 3, 120)] == [2, 2, 3, 120]
    assert times(timeout=1).worker_healthcheck == 1


def test_start_is_as_patient_as_the_gate() -> None:
    assert times(health={"timeout": 300}).start == 300
    assert times(health=[{"timeout": 20}, {"path": "/b", "timeout": 100}]).start == 100


def test_rendered_release() -> None:
    one = app(timeout=60, graceful_timeout=5, proxy={"read_timeout": 3})
    values: dict[str, Any] = {"app": one, "root": "/srv/asgi", "settings": derived(one, HOST)}
    unit, config = (
        render("systemd/release.conf.j2", **values),
        render("release/gunicorn.conf.py.j2", **values),
    )
    assert "\nTimeoutStartSec=90\nTimeoutStopSec=20\n" in unit
    for line in (
        "GRACEFUL = 5",
        "IDLE = 2.5",
        "ARRIVING = 0.2",
        "LINGER = 0.3",
        "timeout = 60",
        "graceful_timeout = 18",
        "keepalive = 75",
    ):
        assert f"\n{line}\n" in config, line
    assert '"ws_ping_interval": 1.0,' in config
    assert "timeout_graceful_shutdown = 1\n" in config


# A directive or a setting with a number behind it, which would be a time of the template's own.
LITERAL = re.compile(
    r"^\s*(\w*(?:timeout|keepalive_time|Timeout\w*Sec|IDLE|ARRIVING|LINGER|GRACEFUL|keepalive\b =)\w*)\s*=?\s*[\d.]+m?s?\b",
    re.MULTILINE,
)
# No part of the chain: how long a TLS session can be resumed, and an order of certificates.
OTHERS = {"ssl_session_timeout", "TimeoutStartSec"}


def test_no_template_has_a_time_of_its_own() -> None:
    found = {
        (path.name, name)
        for path in TEMPLATES.rglob("*.j2")
        for name in LITERAL.findall(path.read_text(encoding="utf-8"))
        if name not in OTHERS or path.name == "release.conf.j2"
    }
    assert found == set()
    assert LITERAL.findall("    proxy_connect_timeout 5s;\nTimeoutStopSec=45\nkeepalive = 75\nIDLE = 2.5\n")


def test_documentation_has_the_numbers_of_today() -> None:
    text = (ROOT / "docs" / "timeouts.md").read_text(encoding="utf-8")
    made = times()
    for number in (
        made.read,
        made.send,
        made.graceful,
        made.kill,
        made.stop,
        made.heartbeat,
        made.keepalive,
        made.idle,
        made.arriving,
        made.door.client_header,
        made.door.client_body,
        made.door.client_keepalive,
        made.door.connect,
        made.door.upstream_keepalive,
        f"{switch.LET_GO:g}",
    ):
        assert f"{number} s" in text, number


# What contradicts itself


def clashes(given: dict[str, Any], defaults: dict[str, Any] | None = None) -> list[str]:
    whole = {"name": "shop", "app": "shop.main:app", "source": {"path": "x"}, "domains": ["a.example"]}
    return _apps.problems([{**whole, **given}], defaults)


def test_both_numbers_and_the_fix_are_named() -> None:
    (message,) = clashes({"graceful_timeout": 10, "proxy": {"read_timeout": 300}})
    assert message.startswith("asgi_host_apps[0] (shop): graceful_timeout: ")
    for words in ("10 s", "proxy.read_timeout", "300 s", "to 300 or more", "to 10 or less", "stream_paths"):
        assert words in message, message


def test_judged_where_it_is_written() -> None:
    (message,) = clashes({}, {"graceful_timeout": "10", "proxy": {"read_timeout": "300"}})
    assert message.startswith("asgi_host_app_defaults: graceful_timeout: 10 s ")


@pytest.mark.parametrize(
    ("given", "defaults"),
    [
        ({}, {}),
        ({"graceful_timeout": 30, "proxy": {"read_timeout": 30}}, {}),
        ({"graceful_timeout": 5, "proxy": {"read_timeout": 60}}, {}),
        ({"graceful_timeout": 300, "proxy": {"read_timeout": 60}}, {}),
        # One of the two is a default: of the role's, or of the fleet's, which one app may go beyond.
        ({"graceful_timeout": 2}, {}),
        ({"proxy": {"read_timeout": 3600}}, {}),
        ({"proxy": {"read_timeout": 300}}, {"graceful_timeout": 10}),
        ({"graceful_timeout": 10}, {"proxy": {"read_timeout": 300}}),
        # Of different things: a silent event loop, a start, a request.
        ({"timeout": 120, "graceful_timeout": 200}, {}),
        ({"timeout": 20, "graceful_timeout": 200, "proxy": {"read_timeout": 200}}, {}),
        ({"timeout": 20, "proxy": {"read_timeout": 300}}, {}),
        ({"timeout": 20, "health": {"timeout": 300}}, {}),
        ({"proxy": {"read_timeout": 5}, "health": {"timeout": 300}}, {}),
        ({"proxy": {"read_timeout": 5}, "strategy": "restart"}, {}),
        ({"timeout": 1, "graceful_timeout": 1, "proxy": {"read_timeout": 1}}, {}),
    ],
)
def test_what_does_not_clash(given: dict[str, Any], defaults: dict[str, Any]) -> None:
    assert clashes(given, defaults) == []

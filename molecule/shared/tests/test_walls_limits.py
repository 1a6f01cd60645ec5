"""What clients, names and mistakes can do to a host that serves others as well: neither stops the neighbour."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from idle import websockets
from playbook import changed_inventory, converge, play
from targets import APPS, Target

# They are the same on both releases of Debian; the other host has test_walls_inventory.
pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane, pytest.mark.in_turn(0)]

VICTIM = "victim.test"
WIDE, PLAIN, REFUSED, BROKEN = "wide", "plain", "refused", "broken"
LONG = ".".join(["a" * 60, "b" * 60, "c" * 60, "d" * 12, "test"])
LESS_LONG = f"{'x' * 44}.test"
MANY = [f"n{number}.many.test" for number in range(98)]
GONE = [{"name": name, "state": "absent", "purge": True} for name in (WIDE, PLAIN, REFUSED, BROKEN)]
# A connection of before the change has what it had then.
ANEW = "--ssh-extra-args=-o ControlPath=none"


def app(name: str, **keys: Any) -> dict[str, Any]:
    """One app of the code that the neighbour has, so that nothing is to be installed."""
    own = {"name": name, "app": "parcels.main:app", "source": {"path": str(APPS / "parcels")}, "workers": 1}
    return {**own, "domains": [f"{name}.test"], "env": {"GREETING": "hello"}, **keys}


@pytest.fixture(scope="module")
def said(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What a play says that brings all at once: one site that nginx refuses, and one release that does not start."""
    folder = tmp_path_factory.mktemp("limits")
    trusted = [target.door.source_address()]
    more = [
        app(WIDE, domains=[LESS_LONG, LONG, *MANY], proxy={"stream_paths": ["/"]}),
        app(
            PLAIN,
            tls={"mode": "none"},
            health=[{"path": "/"}, {"path": "/seen"}],
            proxy={"trusted_proxies": trusted},
        ),
        app(REFUSED, proxy={"extra": "this is no directive;"}),
        app(BROKEN, app="parcels.nothing:app", health={"timeout": 10}),
    ]
    run = play(inventory=changed_inventory(folder, [target], add=more), targets=[target])
    assert run.failed(target.name) == 1, run.output[-4000:]
    yield run.messages(target.name)
    converge([target], inventory=changed_inventory(folder, [target], add=GONE))
    assert target.door.ask(VICTIM).status == 200
    target.run("! id -u nginx 2>/dev/null || userdel nginx")


def test_site_that_nginx_refuses_keeps_no_other_from_being_brought(target: Target, said: str) -> None:
    """Its own words, the failure of another app beside them, and all other sites; nginx has what it has to have."""
    assert f"{REFUSED}: the site is left as it was." in said
    assert 'unknown directive "this"' in said
    assert f"{BROKEN}: release" in said
    assert "No module named 'parcels.nothing'" in said
    target.run("nginx -t -q")
    assert target.run("ls /etc/nginx/conf.d").split().count(f"asgi-app-{REFUSED}.conf") == 0
    for domain in (VICTIM, LONG, LESS_LONG, MANY[-1]):
        assert target.door.ask(domain).status == 200


def test_port_is_the_one_that_the_client_used(target: Target, said: str) -> None:
    """Behind a NAT only Host tells it; what is no port of the site's own name is not believed."""
    assert said
    for told, port in (("", ""), (":8443", ":8443"), (":443", ""), (":0", ""), (":65536", ""), (":x", "")):
        seen = target.door.json(f"{VICTIM}{told}", "/seen", sni=VICTIM)
        assert seen["url"] == f"https://{VICTIM}{port}/seen", told


def test_plain_http_behind_what_ends_tls(target: Target, said: str) -> None:
    """Who is named says how the client came, and is answered by the host's address; nobody else, and nothing is redirected."""
    assert said
    client = "203.0.113.7"

    def seen(*headers: tuple[str, str], domain: str = f"{PLAIN}.test") -> tuple[str, str]:
        found = target.door.json(domain, "/seen", tls=False, headers=headers)
        return found["client"], found["url"]

    forwarded = ("X-Forwarded-For", client)
    own = target.door.source_address()
    assert seen(forwarded, ("X-Forwarded-Proto", "https")) == (client, f"https://{PLAIN}.test/seen")
    assert seen(forwarded, ("X-Forwarded-Proto", "http")) == (client, f"http://{PLAIN}.test/seen")
    assert seen(forwarded) == (client, f"https://{PLAIN}.test/seen")
    address = target.door.http[0]
    assert seen(forwarded, domain=address) == (own, f"https://{PLAIN}.test/seen")
    with pytest.raises((OSError, http.client.HTTPException)):
        seen(forwarded, domain="foreign.example.net")
    with pytest.raises((OSError, http.client.HTTPException)):
        target.door.ask(address, "/status/200", tls=False)
    probe = (
        "import urllib.request as u; q = u.Request('http://{0}/seen', headers={{'Host': '{1}', "
        "'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '{2}'}}); print(u.urlopen(q, timeout=5).read().decode())"
    )
    mine = target.run(f'python3 -c "{probe.format(address, f"{PLAIN}.test", client)}"')
    assert f'"http://{PLAIN}.test/seen"' in mine, "the host itself is not named"
    assert client not in mine
    silent = target.host.run(f'python3 -c "{probe.format(address, address, client)}"')
    assert silent.rc != 0


def test_websockets_of_one_client(target: Target, said: str) -> None:
    """1,200 on one worker by default; one client can close no site, and is told so by 429."""
    assert said
    domain = MANY[0]
    with websockets(target.door, domain, "/ws", 1200) as answers:
        assert answers == {101: 1200}
        with websockets(target.door, domain, "/ws", 400) as more:
            assert more == {101: 300, 429: 100}
            assert target.door.ask(VICTIM).status == 200
            assert target.door.ask(domain).status == 200


def test_host_without_ipv6_and_nginx_of_another_user(target: Target, said: str, tmp_path: Path) -> None:
    """As `ipv6.disable=1` leaves it, and as nginx.org's packages are."""
    assert said
    inventory = changed_inventory(tmp_path, [target], add=GONE)
    family = "[Service]\\nRestrictAddressFamilies=\\nRestrictAddressFamilies=AF_UNIX AF_INET AF_NETLINK\\n"
    drop_ins = [f"/etc/systemd/system/{unit}.service.d/zz-no-ipv6.conf" for unit in ("ssh", "nginx")]
    for path in drop_ins:
        target.run(f"mkdir -p $(dirname {path}) && printf '{family}' > {path}")
    target.run("useradd --system --user-group --no-create-home nginx")
    target.run("sed -i 's/^user www-data;/user nginx;/' /etc/nginx/nginx.conf")
    target.run("systemctl daemon-reload; systemctl restart ssh")
    try:
        converge([target], ANEW, inventory=inventory)
        # With listeners of IPv6 it would not start.
        target.run("systemctl restart nginx")
        assert target.door.ask(VICTIM).status == 200
        assert target.run("stat -Lc %G /srv/asgi/victim/current/app.sock").strip() == "nginx"
        assert target.run("grep -rc '\\[::\\]' /etc/nginx/conf.d/asgi-00-shared.conf || true").strip() == "0"
    finally:
        target.run(f"rm {' '.join(drop_ins)}; systemctl daemon-reload; systemctl restart ssh")
        target.run("sed -i 's/^user nginx;/user www-data;/' /etc/nginx/nginx.conf; systemctl restart nginx")

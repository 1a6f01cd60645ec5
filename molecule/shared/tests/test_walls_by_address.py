"""Health checks by the host's address, over TLS without a name: answered for those who are named, and nothing else is."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playbook import changed_inventory, converge
from targets import APPS, Target

# nginx is told the same on both releases of Debian; the other host has test_walls_inventory.
pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane, pytest.mark.in_turn(0)]

VICTIM, FIRST, SECOND, GUARDED = "victim.test", "looked-at", "looked-at-second", "guarded"
GONE = [{"name": name, "state": "absent", "purge": True} for name in (FIRST, SECOND, GUARDED)]
REFUSED = (OSError, http.client.HTTPException)
PAIR = "/etc/nginx/asgi/by-address"


def app(name: str, **keys: Any) -> dict[str, Any]:
    """One app of the code that the neighbour has, which says its name as greeting."""
    own = {"name": name, "app": "parcels.main:app", "source": {"path": str(APPS / "parcels")}, "workers": 1}
    return {**own, "domains": [f"{name}.test"], "env": {"GREETING": name}, **keys}


@pytest.fixture(scope="module")
def address(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host's address, by which this machine may ask two apps for their health; a third wants its certificate."""
    folder = tmp_path_factory.mktemp("by-address")
    trusted = {"trusted_proxies": [target.door.source_address()]}
    more = [
        app(FIRST, health=[{"path": "/?probe=first"}, {"path": "/seen"}], proxy=trusted),
        app(SECOND, health=[{"path": "/"}, {"path": "/seen"}], proxy=trusted),
    ]
    converge([target], inventory=changed_inventory(folder, [target], add=more))
    yield target.door.https[0]
    converge([target], inventory=changed_inventory(folder, [target], add=GONE))
    assert target.door.ask(VICTIM).status == 200
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        target.door.handshake(None)
    target.run(f"test ! -e {PAIR}")


def test_named_gets_the_health_of_the_first_app_that_has_the_path(target: Target, address: str) -> None:
    """An address is no name in a handshake. The app is asked by its own name, and told the truth about who asks."""
    first = target.door.json(address, "/?probe=first")
    assert first["greeting"] == FIRST
    assert target.door.json(address, "/")["greeting"] == SECOND
    forged = {"X-Forwarded-For": "203.0.113.7", "Remote-User": "root", "X-Forwarded-Proto": "http"}
    seen = target.door.json(address, "/seen", headers=forged)
    assert seen["url"] == f"https://{FIRST}.test/seen"
    assert seen["client"] == target.door.source_address()
    for host in (f"{address}:443", "192.0.2.1", "[2001:db8::1]:8443"):
        assert target.door.json(host, "/seen", sni=address)["url"] == f"https://{FIRST}.test/seen", host


@pytest.mark.parametrize(
    ("host", "path"),
    [
        *(("", "/other"), ("", "/seen/"), ("", "/SEEN"), ("", "/seen?a=b")),
        *(("", "//seen"), ("", "/%73een"), ("", "/x/../seen"), ("", "/events")),
        *(("foreign.example.net", "/seen"), ("localhost", "/seen"), ("_", "/seen")),
    ],
)  # fmt: skip
def test_nothing_else_is_answered(target: Target, address: str, host: str, path: str) -> None:
    """The connection is closed without a word, whoever asks."""
    with pytest.raises(REFUSED):
        target.door.ask(host or address, path, sni=address)


def test_no_method_that_changes_something(target: Target, address: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert target.door.ask(address, "/seen", method=method, body=b"x").status == 403


def test_plain_http_is_not_asked_for_an_app_with_tls(target: Target, address: str) -> None:
    with pytest.raises(REFUSED):
        target.door.ask(address, "/seen", tls=False)


def test_names_are_refused_as_ever(target: Target, address: str) -> None:
    """A name that is no site's gets no handshake, also of those who are named."""
    for name in ("foreign.example.net", f"no.{FIRST}.test"):
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            target.door.handshake(name)
    for domain in (VICTIM, f"{FIRST}.test", f"{SECOND}.test"):
        assert target.door.ask(domain).status == 200


def test_who_is_not_named_gets_no_handshake_and_no_answer(target: Target, address: str) -> None:
    """The host itself is not named. Nor does its log fill with those who try."""
    ask = "import sys, ssl, socket; c = ssl._create_unverified_context(); s = socket.create_connection((sys.argv[1], 443), 5); "
    shake = f"{ask} c.wrap_socket(s, server_hostname=sys.argv[2] or None); print('shook')"
    before = target.run("cat /var/log/nginx/error.log | wc -l")
    for name, words in {"": "internal error", "foreign.example.net": "unrecognized name"}.items():
        tried = target.host.run(f"python3 -c \"{shake}\" {address} '{name}'")
        assert tried.rc != 0, tried
        assert words in tried.stderr, tried
    assert target.run("cat /var/log/nginx/error.log | wc -l") == before
    # Under a name that is a site's a handshake is everybody's; the request is not.
    request = f"GET /seen HTTP/1.1\\r\\nHost: {address}\\r\\nX-Forwarded-For: {target.door.source_address()}\\r\\n\\r\\n"
    talk = f"{ask} t = c.wrap_socket(s, server_hostname=sys.argv[2]); t.sendall(b'{request}'); print('asked'); print(t.recv(999))"
    told = target.host.run(f'python3 -c "{talk}" {address} {FIRST}.test').stdout
    assert told.startswith("asked")
    assert "HTTP/" not in told


def test_key_is_nobodys_but_nginxs(target: Target, address: str) -> None:
    assert address
    assert target.run(f"stat -c '%a %U' {PAIR} {PAIR}/key.pem").split() == ["750", "root", "640", "root"]
    assert target.host.run(f"setpriv --reuid=65534 --regid=65534 --clear-groups cat {PAIR}/key.pem").rc != 0


def test_site_that_wants_certificates_shows_no_health(target: Target, address: str, tmp_path: Path) -> None:
    authority = tmp_path / "clients.pem"
    argv = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=clients -keyout /dev/null -out /dev/stdout"
    authority.write_text(target.run(f"openssl {argv} 2>/dev/null"))
    trusted = {"trusted_proxies": [target.door.source_address()]}
    guarded = app(GUARDED, health={"path": "/seen"}, proxy=trusted, tls={"client_ca": str(authority)})
    others = [{"name": name, "state": "absent", "purge": True} for name in (FIRST, SECOND)]
    converge([target], inventory=changed_inventory(tmp_path, [target], add=[*others, guarded]))
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        target.door.handshake(None)
    with pytest.raises(REFUSED):
        target.door.ask(address, "/seen", sni=f"{GUARDED}.test")

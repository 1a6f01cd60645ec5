"""HTTPS answers with the app's own words; whoever asks by another name gets nothing; nobody forges an address."""

from __future__ import annotations

import http.client
import ipaddress
import itertools
import socket
import ssl
import time

import pytest
from client import Door
from playbook import absolute
from targets import Target
from testinfra.host import Host

pytestmark = [pytest.mark.scenario("default", "full", "collection", "door"), pytest.mark.lane]

# Every header by which a client could pretend to be someone else, or to have asked for something else.
FORGED = (
    ("X-Forwarded-For", "203.0.113.66"),
    ("X-Forwarded-For", "203.0.113.67, 127.0.0.1"),
    ("X_Forwarded_For", "203.0.113.68"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "forged.example.net"),
    ("X-Forwarded-Port", "8080"),
    ("X-Forwarded-Prefix", "/forged"),
    ("X-Forwarded-Scheme", "http"),
    ("X-Forwarded-Ssl", "off"),
    ("X-Forwarded-User", "forged"),
    ("X-Real-IP", "203.0.113.69"),
    ("Forwarded", "for=203.0.113.70;proto=http;host=forged.example.net"),
    ("Proxy", "http://203.0.113.71"),
    ("Remote-User", "forged"),
    ("X-Remote-User", "forged"),
    ("X-Original-URL", "/forged"),
    ("X-Rewrite-URL", "/forged"),
    ("X-Original-Host", "forged.example.net"),
    ("X-Host", "forged.example.net"),
    ("X-Forwarded-Server", "forged.example.net"),
    ("X-Forwarded", "for=203.0.113.72"),
    ("Forwarded-For", "203.0.113.73"),
    ("X-Client-IP", "203.0.113.74"),
    ("X-Cluster-Client-IP", "203.0.113.75"),
    ("Client-IP", "203.0.113.76"),
    ("True-Client-IP", "203.0.113.77"),
    ("CF-Connecting-IP", "203.0.113.78"),
    ("Fastly-Client-IP", "203.0.113.79"),
)
REFUSALS = (OSError, http.client.HTTPException)


def words_of(target: Target, name: str) -> str:
    """What the front page of an app says: its own name."""
    app = target.app(name)
    answer = target.door.ask(app["domains"][0], target.front(name))
    assert answer.status == 200, f"{name}: {answer.status} {answer.text[:300]}"
    return answer.text


def test_every_app_answers_with_its_own_words(target: Target) -> None:
    """The name is the app's, or that of the app it is made from."""
    own = {
        "django": "How did this release go live?",
        "fastapi": "shop",
        "litestar": "rooms",
        "mounted": "factory",
        "narrow": "shop",
        "packages": "<html",
        "polls": "How did this release go live?",
        "quart": "chat",
        "starlette": "wiki",
    }
    for name, app in target.apps.items():
        if app.get("domains") and not app.get("maintenance"):
            assert own.get(name, name) in words_of(target, name)


def test_every_domain_is_served(target: Target) -> None:
    """Not the first alone."""
    for name, app in target.apps.items():
        expected = 503 if app.get("maintenance") else 200
        for domain in app.get("domains", []):
            assert target.door.ask(domain, target.front(name)).status == expected, domain


def test_plain_http_redirects(target: Target) -> None:
    """To the same host and path by HTTPS."""
    domain = target.domain("probe")
    answer = target.door.ask(domain, "/whoami?a=b", tls=False)
    assert answer.status == 301
    assert answer.headers["location"] == f"https://{domain}/whoami?a=b"


@pytest.mark.parametrize(
    "host_header", ["foreign.example.net", "127.0.0.1", "localhost", "_", "probe.test.evil"]
)
def test_foreign_host_gets_no_page_by_http(door: Door, host_header: str) -> None:
    """The connection is closed without a word."""
    with pytest.raises(REFUSALS):
        door.ask(host_header, tls=False)


def test_foreign_sni_gets_no_handshake(door: Door) -> None:
    """No certificate, so not even the name of a site."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        door.handshake("foreign.example.net").close()


def test_without_a_name_nothing_is_shown(target: Target) -> None:
    """No certificate either; to those who are named in trusted_proxies one that is no site's."""
    own = ipaddress.ip_address(target.door.source_address())
    named = [each for app in target.apps.values() for each in app.get("proxy", {}).get("trusted_proxies", [])]
    if any(own in ipaddress.ip_network(each) for each in named):
        with target.door.handshake(None) as shown:
            assert b"asgi.host by address" in (shown.getpeercert(binary_form=True) or b"")
        with pytest.raises(REFUSALS):
            target.door.ask("foreign.example.net", sni=target.door.https[0])
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            target.door.handshake(None).close()


def test_foreign_host_under_a_known_sni_gets_no_page(target: Target) -> None:
    """A refused handshake does not catch this."""
    with pytest.raises(REFUSALS):
        target.door.ask("foreign.example.net", sni=target.domain("probe"))


def test_client_scheme_and_host_are_true(target: Target) -> None:
    """As the app sees them, from a client that is not on loopback."""
    domain = target.domain("probe")
    seen = target.door.json(domain, "/whoami")
    assert not seen["client"].startswith("127.")
    assert seen["client"] == target.door.source_address()
    assert (seen["scheme"], seen["host"], seen["port"]) == ("https", domain, 443)
    assert seen["server"] == [domain, 443]
    assert seen["url"] == f"https://{domain}/whoami"


def test_forged_headers_change_nothing(target: Target) -> None:
    """Alone and all at once; the app sees the client's address, https and the right host."""
    domain = target.domain("probe")
    truth = target.door.json(domain, "/whoami")
    for headers in ([pair] for pair in (*FORGED, None)):
        sent = [pair for pair in headers if pair] or list(FORGED)
        seen = target.door.json(domain, "/whoami", headers=sent)
        for key in ("client", "scheme", "host", "port", "url", "server", "root_path", "path"):
            assert seen[key] == truth[key], f"{key} with {sent}"
        lies = [value for name, value in seen["raw_headers"] if "forged" in value or "203.0.113." in value]
        assert not lies, f"{lies} reached the app with {sent}"
        assert {key.replace("_", "-") for key in seen["headers"]} == set(truth["headers"]), sent


def test_host_with_a_port_is_the_same_site(target: Target) -> None:
    """The app gets the name alone where the port is the scheme's, and the port that a client used in front of a NAT."""
    domain = target.domain("probe")
    for told, host, port in ((":443", domain, 443), (":8443", f"{domain}:8443", 8443)):
        seen = target.door.json(f"{domain}{told}", "/whoami", sni=domain)
        assert (seen["headers"]["host"], seen["port"]) == (host, port)
    # What is no port reaches no app as one; newer nginx refuses it by itself.
    answer = target.door.ask(f"{domain}:x", "/whoami", sni=domain)
    if answer.status != 400:
        seen = answer.json()
        assert (seen["headers"]["host"], seen["port"]) == (domain, 443)


def test_websocket_echoes(target: Target) -> None:
    """Several messages on one connection."""
    with target.door.websocket(target.domain("probe"), "/ws") as opened:
        for word in ("one", "zwei", "三"):
            opened.send(word)
            assert opened.recv(timeout=5) == word


@pytest.mark.scenario("full", "door")
def test_events_arrive_one_by_one(target: Target) -> None:
    """The path is in ``stream_paths``: no event waits for the next one."""
    for name in ("probe", "shop"):
        domain = target.domain(name)
        connection = target.door.open(domain)
        connection.request("GET", "/events?count=4&interval=0.4", headers={"Host": domain})
        answer = connection.getresponse()
        assert answer.getheader("Content-Type", "").startswith("text/event-stream")
        arrived = []
        while line := answer.readline():
            if line.startswith(b"data:"):
                arrived.append((time.monotonic(), line.strip()))
        connection.close()
        assert [line for _when, line in arrived] == [b"data: 0", b"data: 1", b"data: 2", b"data: 3"]
        gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(arrived)]
        assert min(gaps) > 0.2, f"{name}: events arrived together, gaps of {gaps} s"


@pytest.mark.scenario("full")
def test_static_file_comes_from_nginx(target: Target) -> None:
    """The app's own answer would carry its header."""
    answer = target.door.ask(target.domain("probe"), "/static/hello.txt")
    assert answer.status == 200
    assert answer.text == "hello from a static file\n"
    assert "x-from-app" not in answer.headers
    assert target.door.ask(target.domain("probe"), "/static/missing.txt").status == 404
    assert "x-from-app" not in target.door.ask(target.domain("probe"), "/static/missing.txt").headers
    assert target.door.ask(target.domain("polls"), "/static/polls/site.css").status == 200


@pytest.mark.scenario("full")
@pytest.mark.parametrize(
    "path", ["/static/../probe/main.py", "/static../probe/main.py", "/static/..%2fprobe/main.py"]
)
def test_static_path_does_not_lead_out(target: Target, path: str) -> None:
    """An alias without its slash would."""
    assert b"FastAPI" not in target.door.ask(target.domain("probe"), path).body


@pytest.mark.scenario("full")
def test_body_limit(target: Target) -> None:
    """3 MiB on the shop, 10 MiB by default."""
    small, large = bytes(2_900_000), bytes(3_300_000)
    shop = target.domain("shop")
    assert target.door.json(shop, "/echo", method="POST", body=small)["length"] == len(small)
    assert target.door.ask(shop, "/echo", method="POST", body=large).status == 413
    assert target.door.json(target.domain("probe"), "/echo", method="POST", body=large)["length"] == len(
        large
    )


@pytest.mark.scenario("full")
def test_headers_are_added_to_every_answer(target: Target) -> None:
    """To errors as well, and the other sites have none."""
    for path in ("/", "/no-such-page", "/events?count=1"):
        answer = target.door.ask(target.domain("shop"), path)
        assert answer.headers["x-shop"] == "it is open; 100 %"
        assert answer.headers["strict-transport-security"] == "max-age=300"
    assert "x-shop" not in target.door.ask(target.domain("probe")).headers


@pytest.mark.scenario("full")
def test_extra_configuration(target: Target) -> None:
    """Lines of the inventory within the site."""
    assert target.door.ask(target.domain("shop"), "/from-extra").status == 204


@pytest.mark.scenario("full")
def test_read_timeout(target: Target) -> None:
    """20 s on the shop: an event stream is quiet for longer, another page is not let."""
    assert "proxy_read_timeout 20s;" in target.run("cat /etc/nginx/conf.d/asgi-app-shop.conf")


@pytest.mark.scenario("full", "door")
def test_client_behind_a_trusted_proxy(target: Target) -> None:
    """Its own address counts: the last one that no trusted proxy has, never the leftmost that it may forge."""
    if not target.door.source_address().startswith(("10.", "172.", "192.168.")):
        pytest.skip("the tests' own address is not one of the trusted proxies")
    claimed = "203.0.113.1, 198.51.100.7, 10.9.8.7"
    seen = target.door.json(target.domain("shop"), "/whoami", headers={"X-Forwarded-For": claimed})
    assert seen["client"] == "198.51.100.7"
    assert seen["headers"]["x-forwarded-for"] == "198.51.100.7"


@pytest.mark.scenario("full")
def test_mount_point(target: Target) -> None:
    """Two apps on one domain, each with its own words."""
    domain = target.domain("factory")
    assert target.door.json(domain, "/")["names"] == ["x", "it's"]
    assert target.door.json(domain, "/mounted/")["names"] == []


@pytest.mark.scenario("full")
def test_app_without_a_domain_has_no_site(target: Target) -> None:
    """It has its socket only."""
    assert target.run("ls /etc/nginx/conf.d").count("pinned") == 0
    kind = target.run("stat -c %F $(readlink -f /srv/asgi/pinned/current)/app.sock").strip()
    assert kind == "socket"


@pytest.mark.scenario("full")
def test_given_certificate_is_served(target: Target) -> None:
    """Byte for byte the file of the controller."""
    given = absolute(target.app("wiki"))["tls"]["files"]["certificate"]
    with open(given, encoding="ascii") as file:
        wanted = ssl.PEM_cert_to_DER_cert(file.read())
    with target.door.handshake(target.domain("wiki")) as opened:
        assert opened.getpeercert(binary_form=True) == wanted


def test_tls_version_and_http2(target: Target) -> None:
    """TLS 1.3 with a client that has it, and HTTP/2."""
    with target.door.handshake(target.domain("probe"), alpn=("h2", "http/1.1")) as opened:
        assert opened.version() == "TLSv1.3"
        assert opened.selected_alpn_protocol() == "h2"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(target: Target) -> None:
    """TLS 1.0 and 1.1, offered with every cipher that this client has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(target.door.https, 10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname=target.domain("probe"))


def test_socket_is_for_nginx_alone(target: Target, host: Host) -> None:
    """Another user who could connect would forge the headers that the app believes."""
    path = target.run("readlink -f /srv/asgi/probe/current").strip() + "/app.sock"
    file = host.file(path)
    assert (file.mode, file.user, file.group) == (0o660, "root", "www-data")
    probe = f"python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect('{path}')\""
    assert (
        "PermissionError" in host.run(f"setpriv --reuid=nobody --clear-groups --inh-caps=-all {probe}").stderr
    )
    assert host.run(f"setpriv --reuid=www-data --regid=www-data --clear-groups {probe}").rc == 0


def test_access_is_logged_once_by_nginx(target: Target) -> None:
    """One buffered log per app, which is there within its 5 s; the app's journal has no access log."""
    mark = f"/whoami?mark={time.time_ns()}"
    target.door.ask(target.domain("probe"), mark)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found = target.run(f"grep -c -F '{mark}' /var/log/nginx/asgi-probe.access.log || true").strip()
        if found == "1":
            break
        time.sleep(0.5)
    assert found == "1"
    assert mark not in target.run("journalctl -u 'asgi-probe@*' --no-pager")


def test_version_of_nginx_is_not_told(target: Target) -> None:
    """``Server: nginx`` without a version."""
    assert target.door.ask(target.domain("probe")).headers.get("server", "") == "nginx"

"""Nobody is who a header says, but where the inventory says whose word counts; and clients' certificates."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from client import Connection, trusting
from playbook import changed_inventory, converge
from targets import App, Target

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "collections"))
from ansible_collections.asgi.host.plugins.module_utils._apps import identity

pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane]

MIRROR = '''
"""Shows the headers that it got; says who has the cookie of a session."""

import json


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    status, told = 200, []
    if scope["path"] == "/who":
        user = dict(headers).get("cookie", "").removeprefix("session=")
        status, told = (204, [(b"x-user", user.encode())]) if user else (401, [])
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": json.dumps(headers).encode() if status == 200 else b""})
'''
# As docs/security.md has it.
LOCATION = """
location /private/ {
    auth_request /who;
    auth_request_set $private_user $upstream_http_x_user;
    include /etc/nginx/asgi/proxy.conf;
    proxy_set_header X-Auth-Request-User $private_user;
    proxy_pass http://asgi_mirror_gunicorn;
}
location = /who {
    internal;
    include /etc/nginx/asgi/proxy.conf;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://asgi_mirror_gunicorn;
}
"""
WHOLE_SITE = """
auth_request /who;
auth_request_set $auth_user $upstream_http_x_user;
location = /who {
    internal;
    auth_request off;
    include /etc/nginx/asgi/proxy.conf;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://asgi_mirror_uvicorn;
}
"""
# By its own address, which is not loopback.
FROM_THE_HOST = """
import http.client, socket, ssl
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect(("192.0.2.1", 9))
connection = http.client.HTTPSConnection(probe.getsockname()[0], context=ssl._create_unverified_context())
connection.sock = connection._context.wrap_socket(
    socket.create_connection((connection.host, 443)), server_hostname="gunicorn.mirror.test")
connection.request("GET", "/", headers={"Host": "gunicorn.mirror.test", "Remote-User": "bob", "X-Corp-User": "b",
    "X-Corp-Other": "b"})
print(connection.getresponse().read().decode())
"""
CLAIMS = [(name, f"forged-{number}") for number, name in enumerate(identity.NAMES)]
FAMILIES = [(f"{family.rstrip('-')}-Of-Nobody", "forged-family") for family in identity.FAMILIES]
Pairs = list[tuple[str, str]]


def authority(folder: Path, name: str) -> Path:
    """An authority, and certificates of it with their keys: ``NAME-alice.pem``, and one of a malicious name."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    commands = f"""
    set -e; cd {folder}
    openssl req -x509 {key} -days 2 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE \\
        -keyout {name}.key -out {name}.pem
    client() {{
        openssl req {key} -subj "$2" -keyout {name}-$1.pem -out {name}.csr
        openssl x509 -req -in {name}.csr -CA {name}.pem -CAkey {name}.key -CAcreateserial -days 2 >> {name}-$1.pem
    }}
    client alice /O=Walls/CN=alice
    client mallory "$(printf '/CN=mallory\\r\\nRemote-User: forged\\r\\n\\r\\n')"
    """
    subprocess.run(["sh", "-c", commands], check=True, capture_output=True)
    return folder / f"{name}.pem"


def ask(
    target: Target,
    domain: str,
    path: str = "/",
    headers: Sequence[tuple[str, str]] = (),
    *,
    certificate: Path | None = None,
    sni: str = "",
) -> tuple[int, dict[str, str]]:
    """Status, and the headers that the app got."""
    connection = Connection(target.door.https, None)
    connection.connect()
    context = trusting()
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(certificate)
    connection.sock = context.wrap_socket(connection.sock, server_hostname=sni or domain)
    try:
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in [("Host", domain), *headers]:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, dict(json.loads(body)) if answer.status == 200 else {}
    finally:
        connection.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A client's certificate of the known authority, and one of a stranger."""
    folder = tmp_path_factory.mktemp("authorities")
    for name in ("known", "stranger"):
        authority(folder, name)
    return {
        "authority": folder / "known.pem",
        "known": folder / "known-alice.pem",
        "mallory": folder / "known-mallory.pem",
        "stranger": folder / "stranger-alice.pem",
    }


@pytest.fixture(scope="module", autouse=True)
def mirrors(
    target: Target, certificates: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """An app for each kind of server, in one play, which ends with the self-test."""
    folder = tmp_path_factory.mktemp("mirrors")
    source = folder / "mirror"
    source.mkdir()
    (source / "mirror.py").write_text(MIRROR)
    (source / "requirements.txt").write_text("")

    def app(server: str, **keys: object) -> App:
        return {
            "name": f"mirror-{server}",
            "source": {"path": str(source)},
            "server": server,
            "domains": [f"{server}.mirror.test"],
            "workers": 1,
            "graceful_timeout": 5,
            **keys,
        }

    client_ca = str(certificates["authority"])
    believed = {
        "trusted_proxies": [target.door.source_address()],
        "identity_headers": ["Remote-User", "X-Auth-Request-User", "X-Corp-User"],
        "extra": LOCATION,
    }
    whole_site = {"identity_headers": [{"name": "Remote-User", "value": "$auth_user"}], "extra": WHOLE_SITE}
    command = {
        "command": "python -m uvicorn mirror:app --fd 3 --proxy-headers --forwarded-allow-ips '*'",
        "tls": {"client_ca": client_ca, "client_certificate": "optional"},
    }
    apps = [
        app("gunicorn", app="mirror:app", proxy=believed),
        app("uvicorn", app="mirror:app", proxy=whole_site, tls={"client_ca": client_ca}),
        app("command", **command),
    ]
    converge([target], inventory=changed_inventory(folder, [target], add=apps))
    yield
    gone = [{"name": app["name"], "state": "absent", "purge": True} for app in apps]
    converge([target], inventory=changed_inventory(folder, [target], add=gone))


def forged_in(headers: dict[str, str]) -> dict[str, str]:
    """What the app got of the forgeries."""
    return {name: value for name, value in headers.items() if "forged" in value}


def test_no_claim_reaches_any_kind_of_server(target: Target, certificates: dict[str, Path]) -> None:
    """Each name that published proxies use, in one request."""
    assert len(CLAIMS) > 150
    asked = {
        "command": ([], None),
        # The names that this app believes from here are of another test.
        "gunicorn": (["remote-user", "x-auth-request-user"], None),
        "uvicorn": ([], certificates["known"]),
    }
    for server, (left_out, certificate) in asked.items():
        claims = [pair for pair in CLAIMS if pair[0].lower() not in left_out]
        sent: Pairs = [*claims, ("Cookie", "session=alice")]
        status, got = ask(target, f"{server}.mirror.test", headers=sent, certificate=certificate)
        assert (status, forged_in(got)) == (200, {}), server


def test_no_family_reaches_a_worker_of_ours(target: Target, certificates: dict[str, Path]) -> None:
    """Under names that no list has; a program of one's own has nginx's list alone."""
    for server, certificate in (("gunicorn", None), ("uvicorn", certificates["known"])):
        sent: Pairs = [*FAMILIES, ("Cookie", "session=alice"), ("X-Kept", "forged-kept")]
        status, got = ask(target, f"{server}.mirror.test", headers=sent, certificate=certificate)
        assert (status, forged_in(got)) == (200, {"x-kept": "forged-kept"}), server


def test_trusted_proxy_alone_says_who_somebody_is(target: Target) -> None:
    """From here it is believed, from the host's own address it is not."""
    sent: Pairs = [("Remote-User", "bob"), ("X-Corp-User", "b"), ("X-Remote-User", "forged")]
    _status, got = ask(target, "gunicorn.mirror.test", headers=sent)
    assert (got["remote-user"], got["x-corp-user"], "x-remote-user" in got) == ("bob", "b", False)
    told = dict(json.loads(target.run(f"python3 -c '{FROM_THE_HOST}'")))
    assert told["x-corp-other"] == "b"
    assert not {"remote-user", "x-corp-user"} & set(told)


def test_auth_request_says_who_somebody_is(target: Target, certificates: dict[str, Path]) -> None:
    """In a location of proxy.extra, where no client's word counts; and for the whole of a site."""
    forged: Pairs = [("X-Auth-Request-User", "forged"), ("Remote-User", "forged"), ("X-Corp-User", "forged")]
    assert ask(target, "gunicorn.mirror.test", "/private/", forged)[0] == 401
    sent: Pairs = [*forged, ("Cookie", "session=alice")]
    status, got = ask(target, "gunicorn.mirror.test", "/private/", sent)
    assert (status, got["x-auth-request-user"], forged_in(got)) == (200, "alice", {})
    known = certificates["known"]
    assert ask(target, "uvicorn.mirror.test", headers=forged, certificate=known)[0] == 401
    status, got = ask(target, "uvicorn.mirror.test", headers=sent, certificate=known)
    assert (status, got["remote-user"], forged_in(got)) == (200, "alice", {})


def test_certificate_of_a_client_is_verified(target: Target, certificates: dict[str, Path]) -> None:
    """Required or optional; the app is told of the certificate, and never by the client."""
    forged: Pairs = [(name, "forged") for name in identity.CERTIFICATE]
    cookie: Pairs = [("Cookie", "session=alice")]
    required, optional = "uvicorn.mirror.test", "command.mirror.test"
    for path in ("/", "/who", "/no-such", "/?asgi-host-view=1.2.3"):
        assert ask(target, required, path, forged)[0] == 400
    for domain in (required, optional):
        assert ask(target, domain, headers=cookie, certificate=certificates["stranger"])[0] == 400
        status, got = ask(target, domain, headers=[*forged, *cookie], certificate=certificates["known"])
        assert (status, got["x-ssl-client-verify"]) == (200, "SUCCESS")
        assert got["x-ssl-client-s-dn"] == "CN=alice,O=Walls"
        assert got["x-ssl-client-i-dn"] == "CN=known"
        assert forged_in(got) == {}
        # A line break in a name is no line break in a header.
        status, got = ask(target, domain, headers=cookie, certificate=certificates["mallory"])
        assert (status, list(forged_in(got))) == (200, ["x-ssl-client-s-dn"])
    status, got = ask(target, optional, headers=forged)
    assert (status, got["x-ssl-client-verify"], "x-ssl-client-s-dn" in got) == (200, "NONE", False)


def test_handshake_of_another_site_opens_no_door(target: Target, certificates: dict[str, Path]) -> None:
    """A handshake without a certificate, and a request with the name of a site that asks for one."""
    assert ask(target, "uvicorn.mirror.test", sni="victim.test")[0] in (400, 421)
    assert ask(target, "uvicorn.mirror.test", sni="command.mirror.test")[0] in (400, 421)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_of_another_site_opens_no_door(target: Target, version: ssl.TLSVersion) -> None:
    """One that was begun without a certificate, where none is asked for, is taken up where one is (CVE-2025-23419)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version

    def status(domain: str, session: ssl.SSLSession | None) -> tuple[int, ssl.SSLSession | None]:
        plain = socket.create_connection(target.door.https)
        try:
            with context.wrap_socket(plain, server_hostname=domain, session=session) as secure:
                secure.sendall(f"GET / HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n".encode())
                return int(secure.makefile("rb").readline().split()[1]), secure.session
        except ssl.SSLError:
            return 0, None

    for begun in ("victim.test", "command.mirror.test"):
        first, session = status(begun, None)
        assert (first, session is not None) == (200, True)
        assert status("uvicorn.mirror.test", session)[0] in (0, 400, 421)

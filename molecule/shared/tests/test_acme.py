"""Certificates: issued and renewed by an authority on each host, an authority that is down, and files replaced."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from client import TIMEOUT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID
from load import Load, Outcome
from playbook import Run, absolute, changed_inventory, converge, play, write_inventory
from targets import ROOT, Target

pytestmark = pytest.mark.scenario("acme")

PARCELS, STARS = "parcels.test", "stars.test"
DIRECTORY = "https://localhost:14000/dir"
SERVICE = "asgi-acme.service"
FORCE = "python3 /usr/local/lib/asgi-host/acme.py run --force parcels"
CALLS = 10
# A life so short that a third of it is soon left, and long enough for a slow machine to look at it before.
SHORT = 30
LONG = 90 * 24 * 3600
# What an authority does is tried on one host, and files in its place on the other: each in its order.
ISSUED, GIVEN = pytest.mark.in_turn(0), pytest.mark.in_turn(1)


class Authority:
    """Pebble on the host under test. It forgets its accounts, and has another root, after each start."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def stop(self) -> None:
        self.target.run("systemctl stop authority")

    def start(self, life: int = LONG) -> None:
        """Start it anew, with certificates that are good for ``life`` seconds."""
        self.target.run(
            f"""sed -i -E 's/("certificateValidityPeriod": )[0-9]+/\\1{life}/' /opt/authority/config.json && """
            "systemctl restart authority && "
            "for i in $(seq 150); do ss -ltn | grep -q 127.0.0.1:15000 && exit 0; sleep 0.2; done; exit 1"
        )

    def root(self) -> str:
        """The root of the certificates that it issues now."""
        fetch = (
            "import ssl, urllib.request as r; c = ssl.create_default_context(cafile='/opt/authority/ca.pem'); "
            "c.verify_flags &= ~ssl.VERIFY_X509_STRICT; "
            "print(r.urlopen('https://localhost:15000/roots/0', context=c).read().decode())"
        )
        return self.target.run("python3 -", stdin=fetch)


@pytest.fixture(scope="module")
def authority(target: Target) -> Authority:
    return Authority(target)


def shown(target: Target, name: str) -> x509.Certificate:
    """The certificate that the site shows for a name."""
    with target.door.handshake(name) as shaken:
        return x509.load_der_x509_certificate(shaken.getpeercert(binary_form=True) or b"")


def serial(target: Target, name: str) -> int:
    return shown(target, name).serial_number


def settled(target: Target, name: str) -> int:
    """The serial that the site shows, once nginx has replaced its workers: those of before answer until then."""
    path = f"/etc/nginx/asgi/tls/{name.partition('.')[0]}/acme/serving/certificate.pem"
    wanted = int(target.run(f"openssl x509 -in {path} -noout -serial").strip().partition("=")[2], 16)
    until = time.monotonic() + 30
    while serial(target, name) != wanted:
        assert time.monotonic() < until, "nginx does not show the certificate that is on disk"
        time.sleep(0.1)
    return wanted


def names(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(found.value.get_values_for_type(x509.DNSName))


def verified(target: Target, root: str, name: str) -> bool:
    """Whether a client that trusts ``root`` alone accepts the site under this name; raises where it does not."""
    context = ssl.create_default_context(cadata=root)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(target.door.https, TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=name) as shaken,
    ):
        return bool(shaken.getpeercert())


def workers(target: Target) -> set[str]:
    """The workers of nginx: a reload replaces each."""
    return set(target.run("pgrep -P $(cat /run/nginx.pid)").split())


def journal(target: Target) -> str:
    return target.run(f"journalctl -u {SERVICE} -n 12 -o cat --no-pager")


def serves(target: Target) -> None:
    for domain in (PARCELS, STARS):
        assert target.door.ask(domain).status == 200


def test_issued_by_the_authority_for_every_name(target: Target, authority: Authority) -> None:
    root = authority.root()
    for name in (PARCELS, f"www.{PARCELS}", STARS, f"anything.{STARS}"):
        assert verified(target, root, name)
        assert target.door.ask(name).status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        verified(target, root, f"two.labels.{STARS}")
    assert names(shown(target, PARCELS)) == {PARCELS, f"www.{PARCELS}"}
    assert names(shown(target, STARS)) == {STARS, f"*.{STARS}"}


def test_keys_and_orders_are_for_root_alone(target: Target) -> None:
    open_to_others = target.run(
        "find /etc/asgi /etc/nginx/asgi/tls/* /var/lib/asgi-acme/lego -maxdepth 0 -perm /077; "
        "find /etc/asgi /etc/nginx/asgi/tls -name '*.json' -perm /077; find /etc/nginx/asgi/tls -name '*.pem' -perm /077; true"
    )
    assert open_to_others == ""
    assert "t0ken-of-the-zone" in target.run("cat /etc/asgi/stars/acme.json")


@ISSUED
@pytest.mark.lane
def test_converged_host_is_left_alone(target: Target) -> None:
    """In as few calls as without ACME, and with no secret in what Ansible says at its most talkative."""
    before = workers(target), serial(target, PARCELS), serial(target, STARS)
    run = converge([target], "-vvv", "--diff")
    assert run.changed(target.name) == 0
    assert 0 < run.remote_calls(target.door.https[0]) <= CALLS
    assert "t0ken-of-the-zone" not in run.output
    assert (workers(target), serial(target, PARCELS), serial(target, STARS)) == before


def test_timer_runs_and_nothing_due_changes_nothing(target: Target) -> None:
    before = workers(target), serial(target, PARCELS)
    target.run(
        f"systemctl is-enabled asgi-acme.timer && systemctl is-active asgi-acme.timer && systemctl start {SERVICE}"
    )
    assert target.run("systemctl show -P NextElapseUSecRealtime asgi-acme.timer").strip()
    assert (workers(target), serial(target, PARCELS)) == before


def test_challenges_are_answered_by_nginx_alone(target: Target) -> None:
    """A path that is no answer to the authority is 404, and never the app's; all else of HTTP goes to HTTPS."""
    folder = "/.well-known/acme-challenge"
    for path in (
        f"{folder}/forged",
        f"{folder}/",
        f"{folder}/../acme-challenge/x",
        f"{folder}/%2e%2e/acme-challenge/y",
    ):
        answer = target.door.ask(PARCELS, path, tls=False)
        assert answer.status in (403, 404), path
        assert "nginx" in answer.text
    target.run(
        f"mkdir -p /var/lib/asgi-acme/webroot{folder} && echo proof > /var/lib/asgi-acme/webroot{folder}/token"
    )
    assert target.door.ask(PARCELS, f"{folder}/token", tls=False).text == "proof\n"
    target.run(f"rm -r /var/lib/asgi-acme/webroot{folder}")
    for path in ("/", "/.well-known/other", f"{folder}/../../{folder[1:]}x", f"{folder}/../../secret"):
        answer = target.door.ask(PARCELS, path, tls=False)
        assert (answer.status, answer.headers["location"].split("/")[2]) == (301, PARCELS), path


@ISSUED
@pytest.mark.lane
def test_authority_that_is_down_is_said_and_what_serves_goes_on(
    target: Target, authority: Authority, tmp_path: Path
) -> None:
    """In the converge that needs it, in the service that tries again, and in the table of releases."""
    before, running = serial(target, PARCELS), workers(target)
    domains = [PARCELS, f"new.{PARCELS}"]
    wanted = changed_inventory(tmp_path, [target], change={"parcels": {"domains": domains}})
    authority.stop()
    run = play(inventory=wanted, targets=[target])
    assert run.failed(target.name) == 1
    said = run.messages(target.name)
    for words in (
        "parcels: tls.acme",
        DIRECTORY,
        f"new.{PARCELS}",
        "connection refused",
        "goes on with the certificate",
    ):
        assert words in said
    assert "stars" not in said
    assert serial(target, PARCELS) == serial(target, f"new.{PARCELS}") == before
    serves(target)
    # Its site is there already, and nobody reloads for a certificate that did not come.
    now = workers(target)
    assert now != running
    with pytest.raises(AssertionError):
        target.run(f"systemctl start {SERVICE}")
    assert "connection refused" in journal(target)
    assert workers(target) == now
    table = play(targets=[target], playbook=ROOT / "playbooks" / "releases.yml").output
    assert re.search(rf'"parcels +{target.name} +{PARCELS} +(89|90) days ', table, re.MULTILINE), table
    assert f"WARNING parcels on {target.name}: the last try to renew it failed" in " ".join(table.split())
    authority.start()
    target.run(f"systemctl start {SERVICE}")
    settled(target, PARCELS)
    assert names(shown(target, PARCELS)) == set(domains)
    assert verified(target, authority.root(), f"new.{PARCELS}")
    assert target.run("cat /var/lib/asgi-acme/failures.json") == "{}"


@pytest.fixture
def blog(target: Target) -> Iterator[None]:
    """A site of somebody else, that writes where the service which renews may not."""
    site = (
        "server { listen 80; server_name blog.test; access_log /var/log/nginx/blog.access.log; return 204; }"
    )
    target.run("cat > /etc/nginx/conf.d/blog.conf && systemctl reload nginx", stdin=site)
    yield
    target.run("rm /var/log/nginx/blog.access.log /etc/nginx/conf.d/blog.conf && systemctl reload nginx")


@ISSUED
@pytest.mark.lane
def test_renewed_when_a_third_is_left_and_nothing_is_lost(
    target: Target, authority: Authority, blog: None
) -> None:
    authority.start(life=SHORT)
    # Its accounts are gone with the old process: the client makes a new one by itself.
    target.run(FORCE)
    got = time.monotonic()
    first = settled(target, PARCELS)
    target.run(f"systemctl start {SERVICE}")
    if time.monotonic() - got < SHORT / 3:
        assert settled(target, PARCELS) == first, "renewed before its time"
    others = serial(target, STARS)
    time.sleep(max(0.0, SHORT * 2 / 3 + 2 - (time.monotonic() - got)))
    fresh, kept = Outcome(), Outcome()
    common: dict[str, Any] = {
        "door": target.door,
        "domain": PARCELS,
        "path": "/",
        "clients": 2,
        "pause": 0.01,
    }
    before = workers(target)
    with Load(**common, keep_alive=False).running(fresh), Load(**common, repeat=True).running(kept):
        time.sleep(1)
        target.run(f"systemctl start {SERVICE}")
        time.sleep(2)
    print(f"\n{target.name}: renewed under load, new connections: {fresh}; kept connections: {kept}")
    assert settled(target, PARCELS) != first
    assert serial(target, STARS) == others, "renewed though it was good"
    assert verified(target, authority.root(), PARCELS)
    assert not workers(target) & before
    assert (fresh.lost_count, kept.lost_count) == (0, 0)


# Files


def make(folder: Path, name: str, days: int = 30, domain: str = STARS) -> dict[str, str]:
    """A certificate of one's own."""
    files = {"certificate": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days),
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{domain},DNS:*.{domain}",
         "-keyout", files["key"], "-out", files["certificate"]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


def signed_by_nobody(folder: Path, name: str, *, ends: timedelta) -> dict[str, str]:
    """A certificate whose issuer is in no file and no store; it says where that could be had."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    place = x509.UniformResourceIdentifier("http://authority.test/middle.crt")
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Middle of the tests")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + ends)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in (STARS, f"*.{STARS}")]), False
        )
        .add_extension(
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)]
            ),
            False,
        )
        .sign(key, hashes.SHA256())
    )
    files = {"certificate": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}
    Path(files["certificate"]).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    Path(files["key"]).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


def with_files(target: Target, folder: Path, files: dict[str, str]) -> Run:
    """Converge with a self-signed certificate for the one app, and these files for the other."""
    apps = [absolute(app) for app in target.apps.values()]
    for app in apps:
        app["tls"] = {"mode": "files", "files": files} if app["name"] == "stars" else {"mode": "self_signed"}
    return play(inventory=write_inventory(folder, [target], {target.name: apps}), targets=[target])


@GIVEN
@pytest.mark.lane
def test_nothing_of_acme_is_left_without_a_site_that_uses_it(target: Target, tmp_path: Path) -> None:
    run = with_files(target, tmp_path, make(tmp_path, "one"))
    assert run.status == 0, run.output[-4000:]
    left = target.run(
        "ls -d /var/lib/asgi-acme /etc/asgi/*/acme.json /etc/nginx/asgi/tls/*/acme /usr/local/lib/asgi-host/acme.py "
        "/var/lib/systemd/timers/stamp-asgi-acme.timer 2>/dev/null; "
        "systemctl list-units --all --plain --no-legend 'asgi-acme*'; systemctl list-unit-files --no-legend 'asgi-acme*'; true"
    )
    assert left == ""
    own = shown(target, PARCELS)
    assert own.issuer == own.subject
    serves(target)
    answer = target.door.ask(PARCELS, "/.well-known/acme-challenge/forged", tls=False)
    assert answer.status == 301


@GIVEN
@pytest.mark.lane
def test_files_are_replaced_and_nothing_is_lost(target: Target, tmp_path: Path) -> None:
    before = serial(target, STARS)
    fresh, kept = Outcome(), Outcome()
    common: dict[str, Any] = {"door": target.door, "domain": STARS, "path": "/", "clients": 2, "pause": 0.01}
    with Load(**common, keep_alive=False).running(fresh), Load(**common, repeat=True).running(kept):
        run = with_files(target, tmp_path, make(tmp_path, "two"))
    assert run.status == 0, run.output[-4000:]
    print(f"\n{target.name}: files replaced under load, new connections: {fresh}; kept connections: {kept}")
    assert serial(target, STARS) != before
    assert (fresh.lost_count, kept.lost_count) == (0, 0)
    assert "before-asgi-host" not in target.run("ls -R /etc/nginx/asgi/tls"), "the old key was kept"


@GIVEN
@pytest.mark.lane
def test_files_that_cannot_serve_are_refused(target: Target, tmp_path: Path) -> None:
    """All that is wrong with them at once, and nothing changes."""
    before = serial(target, STARS)
    expired = signed_by_nobody(tmp_path, "expired", ends=-timedelta(days=1))
    run = with_files(target, tmp_path, {**expired, "key": make(tmp_path, "other")["key"]})
    assert run.failed(target.name) == 1
    assert run.changed(target.name) == 0
    said = run.messages(target.name)
    for words in (
        "does not belong to the certificate",
        "expired on",
        "the chain ends at expired",
        "middle.crt has it",
    ):
        assert words in said
    assert serial(target, STARS) == before
    serves(target)


@GIVEN
@pytest.mark.lane
def test_back_to_the_authority(target: Target, authority: Authority) -> None:
    authority.start()
    run = converge([target], "-vvv", "--diff")
    assert "t0ken-of-the-zone" not in run.output
    root = authority.root()
    settled(target, PARCELS)
    settled(target, STARS)
    assert verified(target, root, f"www.{PARCELS}")
    assert verified(target, root, STARS)

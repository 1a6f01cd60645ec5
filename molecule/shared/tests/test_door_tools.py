"""What the judges of others say: sslyze and testssl.sh on TLS, gixy on nginx's configuration, slowhttptest by trying."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from load import Load, Outcome
from outside import AUTHORITY, SITE, TOOLS, address_of, client, finished_testssl
from targets import Target

pytestmark = [pytest.mark.scenario("door"), pytest.mark.lane]

# Mozilla's TLS guideline 6.0, intermediate, in the form of sslyze's own profiles. sslyze brings 5.7, which allows more:
# three suites with DHE. 6.0 dropped them, and added a key exchange that sslyze cannot try yet; testssl.sh does.
GUIDELINE: dict[str, Any] = {
    "certificate_curves": ["prime256v1", "secp384r1"],
    "certificate_signatures": [
        "sha256WithRSAEncryption", "ecdsa-with-SHA256", "ecdsa-with-SHA384", "ecdsa-with-SHA512",
    ],
    "certificate_types": ["ecdsa", "rsa"],
    "ciphers": {
        "caddy": [],
        "go": [],
        "iana": [
            f"TLS_ECDHE_{key}_WITH_{cipher}"
            for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
            for key in ("ECDSA", "RSA")
        ],
        "openssl": [],
    },
    "ciphersuites": ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
    "dh_param_size": 2048,
    "ecdh_param_size": 256,
    "hsts_min_age": 63072000,
    "maximum_certificate_lifespan": 366,
    "ocsp_staple": False,
    "recommended_certificate_lifespan": 90,
    "rsa_key_size": 2048,
    "server_preferred_order": False,
    "tls_curves": ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1"],
    "tls_versions": ["TLSv1.2", "TLSv1.3"],
}  # fmt: skip
SITES = (SITE, "www.probe.test", "shop.test")

# What testssl.sh may complain of.
REVOCATION = {
    "cert_revocation": "the authority of the tests publishes neither a list nor an answer about revoked certificates"
}
# From this severity on a finding is a failure.
BAD = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}

# Findings of gixy that are none, by plugin and file (None: any): each with what shows that it is none.
WAIVED: dict[tuple[str, str | None], str] = {
    ("weak_ssl_tls", "/etc/nginx/nginx.conf"): (
        "Debian 12's own lines at the level of http: every server here has its own, the default one included "
        "(test_old_tls_is_refused)"
    ),
    ("ssl_ecdh_curve", "/etc/nginx/asgi/tls.conf"): (
        "a host with OpenSSL 3.5 alone has the line; nginx tests its configuration before it goes live"
    ),
    ("hsts_header", None): "gixy looks for it in the server; it is in each location (test_door_headers.py)",
    ("missing_resolver", "/etc/nginx/conf.d/asgi-00-shared.conf"): (
        "the variable holds the name of an upstream, or nothing is passed on (test_walls_by_address.py)"
    ),
    ("worker_rlimit_nofile_vs_connections", "/etc/nginx/nginx.conf"): (
        "the unit sets the limit (test_nginx_may_open_files_enough)"
    ),
}


def sslyze(target: Target, folder: Path, guideline: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
    """Scan all sites of a host; the exit status, the words, and the report."""
    profile, report = folder / "profile.json", folder / "report.json"
    profile.write_text(json.dumps(guideline), encoding="utf-8")
    address, port = target.door.https
    done = subprocess.run(
        [
            str(TOOLS / "sslyze"),
            f"--custom_tls_config={profile}",
            f"--certinfo_ca_file={AUTHORITY}",
            f"--json_out={report}",
            *(f"{site}:{port}{{{address}}}" for site in SITES),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, json.loads(report.read_text(encoding="utf-8"))


def test_tls_follows_mozillas_guideline(target: Target, tmp_path: Path) -> None:
    """No version, suite, curve or key beyond intermediate 6.0, no known weakness, and a chain that is trusted."""
    status, words, report = sslyze(target, tmp_path, GUIDELINE)
    assert status == 0, words[-3000:]
    assert words.count("OK - Compliant") == len(SITES)
    for result in report["server_scan_results"]:
        [deployment] = result["scan_result"]["certificate_info"]["result"]["certificate_deployments"]
        trusted = [
            validation["was_validation_successful"]
            for validation in deployment["path_validation_results"]
            if validation["trust_store"]["path"] == str(AUTHORITY)
        ]
        assert trusted == [True], result["server_location"]["hostname"]
        assert deployment["received_chain_has_valid_order"]
        assert not deployment["received_chain_contains_anchor_certificate"]


def test_a_stricter_guideline_is_not_met(target: Target, tmp_path: Path) -> None:
    """The judge is able to say no."""
    status, words, _report = sslyze(target, tmp_path, {**GUIDELINE, "tls_versions": ["TLSv1.3"]})
    assert status != 0
    assert "TLSv1.2" in words


def test_gixy_finds_nothing(target: Target, tmp_path: Path) -> None:
    """In the whole configuration as nginx has it, but for what is waived with a reason."""
    dump = tmp_path / "nginx.conf"
    dump.write_text(target.run("nginx -T 2>/dev/null"), encoding="utf-8")
    done = subprocess.run(
        [str(TOOLS / "gixy"), "--format=json", str(dump)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = json.loads(done.stdout)
    # The first file of a dump is called after the dump.
    for item in found:
        item["file"] = "/etc/nginx/nginx.conf" if item["file"] == str(dump) else item["file"]
    bad = [
        item
        for item in found
        if item["severity"] in BAD
        and not {(item["plugin"], item["file"]), (item["plugin"], None)} & set(WAIVED)
    ]
    assert not bad, json.dumps(bad, indent=2)
    # It did read the sites: what is waived is there to be found.
    assert any(item["plugin"] == "hsts_header" for item in found)


def test_nginx_may_open_files_enough(target: Target) -> None:
    """Two for each connection: the client's, and the app's or a file."""
    worker = "$(pgrep -f 'nginx: worker' | head -n 1)"
    soft = int(target.run(f"awk '/Max open files/ {{print $4}}' /proc/{worker}/limits"))
    connections = int(re.findall(r"worker_connections\s+(\d+)", target.run("cat /etc/nginx/nginx.conf"))[0])
    assert soft >= 2 * connections


# Slow clients

SLOW_SECONDS = 20
SLOW_CONNECTIONS = 210
# One that comes late and one that comes on time are told apart by this, on a machine that is busy with the attack.
PATIENCE = 10
ATTACKS = {
    # A header that never ends, a line at a time.
    "headers": ("-H -i 5 -x 24", "/"),
    # A body of which a few bytes come at a time.
    "bodies": ("-B -i 5 -s 8192 -x 10 -t POST", "/echo"),
    # An answer that is hardly read.
    "reading": ("-X -w 1 -y 1 -n 5 -z 1 -k 1", "/download?size=1000000"),
}


def attack(target: Target, kind: str) -> subprocess.Popen[str]:
    """Start one attack, where the name of the site means this host: all hosts have the same."""
    options, path = ATTACKS[kind]
    hosts = f"/tmp/hosts.{target.name}.{kind}"
    script = (
        f"(cat /etc/hosts; echo {address_of(target)} {SITE}) >{hosts} && mount --bind {hosts} /etc/hosts && "
        f"ulimit -n 8192 && exec timeout {SLOW_SECONDS + 40} slowhttptest {options} -c {SLOW_CONNECTIONS} -r 100 "
        f"-l {SLOW_SECONDS} -p {PATIENCE} -u 'https://{SITE}{path}'"
    )
    return client().start(f"exec unshare --mount sh -c {shlex.quote(script)}")


def test_slow_clients_stop_nobody(target: Target) -> None:
    """While three kinds of them hold hundreds of connections at the same time, everyone else is answered."""
    attacks = {kind: attack(target, kind) for kind in ATTACKS}
    outcome, most = Outcome(), 0
    with Load(target.door, SITE, "/", clients=2, keep_alive=False, pause=0.1).running(outcome):
        until = time.monotonic() + SLOW_SECONDS
        while time.monotonic() < until:
            most = max(most, target.run("ss -Htn").count(f":443 {client().address}:"))
            time.sleep(1)
    words = {kind: running.communicate(timeout=120)[0] for kind, running in attacks.items()}
    print(f"\n{target.name}: {most} slow connections at most; beside them {outcome}")
    assert most >= SLOW_CONNECTIONS * len(ATTACKS) * 0.9, {kind: said[-1500:] for kind, said in words.items()}
    assert outcome.sent > 20, outcome
    assert outcome.lost_count == 0, outcome
    assert outcome.worst < PATIENCE, outcome
    assert target.door.ask(SITE, "/healthz").status == 200


# Last, for it has run beside all the others.


def test_testssl_gives_the_best_grade(target: Target) -> None:
    """A+, and no finding of medium or worse but that nobody can revoke the certificate of the tests."""
    found = finished_testssl(target)
    bad = [item for item in found if item["severity"] in BAD and item["id"] not in REVOCATION]
    assert not bad, json.dumps(bad, indent=2)
    by_name = {item["id"]: item["finding"] for item in found}
    assert by_name["overall_grade"] == "A+"
    assert by_name["cert_chain_of_trust"].startswith("passed")
    if target.suite != "bookworm":
        assert "X25519MLKEM768" in by_name["FS_KEMs"]
    print(f"\n{target.name}: grade {by_name['overall_grade']}, score {by_name['final_score']}")

"""What an operator switches on, and what happens to nginx: maintenance, limits, HTTP/3, a bad snippet, a death."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from outside import AUTHORITY, address_of, client
from playbook import changed_inventory, play
from targets import ROOT, Target

pytestmark = [pytest.mark.scenario("door"), pytest.mark.lane]

NARROW = "narrow.test"
CLOSED = "closed.test"


def curl(target: Target, *options: str, url: str = f"https://{NARROW}/whoami") -> tuple[str, str]:
    """What curl on the client host says of its request: version and status, and the body."""
    authority = "/run/root-of-the-tests.crt"
    client().run(f"cat > {authority}", stdin=AUTHORITY.read_text(encoding="ascii"))
    host = url.split("/")[2]
    words = [
        "curl", "--silent", "--show-error", "--max-time", "20", "--cacert", authority,
        "--resolve", f"{host}:443:{address_of(target)}", "--write-out", r"'\n%{http_version} %{http_code}'",
        *options, url,
    ]  # fmt: skip
    body, _sign, said = client().run(" ".join(words)).rpartition("\n")
    return said, body


def test_maintenance(target: Target) -> None:
    """A page that says so, and when to come back; the app runs on, and is asked nothing."""
    answer = target.door.ask(CLOSED, "/any/page")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "maintenance" in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert f"asgi-closed@{target.release('closed')['id']}.service" in target.pids()


def test_http3(target: Target) -> None:
    """With the truth about the client, and offered by the other versions; Debian 12's nginx does not have it."""
    offered = target.door.ask(NARROW).headers.get("alt-svc", "")
    if target.suite == "bookworm":
        assert not offered
        return
    assert offered.startswith('h3=":443"')
    said, body = curl(
        target,
        "--http3-only",
        "--header",
        "'X-Forwarded-For: 203.0.113.5'",
        "--header",
        "'X-Real-IP: 203.0.113.6'",
    )
    assert said == "3 200"
    seen = json.loads(body)
    assert (seen["client"], seen["scheme"], seen["host"], seen["port"]) == (
        client().address,
        "https",
        NARROW,
        443,
    )
    assert "203.0.113" not in body


def test_connection_limit(target: Target) -> None:
    """Three at a time of one address; the fourth is told so, and comes in when one has gone."""
    with ExitStack() as stack:
        for _turn in range(3):
            connection = target.door.open(NARROW)
            stack.callback(connection.close)
            connection.request("GET", "/events?count=100&interval=1", headers={"Host": NARROW})
            assert connection.getresponse().status == 200
        assert target.door.ask(NARROW).status == 429
        assert target.door.ask(NARROW, "/static/site.css").status == 200
    until = time.monotonic() + 30
    while (status := target.door.ask(NARROW).status) == 429 and time.monotonic() < until:
        time.sleep(0.5)
    assert status == 200


def test_static_files_are_cached_compressed_and_cut(target: Target) -> None:
    """For ever where names change with content, else asked for each time; ranges; a file that is there compressed."""
    kept = target.door.ask(NARROW, "/static/site.css")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    asked = target.door.ask("shop.test", "/static/site.css")
    assert asked.headers["cache-control"] == "no-cache"
    again = target.door.ask("shop.test", "/static/site.css", headers={"If-None-Match": asked.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    part = target.door.ask("shop.test", "/static/site.css", headers={"Range": "bytes=2-5"})
    assert (part.status, part.body) == (206, asked.body[2:6])
    place = target.run("readlink -f /srv/asgi/narrow/current").strip() + "/src/static"
    for coding, suffix in (("br", "br"), ("gzip", "gz")):
        target.run(f"printf '{coding} of the css' > {place}/site.css.{suffix}")
        answer = target.door.ask(NARROW, "/static/site.css", headers={"Accept-Encoding": coding})
        target.run(f"rm {place}/site.css.{suffix}")
        assert (answer.headers["content-encoding"], answer.text) == (coding, f"{coding} of the css")


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_answers_are_compressed(target: Target, coding: str) -> None:
    """The app's JSON, when it is long; brotli where it is switched on."""
    padding = {f"X-Padding-{number}": "a" * 500 for number in range(4)}
    answer = target.door.ask(NARROW, "/whoami", headers={**padding, "Accept-Encoding": coding})
    assert answer.headers.get("content-encoding") == coding
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert len(answer.body) < 1500
    other = target.door.ask("shop.test", "/whoami", headers={**padding, "Accept-Encoding": "br"})
    assert "content-encoding" not in other.headers


def test_score_of_nginx(target: Target) -> None:
    """Of systemd-analyze security."""
    said = target.run("systemd-analyze security nginx.service --no-pager").strip().splitlines()[-1]
    score = float(said.partition("nginx.service: ")[2].split()[0])
    assert score <= 2.5, said


@pytest.mark.parametrize("signal", ["KILL", "SEGV"])
def test_nginx_that_dies_is_started_again(target: Target, signal: str) -> None:
    """By systemd, within seconds."""
    before = target.run("cat /run/nginx.pid").strip()
    target.run(f"kill -{signal} {before}")
    until = time.monotonic() + 30
    answered = False
    while not answered and time.monotonic() < until:
        try:
            answered = target.door.ask(NARROW).status == 200
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
    assert answered
    assert target.run("cat /run/nginx.pid").strip() != before


@pytest.mark.in_turn
@pytest.mark.parametrize("extra", ["this is no directive;", "location /x {", "include /no/such/file.conf;"])
def test_bad_snippet_fails_the_play_and_the_old_configuration_serves(
    target: Target, tmp_path: Path, extra: str
) -> None:
    """With nginx's own words; every file is as it was."""
    files = "find /etc/nginx -type f -exec sha256sum {} + | sort -k2"
    before, master = target.run(files), target.run("cat /run/nginx.pid")
    inventory = changed_inventory(tmp_path, [target], change={"narrow": {"proxy": {"extra": extra}}})
    run = play(inventory=inventory, targets=[target])
    assert run.failed(target.name) == 1
    assert "nginx" in run.messages(target.name)
    assert "asgi-app-narrow.conf" in run.messages(target.name)
    assert target.run(files) == before
    assert target.run("cat /run/nginx.pid") == master
    target.run("nginx -t -q")
    assert target.door.ask(NARROW).status == 200


def test_documented_policy_is_what_is_served(target: Target) -> None:
    """The page of the docs names each header of the strict preset."""
    text = (ROOT / "docs" / "door.md").read_text(encoding="utf-8")
    sent = target.door.ask("shop.test").headers
    for name in ("Content-Security-Policy", "Permissions-Policy", "Referrer-Policy", "X-Frame-Options"):
        assert name in text
        assert name.lower() in sent

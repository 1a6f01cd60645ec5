"""Every converge ends with forged requests through the real door, and fails when an app believes them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import trusting
from playbook import Run, changed_inventory, converge, play
from targets import Target

pytestmark = [pytest.mark.scenario("door"), pytest.mark.lane]

# Lines that people find on the web: the first is in most examples of a proxy.
APPENDED = """
location /leak/ {
    include /etc/nginx/asgi/proxy.conf;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_pass http://asgi_probe;
}
"""
EVERYBODY = "set_real_ip_from 0.0.0.0/0;\nreal_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n"
NOT_ASKED = "location /leak/ { return 204; }\n"
FOREIGN = "/etc/nginx/conf.d/zz-foreign.conf"
# Addresses that no test's client has.
ELSEWHERE = "192.0.2.0/24"


def with_extra(
    folder: Path,
    target: Target,
    extra: str,
    *,
    trusted: list[str] | None = None,
    options: tuple[str, ...] = (),
) -> Run:
    """A play with these lines in the probe's site."""
    change = {"probe": {"proxy": {"extra": extra, "trusted_proxies": trusted or []}}}
    inventory = changed_inventory(folder, [target], change=change)
    return play(*options, inventory=inventory, targets=[target])


@pytest.fixture(scope="module", autouse=True)
def as_it_was(target: Target) -> Iterator[None]:
    """The host as its inventory has it, when the tests are over; each of them says what it needs."""
    yield
    converge([target])


@pytest.fixture(scope="module")
def told(all_targets: list[Target]) -> Run:
    """A converge of hosts that are as they must be, at -vvv."""
    return converge(all_targets, "-vvv")


def test_door_of_a_converged_host_is_asked_from_both_sides(target: Target, told: Run) -> None:
    """Every app with a site, on the host and from here, and nothing is changed by it."""
    sites = sum(bool(app.get("domains")) for app in target.apps.values())
    found = json.loads(_result_of(told, target, "asked"))
    assert found["host"] >= sites
    assert found["outside"] >= sites
    assert told.changed(target.name) == 0


def test_it_costs_no_call(target: Target, told: Run) -> None:
    """The host is asked in the call that looks at it, from here there is none."""
    assert told.remote_calls(target.door.https[0]) <= 2


def _result_of(run: Run, target: Target, key: str) -> str:
    """One mapping of what the self-test found on a host that is as it must be, as JSON."""
    after = run.output.split(": Converge | Compare the host", 1)[1]
    start = after.index(f"ok: [{target.name}] => ") + len(f"ok: [{target.name}] => ")
    result, _end = json.JSONDecoder().raw_decode(after, start)
    return json.dumps(result["self_test"][key])


def test_key_stays_on_the_host(target: Target, told: Run) -> None:
    """In root's own file; neither in Ansible's output nor in the app's environment."""
    script = "sed -n 's/^ASGI_HOST_VIEW_KEY=\"\\(.*\\)\"$/\\1/p' /etc/asgi/probe/*/environment | sort -u"
    (key,) = target.run(script).split()
    assert len(key) == 64
    assert key not in told.output
    answer = target.door.ask(target.domain("probe"), "/env/ASGI_HOST_VIEW_KEY")
    assert key not in answer.text
    assert target.run(f"grep -rl {key} /srv/asgi /etc/nginx /etc/systemd || true") == ""


@pytest.mark.parametrize("query", ["asgi-host-view=1.2.3", "asgi-host-view=", "a=b&asgi-host-view=1.2.3"])
def test_nobody_else_gets_the_view(target: Target, query: str) -> None:
    """The app answers, as ever."""
    assert target.door.json(target.domain("probe"), f"/whoami?{query}")["app"] == "probe"


@pytest.mark.in_turn
@pytest.mark.parametrize(
    ("extra", "path"), [(APPENDED, "/leak/"), (EVERYBODY, "/")], ids=["appended header", "everybody trusted"]
)
def test_configuration_that_lets_a_forgery_through_fails_the_play(
    target: Target, tmp_path: Path, extra: str, path: str
) -> None:
    """With the app, the header, what the app saw, and where to look."""
    run = with_extra(tmp_path, target, extra)
    assert run.failed(target.name) == 1
    message = run.messages(target.name)
    for words in (
        "probe: ",
        f"https://{target.domain('probe')}{path}",
        "X-Forwarded-For: 203.0.113.61",
        "proxy.extra",
    ):
        assert words in message


@pytest.mark.in_turn
def test_switched_off_it_finds_nothing(target: Target, tmp_path: Path) -> None:
    """The variable is for hosts on which it must not ask."""
    assert with_extra(tmp_path, target, APPENDED, options=("-e", "asgi_host_self_test=false")).status == 0


@pytest.mark.in_turn
def test_file_of_somebody_else_fails_the_play(target: Target) -> None:
    """Also on a host on which nothing is to be changed."""
    try:
        target.run(
            f"printf 'set_real_ip_from 0.0.0.0/0;\\nreal_ip_header X-Real-IP;\\n' > {FOREIGN}; nginx -s reload"
        )
        run = play(targets=[target])
        assert run.failed(target.name) == 1
        assert "X-Real-IP: 203.0.113.64" in run.messages(target.name)
    finally:
        target.run(f"rm {FOREIGN}; nginx -s reload")


@pytest.mark.in_turn
def test_own_configuration_is_no_false_alarm(target: Target, tmp_path: Path) -> None:
    """A location that leads elsewhere, and clients that are trusted to say who they are."""
    trusted = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    assert with_extra(tmp_path, target, NOT_ASKED, trusted=trusted).status == 0


@pytest.mark.in_turn
def test_door_that_is_closed_to_the_test_is_a_warning(target: Target, tmp_path: Path) -> None:
    """A password before the app is no fault, and not a proof either."""
    closed = 'auth_basic "closed";\nauth_basic_user_file /etc/hostname;\n'
    run = with_extra(tmp_path, target, closed)
    assert run.status == 0
    assert "was not tested with forged headers" in run.output
    assert "401" in run.output


def through_a_balancer(target: Target, line: bytes) -> str:
    """The client that the probe sees when the connection begins with this line; empty without an answer."""
    domain = target.domain("probe")
    request = (
        f"GET /whoami HTTP/1.1\r\nHost: {domain}\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(target.door.https, 10) as plain:
        plain.sendall(line)
        try:
            with trusting().wrap_socket(plain, server_hostname=domain) as opened:
                opened.sendall(request.encode())
                answer = b"".join(iter(lambda: opened.recv(65536), b""))
        except OSError:
            return ""
    body = answer.partition(b"\r\n\r\n")[2]
    return str(json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["client"])


@pytest.mark.in_turn
def test_proxy_protocol(target: Target, tmp_path: Path) -> None:
    """Who speaks it is believed if named, else taken by its own address; who does not gets no answer."""
    line = b"PROXY TCP4 198.51.100.7 192.0.2.1 4000 443\r\n"
    own = target.door.source_address()
    # Two ways to say who the client is are refused, and the probe may have the other.
    inventory = changed_inventory(tmp_path, [target], change={name: {"proxy": {}} for name in target.apps})
    hosts = json.loads(inventory.read_text(encoding="utf-8"))
    for app in hosts["asgi_hosts"]["hosts"][target.name]["asgi_host_apps"]:
        app.get("proxy", {}).pop("trusted_proxies", None)
        app.get("proxy", {}).pop("http3", None)
    inventory.write_text(json.dumps(hosts), encoding="utf-8")
    for named, seen in (([ELSEWHERE], own), ([f"{own}/32"], "198.51.100.7")):
        speaks = json.dumps({"asgi_host_proxy_protocol": named})
        converge([target], "-e", speaks, inventory=inventory)
        assert through_a_balancer(target, line) == seen
        assert through_a_balancer(target, b"") == ""

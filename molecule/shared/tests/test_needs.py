"""What real apps need: one small app for each need (facts 41 to 50)."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from targets import Target
from testinfra.host import Host

pytestmark = [pytest.mark.scenario("full"), pytest.mark.lane]


def test_app_learns_the_port(target: Target) -> None:
    """Fact 41: on a unix socket the server's own word is none."""
    assert target.door.json(target.domain("port"))["port"] == 443
    assert target.door.json(target.domain("polls"), "/port")["port"] == 443


def test_server_gives_way_to_the_app(target: Target) -> None:
    """Fact 42: a requirement of the app wins over the role's pin."""
    chosen = target.door.json(target.domain("oldgunicorn"))
    assert int(chosen["gunicorn"].split(".")[0]) < 26


def test_server_requirements_win(target: Target) -> None:
    """Fact 42: what the inventory names for this app is what runs."""
    lock = target.run("cat /srv/asgi/pinned/current/requirements.lock")
    versions = dict(line.split("==") for line in lock.splitlines() if "==" in line)
    uvicorn = next(
        version for name, version in versions.items() if name.startswith("uvicorn") and "worker" not in name
    )
    assert tuple(map(int, uvicorn.split()[0].split(".")[:2])) < (0, 54)
    assert versions["gunicorn"].startswith("27.")


def test_sessions_in_memory(target: Target) -> None:
    """Fact 43: with one worker every request finds its session."""
    domain = target.domain("sessions")
    session = target.door.json(domain, method="POST", body=b"")["session"]
    visits = [target.door.json(domain, f"/{session}")["visits"] for _turn in range(20)]
    assert visits == list(range(1, 21))


def test_call_with_arguments(target: Target) -> None:
    """Fact 44: quotes, dollars and percent signs arrive; a token is the place that it stands for."""
    made = target.door.json(target.domain("factory"))
    assert (made["names"], made["title"]) == (["x", "it's"], 'a "b" $HOME %n /var/lib/asgi/factory {else}')


def test_home_and_places_beside_the_source(target: Target) -> None:
    """Fact 45: a cache in its home, uploads beside its source that are kept in the data folder."""
    made = target.door.json(target.domain("home"), method="POST", body=b"")
    assert made["cache"]["real"] == "/var/lib/asgi/home/.cache/home-app/mark"
    assert made["uploads"]["real"] == "/var/lib/asgi/home/kept/uploads/mark"
    again = target.door.json(target.domain("home"), method="POST", body=b"")
    assert again["uploads"]["lines"] == made["uploads"]["lines"] + 1


def test_gate_asks_as_nginx_would(target: Target) -> None:
    """Fact 46: an app with allowed hosts and a secure redirect passed its gate; a foreign Host would not."""
    answer = target.door.ask(target.domain("polls"), "/healthz")
    assert answer.json() == {"status": "ok", "questions": 1}
    release = target.run("readlink -f /srv/asgi/polls/current").strip()
    script = (
        "import http.client, socket\n"
        "c = http.client.HTTPConnection('localhost')\n"
        "c.sock = socket.socket(socket.AF_UNIX)\n"
        f"c.sock.connect('{release}/app.sock')\n"
        "c.request('GET', '/healthz', headers={'Host': 'localhost', 'X-Forwarded-Proto': 'https'})\n"
        "print(c.getresponse().status)\n"
    )
    assert target.run("python3 -", stdin=script).strip() == "400"


def test_hooks_have_the_apps_environment_user_and_folder(target: Target, host: Host) -> None:
    """Fact 47: each stage in its turn, and what must run once ran once."""
    seen = target.door.json(target.domain("hooks"))
    uid = host.user("asgi-hooks").uid
    steps = [run["step"] for run in seen["runs"]]
    assert steps[:4] == ["build", "init", "migrate", "after"]
    assert steps.count("init") == 1
    for run in seen["runs"]:
        assert run["uid"] == uid == seen["uid"]
        assert run["setting"] == "of the inventory"
        assert run["home"] == "/var/lib/asgi/hooks"
        assert run["cwd"].startswith("/srv/asgi/hooks/releases/")
        assert run["cwd"].endswith("/src")
        assert run["prefix"] == run["cwd"].removesuffix("src") + "venv"


def test_upload_is_served_by_nginx(target: Target) -> None:
    """Fact 48: folder 0750 and file 0640 are no 403, 2 MB are no 413."""
    domain = target.domain("media")
    body = f"{time.time_ns()}\n".encode() * 100_000
    kept = target.door.ask(domain, "/photo.txt", method="PUT", body=body)
    assert kept.status == 201, kept.text
    served = target.door.ask(domain, kept.json()["url"])
    assert served.status == 200, served.text
    assert served.body == body
    assert target.door.ask(domain, "/media/../../port/x").status in (400, 404)


def test_data_is_not_open_to_others(target: Target, host: Host) -> None:
    """Fact 48: nginx passes through the folder of an app with media; no other user reads any app's data."""
    # At once: a session of ssh for each would take longer than all other tests of the file.
    told = target.run(f"stat -c '%n %U %a' {' '.join(f'/var/lib/asgi/{name}' for name in target.apps)}")
    seen = {Path(path).name: (user, mode) for path, user, mode in map(str.split, told.splitlines())}
    assert set(seen) == set(target.apps)
    for name, (user, mode) in seen.items():
        assert user == f"asgi-{name}"
        assert mode in ("750", "751"), name
    assert host.run("setpriv --reuid=nobody --clear-groups ls /var/lib/asgi/media").rc != 0
    assert (
        host.run("setpriv --reuid=nobody --clear-groups cat /var/lib/asgi/media/media/uploads/photo.txt").rc
        != 0
    )


def test_secrets_of_special_characters(target: Target) -> None:
    """Fact 49: byte for byte, each of them."""
    for name, value in target.app("secrets")["secrets"].items():
        answer: dict[str, Any] = target.door.json(target.domain("secrets"), f"/{name}")
        assert answer["sha256"] == hashlib.sha256(value.encode()).hexdigest(), (
            f"{name}: {answer}, {value!r} was meant"
        )


def test_websocket_of_fastapi(target: Target) -> None:
    """Fact 48: no 404 for a WebSocket, because the server has its extras."""
    with target.door.websocket(target.domain("shop"), "/ws") as socket:
        socket.send("hello")
        assert socket.recv(timeout=5) == "hello"


def test_application_from_pypi(target: Target) -> None:
    """Nobody here wrote it: a package index that answers with its list of packages, in HTML and in JSON."""
    domain = target.domain("packages")
    page = target.door.ask(domain, "/simple/", headers={"Accept": "text/html"})
    assert page.status == 200
    assert "<" in page.text
    api = target.door.ask(domain, "/simple/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    assert json.loads(api.body)["meta"]["api-version"]
    assert target.release("packages")["version"] == "0.10.0"

"""A frontend that is made with the release and has the site, private files, passwords, own pages and redirects."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator

import pytest
from client import Answer, trusting
from playbook import changed_inventory, converge
from targets import App, Target, wait_for

pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane]

NAME, DOMAIN, OTHER = "front", "front.test", "www.front.test"
PASSWORD = "s3same öffne dich"
PAGE = "the page of the frontend\n"
CODE = '''
"""An API below /api, and no more."""

import json
import os
from pathlib import Path

PRIVATE = Path(os.environ["STATE_DIRECTORY"]) / "private"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        PRIVATE.mkdir(exist_ok=True)
        (PRIVATE / "bill 1.txt").write_text("a bill")
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    seen = {name.decode(): value.decode() for name, value in scope["headers"]}
    status, headers = 200, [(b"content-type", b"application/json"), (b"x-from-app", b"yes")]
    if scope["path"] == "/api/bill":
        headers.append((b"x-accel-redirect", b"/protected/bill%201.txt"))
    elif scope["path"] != "/api/seen":
        status = int(scope["path"].rpartition("/")[2])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
'''
MAKE = (
    'mkdir -p ../dist/assets node_modules/tool && printf "the page of the frontend\\n" > ../dist/index.html '
    "&& touch ../dist/assets/app.js ../dist/robots.txt ../dist/.hidden && mkdir -p $npm_config_cache "
    '&& ! cat /etc/asgi/front/* && test -z "$FRONT_SECRET"'
)


class Front:
    """The app, asked from outside."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def ask(
        self, path: str, *, method: str = "GET", password: str | None = PASSWORD, **headers: str
    ) -> Answer:
        """One request; a header's name is given with _ for -."""
        pairs = {name.replace("_", "-"): value for name, value in headers.items()}
        if password is not None:
            pairs["Authorization"] = "Basic " + base64.b64encode(f"anna:{password}".encode()).decode()
        return self.target.door.ask(DOMAIN, path, method=method, headers=pairs)


@pytest.fixture(scope="module")
def front(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """It serves, and a second play has nothing to do."""
    folder = tmp_path_factory.mktemp("front")
    source = folder / "source"
    (source / "web").mkdir(parents=True)
    (source / "web" / "package.json").write_text("{}")
    (source / "pages").mkdir()
    (source / "notes").mkdir()
    (source / "notes" / "1.txt").write_text("of the house")
    (source / "pages" / "404.html").write_text("no such thing of the release")
    (source / "main.py").write_text(CODE)
    (source / "requirements.txt").touch()
    (folder / "503.html").write_text("back in a moment")
    app: App = {
        "name": NAME,
        "app": "main:app",
        "source": {"path": str(source)},
        "domains": [DOMAIN],
        "redirects": {OTHER: DOMAIN, "/old": "/new"},
        "workers": 1,
        "secrets": {"FRONT_SECRET": "0123456789abcdef"},
        "health": {"path": "/api/seen"},
        "build": {"folder": "web", "commands": [MAKE]},
        "static": [
            {"url": "/", "path": "dist", "fallback": "index.html"},
            {"url": "/assets/", "path": "dist/assets", "cache": "immutable"},
            {"url": "/protected/", "path": "{data}/private", "internal": True},
            {"url": "/notes/", "path": "notes", "internal": True},
        ],
        "proxy": {
            "paths": ["/api"],
            "basic_auth": {"anna": PASSWORD},
            "identity_headers": [{"name": "Remote-User", "value": "$remote_user"}],
            "error_pages": {404: "{source}/pages/404.html", 503: str(folder / "503.html")},
            "large_client_header_buffers": "4 32k",
            "underscores_in_headers": True,
        },
    }
    inventory = changed_inventory(folder, [target], add=[app])
    converge([target], inventory=inventory)
    again = converge([target], inventory=inventory)
    assert again.changed(target.name) == 0
    yield Front(target)
    gone: App = {"name": NAME, "state": "absent", "purge": True}
    converge([target], inventory=changed_inventory(folder, [target], add=[gone]))


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, PAGE),
        ("/index.html", 200, PAGE),
        ("/orders/7", 200, PAGE),
        ("/apis", 200, PAGE),
        ("/robots.txt", 200, ""),
        ("/assets/app.js", 200, ""),
        ("/assets/gone.js", 404, "no such thing of the release"),
        ("/logo.png", 404, "no such thing of the release"),
        ("/.hidden", 404, "no such thing of the release"),
        ("/.git/config", 404, "no such thing of the release"),
        ("/protected/bill%201.txt", 404, "no such thing of the release"),
        ("/notes/1.txt", 404, "no such thing of the release"),
        ("/api/404", 404, "no such thing of the release"),
        ("/api/bill", 200, "a bill"),
    ],
)
def test_who_answers(front: Front, path: str, status: int, body: str) -> None:
    """Files are files, what is none is the page, and a missing file is a 404."""
    answer = front.ask(path)
    assert (answer.status, answer.text) == (status, body)


@pytest.mark.parametrize("status", [403, 418, 500, 503])
def test_answers_of_the_app_without_a_page_of_theirs_are_its_own(front: Front, status: int) -> None:
    """The page of 503 is for an app that does not answer."""
    answer = front.ask(f"/api/{status}")
    assert (answer.status, answer.headers.get("x-from-app")) == (status, "yes")


def test_path_with_a_dot_is_the_page_for_browsers(front: Front) -> None:
    """As /people/jane.doe, opened by its address."""
    assert front.ask("/people/jane.doe").status == 404
    opened = front.ask("/people/jane.doe", Accept="text/html,*/*;q=0.8")
    assert (opened.status, opened.text) == (200, PAGE)
    assert front.ask("/.env", Accept="text/html").status == 404


def test_caching(front: Front) -> None:
    """Only names that change with the content are kept without asking; private files by no cache of others."""
    assert front.ask("/orders/7").headers["cache-control"] == "no-cache"
    assert "immutable" in front.ask("/assets/app.js").headers["cache-control"]
    assert front.ask("/api/bill").headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/", "/orders/7", "/assets/app.js", "/api/seen", "/api/bill", "/gone.png"])
def test_everything_wants_the_password(front: Front, path: str) -> None:
    """Without one, and with another one."""
    assert front.ask(path, password=None).status == 401
    assert front.ask(path, password="another").status == 401


def test_app_sees_who_came_and_no_password(front: Front) -> None:
    """What the client says itself of who it is counts for nothing, in no form of the name."""
    forged = {"Remote-User": "root", "Remote_User": "root", "X_Forwarded-For": "192.0.2.1", "X_Own": "mine"}
    answer = front.target.door.ask(
        DOMAIN,
        "/api/seen",
        headers={
            **forged,
            "Authorization": "Basic " + base64.b64encode(f"anna:{PASSWORD}".encode()).decode(),
        },
    )
    seen = answer.json()
    assert seen["remote-user"] == "anna"
    assert seen["x_own"] == "mine"
    assert not {"authorization", "remote_user", "x_forwarded-for"} & seen.keys()


def test_passwords_on_the_host(front: Front) -> None:
    """Hashed, and for root and nginx alone."""
    run = front.target.run
    assert run(f"stat -c '%U %G %a' /etc/nginx/asgi/passwords/{NAME}").split() == ["root", "www-data", "640"]
    assert run(f"grep -c '^anna:[$]6[$]' /etc/nginx/asgi/passwords/{NAME}").strip() == "1"
    assert run("grep -rlF 's3same' /etc/nginx /etc/asgi /srv/asgi/front || true") == ""


def test_build_left_nothing_but_what_is_served(front: Front) -> None:
    """Root's, without the tools."""
    run = front.target.run
    found = run("cd /srv/asgi/front/current/src && find . ! -path '*__pycache__*' -type d | sort").split()
    assert found == [".", "./dist", "./dist/assets", "./notes", "./pages", "./web"]
    assert run("find /srv/asgi/front/current/src ! -user root").strip() == ""


def test_app_that_is_gone_is_answered_for_by_its_page(front: Front) -> None:
    """Whatever is asked, and the frontend is there."""
    run = front.target.run
    run("cd /srv/asgi/front/current && mv app.sock away.sock")
    try:
        # Each worker of nginx goes on using the connections that it has kept, once more when they are two seconds old.
        wait_for(
            lambda: all(front.ask("/api/seen").status == 503 for _time in range(10)), seconds=20, pause=0.5
        )
        for method in ("GET", "POST"):
            answer = front.ask("/api/seen", method=method)
            assert (answer.status, answer.text) == (503, "back in a moment")
        assert front.ask("/").status == 200
    finally:
        run("cd /srv/asgi/front/current && mv away.sock app.sock")
    assert front.ask("/api/seen").status == 200


@pytest.mark.parametrize("tls", [True, False])
def test_redirected_name(front: Front, *, tls: bool) -> None:
    """For good, with path and query, and by a certificate that has the name."""
    answer = front.target.door.ask(OTHER, "/a%20b?c=d&e", tls=tls)
    assert (answer.status, answer.headers["location"]) == (301, f"https://{DOMAIN}/a%20b?c=d&e")
    context = trusting()
    with (
        socket.create_connection(front.target.door.https, 10) as plain,
        context.wrap_socket(plain, server_hostname=OTHER) as shaken,
    ):
        assert OTHER.encode() in (shaken.getpeercert(binary_form=True) or b"")


def test_redirected_path(front: Front) -> None:
    """It keeps its query."""
    assert front.ask("/old?a=b").headers["location"] == "/new?a=b"


def test_long_header(front: Front) -> None:
    """Of more than nginx's buffers of 16 KB elsewhere."""
    assert front.ask("/api/seen", X_Long="x" * 30000).status == 200

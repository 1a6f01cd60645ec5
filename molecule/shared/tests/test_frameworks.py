"""Each framework behind nginx, mounted below a domain that it shares: what docs/frameworks.md says of it."""

from __future__ import annotations

import re

import pytest
from client import Answer
from targets import Target

pytestmark = [pytest.mark.scenario("full"), pytest.mark.lane]

FRAMEWORKS = ("fastapi", "starlette", "django", "litestar", "quart")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def base(target: Target, name: str) -> str:
    """The address of an app, without a slash at its end."""
    return f"https://{target.domain(name)}{target.app(name)['root_path']}"


def ask(target: Target, name: str, path: str, **options: object) -> Answer:
    """A request below the app's mount point."""
    mount = target.app(name)["root_path"]
    return target.door.ask(target.domain(name), mount + path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_client_scheme_and_addresses_are_true(target: Target, name: str) -> None:
    """As the framework's own request object has them, also from a client that lies about them."""
    for lies in ({}, {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-Host": "forged.example.net"}):
        seen = ask(target, name, "/whoami?a=b", headers=lies).json()
        assert seen["client"] == target.door.source_address()
        assert (seen["scheme"], seen["host"], seen["port"]) == ("https", target.domain(name), 443)
        assert seen["root_path"] == f"/{name}"
        assert seen["url"] == f"{base(target, name)}/whoami?a=b"
        # Made from the name of a route.
        assert seen["home"] == f"{base(target, name)}/"


@pytest.mark.parametrize(
    ("name", "method", "path", "to"),
    [
        # Of their own accord, for a slash too many.
        ("fastapi", "GET", "/whoami/", "/whoami"),
        ("starlette", "GET", "/whoami/", "/whoami"),
        # From the name of a route.
        ("litestar", "POST", "/rooms/attic?who=ada", "/rooms/attic"),
        ("quart", "POST", "/enter", "/"),
    ],
)
def test_redirect_leads_to_the_same_site(target: Target, name: str, method: str, path: str, to: str) -> None:
    """With scheme, host and mount point as the client knows them; and what it leads to is there."""
    body = b"name=ada" if method == "POST" else None
    answer = ask(target, name, path, method=method, body=body, headers=FORM)
    assert answer.status in (303, 307), answer.text
    assert answer.headers["location"] == base(target, name) + to
    assert ask(target, name, to).status == 200


@pytest.mark.parametrize("query", ["x" * 15_900, "{" * 15_900], ids=["plain", "written as three"])
def test_redirect_of_the_longest_request_is_answered(target: Target, query: str) -> None:
    """A 502 of nginx would count against a release that is watched: anybody could veto a deploy."""
    answer = ask(target, "fastapi", f"/whoami/?{query}")
    assert answer.status in (307, 414), answer.status


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "django"])
def test_websocket_echoes(target: Target, name: str) -> None:
    """Below the mount point as well. Django itself has no WebSockets."""
    with target.door.websocket(target.domain(name), f"/{name}/ws") as opened:
        for word in ("one", "zwei", "三"):
            opened.send(word)
            assert opened.recv(timeout=5) == word


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("fastapi", "site.css", "/* shop:"),
        ("django", "polls/site.css", "/* polls:"),
        ("quart", "site.css", "/* chat:"),
    ],
)
def test_static_file_comes_from_nginx(target: Target, name: str, file: str, words: str) -> None:
    """Each app's own, at the same path below its mount point; Quart would serve it, too."""
    answer = ask(target, name, f"/static/{file}")
    assert answer.status == 200
    assert answer.text.startswith(words)
    # nginx's validator is made of time and size; Quart's has a checksum as well.
    assert re.fullmatch(r'(W/)?"[0-9a-f]+-[0-9a-f]+"', answer.headers["etag"])


@pytest.mark.parametrize("name", ["django", "quart"])
def test_page_links_to_static_files_below_the_mount_point(target: Target, name: str) -> None:
    """Made by the framework from the name of the file."""
    page = ask(target, name, "/")
    found = re.search(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    assert found, page.text
    assert found[1].startswith(f"/{name}/static/")
    assert target.door.ask(target.domain(name), found[1]).status == 200


@pytest.mark.parametrize(
    ("name", "path"), [("fastapi", "/openapi.json"), ("litestar", "/schema/openapi.json")]
)
def test_schema_names_the_mount_point(target: Target, name: str, path: str) -> None:
    """Or the requests of the schema's own page would go astray."""
    assert ask(target, name, path).json()["servers"] == [{"url": f"/{name}"}]


def test_page_of_fastapis_schema_finds_it(target: Target) -> None:
    assert "'/fastapi/openapi.json'" in ask(target, "fastapi", "/docs").text


def test_installed_package_is_served(target: Target) -> None:
    """Quart's app lies in ``src/``, which is no import root: it, and its templates, are those of the virtualenv."""
    assert "chat" not in target.run("ls /srv/asgi/quart/current/src").split()
    target.run("test -f /srv/asgi/quart/current/venv/lib/python3*/site-packages/chat/templates/index.html")
    assert ask(target, "quart", "/").status == 200


def test_session_of_quart_is_kept(target: Target) -> None:
    """In a cookie that is signed, and sent by HTTPS alone."""
    entered = ask(target, "quart", "/enter", method="POST", body=b"name=ada", headers=FORM)
    cookie = entered.headers["set-cookie"]
    assert {"Secure", "HttpOnly"} <= {part.strip() for part in cookie.split(";")}
    page = ask(target, "quart", "/", headers={"Cookie": cookie.split(";")[0]})
    assert "You are ada." in page.text


def test_django_checks_itself_for_production(target: Target) -> None:
    """The release's own check had nothing to say, or there would be no release; and it does find what is amiss."""
    assert "python manage.py check --deploy --fail-level WARNING" in target.app("django")["hooks"]["build"]
    script = (
        "set -a; . /etc/asgi/django/$(basename $(readlink /srv/asgi/django/current))/environment; set +a; "
        "export STATE_DIRECTORY=/var/lib/asgi/django {more}; cd /srv/asgi/django/current/src; "
        "setpriv --reuid=asgi-django --regid=asgi-django --clear-groups "
        "../venv/bin/python manage.py check --deploy --fail-level WARNING 2>&1 || true"
    )
    assert "no issues (0 silenced)" in target.run(script.format(more=""))
    assert "security.W004" in target.run(script.format(more="DJANGO_HSTS_SECONDS=0"))


def test_django_is_migrated(target: Target) -> None:
    """Its database is in the data folder, which the app may write."""
    assert ask(target, "django", "/healthz").json() == {"status": "ok", "questions": 1}
    assert target.run("stat -c %U /var/lib/asgi/django/polls.sqlite3").strip() == "asgi-django"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://frameworks.test", 302),
        ("https://forms.test", 302),
        ("https://evil.test", 403),
        ("http://frameworks.test", 403),
    ],
)
def test_form_of_django(target: Target, origin: str, status: int) -> None:
    """From the site itself and from the origin that the inventory names, and from no other."""
    page = ask(target, "django", "/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    action = re.search(r'action="/django(/vote/\d+)"', page.text)
    assert token, page.text
    assert action, page.text
    cookie = page.headers["set-cookie"]
    assert {"Secure", "Path=/django/"} <= {part.strip() for part in cookie.split(";")}
    answer = ask(
        target,
        "django",
        action[1],
        method="POST",
        body=f"csrfmiddlewaretoken={token[1]}".encode(),
        headers={**FORM, "Cookie": cookie.split(";")[0], "Origin": origin},
    )
    assert answer.status == status, answer.text
    if status == 302:
        assert answer.headers["location"] == "/django/"


def test_django_says_for_how_long_https_is_a_must(target: Target) -> None:
    """An app's own header goes before nginx's, and is there once."""
    sent = ask(target, "django", "/").headers["strict-transport-security"]
    assert sent == "max-age=3600; includeSubDomains; preload"


def test_litestar_keeps_bookings_in_its_data_folder(target: Target) -> None:
    ask(target, "litestar", "/rooms/cellar?who=grace", method="POST", body=b"")
    assert "grace" in ask(target, "litestar", "/rooms/cellar").json()["booked_by"]
    assert "grace" in target.run("cat /var/lib/asgi/litestar/cellar.txt")


def test_top_of_the_shared_domain_is_nobodys(target: Target) -> None:
    """No app is mounted there, and nginx has no page of its own."""
    assert target.door.ask(target.domain("fastapi"), "/").status == 404

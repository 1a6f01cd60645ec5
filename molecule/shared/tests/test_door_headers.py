"""What browsers are told: each header once, on every kind of answer, and the app's own word goes first."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from client import TIMEOUT
from targets import Target

pytestmark = [pytest.mark.scenario("door"), pytest.mark.lane]

DEFAULT = {
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-frame-options": "SAMEORIGIN",
}
STRICT = {
    **DEFAULT,
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-frame-options": "DENY",
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PROBE, SHOP = "probe.test", "shop.test"
# Every kind of answer: of the app, of nginx for it, and of nginx about it.
KINDS: dict[str, dict[str, tuple[str, str, int]]] = {
    PROBE: {
        "page": ("GET", "/", 200),
        "page by HEAD": ("HEAD", "/static/hello.txt", 200),
        "the app's 404": ("GET", "/no-such-page", 404),
        "the app's 500": ("GET", "/answer?status=500", 500),
        "the app's 304": ("GET", "/answer?status=304", 304),
        "stream": ("GET", "/events?count=1", 200),
        "static file": ("GET", "/static/hello.txt", 200),
        "nginx's 404": ("GET", "/static/missing.txt", 404),
        "nginx's 413": ("POST 10485761", "/echo", 413),
    },
    SHOP: {
        "page": ("GET", "/", 200),
        "the app's 404": ("GET", "/no-such-page", 404),
        "the app's 405": ("PUT", "/", 405),
        "stream": ("GET", "/events?count=1", 200),
        "static file": ("GET", "/static/site.css", 200),
        "nginx's 404": ("GET", "/static/missing.css", 404),
        "nginx's 413": ("POST 1048577", "/echo", 413),
    },
}

Told = list[tuple[str, str]]


def told(
    target: Target, domain: str, path: str = "/", method: str = "GET", *, tls: bool = True
) -> tuple[int, Told]:
    """The status and every header line of an answer; ``POST 10`` announces a body of ten bytes and sends none."""
    verb, _sign, length = method.partition(" ")
    connection = target.door.open(domain if tls else None, TIMEOUT)
    try:
        connection.putrequest(verb, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", domain)
        if length:
            connection.putheader("Content-Length", length)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, [(name.lower(), value) for name, value in answer.getheaders()]
    finally:
        connection.close()


def values(lines: Told, name: str) -> list[str]:
    """Every value of one header."""
    return [value for each, value in lines if each == name]


@pytest.mark.parametrize("kind", KINDS[PROBE])
@pytest.mark.parametrize("name", DEFAULT)
def test_default_preset(target: Target, name: str, kind: str) -> None:
    """Once, on every kind of answer."""
    method, path, status = KINDS[PROBE][kind]
    found, lines = told(target, PROBE, path, method)
    assert found == status
    assert values(lines, name) == [DEFAULT[name]]


@pytest.mark.parametrize("kind", KINDS[SHOP])
@pytest.mark.parametrize("name", STRICT)
def test_strict_preset(target: Target, name: str, kind: str) -> None:
    """Once, on every kind of answer."""
    method, path, status = KINDS[SHOP][kind]
    found, lines = told(target, SHOP, path, method)
    assert found == status
    assert values(lines, name) == [STRICT[name]]


def test_default_preset_has_nothing_that_breaks_pages(target: Target) -> None:
    """What only the strict preset tells is for the app to say."""
    _status, lines = told(target, PROBE)
    assert not {name for name, _value in lines} & (set(STRICT) - set(DEFAULT))


@pytest.mark.parametrize("name", STRICT)
def test_no_preset(target: Target, name: str) -> None:
    """``none`` on the app below the domain of another that has the default."""
    status, lines = told(target, PROBE, "/mounted/")
    assert status == 200
    assert values(lines, name) == []


@pytest.mark.parametrize("name", [*DEFAULT, "content-security-policy", "cross-origin-opener-policy"])
def test_the_apps_own_header_goes_first(target: Target, name: str) -> None:
    """It is there once, as the app said it, and the others are as they were."""
    status, lines = told(target, PROBE, f"/answer?header={name}:%20own-word")
    assert status == 200
    assert values(lines, name) == ["own-word"]
    for other in set(DEFAULT) - {name}:
        assert values(lines, other) == [DEFAULT[other]]


def test_an_app_may_say_a_header_twice(target: Target) -> None:
    """Both lines arrive, and none of nginx's."""
    path = "/answer?header=content-security-policy:%20default-src%20a&header=content-security-policy:%20img-src%20b"
    assert values(told(target, PROBE, path)[1], "content-security-policy") == ["default-src a", "img-src b"]


def test_hsts_is_not_told_without_tls(target: Target) -> None:
    """RFC 6797 7.2: whoever can change an answer could change this one."""
    status, lines = told(target, PROBE, tls=False)
    assert status == 301
    assert values(lines, "strict-transport-security") == []


@contextmanager
def down(target: Target, name: str) -> Iterator[None]:
    """An app that does not answer during the block, for its socket is closed."""
    unit = target.service(name)
    socket = unit.replace(".service", ".socket")
    target.run(f"systemctl stop {socket} {unit}")
    try:
        yield
    finally:
        target.run(f"systemctl start {socket} && systemctl start {unit}")
        until = time.monotonic() + 60
        while target.door.ask(str(target.domain(name))).status != 200:
            assert time.monotonic() < until, f"{name} does not come back"
            time.sleep(0.5)


def test_the_page_of_an_app_that_is_down(target: Target) -> None:
    """503 with the headers of its site, each once, when to come again, and nothing about the reason."""
    with down(target, "shop"):
        status, lines = told(target, SHOP)
        answer = target.door.ask(SHOP)
    assert status == 503
    for name, value in STRICT.items():
        assert values(lines, name) == [value]
    assert values(lines, "retry-after") == ["10"]
    assert "asgi" not in answer.text
    assert "nginx" not in answer.text


# The rules of Mozilla's HTTP Observatory, by the names of its tests and of the results that it gives no minus for.


@dataclass(frozen=True)
class Page:
    """What the Observatory looks at: the page by HTTPS, and where port 80 leads."""

    lines: Told
    plain_status: int
    plain: Told
    body: str

    def only(self, name: str) -> str:
        """The one value of a header, empty where there is none."""
        found = values(self.lines, name)
        assert len(found) <= 1, (name, found)
        return found[0] if found else ""

    @property
    def policy(self) -> dict[str, list[str]]:
        """The content security policy, by directive."""
        parts = (part.split() for part in self.only("content-security-policy").split(";"))
        return {words[0].lower(): words[1:] for words in parts if words}

    def sources(self, directive: str) -> list[str]:
        """What a directive allows; ``default-src`` stands in for those of what is fetched."""
        return self.policy.get(directive, self.policy.get("default-src", ["*"]))


HALF_A_YEAR = 15_768_000  # seconds, as the Observatory counts it
UNSAFE = {"'unsafe-inline'", "'unsafe-eval'", "data:", "http:", "https:", "*"}

RULES: dict[tuple[str, str], Callable[[Page], bool]] = {
    ("content-security-policy", "csp-implemented-with-no-unsafe"): lambda page: bool(
        page.policy.get("default-src")
    )
    and not any(UNSAFE & set(page.sources(name)) for name in ("script-src", "object-src", "style-src"))
    and "frame-ancestors" in page.policy
    and page.policy.get("base-uri") == ["'none'"]
    and "form-action" in page.policy,
    ("cookies", "cookies-not-found"): lambda page: not values(page.lines, "set-cookie"),
    ("cross-origin-resource-sharing", "cross-origin-resource-sharing-not-implemented"): lambda page: not values(
        page.lines, "access-control-allow-origin"
    ),
    ("redirection", "redirection-to-https"): lambda page: page.plain_status in (301, 308)
    and values(page.plain, "location") == [f"https://{SHOP}/"],
    ("referrer-policy", "referrer-policy-private"): lambda page: page.only("referrer-policy")
    in ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"),
    ("strict-transport-security", "hsts-implemented-max-age-at-least-six-months"): lambda page: int(
        (re.findall(r"max-age=(\d+)", page.only("strict-transport-security")) or ["0"])[0]
    )
    >= HALF_A_YEAR,
    ("subresource-integrity", "sri-not-implemented-response-not-html"): lambda page: "<script" not in page.body,
    ("x-content-type-options", "x-content-type-options-nosniff"): lambda page: page.only("x-content-type-options")
    == "nosniff",
    ("x-frame-options", "x-frame-options-implemented-via-csp"): lambda page: page.policy.get("frame-ancestors")
    in (["'none'"], ["'self'"])
    and page.only("x-frame-options") in ("DENY", "SAMEORIGIN"),
    ("cross-origin-resource-policy", "corp-implemented-with-same-origin"): lambda page: page.only(
        "cross-origin-resource-policy"
    )
    == "same-origin",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(target: Target) -> Page:
    """The front page of the app with the strict preset."""
    _status, lines = told(target, SHOP)
    plain_status, plain = told(target, SHOP, tls=False)
    return Page(lines, plain_status, plain, target.door.ask(SHOP).text)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[0])
def test_rule_of_the_observatory(page: Page, rule: tuple[str, str]) -> None:
    """With the strict preset none of them costs a point."""
    assert RULES[rule](page), (rule, page.lines)


def test_rules_of_the_observatory_can_be_failed(target: Target) -> None:
    """By an app without a preset; a rule that nothing fails would prove nothing."""
    _status, lines = told(target, PROBE, "/mounted/")
    bare = Page(lines, 200, [], "<script src=//foreign.example.net></script>")
    failed = {name for (name, _result), rule in RULES.items() if not rule(bare)}
    assert failed == {name for name, _result in RULES} - {"cookies", "cross-origin-resource-sharing"}

"""Deploys where memory has no room for two instances (``strategy: restart``): requests wait, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from load import Outcome
from shop import APP, DOMAIN, PATIENT, READ, Shop
from streams import Streams, open_streams
from targets import wait_for

pytestmark = [pytest.mark.scenario("release"), pytest.mark.lane, pytest.mark.in_turn]


@pytest.fixture(scope="module", autouse=True)
def _patient(shop: Shop) -> None:
    """nginx waits longer with this strategy: it is reloaded once, which closes idle connections of clients."""
    shop.succeeded(shop.deploy(strategy="restart"))


@contextmanager
def loaded(shop: Shop) -> Iterator[tuple[Outcome, Outcome]]:
    """GETs and POSTs during the block, none of which may be lost: they wait as long as nginx does."""
    with ExitStack() as stack:
        gets = stack.enter_context(shop.load(timeout=PATIENT))
        posts = stack.enter_context(shop.load("POST", "/parcels", timeout=PATIENT))
        yield gets, posts
    assert (gets.lost_count, posts.lost_count) == (0, 0)


def held(shop: Shop) -> str:
    """What is there of something that holds requests; when nobody is connected any more it goes within seconds."""
    return shop.target.run(
        f"find /srv/asgi/{APP} -name 'hold.*' -o -name kept.sock; "
        f"systemctl list-units --plain --no-legend --all 'asgi-{APP}-hold*'"
    )


def test_nothing_is_lost(shop: Shop) -> None:
    """Requests wait and are answered by the release that serves in the end, be it the new or the old one."""
    version = shop.new_version()
    with loaded(shop):
        shop.succeeded(shop.deploy(strategy="restart"))
    assert shop.answers()["version"] == version
    before = shop.answers()
    with shop.edited("import sys\n", "import sys\nimport a_module_that_is_not_installed\n"), loaded(shop):
        message = shop.failed(shop.deploy(strategy="restart"))
    assert "a_module_that_is_not_installed" in message
    assert shop.answers()["release"] == before["release"]
    with loaded(shop):
        shop.succeeded(shop.rollback(strategy="restart"))
    wait_for(lambda: held(shop) == "")


def test_release_that_goes_bad_is_taken_back(shop: Shop) -> None:
    before = shop.answers()
    shop.new_version()
    with (
        shop.edited(READ, "    name = str(1 // 0)\n"),
        shop.load(timeout=PATIENT) as gets,
        shop.load("POST", "/parcels", timeout=PATIENT) as posts,
    ):
        message = shop.failed(shop.deploy(strategy="restart", watch={"seconds": 20, "errors": 10}))
    assert gets.lost_count == 0
    assert set(posts.lost) == {"status 500"}
    assert "went bad" in message
    assert f"Release {before['release']} serves again." in message
    assert shop.answers()["release"] == before["release"]
    assert shop.running() == {before["release"]}
    wait_for(lambda: held(shop) == "")


def test_streams_that_come_back_while_requests_wait(shop: Shop) -> None:
    """They end as at any deploy, and their clients' next ones are not cut off when nobody waits any more."""
    streams = Streams()
    version = shop.new_version()
    with open_streams(shop.target.door, DOMAIN, streams, PATIENT):
        wait_for(lambda: streams.received > 10)
        shop.succeeded(shop.deploy(strategy="restart"))
        received = streams.received
        wait_for(lambda: streams.received > received + 50)
    print(f"\n{shop.target.name}: {streams}")
    assert streams.unanswered == 0
    assert set(streams.websockets) == {"closed with 1012"}
    assert set(streams.events) == {"complete"}
    assert shop.answers()["version"] == version
    wait_for(lambda: held(shop) == "")


def test_deploy_after_an_operator_stopped_everything(shop: Shop) -> None:
    """As docs/operations.md says: the socket, too."""
    service = shop.target.service(APP)
    shop.target.run(f"systemctl stop {service.replace('.service', '.socket')} {service}")
    assert shop.target.door.ask(DOMAIN).status == 503
    version = shop.new_version()
    shop.succeeded(shop.deploy(strategy="restart"))
    assert shop.answers()["version"] == version
    assert shop.running() == {shop.answers()["release"]}
    wait_for(lambda: held(shop) == "")

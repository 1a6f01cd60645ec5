"""Deploys where memory has no room for two instances (``strategy: restart``): requests wait, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from load import Outcome
from shop import APP, PATIENT, Shop

pytestmark = [pytest.mark.scenario("release"), pytest.mark.lane]


@contextmanager
def loaded(shop: Shop) -> Iterator[tuple[Outcome, Outcome]]:
    """GETs and POSTs during the block, none of which may be lost: they wait as long as nginx does."""
    with ExitStack() as stack:
        gets = stack.enter_context(shop.load(timeout=PATIENT))
        posts = stack.enter_context(shop.load("POST", "/parcels", timeout=PATIENT))
        yield gets, posts
    assert (gets.lost_count, posts.lost_count) == (0, 0)


def held(shop: Shop) -> str:
    """What is there of something that holds requests."""
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
    assert held(shop) == ""

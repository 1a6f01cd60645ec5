"""A killed process heals by itself, and costs no request."""

from __future__ import annotations

import time

import pytest
from load import Load, Outcome
from targets import SCENARIO, Target

pytestmark = pytest.mark.lane

APP = "probe"
CLIENTS = 4
# A master is started again after RestartSec=1s and the app's import; requests wait for it in the socket.
LONGEST_WAIT = 15.0


@pytest.mark.in_turn
@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "new-connections"])
@pytest.mark.parametrize("victim", ["worker", "master"])
def test_killed_under_load(target: Target, victim: str, keep_alive: bool) -> None:
    """Only what a killed worker had in its hands is lost: POSTs, for nobody may repeat them, and half answers.

    A GET whose answer had not begun is sent again by nginx, twice; one whose headers are with the client cannot be. A
    POST is answered 503. With their master all workers die, one after the other: whoever lost a request to one may meet
    the next before that is killed too, a GET three of them.
    """
    gets, posts = Outcome(), Outcome()
    load = {"door": target.door, "domain": target.domain(APP), "clients": CLIENTS, "keep_alive": keep_alive}
    reading, writing = Load(path="/healthz", **load), Load(path="/echo", method="POST", **load)  # type: ignore[arg-type]
    with reading.running(gets), writing.running(posts):
        time.sleep(0.5)
        died = target.kill(APP, master=victim == "master")
        time.sleep(1.0)
    print(f"\n{target.name} ({SCENARIO}), kill -9 of a {victim}: GET {gets}; POST {posts}")
    assert gets.sent > 50
    assert posts.sent > 50
    repeated_in_vain = gets.refused if victim == "master" else 0
    assert gets.lost_count == gets.halves + repeated_in_vain <= CLIENTS * died, gets
    assert posts.lost_count == posts.halves + posts.refused <= CLIENTS * died, posts
    assert max(gets.worst, posts.worst) < LONGEST_WAIT


def test_load_counts_what_is_lost(target: Target) -> None:
    """The counting itself can fail: an address that nobody serves is all loss."""
    outcome = Outcome()
    with Load(target.door, target.domain(APP), "/no-such-page", clients=1).running(outcome):
        time.sleep(0.3)
    assert outcome.sent == outcome.lost_count > 0

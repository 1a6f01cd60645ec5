"""nginx takes over a new configuration under load, and nobody is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from load import Load, Outcome
from targets import Target

# Without a lane: each host has the machine for itself.
pytestmark = pytest.mark.scenario("door")

RELOADS = 6
BETWEEN = 1.0
DOMAIN = "shop.test"


def test_reload_of_nginx_loses_no_request(target: Target) -> None:
    """On fresh connections, by GET and POST; on kept ones as well for clients that do as browsers do.

    A connection that is kept is closed when its worker goes; who sends at that moment asks once more on a new one.
    """
    gets, posts, kept = Outcome(), Outcome(), Outcome()
    common: dict[str, Any] = {"door": target.door, "domain": DOMAIN, "clients": 2, "pause": 0.005}
    with (
        Load(path="/", keep_alive=False, **common).running(gets),
        Load(path="/echo", method="POST", keep_alive=False, **common).running(posts),
        Load(path="/", keep_alive=True, repeat=True, **common).running(kept),
    ):
        for _turn in range(RELOADS):
            time.sleep(BETWEEN)
            target.run("systemctl reload nginx")
        time.sleep(BETWEEN)
    print(f"\n{target.name}, {RELOADS} reloads: GET {gets}; POST {posts}; kept {kept}")
    for outcome in (gets, posts, kept):
        assert outcome.sent > 20 * RELOADS, outcome
        assert outcome.lost_count == 0, outcome

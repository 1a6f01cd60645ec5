"""Workers that count together: what any of them has counted, and which of them live."""

from __future__ import annotations

import re

import pytest
from targets import Target, wait_for

pytestmark = [pytest.mark.scenario("servers"), pytest.mark.lane]

COUNTED = re.compile(r"^(parcels_counted_total|parcels_workers) (\S+)$", re.MULTILINE)


def counts(target: Target, kind: str) -> dict[str, float]:
    """What a worker says for all of them."""
    text = target.door.ask(target.domain(kind), "/metrics").text
    return {name: float(value) for name, value in COUNTED.findall(text)}


def count(target: Target, kind: str, times: int) -> None:
    """Have it counted, by whichever workers."""
    for _turn in range(times):
        target.door.json(target.domain(kind), "/count", method="POST", body=b"")


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_counts_of_all_workers_outlive_one_that_is_killed(target: Target, kind: str) -> None:
    """Each counter is the sum over all workers, dead ones included; a live gauge is that of the living."""
    folder = target.run(f"readlink -f /srv/asgi/{kind}/current").strip() + "/metrics"
    seen_by_it = f"nsenter --mount --target $(systemctl show -P MainPID {target.service(kind)}) ls {folder}"
    before = counts(target, kind)["parcels_counted_total"]
    count(target, kind, 30)
    assert counts(target, kind) == {"parcels_counted_total": before + 30, "parcels_workers": 2}
    files = target.run(seen_by_it)
    target.kill(kind, master=False)
    wait_for(lambda: counts(target, kind)["parcels_workers"] == 2)
    count(target, kind, 10)
    assert counts(target, kind)["parcels_counted_total"] == before + 40
    assert target.run(seen_by_it) == files, "a new worker takes the files of a dead one"
    assert target.run(f"ls {folder}") == "", "nobody else sees them"

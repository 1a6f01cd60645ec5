"""An app's data outlives every release and every reboot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from load import Load, Outcome
from playbook import changed_inventory, converge
from targets import PHASE, Target

pytestmark = pytest.mark.scenario("full")
PAGE = "kept"
TEXT = b"written by the first release\n"


def votes(target: Target) -> list[int]:
    """The counts that the poll's page shows."""
    page = target.door.ask(target.domain("polls"))
    assert page.status == 200
    return [int(count) for count in re.findall(r"</button>\s*(\d+)", page.text)] or pytest.fail(page.text)


def vote(target: Target) -> None:
    """Vote as a browser does: the page's cookie and token, and its own address as referer."""
    domain = target.domain("polls")
    page = target.door.ask(domain)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    action = re.search(r'action="(/vote/\d+)"', page.text)
    assert token, page.text
    assert action, page.text
    answer = target.door.ask(
        domain,
        action.group(1),
        method="POST",
        body=f"csrfmiddlewaretoken={token.group(1)}".encode(),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": page.headers["set-cookie"].split(";")[0],
            "Referer": f"https://{domain}/",
        },
    )
    assert answer.status == 302, answer.text


@pytest.mark.phase("converged")
def test_data_survives_a_new_release(all_targets: list[Target], tmp_path: Path) -> None:
    """A page and a vote are there after a redeploy, which loses no request of those who read."""
    before = {}
    for target in all_targets:
        domain = target.domain("wiki")
        kept = target.door.ask(domain, f"/pages/{PAGE}", method="PUT", body=TEXT)
        assert kept.status in (201, 204), kept.text
        vote(target)
        before[target.name] = (votes(target), target.release("wiki")["id"], target.release("polls")["id"])
    change = {name: {"env": {"RELEASED_AGAIN": str(tmp_path)}} for name in ("wiki", "polls")}
    inventory = changed_inventory(tmp_path, all_targets, change=change)
    outcome = Outcome()
    first = all_targets[0]
    with Load(first.door, first.domain("wiki"), "/healthz", clients=2).running(outcome):
        run = converge(all_targets, inventory=inventory)
    print(f"\nGET during the deploy: {outcome}")
    for target in all_targets:
        assert run.changed(target.name) == 1
        page = target.door.ask(target.domain("wiki"), f"/pages/{PAGE}")
        assert page.body == TEXT
        counted, wiki, polls = before[target.name]
        assert votes(target) == counted
        for name, old in (("wiki", wiki), ("polls", polls)):
            entry = target.release(name)
            assert entry["id"] != old
            assert entry["previous"] == old
            assert entry["state"] == "active"
    assert outcome.lost_count == 0, outcome
    assert outcome.sent > 100


@pytest.mark.phase("converged")
def test_old_releases_are_pruned(target: Target) -> None:
    """No more than ``keep_releases``, and those that do not serve are stopped."""
    kept = target.run("ls /srv/asgi/wiki/releases").split()
    assert len(kept) <= target.app("wiki")["keep_releases"]
    assert [unit for unit in target.pids() if unit.startswith("asgi-wiki@")] == [target.service("wiki")]
    drop_ins = target.run("ls -d /etc/systemd/system/asgi-wiki@?*.service.d").split()
    assert len(drop_ins) == len(kept)
    assert len(target.run("ls -d /etc/asgi/wiki/*/").split()) == len(kept)


@pytest.mark.phase("rebooted")
def test_data_survives_a_reboot(target: Target) -> None:
    """The page of the first phase."""
    assert PHASE == "rebooted"
    assert target.door.ask(target.domain("wiki"), f"/pages/{PAGE}").body == TEXT
    assert max(votes(target)) > 0

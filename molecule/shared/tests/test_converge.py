"""A converged host takes a handful of calls and no change."""

from __future__ import annotations

import time

import pytest
from playbook import LOOK, Run, converge, play
from targets import SCENARIO, Target

# Remote module calls of one converge of a host that is as wanted, whatever the number of its apps: one where its facts are
# those of the last play, and one more where they are not.
CALLS = 2


@pytest.fixture(scope="module")
def pids_before(all_targets: list[Target]) -> dict[str, dict[str, list[int]]]:
    """The processes before the second converge."""
    return {target.name: target.pids() for target in all_targets}


@pytest.fixture(scope="module")
def second(all_targets: list[Target], pids_before: dict[str, dict[str, list[int]]]) -> Run:
    """A second converge of all hosts."""
    started = time.monotonic()
    run = converge(all_targets, "-vvv")
    print(f"\na second converge of {len(all_targets)} hosts took {time.monotonic() - started:.1f} s")
    return run


@pytest.fixture(scope="module")
def dry(all_targets: list[Target], second: Run) -> Run:
    """``--check --diff`` after it."""
    return play("--check", "--diff", targets=all_targets)


def test_second_converge_changes_nothing(target: Target, second: Run) -> None:
    """By Ansible's own count."""
    assert second.changed(target.name) == 0, second.output[-4000:]


def test_second_converge_keeps_every_process(
    target: Target, second: Run, pids_before: dict[str, dict[str, list[int]]]
) -> None:
    """Same masters, same workers."""
    assert pids_before[target.name]
    assert target.pids() == pids_before[target.name]


def test_second_converge_takes_few_calls(target: Target, all_targets: list[Target], second: Run) -> None:
    """As many with one app as with ten."""
    calls = second.remote_calls(target.door.https[0])
    print(
        f"\n{target.name}: {calls} remote calls with {len(target.apps)} apps; all hosts: {dict(second.modules())}"
    )
    assert calls > 0, "no call was counted: Ansible's output has changed"
    assert sum(second.modules().values()) <= CALLS * len(all_targets)
    assert calls <= CALLS
    # Nothing is due, so that nobody looks at what the host is at.
    assert LOOK not in second.output
    assert SCENARIO != "full" or len(target.apps) >= 10


def test_check_reports_nothing(target: Target, dry: Run) -> None:
    """No change and no difference on a host that is as wanted."""
    assert dry.status == 0, dry.output[-4000:]
    assert dry.changed(target.name) == 0, dry.output[-4000:]
    assert "\n--- before" not in dry.output
    assert "\n+++ after" not in dry.output

"""A host whose power is cut between any two steps of a deploy serves what it served, or the new release, whole.

One deploy is followed from boundary to boundary. At each the machine stands still and its disk is copied: that is what
a power cut there leaves, for what the machine has not synced is in its memory alone. Then machines are booted from such
disks. One more is really killed in the middle of its deploy, and must not differ.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import machines
import pytest
from cutter import Answered, Box, Point, Seen, clone, hashes, listening, make_version
from hosting.common import HostError

SEED = os.environ.get("ASGI_MACHINE", "powercut-trixie")
ALL = os.environ.get("ASGI_CUTS") == "all"
# The machines that are tried at the same time: one for each of two processors.
LANES = 2
# The release before the one that serves, so that there is something to prune; the one that serves; the new one.
FIRST, OLD, NEW, FOURTH, FIFTH, HUNGRY = "one", "two", "three", "four", "five", "six"
END = "the deploy has ended"

Points = list[Point]


def running(*words: str) -> Callable[[Point], bool]:
    """Whether a command that begins with these words is about to run."""
    return lambda point: (
        point.event == "subprocess.Popen" and point.what.split(" ")[: len(words)] == list(words)
    )


def writing(end: str) -> Callable[[Point], bool]:
    """Whether a file whose path has this end is about to be replaced."""
    return lambda point: point.event == "os.rename" and point.what.endswith(end)


def removing(point: Point) -> bool:
    """Whether a folder is about to be removed."""
    return point.event in ("shutil.rmtree", "asgi_host.remove")


def flip(points: Points) -> int:
    """Where the pointer is about to be moved."""
    return next(place for place, point in enumerate(points) if writing("/cutter/current")(point))


def first(is_it: Callable[[Point], bool]) -> Callable[[Points], Point]:
    """The first such boundary of the deploy."""
    return lambda points: next(point for point in points if is_it(point))


def after_flip(is_it: Callable[[Point], bool]) -> Callable[[Points], Point]:
    """The first such boundary after the flip."""
    return lambda points: next(point for point in points[flip(points) :] if is_it(point))


def by_flip(offset: int) -> Callable[[Points], Point]:
    """A boundary so many places after the flip."""
    return lambda points: points[flip(points) + offset]


# Every kind of step, and each boundary around the flip. Rules, not numbers: the deploy's steps will change.
CUTS: Mapping[str, Callable[[Points], Point]] = {
    "source not unpacked": first(running("systemd-run")),
    "not migrated": lambda points: [point for point in points if running("systemd-run")(point)][-1],
    "enabled, not started": first(running("systemctl", "start")),
    "proved, not flipped": by_flip(0),
    "flipped, not synced": by_flip(1),
    "flipped, not in the ledger": by_flip(2),
    "old one not disabled": after_flip(running("systemctl", "disable")),
    "old one not superseded": lambda points: [point for point in points if writing("/release.json")(point)][
        -1
    ],
    "half pruned": lambda points: [point for point in points if removing(point)][-1],
    END: lambda points: points[-1],
}
# Those of every run: as many before the flip as after it, the machine that is killed right after it among them. ASGI_CUTS=all
# tries the others as well, and every boundary beside them.
EVERY_RUN = (
    "not migrated",
    "enabled, not started",
    "proved, not flipped",
    "flipped, not in the ledger",
    "half pruned",
)
LABELS = [label for label in CUTS if ALL or label in EVERY_RUN]
# After these the next converge but one must be quiet; it is asked for after all with ASGI_CUTS=all.
TWICE = ("enabled, not started", "flipped, not in the ledger", "half pruned")


@dataclass
class Outcome:
    """What one power cut led to."""

    label: str
    served: str = ""
    """What served after the boot, in words."""
    needed: list[str] = field(default_factory=list)
    """What the next converge had to do, as seen from outside."""
    changed: int = -1
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for the summary."""
        business = "; ".join(self.needed) or "nothing"
        return (
            f"{self.label}: after boot {self.served or 'nothing'}; to be done: {business}; "
            f"changed={self.changed}{''.join(f'; WRONG: {line}' for line in self.wrong)}"
        )


class Lab:
    """The seed, the disks that power cuts of one deploy left, and the trials of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = {
            version: make_version(folder, version) for version in (FIRST, OLD, NEW, FOURTH, FIFTH, HUNGRY)
        }
        self.points: Points = []
        self.disks: dict[int, Path] = {}
        self.outcomes: list[Outcome] = []
        self.pool = ThreadPoolExecutor(LANES)
        machines.boot(SEED)
        self.seed = machines.load(SEED)
        box = Box(self.seed, folder)
        run = box.converge(OLD)
        assert run.status == 0, run.output[-4000:]
        self.old = box.look()
        machines.halt(SEED)
        self.work = Box(clone(f"{SEED}-work", self.seed), folder)
        self._record()

    def _record(self) -> None:
        """Follow one deploy from boundary to boundary, and keep the disk of each."""

        def at(point: Point) -> None:
            self.points.append(point)
            self.disks[point.number] = self.folder / f"{point.number}.cow"
            machines.copy_disk(self.work.name, self.disks[point.number])

        with listening(self.work.machine, at) as address:
            self.work.follow(address)
            run = self.work.converge(NEW)
            at(Point(len(self.points) + 1, END, ""))
        self.work.leave_alone()
        assert run.status == 0, run.output[-4000:]
        assert run.changed(self.work.name) == 1
        self.new = self.work.look()
        print(f"\n{len(self.points)} boundaries:", *self.points, sep="\n  ", flush=True)

    def trial(self, label: str, point: Point) -> Outcome:
        """Boot from what a cut at a point left, and judge it."""
        name = f"{SEED}-cut-{point.number}"
        try:
            return self.judge(
                f"{label} [{point}]", Box(clone(name, self.seed, self.disks[point.number]), self.folder)
            )
        finally:
            machines.down(name)

    def judge(self, label: str, box: Box) -> Outcome:
        """What a machine that came back serves, and whether the next converge finishes and tells the truth."""
        outcome = Outcome(label)
        self.outcomes.append(outcome)
        try:
            self._judge(outcome, box)
        except (AssertionError, OSError, HostError) as error:
            outcome.wrong.append(f"{error}\n{box.journal()}")
        print(f"\n{outcome}", flush=True)
        return outcome

    def _judge(self, outcome: Outcome, box: Box) -> None:
        answered, seen = box.ask(), box.look()
        outcome.served = f"{'+'.join(sorted(answered.versions()))} ({'+'.join(answered.releases())})"
        outcome.wrong += mixed(answered, seen) + self.incomplete(answered, seen)
        outcome.needed = seen.unfinished_business()
        if answered.versions() != {NEW}:
            outcome.needed.insert(0, f"{NEW} does not serve")
        run = box.converge(NEW)
        if run.status:
            outcome.wrong.append(f"the next converge failed:\n{run.output[-3000:]}")
            return
        outcome.changed = run.changed(box.name)
        if (outcome.changed > 0) != bool(outcome.needed):
            outcome.wrong.append("changed is not true")
        answered, seen = box.ask(), box.look()
        if answered.versions() != {NEW}:
            outcome.wrong.append(f"after the next converge {answered} served")
        outcome.wrong += mixed(answered, seen) + self.incomplete(answered, seen) + left_over(seen)
        if not ALL and not any(outcome.label.startswith(label) for label in TWICE):
            return
        again = box.converge(NEW)
        if again.status or again.changed(box.name):
            outcome.wrong.append(f"a second converge was not quiet:\n{again.output[-3000:]}")

    def incomplete(self, answered: Answered, seen: Seen) -> list[str]:
        """What of the serving release's files is not as it was built."""
        found = [
            f"the source of {seen.current} is not that of {version}"
            for version in answered.versions() & set(self.sources)
            if seen.told["files"] != hashes(self.sources[version])
        ]
        if seen.told["venv"] != self.old.told["venv"]:
            found.append(f"the virtualenv of {seen.current} is not whole")
        return found


def mixed(answered: Answered, seen: Seen) -> list[str]:
    """What of the answers does not belong together, or is of a release that is not the current one."""
    found = []
    if len(answered.versions()) != 1 or answered.versions() - {OLD, NEW, FOURTH, FIFTH}:
        found.append(f"a mixture serves: {answered}")
    if answered.releases() != {seen.current}:
        found.append(f"{answered.releases()} answers, but the pointer is at {seen.current}")
    if seen.told["failed"]:
        found.append(f"units have failed: {seen.told['failed']}")
    return found


def left_over(seen: Seen) -> list[str]:
    """What a converge that has finished must not leave."""
    states = [entry.get("state") for entry in seen.told["releases"].values()]
    found = [f"left over: {line}" for line in seen.unfinished_business()]
    found += [f"left over: {path}" for path in seen.told["unfinished"]]
    if sorted(map(str, states)) not in (["active"], ["active", "superseded"]):
        found.append(f"the ledger's states are {states}")
    return found


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One recorded deploy, and the machines made from it."""
    started = time.monotonic()
    lab = Lab(tmp_path_factory.mktemp("powercut"))
    yield lab
    lab.pool.shutdown(cancel_futures=True)
    machines.down(lab.work.name)
    tried = sum("killed" not in outcome.label for outcome in lab.outcomes)
    print(
        f"\n{tried} of {len(lab.points)} cut points were tried, {len(lab.outcomes) - tried} more by a kill:"
    )
    print(*sorted(map(str, lab.outcomes)), sep="\n")
    print(f"in {time.monotonic() - started:.0f} s", flush=True)


@pytest.fixture(scope="session")
def trials(lab: Lab) -> dict[str, Future[Outcome]]:
    """The trials of the chosen cut points, under way."""
    chosen = {label: CUTS[label](lab.points) for label in LABELS}
    if ALL:
        named = {point.number for point in chosen.values()}
        chosen |= {f"point {point.number}": point for point in lab.points if point.number not in named}
    return {label: lab.pool.submit(lab.trial, label, point) for label, point in chosen.items()}


@pytest.mark.parametrize("label", LABELS)
def test_after_a_power_cut_one_release_serves_and_the_next_converge_finishes(
    trials: dict[str, Future[Outcome]], label: str
) -> None:
    outcome = trials[label].result()
    assert not outcome.wrong, str(outcome)


@pytest.mark.skipif(not ALL, reason="only with ASGI_CUTS=all")
def test_the_same_at_every_other_boundary(trials: dict[str, Future[Outcome]]) -> None:
    others = [trial.result() for label, trial in trials.items() if label not in LABELS]
    wrong = [str(outcome) for outcome in others if outcome.wrong]
    assert not wrong, "\n".join(wrong)


def stopped_at(box: Box, version: str, is_it: Callable[[Points], bool], then: Callable[[], None]) -> None:
    """Deploy, and at one boundary end the controller after ``then``; the host goes on, if it still can."""
    points: Points = []
    reached, ended = threading.Event(), threading.Event()

    def at(point: Point) -> None:
        points.append(point)
        if is_it(points) and not reached.is_set():
            reached.set()
            ended.wait(60)

    with listening(box.machine, at) as address:
        box.follow(address)
        controller = box.start(version)
        try:
            assert reached.wait(180), f"the deploy did not come there:\n{box.journal()}"
            then()
        finally:
            box.abandon(controller)
            time.sleep(1)
            ended.set()
        if machines.leader(box.name):
            box.wait_for_the_lock()
            box.leave_alone()


def just_flipped(points: Points) -> bool:
    """Whether the pointer was moved by the step before."""
    return len(points) > 1 and writing("/cutter/current")(points[-2])


def test_a_machine_that_is_killed_right_after_the_flip_comes_back(
    lab: Lab, trials: dict[str, Future[Outcome]]
) -> None:
    """A real cut, to show that the copied disks are no other than what one leaves."""
    name = f"{SEED}-killed"
    try:
        box = Box(clone(name, lab.seed), lab.folder)
        stopped_at(box, NEW, just_flipped, lambda: machines.cut(name))
        machines.boot(name)
        outcome = lab.judge("killed, flipped, not synced", box)
    finally:
        machines.down(name)
    assert not outcome.wrong, str(outcome)


@pytest.mark.parametrize(
    ("version", "is_it"),
    [
        pytest.param(FOURTH, lambda points: running("systemctl", "enable")(points[-1]), id="before the flip"),
        pytest.param(FIFTH, just_flipped, id="after the flip"),
    ],
)
def test_a_controller_that_vanishes_costs_nothing(
    lab: Lab, version: str, is_it: Callable[[Points], bool]
) -> None:
    box = lab.work
    before = box.ask().versions()
    stopped_at(box, version, is_it, lambda: None)
    answered, seen = box.ask(), box.look()
    assert answered.versions() in ({version}, before)
    assert not mixed(answered, seen)
    needed = seen.unfinished_business() or answered.versions() != {version}
    run = box.converge(version)
    assert run.status == 0, run.output[-4000:]
    assert (run.changed(box.name) > 0) == bool(needed), f"{needed}\n{run.output[-2000:]}"
    answered, seen = box.ask(), box.look()
    assert answered.versions() == {version}
    assert not mixed(answered, seen) + left_over(seen)
    assert box.converge(version).changed(box.name) == 0


def test_a_release_that_needs_more_memory_than_it_may_have_is_refused_in_plain_words(lab: Lab) -> None:
    """The machine's kernel enforces what is only configuration in a container."""
    box = lab.work
    before = box.ask()
    run = box.converge(HUNGRY, env={"CUTTER_BALLAST": "200"}, sandbox={"memory_max": "64M"})
    assert run.failed(box.name) == 1
    words = run.messages(box.name)
    assert "sandbox.memory_max" in words, words
    answered, seen = box.ask(), box.look()
    assert answered == before
    assert not mixed(answered, seen) + left_over(seen)

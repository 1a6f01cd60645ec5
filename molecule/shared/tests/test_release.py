"""Deploys, rollbacks and accidents under load: nothing is lost, and a release that does not work never serves.

Everything happens to one app, in one order, while clients send GET and POST requests on kept and on new connections
and hold a WebSocket and an event stream. The tests judge what each step left behind. Where a step is the same with each
release of Debian, one of the hosts goes it.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from load import KEPT, NEW, Load, Outcome, Stalls, metronome
from playbook import ROLLBACK, Run, changed_inventory, play
from shop import change_text
from streams import Streams, open_streams
from targets import APPS, Target, takes_turn, wait_for

pytestmark = pytest.mark.scenario("release")

APP = "parcels"
DOMAIN = "parcels.test"
# Clients of each kind: GET and POST, on kept connections and on new ones.
CLIENTS = 2
STEADY_SECONDS = 5.0
# The longest wait that a switch may cause: so many times the steady p99, or so many seconds.
TIMES_P99 = 10
SECONDS = 0.1
# What a switch can hold up: what begins so long before the link `current` is turned, until so long after it, in seconds.
BEFORE, AFTER = 1.0, 6.0
# How often a deploy or rollback may be done: a wait that it causes comes again, one that a busy machine causes does not.
ATTEMPTS = 3
# The streams' graceful time after a switch, and more.
STREAMS_END_S = 15.0

DEPLOYS = ("code", "dependency", "workers", "environment", "interpreter")
ROLLBACKS = ("rollback", "rollback to a named release")
BROKEN = ("import error", "missing attribute", "failing lifespan", "health 500", "never ready")
ACCIDENTS = ("kill -9 of a worker", "kill -9 of the master", "systemctl restart", "upgrade of nginx")
STEPS = (*DEPLOYS, *ROLLBACKS, *BROKEN, *ACCIDENTS)
# All hosts begin with the one; the other is for the scripts of Debian's own package.
EVERYWHERE = ("code", "upgrade of nginx")
PLACES = {name: place for place, name in enumerate(name for name in STEPS if name not in EVERYWHERE)}


def marked(names: tuple[str, ...]) -> list[Any]:
    """The steps as parameters, each for the host that goes it."""
    turns = {name: [pytest.mark.in_turn(place)] for name, place in PLACES.items()}
    return [pytest.param(name, marks=turns.get(name, [])) for name in names]


@dataclass
class Step:
    """What one step did to the requests, and what answered after it."""

    gets: Outcome
    posts: Outcome
    answer: dict[str, Any]
    stalls: Stalls
    """When the tester's own processes had to wait for the processor."""
    flip: float
    """When the link `current` was last turned, by this machine's monotonic clock."""
    run: Run | None = None
    held: int = 0
    """Processes that were killed with requests in their hands."""

    def __str__(self) -> str:
        return f"GET {self.gets}; POST {self.posts}; tester stalled {self.stalls.longest() * 1000:.0f} ms"

    def longest(self) -> tuple[float, float]:
        """The longest wait that the switch can have caused, and the longest of all others in this step, in seconds.

        Each is without the longest time that the tester's own processes were kept waiting in those seconds. Where no
        request met a switch the first is infinite.
        """
        start, end = self.flip - BEFORE, self.flip + AFTER
        switch: list[float] = []
        others = [0.0]
        for outcome in (self.gets, self.posts):
            for began, wait in zip(outcome.began, outcome.waits, strict=True):
                held = start <= began <= end or began <= self.flip <= began + wait
                (switch if held else others).append(wait)
        stalled = max(self.stalls.longest(end=start), self.stalls.longest(start=end))
        return max(switch, default=math.inf) - self.stalls.longest(start, end), max(others) - stalled


@dataclass(frozen=True)
class Says:
    """What a release's front page says of itself."""

    version: str = "1"
    humanize: bool = False
    greeting: str = "hello"


@dataclass
class Journey:
    """One app's life on one host."""

    target: Target
    folder: Path
    steps: dict[str, list[Step]] = field(default_factory=dict)
    """Each with its attempts; the last one counts, but for what was lost."""
    streams: Streams = field(default_factory=Streams)
    switches: int = 0
    """How often `current` was turned, attempts that are made again not counted."""
    posted: list[str] = field(default_factory=list)
    change: dict[str, Any] = field(default_factory=lambda: {"keep_releases": 20})
    """What the app's inventory says now; none of the releases that the journey names may be pruned."""
    identities: list[str] = field(default_factory=list)
    """The releases that the steps deployed, after the one that was there."""
    says: list[Says] = field(default_factory=lambda: [Says()])
    """What each of them says."""
    expected: dict[str, int] = field(default_factory=dict)
    """Which of them answers after a step."""
    serving: str = ""
    """The release that the broken ones came upon."""

    def goes(self, name: str) -> bool:
        """Whether this host goes a step."""
        return name not in PLACES or takes_turn(self.target, PLACES[name])

    @property
    def source(self) -> Path:
        return self.folder / "parcels"

    def edit(self, file: str, old: str, new: str) -> None:
        """Change the source as a developer does."""
        change_text(self.source / "parcels" / file, old, new)

    def inventory(self, **change: Any) -> Path:
        """The inventory with what was changed so far; ``change`` stays."""
        self.change.update(change)
        return changed_inventory(
            self.folder, [self.target], change={APP: {**self.change, "source": {"path": str(self.source)}}}
        )

    def deploy(self, **change: Any) -> Run:
        """Converge under the changed inventory."""
        return play(inventory=self.inventory(**change), targets=[self.target])

    def rollback(self, *options: str) -> Run:
        """Roll back by the command that the documentation gives."""
        return play(
            "-e", f"app={APP}", *options, inventory=self.inventory(), targets=[self.target], playbook=ROLLBACK
        )

    def under_load(self, name: str, act: Callable[[], Run | int | None], *, repeat: bool = False) -> None:
        """Do one step while the clients send requests."""
        began = time.monotonic()
        gets, posts = Outcome(), Outcome()
        common = {"door": self.target.door, "domain": DOMAIN, "clients": CLIENTS, "repeat": repeat}
        outcomes = []
        with ExitStack() as stack:
            stalls = stack.enter_context(metronome())
            for kind in ({"keep_alive": True, "pause": KEPT}, {"keep_alive": False, "pause": NEW}):
                for method, path, total in (("GET", "/", gets), ("POST", "/parcels", posts)):
                    own = Outcome()
                    outcomes.append((own, total))
                    load = Load(path=path, method=method, **common, **kind)  # type: ignore[arg-type]
                    stack.enter_context(load.running(own))
            time.sleep(0.5)
            done = act()
            time.sleep(1.0)
        for own, total in outcomes:
            total.add(own)
        self.posted += posts.names
        step = Step(gets, posts, self.target.door.json(DOMAIN), stalls, self.turned())
        if isinstance(done, Run):
            step.run = done
        elif done is not None:
            step.held = done
        self.steps.setdefault(name, []).append(step)
        print(f"\n{self.target.name}, {name}, {time.monotonic() - began:.0f} s: {step}")
        if began < step.flip:
            print(f"at the switch {step.longest()[0]:.3f} s, else {step.longest()[1]:.3f} s")

    def turned(self) -> float:
        """When the link `current` was last turned. The host is a container, so its clock is this machine's."""
        turned = float(self.target.run(f"stat -c %.9Y /srv/asgi/{APP}/current"))
        return turned - time.time() + time.monotonic()

    def quick(self, name: str) -> bool:
        """Whether nobody waited longer for the switch in a step's last attempt than is allowed."""
        switch, others = self.steps[name][-1].longest()
        return switch <= max(self.limit, others)

    def settled(self, name: str) -> bool:
        """Whether another attempt at a step is not worth while: it was quick, or it failed."""
        run = self.steps[name][-1].run
        return bool(run and run.status) or self.quick(name)

    @property
    def limit(self) -> float:
        """The longest wait that a switch may cause, in seconds, against the host's own steady state."""
        steady = self.steps["steady"][-1]
        return max(TIMES_P99 * max(steady.gets.percentile(0.99), steady.posts.percentile(0.99)), SECONDS)

    def deployed(self, name: str, act: Callable[[], Run], **said: Any) -> None:
        """Deploy under load; again from the same start, should somebody have waited too long."""
        if not self.goes(name):
            return
        for attempt in range(ATTEMPTS):
            if attempt:
                newest = self.target.release(APP)["id"]
                assert self.rollback().status == 0
                # Without its drop-in it is not complete, so that another is built.
                self.target.run(f"rm /etc/systemd/system/asgi-{APP}@{newest}.service.d/release.conf")
            self.under_load(name, act)
            if self.settled(name):
                break
        self.streams_moved_on()
        self.identities.append(self.target.release(APP)["id"])
        self.says.append(replace(self.says[-1], **said))
        self.expected[name] = len(self.identities) - 1

    def rolled_back(self, name: str, to: int, *options: str) -> None:
        """Roll back under load; again from the same start, should somebody have waited too long."""
        if not self.goes(name):
            return
        self.expected[name] = to % len(self.identities)
        start = self.target.release(APP)["id"]
        for attempt in range(ATTEMPTS):
            if attempt:
                assert self.rollback("-e", f"release={start}").status == 0
            self.under_load(name, lambda: self.rollback(*options))
            if self.settled(name):
                break
        self.streams_moved_on()

    def streams_moved_on(self) -> None:
        """Wait for the end of the streams that the last switch left behind: a quicker deploy would come upon none."""
        self.switches += 1
        with contextlib.suppress(AssertionError):
            wait_for(
                lambda: min(len(self.streams.websockets), len(self.streams.events)) >= self.switches,
                STREAMS_END_S,
            )


def broken(journey: Journey, file: str, old: str, new: str, **change: Any) -> Run:
    """Deploy a broken source, and mend it again."""
    journey.edit(file, old, new)
    run = journey.deploy(**change)
    journey.edit(file, new, old)
    return run


def travel(journey: Journey) -> None:
    """All steps, in order."""
    target = journey.target

    def interpreter() -> Run:
        target.run("mkdir -p /opt/other && ln -sfn /usr/bin/python3 /opt/other/python3")
        return journey.deploy(python="/opt/other/python3")

    def restart() -> None:
        target.run(f"systemctl restart {target.service(APP)}")
        # Back is what answers, not what systemd calls active.
        assert target.door.ask(DOMAIN).status == 200

    def upgrade() -> None:
        target.run(
            "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --reinstall nginx"
        )

    journey.under_load("steady", lambda: time.sleep(STEADY_SECONDS))
    journey.identities.append(target.release(APP)["id"])
    with open_streams(target.door, DOMAIN, journey.streams):
        journey.edit("__init__.py", '"1"', '"2"')
        journey.deployed("code", journey.deploy, version="2")
        journey.deployed("dependency", lambda: journey.deploy(requirements=["humanize"]), humanize=True)
        journey.deployed("workers", lambda: journey.deploy(workers=3))
        greeting = "good morning"
        journey.deployed("environment", lambda: journey.deploy(env={"GREETING": greeting}), greeting=greeting)
        journey.deployed("interpreter", interpreter)
        journey.rolled_back("rollback", -2)
        journey.rolled_back("rollback to a named release", 1, "-e", f"release={journey.identities[1]}")
        # The streams of the last one have their graceful timeout, and then their end.
        time.sleep(8)
    journey.serving = target.release(APP)["id"]
    module = "import a_module_that_is_not_installed\n"
    for name, edit in {
        "import error": ("main.py", "import sys\n", f"import sys\n{module}"),
        "missing attribute": ("main.py", "app = FastAPI", "application = app = FastAPI"),
        "failing lifespan": (
            "main.py",
            "    DELIVERED.mkdir(exist_ok=True)\n",
            "    raise OSError('no data')\n",
        ),
        "health 500": ("main.py", '        "version": VERSION,', '        "version": 1 // 0,'),
        "never ready": ("main.py", "    DELIVERED.mkdir(exist_ok=True)\n", "    await asyncio.sleep(3600)\n"),
    }.items():
        if not journey.goes(name):
            continue
        change: dict[str, Any] = {"health": {"timeout": {"health 500": 15, "never ready": 5}.get(name, 60)}}
        if name == "missing attribute":
            change["app"] = "parcels.main:no_such_name"
        journey.under_load(name, lambda edit=edit, change=change: broken(journey, *edit, **change))  # type: ignore[misc]
        journey.change.pop("app", None)
    accidents: dict[str, Callable[[], int | None]] = {
        "kill -9 of a worker": lambda: target.kill(APP, master=False),
        "kill -9 of the master": lambda: target.kill(APP, master=True),
        "systemctl restart": restart,
        "upgrade of nginx": upgrade,
    }
    for name, act in accidents.items():
        if journey.goes(name):
            # A connection that nginx closes when it is replaced costs its client a second attempt, as with any server.
            journey.under_load(name, act, repeat=act is upgrade)


@pytest.fixture(scope="module")
def journey(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """The host after all steps. The next tests bring an inventory of their own."""
    folder = tmp_path_factory.mktemp(target.name)
    made = Journey(target, folder)
    shutil.copytree(APPS / APP, made.source)
    travel(made)
    yield made
    target.run("rm -rf /opt/other")


@pytest.mark.parametrize("name", marked(STEPS))
def test_nothing_is_lost(journey: Journey, name: str) -> None:
    """Nothing anywhere, but what a killed process held in its hands: answers that had begun, and POSTs.

    Such a POST is answered 503, for nobody may send it again.
    """
    for step in journey.steps[name]:
        assert step.gets.sent > 30
        assert step.posts.sent > 30
        # With their master workers die one after the other, and a GET may meet three of them.
        repeated_in_vain = step.gets.refused if step.held > 1 else 0
        assert step.gets.lost_count == step.gets.halves + repeated_in_vain <= step.held * 2 * CLIENTS, step
        assert step.posts.lost_count == step.posts.halves + step.posts.refused <= step.held * 2 * CLIENTS, (
            step
        )
        assert name == "upgrade of nginx" or step.gets.repeated + step.posts.repeated == 0


@pytest.mark.parametrize("name", marked(DEPLOYS + ROLLBACKS))
def test_nobody_waits(journey: Journey, name: str) -> None:
    """The switch keeps nobody waiting for long, in at least one attempt.

    The play builds the new release and starts its workers on the processors that the clients and the old workers run
    on, so some wait whatever the switch is like. The switch is judged by the requests that began between 1 s before
    the link was turned and 6 s after it, or were on their way when it was turned. The longest of their waits may be 10
    times the steady p99, or 100 ms if that is more; or as long as the longest wait of all other requests of the same
    attempt, if that is more still. From either wait is taken what the tester's own processes had to wait for a
    processor at most in the same time. So a wait that the build causes is no fault here, and a switch that is no worse
    than the build beside it is none either. ATTEMPTS are made: what a switch causes comes again.
    """
    longest = [step.longest() for step in journey.steps[name]]
    print(f"\n{journey.target.name}, {name}: at the switch and else {longest} s, limit {journey.limit:.3f} s")
    assert journey.quick(name), f"at the switch and else {longest} s, limit {journey.limit:.3f} s"


@pytest.mark.parametrize("name", marked(DEPLOYS + ROLLBACKS))
def test_the_right_release_answers(journey: Journey, name: str) -> None:
    """Each with its exact code, environment and settings; a rollback brings all of them back."""
    run = journey.steps[name][-1].run
    assert run
    assert run.status == 0, run.output[-3000:]
    assert run.changed(journey.target.name) == 1
    answer = journey.steps[name][-1].answer
    seen = Says(answer["version"], answer["humanize"] is not None, answer["greeting"])
    place = journey.expected[name]
    assert seen == journey.says[place]
    assert answer["release"] == journey.identities[place]


@pytest.mark.parametrize("name", marked(BROKEN))
def test_a_broken_release_never_serves(journey: Journey, name: str) -> None:
    """The play fails with the reason; what served before serves."""
    step = journey.steps[name][-1]
    assert step.run
    assert step.run.failed(journey.target.name) == 1
    words = {
        "import error": "No module named 'a_module_that_is_not_installed'",
        "missing attribute": "no_such_name",
        "failing lifespan": "no data",
        "health 500": "answered 500, wanted 200",
        "never ready": "for 5 s",
    }
    message = step.run.messages(journey.target.name)
    assert words[name] in message
    assert f"Release {journey.serving} serves as before." in message
    assert step.answer["release"] == journey.serving


def test_every_parcel_is_delivered_once(journey: Journey) -> None:
    """Each POST that was answered was carried out, and none twice."""
    delivered = journey.target.run(f"cat /var/lib/asgi/{APP}/delivered/*").split()
    assert len(delivered) == len(set(delivered)), "a parcel was delivered twice"
    missing = set(journey.posted) - set(delivered)
    assert not missing, f"{len(missing)} of {len(journey.posted)} were answered and not delivered"


def test_streams_have_their_time_and_a_proper_end(journey: Journey) -> None:
    """A WebSocket is closed with 1012 (service restart), an event stream ends as a complete answer."""
    streams = journey.streams
    print(f"\n{journey.target.name}: {streams}")
    assert streams.received > 200
    assert streams.unanswered == 0
    switches = sum(journey.goes(name) for name in DEPLOYS + ROLLBACKS)
    assert len(streams.websockets) >= switches
    assert set(streams.websockets) == {"closed with 1012"}
    assert len(streams.events) >= switches
    assert set(streams.events) == {"complete"}


def test_every_release_ended_in_order(journey: Journey) -> None:
    """The app's lifespan shutdown ran in each process that a deploy stopped, streams or not."""
    ended = journey.target.run(f"cat /var/lib/asgi/{APP}/ended").splitlines()
    assert len(ended) >= 2 * len(journey.identities)
    assert "SIGKILL" not in journey.target.run(
        f"journalctl -u 'asgi-{APP}@{journey.identities[0]}.service' -o cat --no-pager"
    )

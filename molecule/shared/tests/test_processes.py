"""An app's background processes: of the release that serves, one at any time, switched with it and back."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playbook import Run, changed_inventory, play
from shop import APP, Shop, change_text
from targets import ROOT, wait_for

# The two that are for the other host share the work between them.
pytestmark = [pytest.mark.scenario("servers"), pytest.mark.lane, pytest.mark.in_turn(1)]

WORKER = Path(__file__).parents[3] / "tests" / "integration" / "apps" / "worker.py"
DATA = f"/var/lib/asgi/{APP}"
# A process is due again within this: a second until it is started, and Python's own start on a busy machine.
SOON = 10.0
BEATS = {"name": "worker", "command": "python worker.py"}
# As an operator's own line for the shell, which stays in front of the program.
BEHIND_A_SHELL = {"name": "worker", "command": "cd . && python worker.py"}
PLAN = {
    "name": "scheduler",
    "command": ["python", "worker.py", "--plan", "a $HOME 100% \"b\" 'c' \\", "{data}"],
}
# What a process can be seen to have, of one that is given by its number.
SEEN = """
import json, os, re, sys
pid = sys.argv[1]
read = lambda name: open(f"/proc/{pid}/{name}").read()
status = dict(line.split(":\\t", 1) for line in read("status").splitlines() if ":\\t" in line)
mounts = [line.split() for line in read("mountinfo").splitlines()]
print(json.dumps({
    "status": {name: status[name] for name in ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapBnd", "CapEff")},
    "umask": status["Umask"],
    "folder": os.readlink(f"/proc/{pid}/cwd"),
    "program": os.path.realpath(f"/proc/{pid}/exe"),
    # The folders of credentials and the control groups are named for their units.
    "mounts": sorted(
        {(each[4], each[5]) for each in mounts if not re.match("/run/credentials|/sys/fs/cgroup", each[4])}
    ),
    "environment": dict(each.split("=", 1) for each in read("environ").split("\\0") if each),
    "words": read("cmdline").split("\\0")[:-1],
    # The same loopback, the same /tmp, the same shared memory.
    "namespaces": [os.readlink(f"/proc/{pid}/ns/{name}") for name in ("ipc", "net")],
    "tmp": [each[3] for each in mounts if each[4] == "/tmp"],
    "oom": read("oom_score_adj"),
}))
"""
# What systemd gives each unit, and a shell to what it starts.
OF_A_UNIT = {
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MEMORY_PRESSURE_WATCH",
    "NOTIFY_SOCKET",
    "PWD",
    "SYSTEMD_EXEC_PID",
}


@dataclass(frozen=True)
class Life:
    """What one process of the worker wrote down: its version, and when it was first and last there."""

    version: str
    first: float
    last: float
    ended: bool


class Crew:
    """The app with background processes."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.target = shop.target
        self.worker = shop.source / "worker.py"
        self.worker.write_text(WORKER.read_text())

    def keys(self, *processes: dict[str, Any], **keys: Any) -> dict[str, Any]:
        return {
            "secrets": {"TOKEN": "hush $ % ' \" hush"},
            "credentials": {"key": "hush-hush"},
            "processes": list(processes or (BEATS,)),
            **keys,
        }

    def deploy(self, *processes: dict[str, Any], **keys: Any) -> Run:
        return self.shop.deploy(**self.keys(*processes, **keys))

    def deployed(self, *processes: dict[str, Any], **keys: Any) -> str:
        """Deploy a new version; returns it."""
        version = self.shop.new_version()
        self.shop.succeeded(self.deploy(*processes, **keys))
        assert self.shop.answers()["version"] == version
        return version

    def unit(self, name: str = "worker", release: str = "") -> str:
        return f"asgi-{APP}.{name}@{release or self.shop.answers()['release']}.service"

    def pid(self, name: str = "worker") -> int:
        return int(self.target.run(f"systemctl show -P MainPID {self.unit(name)}"))

    def kill(self) -> None:
        """Kill the worker, and wait until it has been started again."""
        pid = self.pid()
        self.target.run(f"kill -9 {pid}")
        wait_for(lambda: pid not in self.target.pids().get(self.unit(), [pid]), SOON)

    def units(self) -> dict[str, list[str]]:
        """The units of processes that run, and those that would at boot."""
        states = "active,activating,deactivating,reloading"
        pattern = f"asgi-{APP}.*"
        listed = self.target.run(
            f"systemctl list-units --plain --no-legend --full --state={states} '{pattern}'"
        )
        wants = self.target.run(f"cd /etc/systemd/system/multi-user.target.wants && ls -d {pattern} || true")
        return {
            "run": sorted(line.split()[0] for line in listed.splitlines()),
            "boot": sorted(line for line in wants.split()),
        }

    def only(self, *names: str) -> bool:
        """Whether these of the serving release run and start at boot, and no others."""
        wanted = sorted(self.unit(name) for name in names)
        return self.units() == {"run": wanted, "boot": wanted}

    def lives(self) -> list[Life]:
        """Every process of the worker that ever was, the oldest first."""
        found: dict[str, list[list[str]]] = {}
        for line in self.target.run(f"cat {DATA}/beats").splitlines():
            found.setdefault(line.split()[2], []).append(line.split())
        lives = [
            Life(notes[0][1], float(notes[0][3]), float(notes[-1][3]), notes[-1][0] == "end")
            for notes in found.values()
        ]
        return sorted(lives, key=lambda life: life.first)

    def beats(self, version: str) -> bool:
        return self.lives()[-1].version == version

    def alone(self) -> float:
        """No two lives overlap; returns the longest time without any, in seconds."""
        lives = self.lives()
        gaps = [after.first - before.last for before, after in itertools.pairwise(lives)]
        assert min(gaps, default=0.0) >= 0, lives
        return max(gaps, default=0.0)

    def forget(self) -> None:
        """Begin the record anew with the process that runs."""
        self.target.run(f": > {DATA}/beats")
        wait_for(lambda: self.target.run(f"cat {DATA}/beats"), SOON)

    def seen(self, pid: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.target.run(f"python3 - {pid}", stdin=SEEN))
        return found

    @contextlib.contextmanager
    def edited(self, old: str, new: str) -> Iterator[None]:
        text = self.worker.read_text()
        change_text(self.worker, old, new)
        try:
            yield
        finally:
            self.worker.write_text(text)


@pytest.fixture(scope="module")
def crew(shop: Shop) -> Crew:
    made = Crew(shop)
    made.deployed()
    return made


def test_runs_where_the_app_runs(crew: Crew) -> None:
    """Same release, user, folder, environment, secrets, credentials, and the same sandbox, as the kernel has it."""
    assert crew.only("worker")
    unit = crew.target.service(APP)
    master = int(crew.target.run(f"systemctl show -P MainPID {unit}"))
    its, own = crew.seen(master), crew.seen(crew.pid())
    for name in ("status", "umask", "folder", "program", "mounts", "namespaces", "tmp", "oom"):
        assert own[name] == its[name], name
    assert f"/srv/asgi/{APP}/releases/{crew.shop.answers()['release']}/src" == own["folder"]
    assert own["words"][-2:] == ["python", "worker.py"]
    of_the_app, of_the_worker = (
        {name: value for name, value in each["environment"].items() if name not in OF_A_UNIT}
        for each in (its, own)
    )
    assert of_the_app.pop("ASGI_HOST_VIEW_KEY")
    folders = [each.pop("CREDENTIALS_DIRECTORY") for each in (of_the_app, of_the_worker)]
    assert folders == [f"/run/credentials/{unit}", f"/run/credentials/{crew.unit()}"]
    assert of_the_worker == of_the_app
    assert of_the_worker["TOKEN"] == "hush $ % ' \" hush"
    # What it could do, by itself.
    could = json.loads(crew.target.run(f"cat {DATA}/worker.json"))
    assert could["credential"] == "hush-hush"
    assert could["written"] == [DATA]
    # Not to be read by others, neither in the unit nor from the process.
    shown = crew.target.run(f"systemctl show {crew.unit()}; cat /etc/systemd/system/{crew.unit()}")
    assert "hush" not in shown


def test_words_of_a_command_arrive_as_they_are(crew: Crew) -> None:
    crew.deployed(BEATS, PLAN)
    assert crew.only("worker", "scheduler")
    words = crew.seen(crew.pid("scheduler"))["words"]
    assert words[-4:] == ["worker.py", "--plan", "a $HOME 100% \"b\" 'c' \\", DATA]


def test_one_at_any_time_across_deploys(crew: Crew) -> None:
    """It is told to end and ends by itself, also behind a shell; the app loses no request meanwhile."""
    crew.deployed(BEATS)
    crew.forget()
    with crew.shop.load("POST", "/parcels") as posts, crew.shop.load() as gets:
        second = crew.deployed(BEHIND_A_SHELL)
        third = crew.deployed(BEATS)
    wait_for(lambda: crew.beats(third), SOON)
    lives = crew.lives()
    assert [life.version for life in lives][1:] == [second, third]
    assert [life.ended for life in lives] == [True, True, False], "one was killed, not told to end"
    gap = crew.alone()
    print(f"\n{crew.target.name}: {gap:.2f} s without a worker, {posts}")
    assert gap < SOON
    assert (posts.lost_count, gets.lost_count) == (0, 0)
    assert crew.only("worker")


def test_converge_again_changes_nothing(crew: Crew) -> None:
    """Not even where systemd has counted a restart."""
    crew.kill()
    before = crew.shop.state()
    assert any(unit.startswith(f"asgi-{APP}.") for unit in before[1])
    run = crew.shop.succeeded(crew.deploy())
    assert run.changed(crew.target.name) == 0
    assert crew.shop.state() == before


def test_changed_command_is_a_new_release(crew: Crew) -> None:
    before = crew.shop.answers()
    crew.shop.succeeded(crew.deploy({**BEATS, "command": "python worker.py --again"}))
    now = crew.shop.answers()
    assert now["version"] == before["version"]
    assert now["release"] != before["release"]
    assert crew.seen(crew.pid())["words"][-1] == "--again"


def test_killed_one_is_started_again(crew: Crew) -> None:
    before = crew.shop.target.pids()
    crew.kill()
    after = crew.shop.target.pids()
    own = crew.unit()
    assert {unit: pids for unit, pids in after.items() if unit != own} == {
        unit: pids for unit, pids in before.items() if unit != own
    }


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("raise SystemExit(0)", "exit status 0; it must run until it is told to end"),
        ("time.sleep(1.5); os.kill(os.getpid(), 11)", "was ended by signal 11"),
    ],
)
def test_broken_process_fails_the_deploy_and_the_old_one_runs_again(crew: Crew, end: str, words: str) -> None:
    before = crew.shop.answers()
    crew.forget()
    crew.shop.new_version()
    with (
        crew.edited('note("start")', f'print("I cannot go on", flush=True); {end}'),
        crew.shop.load() as seen,
    ):
        message = crew.shop.failed(crew.deploy())
    assert "is not good enough to serve. processes: worker" in message
    assert words in message
    assert "From the journal of asgi-parcels.worker@" in message
    assert "I cannot go on" in message
    assert f"Release {before['release']} serves as before." in message
    assert seen.lost_count == 0
    now = crew.shop.answers()
    assert now == before | {"pid": now["pid"]}
    assert crew.shop.running() == {before["release"]}
    wait_for(lambda: len(crew.lives()) == 2, SOON)
    assert crew.alone() < 2 * SOON
    assert crew.beats(before["version"])
    assert crew.only("worker")
    assert not crew.target.run("find /run -maxdepth 1 -name 'asgi-*.trial'")


def test_rollback_switches_it_back(crew: Crew) -> None:
    first = crew.deployed(BEATS)
    crew.deployed(BEATS, PLAN, keep_warm=True)
    assert crew.only("worker", "scheduler"), "the warm release keeps its processes"
    crew.forget()
    crew.shop.succeeded(crew.shop.rollback(**crew.keys(BEATS, PLAN, keep_warm=True)))
    assert crew.shop.answers()["version"] == first
    assert crew.only("worker")
    wait_for(lambda: crew.beats(first), SOON)
    assert crew.alone() < SOON


def test_release_that_does_not_serve_cannot_run_one(crew: Crew) -> None:
    """Neither an operator's command nor a boot after a power cut starts a second scheduler."""
    old = crew.shop.answers()["release"]
    crew.deployed(BEATS)
    assert crew.shop.answers()["release"] != old
    crew.target.run(f"systemctl enable -q --now {crew.unit(release=old)}")
    assert crew.units()["run"] == [crew.unit()]
    run = crew.shop.succeeded(crew.deploy())
    assert run.changed(crew.target.name) == 1
    assert crew.only("worker")


UNITS = "/etc/systemd/system"
STRAY = "touch /run/asgi-parcels@{old}.trial; systemctl start {stray}"
# Done to the worker and the scheduler before one converge, with whether the app itself is started again by it.
DRIFTS = {
    "processes": (f"systemctl stop {{worker}}; systemctl disable -q {{scheduler}}; {STRAY}", False),
    "units": (
        f"""echo Environment=ODD=1 >> {UNITS}/{{worker}}
        systemctl disable -q --now {{scheduler}}
        rm {UNITS}/{{scheduler}}
        systemctl daemon-reload
        systemctl restart {{worker}}""",
        False,
    ),
    "environment": ("echo ODD=1 >> /etc/asgi/parcels/{release}/environment", True),
}


def test_drift_is_put_back(crew: Crew) -> None:
    crew.deployed(BEATS, PLAN)
    old = crew.shop.answers()["release"]
    crew.deployed(BEATS, PLAN)
    release = crew.shop.answers()["release"]
    names = {"worker": crew.unit(), "scheduler": crew.unit("scheduler"), "stray": crew.unit(release=old)}
    inventory = crew.shop.inventory(**crew.keys(BEATS, PLAN))
    for name, (command, app_restarts) in DRIFTS.items():
        before = crew.shop.state()
        crew.target.run(command.format(**names, release=release, old=old))
        if name == "processes":
            drifted = crew.units()
            assert names["stray"] in drifted["run"]
            dry = play("--check", inventory=inventory, targets=[crew.target])
            assert dry.changed(crew.target.name) == 1, dry.output[-3000:]
            assert crew.units() == drifted
        run = crew.shop.succeeded(play(inventory=inventory, targets=[crew.target]))
        assert run.changed(crew.target.name) == 1, name
        assert crew.only("worker", "scheduler"), name
        after = crew.shop.state()
        assert after[0] == before[0]
        service = crew.target.service(APP)
        assert (after[1][service] != before[1][service]) == app_restarts, name
        for process in ("worker", "scheduler"):
            assert "ODD" not in crew.seen(crew.pid(process))["environment"]
        crew.target.run(f"rm -f /run/asgi-parcels@{old}.trial")
    again = play(inventory=inventory, targets=[crew.target])
    assert again.changed(crew.target.name) == 0
    crew.deployed(BEATS)


def test_one_that_fails_later_is_said_by_the_next_converge(crew: Crew) -> None:
    crew.target.run(f"touch {DATA}/broken && systemctl restart {crew.unit()}")
    try:
        wait_for(lambda: "auto-restart" in crew.target.run(f"systemctl show -P SubState {crew.unit()}"))
        shown = play(targets=[crew.target], playbook=ROOT / "playbooks" / "releases.yml").output
        assert "the process worker does not run" in shown
        message = crew.shop.failed(crew.deploy())
        assert "processes: worker ended by itself, with exit status 3" in message
        assert "the file is broken" in message
    finally:
        crew.target.run(f"rm {DATA}/broken")
    wait_for(lambda: crew.units()["run"] == [crew.unit()], SOON)
    crew.shop.succeeded(crew.deploy())
    shown = play(targets=[crew.target], playbook=ROOT / "playbooks" / "releases.yml").output
    assert "does not run" not in shown


@pytest.mark.parametrize("again", ["the new one", "the old one"])
def test_deploy_that_died_while_it_handed_over(crew: Crew, again: str) -> None:
    old = crew.shop.answers()["version"]
    kept = (crew.shop.source / APP / "__init__.py").read_text()
    crew.forget()
    unit = crew.unit()
    new = crew.shop.new_version()
    # It takes its time to end.
    crew.target.run(f"touch {DATA}/slow")
    deploy = crew.shop.start_deploy(**crew.keys())
    try:
        wait_for(
            lambda: crew.target.run(f"systemctl show -P ActiveState {unit}").strip() == "deactivating",
            pause=0.01,
        )
        holder = f"sed -n 's/process \\([0-9]*\\).*/\\1/p' /run/asgi-{APP}.lock"
        assert crew.target.run(f"pid=$({holder}); kill -9 $pid; echo $pid").strip()
        deploy.communicate(timeout=120)
    finally:
        crew.target.run(f"rm {DATA}/slow")
    assert crew.shop.answers()["version"] == old
    wait_for(lambda: crew.units() == {"run": [], "boot": [unit]}, SOON)
    if again == "the old one":
        (crew.shop.source / APP / "__init__.py").write_text(kept)
    run = crew.shop.succeeded(crew.deploy())
    assert run.changed(crew.target.name) == 1
    serves = new if again == "the new one" else old
    assert crew.shop.answers()["version"] == serves
    assert crew.only("worker")
    wait_for(lambda: crew.beats(serves), SOON)
    crew.alone()


@pytest.mark.in_turn(0)
def test_in_place(crew: Crew) -> None:
    """`strategy: restart` goes the same way, and its requests wait."""
    keys = {"strategy": "restart"}
    # nginx waits longer with this strategy: it is reloaded once, which closes idle connections of clients.
    crew.deployed(BEATS, **keys)
    crew.forget()
    with crew.shop.load(timeout=60.0) as seen:
        version = crew.deployed(BEATS, **keys)
        served = crew.shop.answers()
        crew.shop.new_version()
        with crew.edited('note("start")', "raise SystemExit(0)"):
            message = crew.shop.failed(crew.deploy(BEATS, **keys))
        assert f"Release {served['release']} serves as before." in message
    assert seen.lost_count == 0
    assert crew.shop.answers()["version"] == version
    wait_for(lambda: crew.beats(version), SOON)
    crew.alone()
    assert crew.only("worker")
    crew.deployed(BEATS)


def test_release_taken_back_under_traffic(crew: Crew) -> None:
    """The process fails once the release serves; `watch` sees it."""
    before = crew.shop.answers()
    crew.shop.new_version()
    # The release that serves is the one that it is in.
    late = (
        'note("start")\n'
        "here = Path(__file__).resolve().parents[1]\n"
        'while (here.parents[1] / "current").resolve() != here:\n    time.sleep(0.1)\n'
        'time.sleep(1)\nraise SystemExit("fell over")\n'
    )
    with crew.edited('note("start")', late):
        message = crew.shop.failed(crew.deploy(watch=10))
    # How it ended is known until systemd has started it again.
    assert "went bad after the switch: worker " in message
    assert "fell over" in message
    assert f"Release {before['release']} serves again." in message
    assert crew.shop.answers()["release"] == before["release"]
    assert crew.only("worker")


def test_process_that_is_dropped_disappears(crew: Crew) -> None:
    crew.deployed(BEATS, {**PLAN, "instances": 2})
    assert crew.only("worker", "scheduler", "scheduler.2")
    first = crew.shop.answers()["release"]
    crew.deployed(BEATS)
    assert crew.only("worker")
    crew.shop.succeeded(crew.shop.deploy(processes=[]))
    assert crew.units() == {"run": [], "boot": []}
    # Pruned with its release.
    assert first in crew.target.run("ls /etc/systemd/system")
    crew.shop.succeeded(crew.shop.deploy(processes=[], keep_releases=1, env={"GREETING": "bye"}))
    assert first not in crew.target.run("ls -R /etc/systemd/system")


@pytest.mark.in_turn(0)
def test_absent_leaves_nothing(crew: Crew) -> None:
    app = {
        "name": "crew",
        "app": "parcels.main:app",
        "source": {"path": str(crew.shop.source)},
        "workers": 1,
        "processes": [BEATS, PLAN],
    }
    inventory = changed_inventory(crew.shop.folder, [crew.target], add=[app])
    run = play(inventory=inventory, targets=[crew.target])
    assert run.status == 0, run.output[-3000:]
    assert "asgi-crew.worker@" in crew.target.run("systemctl list-units --state=active")
    gone = {"name": "crew", "state": "absent", "purge": True}
    inventory = changed_inventory(crew.shop.folder, [crew.target], add=[gone])
    assert play(inventory=inventory, targets=[crew.target]).status == 0
    left = crew.target.run(
        "find /etc /srv /var/lib /run -name '*crew*' 2>/dev/null; "
        "systemctl list-units --all --plain --no-legend 'asgi-crew*'; pgrep -af crew; true"
    )
    assert not [line for line in left.splitlines() if "pgrep" not in line and "crew" in line], left
    assert play(inventory=inventory, targets=[crew.target]).changed(crew.target.name) == 0

"""How long the collection takes, side by side with others that do the same work; writes what was found to a JSON file.

Every run opens its own connection. What is compared is run in turn on the same host, each time with another one first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import delay
import hosting.container
import hosting.lifecycle
from converge_check import check, must, quiet
from converge_peers import PACKAGES, WORKERS, Contender, Peers, contenders, domain, ours, resolved
from ground import ADVICE, HERE, Command, Ground, Play, rotated, say
from load import Load, Outcome
from on_host import machine
from pages import median
from playbook import Run

SUITE = "trixie"
# Milliseconds of a round trip to a host in another country, and what the way may differ from it.
FAR, TOLERANCE = 30.0, 2.0
# A first provision takes minutes with its boot: the spread of a few says enough.
FRESH = 3
# Seconds between two questions for the new version, and the most that one takes to come.
POLL, PATIENCE = 0.01, 180.0
# Seconds of load before a deploy, and after it.
BEFORE, AFTER = 1.0, 1.0
# Seconds in which nobody of the benchmark runs, to see what others take of the machine.
PAUSE = 0.5
PARTS = ("near", "redeploy", "five", "fresh", "fleet")

Seconds = dict[str, list[float]]


class Site:
    """A host with a number of apps, each by the collection and by the peers."""

    def __init__(self, host: str, folder: Path, count: int, requirements: Sequence[str] = ()) -> None:
        hosting.lifecycle.up(host, SUITE)
        apps = [{"name": f"shop{number}", "workers": WORKERS} for number in range(1, count + 1)]
        self.ground = Ground(host, folder / host, apps, HERE / "shop", "shop")
        # The image has the authorities of this machine; who has the host need not bring them once more.
        self.ground.settings = {"asgi_host_ca_file": ""}
        names = " ".join(f"{name}.test {domain(name)}" for name in self.ground.names)
        self.ground.ssh(f"echo '127.0.0.1 {names}' >>/etc/hosts")
        self.requirements = requirements
        self.all: dict[str, Contender] = {"ours": ours(self.ground)}

    def provision(self, *keys: str) -> None:
        """Bring the host to where each of these contenders finds nothing to change."""
        say(f"provisioning {self.ground.host} with {len(self.ground.names)} apps")
        must_run("the collection", self.ground.command())
        if not self.requirements:
            self.requirements = resolved(self.ground)
        every = contenders(Peers(self.ground, self.requirements))
        self.all = {key: each for key, each in every.items() if not keys or key in keys}
        # Those of the peers that bring more than the others, then the collection once more: to it their sites are
        # foreign, and change what it lets nginx do.
        for key in ("script", "pyinfra", "playbook", "ours"):
            if key in self.all:
                must_run(self.all[key].title, self.all[key].command())

    def run(self, contender: Contender, prefix: Sequence[str] = ()) -> Play:
        """A run that finds nothing to change, over a connection of its own."""
        hosting.container.close_connections(self.ground.host)
        try:
            return quiet(contender.title, contender, prefix)
        finally:
            hosting.container.close_connections(self.ground.host)


class Disturbance:
    """What others take of the machine, looked at while the benchmark pauses."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def look(self) -> None:
        """Look once."""
        before, began = machine(), time.monotonic()
        time.sleep(PAUSE)
        cores = os.cpu_count() or 1
        self.shares.append(100 * (machine() - before) / cores / (time.monotonic() - began))

    @property
    def share(self) -> float:
        """The mean, in percent."""
        return sum(self.shares) / max(1, len(self.shares))


def must_run(title: str, command: Command) -> Play:
    """Run what must not fail."""
    play = command.run()
    must(play.good, title, "failed", play)
    return play


def in_turn(runs: dict[str, Callable[[], float]], rounds: int, others: Disturbance) -> Seconds:
    """Seconds of each, in interleaved rounds."""
    found: Seconds = {name: [] for name in runs}
    for _round, name in rotated(list(runs), rounds):
        others.look()
        found[name].append(runs[name]())
    return found


def second_runs(site: Site, prefix: Sequence[str] = ()) -> dict[str, Callable[[], float]]:
    """What measures a run with nothing to change, for each contender of a site."""

    def measured(contender: Contender) -> float:
        return site.run(contender, prefix).seconds

    return {key: partial(measured, contender) for key, contender in site.all.items()}


def calls(site: Site) -> dict[str, Any]:
    """How often the collection runs something on a host that is as wanted; counted as the tests do."""
    environment = {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    command = site.ground.command(options=["-vvv"])
    run = Run(0, must_run("the collection", Command(command.argv, {**command.env, **environment})).output)
    return {"modules": dict(run.modules()), "remote": run.remote_calls(site.ground.door.https[0])}


@contextmanager
def far(site: Site, found: dict[str, Any]) -> Iterator[list[str] | None]:
    """The way to a host that is far; None, with the reason said, where this machine has none."""
    reason = delay.why_not()
    if reason:
        say(f"skipped, a host {FAR:.0f} ms away: {reason}")
        found["skipped"] = reason
        yield None
        return
    with delay.late(FAR) as prefix:
        # Not ssh's port: sshd locks out who connects and says nothing.
        took = [delay.round_trip(*site.ground.door.http, prefix) for _turn in range(3)]
        say(f"a round trip takes {median(took, '.1f', ' ms')}")
        if abs(sorted(took)[1] - FAR) > TOLERANCE:
            say(f"this is not {FAR:.0f} ± {TOLERANCE:.0f} ms; {ADVICE}")
        found.setdefault("round trips", []).extend(took)
        yield prefix


def far_row(site: Site, size: str, rounds: int, found: dict[str, Any], others: Disturbance) -> None:
    """Second runs of all contenders on a host that is far, but for the playbook, which takes minutes for each round."""
    with far(site, found) as prefix:
        if prefix:
            runs = second_runs(site, prefix)
            runs.pop("playbook", None)
            row = in_turn(runs, rounds, others)
            found["rows"][f"{size} far"] = row
            tell(site, f"{size} far", row)


def tell(site: Site, what: str, found: Seconds) -> None:
    """Say the medians of a row."""
    for key, seconds in found.items():
        title = site.all[key].title if key in site.all else key
        say(f"{what}, {title}: {median(seconds, '.2f', ' s')}")


def redeploy(site: Site, key: str) -> dict[str, Any]:
    """A new version of the code: from the command to its first answer, and what a light load met meanwhile."""
    contender, ground = site.all[key], site.ground
    where = contender.name(ground.names[0])
    common: dict[str, Any] = {"door": ground.door, "domain": where, "path": "/", "pause": 0.02, "clients": 1}
    kept, fresh = Outcome(), Outcome()
    hosting.container.close_connections(ground.host)
    wanted, runs = ground.change(), list[Play]()
    with Load(**common).running(kept), Load(**common, keep_alive=False).running(fresh):
        time.sleep(BEFORE)
        asked = time.monotonic()
        worker = threading.Thread(target=lambda: runs.append(contender.command().run()))
        worker.start()
        arrived = None
        while arrived is None and time.monotonic() < asked + PATIENCE:
            if ground.serves_at(where) == wanted:
                arrived = time.monotonic() - asked
            elif not worker.is_alive() and not (runs and runs[0].good):
                break
            time.sleep(POLL)
        worker.join()
        time.sleep(AFTER)
    must(runs[0].good, contender.title, "failed", runs[0])
    must(arrived, contender.title, "did not bring the new version", runs[0])
    kept.add(fresh)
    return {
        "arrived": arrived,
        "ended": runs[0].seconds,
        "sent": kept.sent,
        "lost": kept.lost_count,
        "kinds": dict(kept.lost),
        "longest": kept.worst,
        "requests": [
            [round(began - asked, 4), round(wait, 5)]
            for began, wait in sorted(zip(kept.began, kept.waits, strict=True))
        ],
        "lost_at": sorted(round(moment - asked, 4) for moment in kept.lost_at),
    }


def redeploys(site: Site, rounds: int, others: Disturbance) -> dict[str, list[dict[str, Any]]]:
    """In turn; the single requests are kept of the first round only."""
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in site.all}
    for number, key in rotated(list(site.all), rounds):
        others.look()
        result = redeploy(site, key)
        if number:
            del result["requests"], result["lost_at"]
        found[key].append(result)
        say(
            f"redeploy, {site.all[key].title}: new after {result['arrived']:.2f} s, {result['lost']} of "
            f"{result['sent']} lost, longest wait {result['longest'] * 1000:.0f} ms {result['kinds'] or ''}"
        )
    return found


def warm(ground: Ground, cache: Path, uv_cache: str) -> None:
    """Bring what either contender would fetch: Debian's packages and lists, and uv's cache where it looks for it."""
    ground.ssh(
        "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && "
        f"apt-get -q -y install --no-install-recommends --download-only {' '.join(PACKAGES)} && "
        "mkdir -p /var/lib/apt/periodic && touch /var/lib/apt/periodic/update-success-stamp"
    )
    # The first folder is as systemd wants it.
    ground.ssh(f"install -d -m 700 /var/cache/private $(dirname {uv_cache})")
    ground.send(cache, f"tar -x -C $(dirname {uv_cache})")


def first_provision(site: Site, folder: Path, rounds: int, others: Disturbance) -> Seconds:
    """On a host that has just booted, the collection against the script."""
    cache = folder / "uv.tar"
    site.ground.receive("tar -c -C /var/cache/private/asgi-build/shop1 uv", cache)
    places = {"ours": "/var/cache/private/asgi-build/shop1/uv", "script": "/var/cache/peer/uv"}
    numbers = iter(range(10**6))

    def run(key: str) -> float:
        host = f"{site.ground.host}-new{next(numbers)}"
        try:
            fresh = Site(host, folder, 1, site.requirements)
            warm(fresh.ground, cache, places[key])
            hosting.container.close_connections(host)
            each = contenders(Peers(fresh.ground, site.requirements))[key]
            play = must_run(each.title, each.command())
            if fresh.ground.serves_at(each.name("shop1")) != "1":
                raise RuntimeError(f"{each.title} provisioned a host that does not answer")
            return play.seconds
        finally:
            hosting.lifecycle.down(host)

    return in_turn({key: partial(run, key) for key in places}, rounds, others)


def fleet(folder: Path, host: str, count: int, rounds: int, others: Disturbance) -> Seconds:
    """The collection for one host, and for several with one app each."""
    names = [f"{host}-{number}" for number in range(1, count + 1)]
    try:
        sites = [Site(name, folder, 1) for name in names]
        first = sites[0].ground
        # The playbook for all of them is that of the first, and further hosts.
        say(f"provisioning {count} hosts")
        must_run("the collection", first.command(also=names[1:]))

        def run(also: Sequence[str]) -> float:
            for name in names:
                hosting.container.close_connections(name)
            play = must_run("the collection", first.command(also=also))
            must(sites[0].all["ours"].changed(play.output) == 0, "the collection", "changed something", play)
            return play.seconds

        return in_turn({"one": partial(run, []), "many": partial(run, names[1:])}, rounds, others)
    finally:
        hosting.lifecycle.down(*names)


class Measured:
    """What was found so far: written as soon as a part is there, beside what runs for other parts have found."""

    def __init__(self, asked: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.asked, self.folder, self.stack = asked, folder, stack
        self.found: dict[str, Any] = {"rows": {}, "calls": {}}
        if asked.output.exists() and set(asked.parts) != set(PARTS):
            self.found = json.loads(asked.output.read_text(encoding="utf-8"))
        self.found.update(rounds=asked.rounds, workers=WORKERS)
        self.others = Disturbance()
        self.one = self._site("", 1)

    def _site(self, suffix: str, count: int, *keys: str) -> Site:
        name = f"{self.asked.host}{suffix}"
        self.stack.callback(hosting.lifecycle.down, name)
        made = Site(name, self.folder, count, self.one.requirements if suffix else ())
        made.provision(*keys)
        return made

    def save(self) -> None:
        """Write it all."""
        self.found["others"] = self.others.share
        self.asked.output.write_text(json.dumps(self.found), encoding="utf-8")

    def begin(self) -> None:
        """What has to be true, and what is said of all."""
        one = self.one
        say("what is broken by hand must be repaired by each")
        check(one.ground, one.all)
        self.found["titles"] = {key: each.title for key, each in one.all.items()}
        self.found["where"] = one.ground.where("gunicorn", "uvicorn", "uvicorn-worker", "fastapi")
        self.found["calls"]["1"] = calls(one)

    def near(self) -> None:
        """One app and ten, and one on a host that is far."""
        one, rows = self.one, self.found["rows"]
        ten = self._site("-ten", 10, "ours", "script")
        self.found["calls"]["10"] = calls(ten)
        runs = {**second_runs(one), **{f"{key} ten": run for key, run in second_runs(ten).items()}}
        row = in_turn(runs, self.asked.rounds, self.others)
        rows["1 near"] = {key: row[key] for key in one.all}
        rows["10 near"] = {key: row[f"{key} ten"] for key in ten.all}
        tell(one, "1 near", rows["1 near"])
        tell(ten, "10 near", rows["10 near"])
        hosting.lifecycle.down(ten.ground.host)
        self.save()
        far_row(one, "1", self.asked.rounds, self.found, self.others)

    def five(self) -> None:
        """Five apps, without the playbook, which takes minutes for each round."""
        five = self._site("-five", 5, "ours", "pyinfra", "nodelay", "script")
        row = in_turn(second_runs(five), self.asked.rounds, self.others)
        self.found["rows"]["5 near"] = row
        tell(five, "5 near", row)
        self.save()
        far_row(five, "5", self.asked.rounds, self.found, self.others)
        hosting.lifecycle.down(five.ground.host)

    def redeploy(self) -> None:
        """A new version of the code."""
        self.found["redeploy"] = redeploys(self.one, self.asked.rounds, self.others)

    def fresh(self) -> None:
        """A first provision."""
        row = first_provision(self.one, self.folder, min(FRESH, self.asked.rounds), self.others)
        self.found["rows"]["fresh"] = row
        tell(self.one, "first provision", row)

    def fleet(self) -> None:
        """One host and several."""
        self.found["fleet"] = self.asked.fleet
        row = fleet(self.folder, self.asked.host, self.asked.fleet, self.asked.rounds, self.others)
        self.found["rows"]["fleet"] = row
        tell(self.one, "hosts", row)


def main() -> int:
    """Measure all; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s")
    parser.add_argument(
        "--host", default="bench", help="its name, and the start of the others' (%(default)s)"
    )
    parser.add_argument("--fleet", type=int, default=8, help="hosts at once (%(default)s)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all, unless some are named")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        measured = Measured(asked, Path(folder), stack)
        measured.begin()
        for part in PARTS:
            if part in asked.parts:
                getattr(measured, part)()
                measured.save()
        share = measured.others.share
    say(f"others took {share:.0f} % of the machine" + (f"; {ADVICE}" if share > 10 else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())

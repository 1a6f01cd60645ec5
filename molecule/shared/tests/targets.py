"""The hosts under test: how they are reached, and what their inventory asks for."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testinfra
from client import Door
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
APPS = ROOT / "tests" / "integration" / "apps"
SCENARIO = os.environ.get("ASGI_SCENARIO", "default")
PHASE = os.environ.get("ASGI_PHASE", "converged")
INVENTORY = Path(os.environ.get("ASGI_INVENTORY", ROOT / "molecule" / SCENARIO / "inventory")).absolute()

App = dict[str, Any]


def tool(name: str) -> str:
    """The path of a tool of Ansible: that beside this interpreter, whatever PATH says."""
    own = Path(sys.executable).parent / name
    return str(own) if own.exists() else name


@functools.cache
def hostvars() -> dict[str, dict[str, Any]]:
    """Each host's variables as Ansible reads them from the inventory under test."""
    listed = subprocess.run(
        [tool("ansible-inventory"), "-i", str(INVENTORY), "--list"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, dict[str, Any]] = json.loads(listed.stdout)["_meta"]["hostvars"]
    return found


def wait_for(what: Callable[[], Any], seconds: float = 120.0, pause: float = 0.05) -> None:
    """Ask again and again until it is so. Raises AssertionError when it is not within ``seconds``."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"it did not come about in {seconds:g} s"
        time.sleep(pause)


@dataclass(frozen=True)
class Target:
    """One host under test."""

    name: str
    suite: str
    ssh_config: str
    door: Door

    @functools.cached_property
    def host(self) -> Host:
        """Testinfra's view of it, as root."""
        return testinfra.get_host(f"ssh://{self.name}", ssh_config=self.ssh_config, controlpersist=120)

    @functools.cached_property
    def apps(self) -> dict[str, App]:
        """What its inventory asks for, by name."""
        return {app["name"]: app for app in hostvars()[self.name]["asgi_host_apps"]}

    def app(self, name: str) -> App:
        """One app of the inventory."""
        return self.apps[name]

    def domain(self, name: str) -> str:
        """The first domain of an app."""
        return str(self.apps[name]["domains"][0])

    def run(self, script: str, *, stdin: str | None = None) -> str:
        """Run a shell script as root; ``stdin`` keeps what is secret out of every command line."""
        # One connection for all of them, beside Ansible's own, so that a reboot of the host closes both.
        control = Path(self.ssh_config).parent / "cp" / "tests"
        shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", f"ControlPath={control}"]
        argv = ["ssh", "-F", self.ssh_config, *shared, self.name, script]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(
                f"{self.name}: {script!r} ended with {done.returncode}: {done.stderr}{done.stdout}"
            )
        return done.stdout

    def front(self, name: str) -> str:
        """The path of an app's front page; the package index from PyPI has none at its root."""
        return str(self.apps[name].get("root_path", "")) + ("/simple/" if name == "packages" else "/")

    def release(self, name: str) -> dict[str, Any]:
        """The ledger entry of the release that serves."""
        entry: dict[str, Any] = json.loads(self.run(f"cat /srv/asgi/{name}/current/release.json"))
        return entry

    def service(self, name: str) -> str:
        """The unit of the release that serves."""
        return f"asgi-{name}@{self.run(f'basename $(readlink /srv/asgi/{name}/current)').strip()}.service"

    def pids(self) -> dict[str, list[int]]:
        """Master and workers of every app that runs, by unit."""
        script = (
            "for unit in $(systemctl list-units --plain --no-legend --state=active 'asgi-*.service' "
            "| cut -d' ' -f1); do main=$(systemctl show -P MainPID $unit); "
            # uvicorn's manager also has a process that keeps track of semaphores.
            "echo $unit $main $(for pid in $(pgrep -P $main); do "
            "grep -q resource_tracker /proc/$pid/cmdline || echo $pid; done); done"
        )
        lines = (line.split() for line in self.run(script).splitlines())
        return {unit: sorted(map(int, pids)) for unit, *pids in lines}

    def kill(self, name: str, *, master: bool) -> int:
        """Kill the master of an app, or one of its workers, and wait until all its processes are there again.

        Returns how many workers died: systemd ends those of a dead master, one after the other.
        """
        unit = self.service(name)
        before = self.pids()[unit]
        main = int(self.run(f"systemctl show -P MainPID {unit}"))
        victim = main if master else next(pid for pid in before if pid != main)
        self.run(f"kill -9 {victim}")

        def replaced() -> bool:
            now = self.pids().get(unit, [])
            return len(now) == len(before) and victim not in now

        wait_for(replaced, pause=0.2)
        return len(before) - 1 if master else 1

    def journal(self, lines: int = 40) -> str:
        """The last lines of all apps."""
        return self.run(f"journalctl -u 'asgi-*' -n {lines} --no-pager -o short-monotonic")


def hosts_under_test() -> Iterator[Target]:
    """The hosts of ``ASGI_HOSTS_JSON``, which molecule's create wrote."""
    path = os.environ.get("ASGI_HOSTS_JSON")
    if not path:
        return
    for name, facts in json.loads(Path(path).read_text(encoding="utf-8"))["hosts"].items():
        http, https = (
            (str(address), int(port)) for address, port in (facts["reach"]["http"], facts["reach"]["https"])
        )
        yield Target(name, facts["suite"], facts["ssh_config"], Door(http, https))


HOSTS = list(hosts_under_test())
# With ASGI_TURNS=all each host does everything.
NO_TURNS = os.environ.get("ASGI_TURNS") == "all"


def takes_turn(target: Target, place: int) -> bool:
    """Whether what is at this place of a row is for this host, when each host does the next."""
    return NO_TURNS or HOSTS[place % len(HOSTS)].name == target.name


def rounds(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The names in groups of as many as there are hosts: one for each, so that one play on all does a group."""
    row, size = list(names), max(len(HOSTS), 1)
    if NO_TURNS:
        return [(name,) * size for name in row]
    return [tuple(row[start : start + size]) for start in range(0, len(row), size)]

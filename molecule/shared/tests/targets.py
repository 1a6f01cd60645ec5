"""The hosts under test: how they are reached, and what their inventory asks for."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
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
            "echo $unit $main $(pgrep -P $main); done"
        )
        lines = (line.split() for line in self.run(script).splitlines())
        return {unit: sorted(map(int, pids)) for unit, *pids in lines}

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

"""The host that a benchmark runs on: plays of the playbook that ships, and rounds of load that run on the host itself."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import hosting.record
from client import Door

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
# Connections that wrk keeps; each has one request on its way at a time.
CONNECTIONS = 16
ADVICE = "the machine has other work: take these numbers again when it is quiet"

T = TypeVar("T")


@dataclass(frozen=True)
class Play:
    """What a run of the playbook came to."""

    good: bool
    seconds: float
    output: str


@dataclass(frozen=True)
class Command:
    """What brings hosts to where they are wanted."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """What is added to this process's own environment."""
    cwd: Path = ROOT
    stdin: str = ""

    def run(self, prefix: Sequence[str] = ()) -> Play:
        """Run it, after the words of ``prefix``."""
        began = time.monotonic()
        done = subprocess.run(
            [*prefix, *self.argv],
            cwd=self.cwd,
            env={**os.environ, **self.env},
            input=self.stdin,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Play(done.returncode == 0, time.monotonic() - began, done.stdout)


class Ground:
    """The host, the source that is deployed on it, and its apps; a key that is None is left out of an app."""

    def __init__(
        self,
        host: str,
        folder: Path,
        apps: Sequence[dict[str, Any]],
        source: Path = HERE / "app",
        module: str = "work",
    ) -> None:
        found = hosting.record.load(host)
        if found is None:
            raise RuntimeError(f"{host} is not up: run `tools/hosts.py up {host} --suite trixie`")
        self.host, self.folder, self.ssh_config = host, folder, found.folder / "ssh_config"
        self.door = Door(
            *((str(address), int(port)) for address, port in (found.reach["http"], found.reach["https"]))
        )
        self.source, self.module = folder / "app", module
        shutil.copytree(source, self.source, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        common = {"app": f"{module}.main:app", "source": {"path": str(self.source)}, "health": {"path": "/"}}
        whole = [{**common, "domains": [f"{app['name']}.test"], **app} for app in apps]
        self.apps = [{key: value for key, value in app.items() if value is not None} for app in whole]
        # Variables of the role, beside the apps.
        self.settings: dict[str, Any] = {}
        self.number = 1

    @property
    def names(self) -> list[str]:
        """The apps' names."""
        return [app["name"] for app in self.apps]

    def ssh(self, script: str, stdin: str = "") -> str:
        """Run a script as root on the host. Raises RuntimeError with its own words where it fails."""
        done = subprocess.run(
            self._way(script), input=stdin, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise RuntimeError(f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def command(self, *only: str, also: Sequence[str] = (), options: Sequence[str] = ()) -> Command:
        """The playbook that ships, for all apps or some of them, on this host and ``also`` others."""
        apps = [app for app in self.apps if not only or app["name"] in only]
        chosen = self.folder / "apps.json"
        chosen.write_text(json.dumps({"asgi_host_apps": apps, **self.settings}), encoding="utf-8")
        argv = ["ansible-playbook", "site.yml", "-i", str(HERE / "inventory"), "-e", f"@{chosen}", *options]
        return Command(argv, {"BENCH_HOST": " ".join([self.host, *also])})

    def play(self, *only: str) -> Play:
        """Run the playbook that ships, for all apps or some of them."""
        return self.command(*only).run()

    def provision(self) -> None:
        """Bring the host to where every app serves, and what loads it. Raises RuntimeError where that fails."""
        say("provisioning the host")
        run = self.play()
        if not run.good:
            raise RuntimeError(run.output)
        say(f"provisioned after {run.seconds:.0f} s")
        names = " ".join(f"{name}.test" for name in self.names)
        self.ssh(
            "export DEBIAN_FRONTEND=noninteractive; command -v wrk >/dev/null || "
            "{ apt-get -q update && apt-get -q -y install --no-install-recommends wrk; }; "
            f"grep -q ' {names}$' /etc/hosts || echo '127.0.0.1 {names}' >>/etc/hosts"
        )

    def change(self, *, broken: bool = False) -> str:
        """Make a new version of the source; returns its name."""
        self.number += 1
        text = f'"""What a deploy changes."""\n\nVERSION = "{self.number}"\n'
        text += "import no_such_module\n" if broken else ""
        (self.source / self.module / "version.py").write_text(text, encoding="utf-8")
        return str(self.number)

    def send(self, source: Path, script: str) -> None:
        """Run a script as root on the host with a file as its standard input. Raises CalledProcessError."""
        with source.open("rb") as stream:
            subprocess.run(self._way(script), stdin=stream, check=True, timeout=300)

    def receive(self, script: str, target: Path) -> None:
        """Write what a script prints on the host, as root, into a file. Raises CalledProcessError."""
        with target.open("wb") as stream:
            subprocess.run(
                self._way(script), stdin=subprocess.DEVNULL, stdout=stream, check=True, timeout=300
            )

    def _way(self, script: str) -> list[str]:
        return ["ssh", "-F", str(self.ssh_config), self.host, script]

    def serves(self, name: str) -> str:
        """The version of an app that answers; what is wrong where none does."""
        return self.serves_at(f"{name}.test")

    def serves_at(self, domain: str) -> str:
        """The version that answers at a domain; what is wrong where none does."""
        try:
            answer = self.door.ask(domain)
        except OSError as error:
            return type(error).__name__
        return str(answer.json()["version"]) if answer.status == 200 else f"status {answer.status}"

    def load(self, name: str, path: str, seconds: int) -> dict[str, float]:
        """One round of load on one app; see on_host.py."""
        found: dict[str, float] = self._ask("load", name, path, str(seconds), str(CONNECTIONS))
        return found

    def cost(self, url: str, seconds: int, services: dict[str, str]) -> dict[str, float]:
        """One round of load on any URL, and what each of ``services`` spent on it; see on_host.py."""
        named = (f"{who}={service}" for who, service in services.items())
        found: dict[str, float] = self._ask("cost", url, str(seconds), str(CONNECTIONS), *named)
        return found

    def duel(self, seconds: int, *sides: tuple[str, dict[str, str]]) -> list[dict[str, float]]:
        """One round of load on several URLs by turns, and what the services of each spent; see on_host.py."""
        named = [
            ",".join([url, *(f"{who}={service}" for who, service in services.items())])
            for url, services in sides
        ]
        found: list[dict[str, float]] = self._ask("duel", str(seconds), str(CONNECTIONS), *named)
        return found

    def start(self, service: str, url: str) -> float:
        """Seconds from the start of a stopped service to its first answer; see on_host.py."""
        found: float = self._ask("start", service, url)
        return found

    def memory(self) -> dict[str, dict[str, float]]:
        """What each app takes, in MiB, while no other one runs."""
        found: dict[str, dict[str, float]] = self._ask("memory", *self.names)
        return found

    def _ask(self, *words: str) -> Any:
        program = (HERE / "on_host.py").read_text(encoding="utf-8")
        return json.loads(self.ssh(f"python3 - {shlex.join(words)}", program))

    def where(self, *packages: str) -> str:
        """The machine and the versions, in one line for the documentation."""
        kept = "|".join(packages)
        shown = self.ssh(
            ". /etc/os-release; echo $PRETTY_NAME; python3 --version; nginx -v 2>&1 | sed 's/.*: //'; "
            "wrk --version 2>&1 | sed -n 's/^wrk \\([^ ]*\\).*/wrk \\1/p'; "
            f"cat /srv/asgi/*/current/requirements.lock | grep -oE '^({kept})==[^ ;]+' | sort -u"
        )
        linux = platform.release().partition("-")[0]
        return f"{os.cpu_count()} cores, Linux {linux}; {', '.join(line for line in shown.splitlines() if line)}."


def rotated(items: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Each item once in each round, each time with another one first."""
    for number in range(rounds):
        for place in range(len(items)):
            yield number, items[(number + place) % len(items)]


def busy(rounds: Sequence[dict[str, float]]) -> float:
    """The share of the machine that others took during the rounds, in percent."""
    return (
        100
        * sum(each["others"] for each in rounds)
        / ((os.cpu_count() or 1) * sum(each["took"] for each in rounds))
    )


def parser(text: str) -> argparse.ArgumentParser:
    """What every benchmark is asked for: where to write, how often, how long, on which host."""
    options = argparse.ArgumentParser(description=text.splitlines()[0])
    options.add_argument("output", type=Path)
    options.add_argument("--rounds", type=int, default=5, help="%(default)s")
    options.add_argument("--seconds", type=int, default=2, help="of load in each round (%(default)s)")
    options.add_argument("--host", default="bench", help="a host of tools/hosts.py (%(default)s)")
    return options


def arguments(text: str) -> argparse.Namespace:
    """The arguments of a benchmark that has no others."""
    return parser(text).parse_args()


def say(text: str) -> None:
    """Tell progress."""
    print(f"bench: {text}", flush=True)

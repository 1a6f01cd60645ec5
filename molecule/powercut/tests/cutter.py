"""The app under test in its versions, the machines it runs on, and what they look like after a power cut."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machines
import yaml
from client import Door
from machines import Machine
from playbook import PLAYBOOK, Run, play
from targets import APPS, ROOT, tool

DOMAIN = "cutter.test"
REQUESTS = 20
# Seconds that a deploy may take from its controller's end on.
ALONE = 120.0
# A machine that has just booted takes its time to import the app.
PATIENCE = 90.0
VARIABLES = ROOT / "molecule" / "powercut" / "inventory" / "group_vars" / "asgi_hosts.yml"
FOLLOWS = Path("/usr/lib/python3/dist-packages/asgi_cut_points")
ADDRESS = "/run/asgi-cut-points"

# Printed by a machine about itself: what of the app is on its disk, enabled, and running.
LOOK = """\
import hashlib, json, os, subprocess
from pathlib import Path

def words(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout.split()

def files(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts}

def sizes(folder):
    found = sorted(f"{Path(top, name).relative_to(folder)} {os.lstat(Path(top, name)).st_size}"
                   for top, _, names in os.walk(folder) for name in names)
    return [len(found), hashlib.sha256("\\n".join(found).encode()).hexdigest()]

def entry(release):
    try:
        return json.loads((release / "release.json").read_text())
    except (OSError, ValueError):
        return {}

app, units, secrets = Path("/srv/asgi/cutter"), Path("/etc/systemd/system"), Path("/etc/asgi/cutter")
current = os.readlink(app / "current")
print(json.dumps({
    "current": Path(current).name,
    "releases": {path.name: entry(path) for path in sorted((app / "releases").iterdir())},
    "files": files(app / "current" / "src"),
    "venv": sizes(app / "current" / "venv"),
    "enabled": sorted({path.name for path in units.glob("*.wants/asgi-cutter@*")}),
    "running": words("systemctl", "list-units", "--plain", "--no-legend", "--full",
                     "--state=active,activating,reloading", "asgi-cutter@*"),
    "failed": words("systemctl", "--failed", "--plain", "--no-legend"),
    "settings": sorted(path.name[12:-10] for path in units.glob("asgi-cutter@*.service.d")),
    "secrets": sorted(path.name for path in secrets.iterdir() if path.is_dir()),
    "unfinished": sorted(str(path) for folder in (app, app / "releases", app / "current", units, secrets)
                         for path in folder.glob(".*") if path.name != ".lock"),
}))
"""


@dataclass(frozen=True)
class Point:
    """A boundary between two steps of a deploy: what the host is about to do when its power goes."""

    number: int
    event: str
    what: str

    def __str__(self) -> str:
        """As it is shown to people."""
        return f"{self.number:3} {self.event.rpartition('.')[2]:8} {self.what[:150]}"


@dataclass(frozen=True)
class Answered:
    """What many requests were answered, each kind of answer with its count."""

    pages: Counter[str]
    static: Counter[str]

    def versions(self) -> set[str]:
        """All versions that any part of any answer was of."""
        parts = [json.loads(page) for page in self.pages]
        return {part[key] for part in parts for key in ("code", "file", "environment")} | set(self.static)

    def releases(self) -> set[str]:
        """All releases that answered."""
        return {json.loads(page)["release"] for page in self.pages}


@dataclass(frozen=True)
class Seen:
    """What a machine said about itself."""

    told: dict[str, Any]

    @property
    def current(self) -> str:
        """The release that the pointer names."""
        return str(self.told["current"])

    @property
    def entry(self) -> dict[str, Any]:
        """The ledger entry of that release."""
        found: dict[str, Any] = self.told["releases"].get(self.current, {})
        return found

    def unfinished_business(self) -> list[str]:
        """What is not as a finished deploy leaves it: one release active, at most its predecessor beside it."""
        kept = {self.current, self.entry.get("previous")}
        own = {f"asgi-cutter@{self.current}.{kind}" for kind in ("socket", "service")}
        running = {word for word in self.told["running"] if word.startswith("asgi-cutter@")}
        found = [f"release {name} is left" for name in self.told["releases"] if name not in kept]
        found += [f"{unit} is enabled" for unit in self.told["enabled"] if unit not in own]
        found += [f"{unit} runs" for unit in sorted(running - own)]
        found += [f"{unit} is not enabled" for unit in sorted(own - set(self.told["enabled"]))]
        found += [f"{unit} does not run" for unit in sorted(own - running)]
        for kind in ("settings", "secrets"):
            others = set(self.told[kind]) - set(self.told["releases"])
            found += [f"{kind} of {name}, which is gone" for name in sorted(others)]
        if self.entry.get("state") != "active":
            found.append(f"the ledger calls the serving release {self.entry.get('state')}")
        return found


def make_version(folder: Path, version: str) -> Path:
    """A copy of the app's source whose parts are all of another version."""
    source = folder / f"cutter-{version}"
    shutil.copytree(APPS / "cutter", source, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cutter/version.py", "static/version.txt", "note.txt"):
        path = source / name
        path.write_text(path.read_text(encoding="utf-8").replace("one", version), encoding="utf-8")
    return source


def hashes(source: Path) -> dict[str, str]:
    """The files of a source by their content."""
    return {
        str(path.relative_to(source)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(source.rglob("*"))
        if path.is_file()
    }


@functools.cache
def variables() -> dict[str, Any]:
    """What the scenario's inventory asks for."""
    found: dict[str, Any] = yaml.safe_load(VARIABLES.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Box:
    """One machine under test."""

    machine: Machine
    folder: Path
    """Where its inventories are written."""

    @property
    def name(self) -> str:
        """Its name, also in inventories."""
        return self.machine.name

    def inventory(self, version: str, **keys: Any) -> Path:
        """An inventory that asks for a version of the app, with further keys of the app."""
        asked = copy.deepcopy(variables())
        app = asked["asgi_host_apps"][0]
        app.update(keys)
        app["source"] = {"path": str(self.folder / f"cutter-{version}")}
        app["env"] = {"CUTTER_VERSION": version, **keys.get("env", {})}
        own = {**self.machine.variables(), **asked}
        path = self.folder / f"{self.name}-{version}.json"
        path.write_text(json.dumps({"asgi_hosts": {"hosts": {self.name: own}}}), encoding="utf-8")
        path.chmod(0o600)
        return path

    def converge(self, version: str, **keys: Any) -> Run:
        """Run the playbook that ships."""
        return play(inventory=self.inventory(version, **keys))

    def start(self, version: str) -> subprocess.Popen[bytes]:
        """Start the playbook that ships, in a process group of its own."""
        return subprocess.Popen(
            [tool("ansible-playbook"), str(PLAYBOOK), "-i", str(self.inventory(version))],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def abandon(self, controller: subprocess.Popen[bytes]) -> None:
        """End the controller at once, and its connections with it."""
        os.killpg(controller.pid, signal.SIGKILL)
        controller.wait()
        machines.close_connections(self.machine)

    def wait_for_the_lock(self) -> None:
        """Wait until no deploy is at work."""
        until = time.monotonic() + ALONE
        script = "flock --nonblock /run/asgi-cutter.lock true && echo free || echo held"
        while self.machine.ssh(script).strip() != "free":
            assert time.monotonic() < until, f"a deploy still holds its lock\n{self.journal()}"
            time.sleep(1)

    def ask(self) -> Answered:
        """Ask over HTTPS, from outside, many times."""
        door = Door((self.machine.address, 80), (self.machine.address, 443))
        pages: Counter[str] = Counter()
        static: Counter[str] = Counter()
        for _turn in range(REQUESTS):
            answer = door.ask(DOMAIN, "/", timeout=PATIENCE)
            assert answer.status == 200, f"{self.name}: {answer.status} {answer.text[:300]}"
            pages[json.dumps(answer.json(), sort_keys=True)] += 1
            answer = door.ask(DOMAIN, "/static/version.txt", timeout=PATIENCE)
            assert answer.status == 200, f"{self.name}: static {answer.status} {answer.text[:300]}"
            static[answer.text.strip()] += 1
        return Answered(pages, static)

    def look(self) -> Seen:
        """What is on its disk, enabled, and running."""
        return Seen(json.loads(self.machine.ssh(f"python3 - <<'END'\n{LOOK}END")))

    def journal(self) -> str:
        """The last words of the app and of nginx."""
        units = "-u 'asgi-*' -u nginx -b -n 60 --no-pager -o short-monotonic"
        return self.machine.ssh(f"journalctl {units}; systemctl --failed --no-pager", check=False)

    def follow(self, address: str) -> None:
        """Have each deploy on it stop at its boundaries."""
        script = (Path(__file__).parent / "cut_points.py").read_text(encoding="utf-8")
        pth = f"import {FOLLOWS.name}"
        self.machine.ssh(
            f"cat > {FOLLOWS}.py <<'END'\n{script}END\necho {pth} > {FOLLOWS}.pth; echo {address} > {ADDRESS}"
        )

    def leave_alone(self) -> None:
        """Have deploys run through again."""
        self.machine.ssh(f"rm -f {ADDRESS}")


@contextmanager
def listening(machine: Machine, at: Callable[[Point], None]) -> Iterator[str]:
    """Call ``at`` at each boundary of the deploys on a machine, which stands still there until it returns.

    Hands over the address that the machine must be told.
    """
    count = 0

    def serve(connection: socket.socket) -> None:
        nonlocal count
        with connection, connection.makefile("rw", encoding="utf-8") as line:
            for text in line:
                event, what, _process = json.loads(text)
                count += 1
                at(Point(count, event, what))
                line.write("go\n")
                line.flush()

    def accept(door: socket.socket) -> None:
        while True:
            try:
                connection, _peer = door.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server((machine.gateway, 0)) as door:
        threading.Thread(target=accept, args=(door,), daemon=True).start()
        yield f"{machine.gateway}:{door.getsockname()[1]}"


def clone(name: str, seed: Machine, disk: Path | None = None) -> Machine:
    """A machine that starts from the seed's state, or from what a power cut left of another such machine."""
    machines.down(name)
    machine = machines.make(name, seed.suite, seed.name)
    if disk:
        shutil.move(disk, machine.disk)
    return machines.boot(name)

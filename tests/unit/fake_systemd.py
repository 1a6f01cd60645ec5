"""A stand-in for the host's programs: systemd as far as systemctl and journalctl show it, for one app named shop."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.asgi.host.plugins.module_utils._release import paths, units

RUNS = units.UnitState(active="active", enabled=True, restarts=0, main_pid=1)
IDLE = units.UnitState(active="inactive", enabled=False, restarts=0, main_pid=0)
# How systemd says that a process ended by itself, with exit status 0.
ENDED = "Result=success\nExecMainCode=1\nExecMainStatus=0\n"


def short(unit: str) -> str:
    """A process and the number of its release: ``worker@001``; of the app's own service the release."""
    if unit.startswith("asgi-shop@"):
        return unit.removeprefix("asgi-shop@").removesuffix(".service")
    return unit.removeprefix("asgi-shop.").partition("-")[0]


class FakeSystemd:
    """Takes the place of ``_process.system``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[str] = []
        """What was asked of units that are no sockets, and which other programs were run."""
        self.instances: dict[str, units.UnitState] = {}
        """The app's own services that are loaded, by release."""
        self.processes: dict[str, units.UnitState] = {}
        """The units of background processes."""
        self.dies: set[str] = set()
        """Parts of the names of processes that end as soon as they are started."""

    def run(self, argv: Sequence[str], **_: object) -> str:
        """Do what the program would."""
        program, *words = argv
        if program == "journalctl":
            return json.dumps({"_PID": "1", "MESSAGE": "the app's own words"})
        if program != "systemctl":
            self.calls.append(" ".join(argv[:2]))
            return ""
        verb, *names = [word for word in words if not word.startswith("-")]
        self._link_what_starts_at_boot()
        if verb == "show":
            return ENDED if "--property=Result" in words else self._shown(names)
        if verb == "list-units":
            loaded = [*map(_service, self.instances), *self.processes]
            return "\n".join(name for name in loaded if fnmatch.fnmatchcase(name, names[0]))
        if verb == "daemon-reload":
            self.calls.append(verb)
        for name in names:
            self._change(verb, name)
        self._link_what_starts_at_boot()
        return ""

    def _shown(self, names: Sequence[str]) -> str:
        return "\n\n".join(
            f"Id={name}\nActiveState={seen.active}\nUnitFileState={'enabled' if seen.enabled else 'disabled'}\n"
            f"NRestarts={seen.restarts}\nMainPID={seen.main_pid}\n"
            f"ActiveEnterTimestampMonotonic={int(seen.since * 1e6)}"
            for name in names
            for seen in [self.state(name)]
        )

    def state(self, unit: str) -> units.UnitState:
        """A unit; a socket is as its service."""
        if unit.startswith("asgi-shop@"):
            return self.instances.get(short(unit.replace(".socket", ".service")), IDLE)
        return self.processes.get(unit, IDLE)

    def _change(self, verb: str, unit: str) -> None:
        if unit.endswith(".socket"):
            return
        own = unit.startswith("asgi-shop@")
        if not own or verb in ("start", "stop", "restart"):
            self.calls.append(f"{verb} {short(unit)}")
        seen = self.state(unit)
        if verb in ("enable", "disable"):
            seen = dataclasses.replace(seen, enabled=verb == "enable")
        elif verb in ("start", "stop", "restart"):
            dies = any(part in unit for part in self.dies)
            idle = verb == "stop" or not (own or self._may_start(unit))
            fate = "inactive" if idle else "activating" if dies else "active"
            seen = dataclasses.replace(seen, active=fate, main_pid=int(fate == "active"))
        if not own:
            self.processes[unit] = seen
        elif seen.active == "active" or seen.enabled:
            self.instances[short(unit)] = seen
        else:
            self.instances.pop(short(unit), None)

    def _link_what_starts_at_boot(self) -> None:
        """Have the links of systemd that say it; a test may have changed what is known here."""
        known = [
            *((_service(release), seen) for release, seen in self.instances.items()),
            *self.processes.items(),
        ]
        wanted = {f"multi-user.target.wants/{name}" for name, seen in known if seen.enabled}
        wanted |= {
            f"sockets.target.wants/{_service(release).replace('.service', '.socket')}"
            for release, seen in self.instances.items()
            if seen.enabled
        }
        for link in paths.SYSTEMD.glob("*.wants/*"):
            if f"{link.parent.name}/{link.name}" not in wanted:
                link.unlink()
        for name in wanted:
            link = paths.SYSTEMD / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.touch()

    def _may_start(self, unit: str) -> bool:
        """The condition that the unit of a process has."""
        release = paths.App(self.root, "shop", "").release(unit.partition("@")[2].removesuffix(".service"))
        return release.app.active() == release or release.trial.exists()

    def up(self) -> dict[str, bool]:
        """The processes that run, with whether they would at boot, and those that would."""
        return {
            short(name): seen.enabled
            for name, seen in sorted(self.processes.items())
            if seen.active == "active" or seen.enabled
        }


def _service(release: str) -> str:
    return f"asgi-shop@{release}.service"

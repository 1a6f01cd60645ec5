# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The background processes of an app: those of one release run, never those of two.

Each is a unit of its own beside the app's, with a file for each release.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

from .._process import CommandError, run, succeeds
from . import ledger, paths, units
from .paths import App, Release

# Seconds that a process must stay up before its release gets traffic, beyond those that the app itself took to start,
# for it imports the same code; and the most that this may come to.
STAYS_UP = 2.0
STAYS_UP_AT_MOST = 12
# Seconds between two looks. systemd waits for a second before it starts a process again.
LOOK = 0.25
# Seconds beyond the longest that a process may have for its end.
PATIENCE = 86_400.0 + 60.0


class EndedError(Exception):
    """A process did not stay up; ``unit`` is its own, and the message says how it ended."""

    def __init__(self, unit: str, words: str) -> None:
        self.unit = unit
        super().__init__(words)


def of(release: Release) -> list[str]:
    """The units of a release's processes, in the inventory's order."""
    return [release.process(name) for name in ledger.read(release).get("processes", [])]


def found(app: App) -> list[str]:
    """Every unit of a process of the app, of any release, that systemd has loaded or would start at boot."""
    pattern = f"asgi-{app.name}.*@*.service"
    wanted = [path.name for path in paths.SYSTEMD.glob(f"multi-user.target.wants/{pattern}")]
    return sorted({*units.listed(pattern, "--all"), *wanted})


def others(release: Release) -> list[str]:
    """The units of processes that run, or would at boot, and are not this release's."""
    own = of(release)
    known = units.states([unit for unit in found(release.app) if unit not in own])
    return [
        unit for unit, state in known.items() if state.enabled or state.active not in ("inactive", "failed")
    ]


def lacking(release: Release) -> list[str]:
    """What is wrong with the processes of the release that serves, in words."""
    seen = units.states(of(release))
    return [
        *(f"{unit} was {words}" for unit, words in _fallen(seen).items()),
        *(f"{unit} was not enabled at boot" for unit, state in seen.items() if not state.enabled),
    ]


def down(release: Release) -> list[str]:
    """The names of the processes of a release that do not run, or not for long."""
    return [_name(unit) for unit in _fallen(units.states(of(release)))]


def _fallen(seen: Mapping[str, units.UnitState]) -> dict[str, str]:
    """What does not run, in words. What systemd has started again just now may be about to fall once more."""
    fallen = {unit: state.active for unit, state in seen.items() if state.active != "active"}
    now = time.monotonic()
    young = {
        unit: state.restarts
        for unit, state in seen.items()
        if unit not in fallen and state.restarts and now - state.since < STAYS_UP_AT_MOST
    }
    while young and time.monotonic() < now + STAYS_UP:
        time.sleep(LOOK)
        for unit, state in units.states_now(list(young)).items():
            if state.active != "active" or state.restarts > young[unit]:
                fallen[unit] = f"ending again and again (started {state.restarts + 1} times)"
    return fallen


def start(release: Release) -> None:
    """Enable the processes of a release at boot and start those that do not run. Raises CommandError."""
    seen = units.states(of(release))
    if new := [unit for unit, state in seen.items() if not state.enabled]:
        run(["systemctl", "enable", "--quiet", *new])
    if idle := [unit for unit, state in seen.items() if state.active != "active"]:
        run(["systemctl", "start", *idle])


def stop(names: Sequence[str]) -> None:
    """Stop processes gracefully, all at the same time, wait for them, and take them out of the boot."""
    if names:
        # A unit whose file somebody removed can be told to stop, and may have nothing to be disabled.
        succeeds(["systemctl", "disable", "--quiet", *names])
        stop_for_now(names)
        # How it ended is nobody's concern any more, and `systemctl --failed` would go on about it.
        succeeds(["systemctl", "reset-failed", *names])


def only(release: Release) -> None:
    """Have exactly the processes of the release that serves run, now and after a boot. Raises CommandError."""
    stop(others(release))
    start(release)


def stay_up(release: Release, seconds: float) -> None:
    """Watch the processes of a release for so long. Raises EndedError at the first that ends, whatever its status."""
    watched = Watched(release)
    until = time.monotonic() + seconds
    while watched.units:
        watched.look()
        if time.monotonic() > until:
            return
        time.sleep(LOOK)


class Watched:
    """The processes of a release from now on."""

    def __init__(self, release: Release) -> None:
        self.units = of(release)
        self._before = {unit: state.restarts for unit, state in units.states(self.units).items()}

    def look(self) -> None:
        """Raises EndedError when one has ended since."""
        for unit, state in units.states(self.units).items():
            if state.active != "active" or state.restarts > self._before[unit]:
                raise EndedError(unit, f"{_name(unit)} {units.how_it_ended(unit)}")


@contextlib.contextmanager
def handed_over(release: Release, previous: Release | None) -> Iterator[None]:
    """The old release's processes end; in the block those of the new one are tried, and the traffic moves.

    Where the block fails before it has, the old ones run again. Raises CommandError.
    """
    old = others(release)
    if not old and not of(release):
        yield
        return
    # Until the traffic has moved their units would not let them start.
    release.trial.touch()
    try:
        # They stay enabled: should the power go now, theirs is the release that serves.
        stop_for_now(old)
        yield
    except BaseException:
        if release.app.active() != release:
            with contextlib.suppress(CommandError):
                if previous:
                    only(previous)
                else:
                    stop(of(release))
        raise
    finally:
        release.trial.unlink(missing_ok=True)


def stop_for_now(names: Sequence[str]) -> None:
    """Stop processes gracefully and wait for them; they stay enabled at boot."""
    if names:
        run(["systemctl", "stop", *names], timeout=PATIENCE)


def discard(release: Release) -> None:
    """Stop the processes of a release that is to be removed, and remove their units."""
    files = release.process_files()
    names = {*(path.name for path in files), *found(release.app)}
    own = sorted(name for name in names if name.endswith(f"@{release.id}.service"))
    # One whose file is gone may be unknown to systemd by now, which is as good as stopped.
    with contextlib.suppress(CommandError):
        stop(own)
    for path in files:
        path.unlink()
    for name in own:
        (paths.SYSTEMD / "multi-user.target.wants" / name).unlink(missing_ok=True)
        succeeds(["systemctl", "reset-failed", name])


def _name(unit: str) -> str:
    """The process's own part of its unit's name."""
    return unit.partition("@")[0].partition(".")[2]

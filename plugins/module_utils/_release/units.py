# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd's side of a release: its socket, its service, its journal, and commands in the same sandbox."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import _words
from .._files import write_atomically
from .._process import KILLED, CommandError, run, succeeds
from . import paths, tracebacks
from .environment import environment_file
from .paths import App, Release

RUN = Path("/run")
JOURNAL_LINES = 40
# Seconds for journald to write down what it has, and for what it then tells: an app can give it gigabytes.
SYNC_LIMIT_S, JOURNAL_LIMIT_S = 5.0, 20.0
# How the journal is asked: with the process of each line.
OUTPUT = ("--output=json", "--output-fields=MESSAGE,_PID")
# How gunicorn, uvicorn and Python begin to say what went wrong.
TROUBLE = re.compile(r"\[ERROR\]|^ERROR:|Traceback \(")
# Seconds that a candidate which failed has for its end. A part of the chain in plugin_utils/_timeouts.py.
PATIENCE = 3.0
# Seconds that systemd gives a service to stop where nothing else is said, and those beyond its limit that it may need.
STOP_S, STOP_MARGIN_S = 90.0, 15.0
# systemd's ExecMainCode: an exit, an end by a signal, one with a core dump (waitid(2), CLD_EXITED and after).
EXITED = "1"
SIGNALLED = ("2", "3")
# Directives of a service that belong to its process, not to the place it runs in.
OF_THE_PROCESS = frozenset(
    {
        "Type",
        "NotifyAccess",
        "ExecStart",
        "Restart",
        "RestartSec",
        "KillMode",
        "TimeoutStartSec",
        "TimeoutStopSec",
    }
)
# The sandbox of what builds a release and serves nobody: node makes code in memory, and its bundlers start as many workers
# as /proc/cpuinfo has processors, which without it is none.
LOOSE = ("MemoryDenyWriteExecute=no", "ProcSubset=all")


@dataclass(frozen=True)
class UnitState:
    """What systemd says of a unit."""

    active: str
    enabled: bool
    """Whether it starts at boot, by the links on disk: what systemd remembers of them is as of its last reload."""
    restarts: int
    main_pid: int
    since: float = 0.0
    """When it became active, on the clock of time.monotonic()."""


class _Overview:
    """What systemd said of all units of the apps; None where each function is to ask for itself."""

    known: dict[str, UnitState] | None = None


@contextlib.contextmanager
def overview() -> Iterator[None]:
    """Ask systemd once for everything that is asked of it in this block, in which nothing may be changed."""
    _Overview.known = states_now(["asgi-*"])
    try:
        yield
    finally:
        _Overview.known = None


def states(units: Sequence[str]) -> dict[str, UnitState]:
    """The state of each unit, in one call of systemctl."""
    known = _Overview.known or {}
    found = {unit: known[unit] for unit in units if unit in known}
    if missing := [unit for unit in units if unit not in found]:
        found.update(states_now(missing))
    return found


def states_now(units: Sequence[str]) -> dict[str, UnitState]:
    """The state at this moment, in an overview as well: for who waits, to whom what was known would never change.

    Of each unit by name, and of each loaded one that fits a pattern among the names.
    """
    asked = "Id,ActiveState,UnitFileState,NRestarts,MainPID,ActiveEnterTimestampMonotonic"
    text = run(["systemctl", "show", f"--property={asked}", *units])
    boot = {path.name for path in paths.SYSTEMD.glob("*.wants/asgi-*")}
    found = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" not in values:
            continue
        found[values["Id"]] = UnitState(
            active=values.get("ActiveState", ""),
            enabled=values["Id"] in boot and not values.get("UnitFileState", "").startswith("masked"),
            restarts=int(values.get("NRestarts") or 0),
            main_pid=int(values.get("MainPID") or 0),
            since=int(values.get("ActiveEnterTimestampMonotonic") or 0) / 1e6,
        )
    return found


def state(unit: str) -> UnitState:
    """The state of one unit. A process that runs for weeks may have been restarted: compare with an earlier look."""
    return states([unit])[unit]


def listed(pattern: str, *options: str) -> list[str]:
    """The names of the units that match, as ``systemctl list-units`` has them: with ``--all`` also the idle ones."""
    if _Overview.known is not None:
        ends = () if "--all" in options else ("inactive", "failed")
        return [
            name
            for name, state in _Overview.known.items()
            if fnmatch.fnmatchcase(name, pattern) and state.active not in ends
        ]
    said = run(["systemctl", "list-units", *options, "--plain", "--no-legend", "--full", pattern])
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def instances(app: App) -> dict[str, UnitState]:
    """The state of every service of an app that systemd has loaded, and of every one enabled at boot, by release."""
    template = f"asgi-{app.name}@"
    names = set(listed(f"{template}*.service", "--all"))
    names.update(path.name for path in paths.SYSTEMD.glob(f"multi-user.target.wants/{template}*.service"))
    return {
        name.removeprefix(template).removesuffix(".service"): state
        for name, state in states(sorted(names)).items()
    }


def with_settings(app: App) -> set[str]:
    """The releases whose settings systemd would read, whether their folders are there or not."""
    found = [
        *paths.SYSTEMD.glob(f"asgi-{app.name}@*.service.d"),
        *paths.SYSTEMD.glob(f"asgi-{app.name}.*@*.service"),
    ]
    return {path.name.partition("@")[2].partition(".service")[0] for path in found}


def reload() -> None:
    """Have systemd read all units anew: what it has loaded, and what is wanted at boot.

    In this while it does nothing else, and it starts every generator: once for a deploy is enough. A unit that it has not
    loaded yet it reads from disk when it is first asked for it.
    """
    run(["systemctl", "daemon-reload"])


def enable(release: Release) -> None:
    """Have the release start at boot; a running systemd knows of it from its next reload on."""
    if not all(seen.enabled for seen in states_now([release.socket, release.service]).values()):
        run(["systemctl", "enable", "--quiet", "--no-reload", release.socket, release.service])


def start(release: Release) -> None:
    """Enable the release at boot and start it: the socket first, so that it is systemd who holds it."""
    _await_end(release)
    enable(release)
    run(["systemctl", "start", release.socket])
    # What was started has not imported the app yet; whether it works is the gate's question.
    run(["systemctl", "start", "--no-block", release.service])


def _await_end(release: Release) -> None:
    """Wait for an instance that is being stopped: it still holds the socket, and would answer for the next one.

    Its streams end at once, as they would at its graceful timeout; requests have their time, and systemd a limit.
    """
    while state(release.service).active == "deactivating":
        # gunicorn's master takes no notice of this signal, nor does any process that does not handle it.
        succeeds(["systemctl", "kill", "--signal=SIGWINCH", release.service])
        time.sleep(0.2)


def restart(release: Release) -> None:
    """Restart the service; the socket stays, and requests wait in its backlog."""
    reload()
    run(["systemctl", "restart", "--no-block", release.service])


def hasten(release: Release, patience: float) -> None:
    """Kill what is being stopped and has not ended within ``patience`` seconds."""
    until = time.monotonic() + patience
    while state(release.service).active == "deactivating":
        if time.monotonic() > until:
            run(["systemctl", "kill", "--signal=SIGKILL", release.service])
            return
        time.sleep(0.2)


def pause(release: Release) -> None:
    """Stop the service gracefully and wait for it; the release stays enabled at boot, and its socket open."""
    _stop(release, ["systemctl", "stop", release.service])


def stop(release: Release, *, wait: bool = True) -> None:
    """Stop the release gracefully and take it out of the boot. Without ``wait`` systemd goes on by itself."""
    run(["systemctl", "disable", "--quiet", "--no-reload", release.socket, release.service])
    argv = ["systemctl", "stop", *([] if wait else ["--no-block"]), release.socket, release.service]
    _stop(release, argv)


def _stop(release: Release, argv: Sequence[str]) -> None:
    """Run a command that stops a release; one that is not gone at systemd's own limit, and a margin, is killed."""
    found = re.search(r"^TimeoutStopSec=(\d+)$", _text_of(release.drop_in), re.MULTILINE)
    limit = (float(found.group(1)) if found else STOP_S) + STOP_MARGIN_S
    try:
        run(argv, timeout=limit)
    except CommandError:
        if state(release.service).active != "deactivating":
            raise
        run(["systemctl", "kill", "--signal=SIGKILL", release.service])
        run(argv)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def end(release: Release) -> None:
    """Stop a candidate that nobody uses: it has PATIENCE seconds, for one that hangs would take its graceful time."""
    stop(release, wait=False)
    until = time.monotonic() + PATIENCE
    while state(release.service).active not in ("inactive", "failed"):
        if time.monotonic() > until:
            run(["systemctl", "kill", "--signal=SIGKILL", release.service])
            run(["systemctl", "stop", release.service])
            return
        time.sleep(0.1)


def journal(service: str, since: float) -> str:
    """What a service of a release said that an operator needs: its exceptions, else from its first error on, else its end.

    A crash loop repeats itself, and gunicorn adds a traceback of its own to the app's: the first one is the cause.
    What was said before ``since`` (seconds of the epoch) is of an earlier trouble.
    """
    # On a busy host journald has not yet written what a process said that has just died.
    # One that writes without end keeps it from ever being done.
    with contextlib.suppress(CommandError):
        run(["journalctl", "--sync"], timeout=SYNC_LIMIT_S)
    ask = ["journalctl", "--unit", service, "--no-pager", "--quiet", "--all", *OUTPUT]
    try:
        # One that has run for long, and was silent since, may have said before what is wrong.
        said = run([*ask, f"--since=@{since:.6f}"], timeout=JOURNAL_LIMIT_S)
        said = said or run([*ask, f"--lines={JOURNAL_LINES}"], timeout=JOURNAL_LIMIT_S)
    except CommandError as error:
        if not error.status.startswith("still ran"):
            return f"(no journal: {error.words})"
        # What it had told by then.
        said = error.output
        if not by_process(said):
            return f"(no journal: journalctl {error.status})"
    lines = by_process(said)
    if found := tracebacks.excerpt("\n".join(lines)):
        return found
    first = next((number for number, line in enumerate(lines) if TROUBLE.search(line)), None)
    if first is None:
        return "\n".join(lines[-JOURNAL_LINES:])
    return "\n".join(lines[max(0, first - 2) : first + JOURNAL_LINES])


def by_process(said: str) -> list[str]:
    """The messages of the journal's JSON, those of one process together: tracebacks of several are written at once."""
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        message = entry.get("MESSAGE") or ""
        # What is no text, or has control characters, comes as its bytes.
        text = message if isinstance(message, str) else bytes(message).decode("utf-8", "replace")
        found.setdefault(str(entry.get("_PID")), []).extend(text.splitlines())
    return [line for lines in found.values() for line in lines]


def with_journal(error: Exception, service: str, since: float) -> str:
    """The words of an error, below them what the ``service`` said since then, and the command that shows the rest."""
    said = _words.safe(journal(service, since))
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    return (
        f"{error}\nFrom the journal of {service}:\n{said}\n"
        f"All of it, on the host: journalctl --unit {service} --since '{when}'"
    )


def forget_failure(release: Release) -> None:
    """Make systemd forget that the units of a removed release failed."""
    for unit in (release.socket, release.service):
        try:
            run(["systemctl", "reset-failed", unit])
        except CommandError:
            continue  # not loaded any more, which is what is wanted


def sandbox(texts: Sequence[str], release: Release) -> list[str]:
    """The directives of a service as properties for systemd-run, so that a command runs where the app will."""
    properties = []
    in_service = False
    # systemd ends a line here and nowhere else.
    for line in "\n".join(texts).split("\n"):
        if line.startswith("["):
            in_service = line.strip() == "[Service]"
        match = re.match(r"([A-Za-z]+)=(.*)", line)
        if in_service and match and match.group(1) not in OF_THE_PROCESS:
            properties.append(f"{match.group(1)}={match.group(2).replace('%i', release.id)}")
    return properties


def run_in_sandbox(
    release: Release,
    texts: Sequence[str],
    argv: Sequence[str],
    *,
    writable: Sequence[Path] = (),
    bound: Mapping[Path, Path] | None = None,
    keep: Sequence[str] = (),
    loosened: Sequence[str] = (),
    timeout: float,
) -> str:
    """Run a command as the app's user with the unit's own sandbox, environment and secrets.

    ``bound`` are folders that it sees in the place of others; ``keep`` names variables of this process that it gets as
    well, ``loosened`` directives of the sandbox that it has in their place; ``timeout`` is in seconds. Returns its output; raises
    CommandError as _process.run does.
    """
    places = [f"ReadWritePaths={path}" for path in writable]
    places += [f"BindPaths={folder}:{place}" for folder, place in (bound or {}).items()]
    with _variables(release.app, keep) as more:
        return _run_in_sandbox(release, texts, argv, [*more, *places, *loosened], timeout)


@contextlib.contextmanager
def _variables(app: App, names: Sequence[str]) -> Iterator[list[str]]:
    """The property that hands variables of this process on: a file of root's, for anybody can read a unit's own.

    The address of a proxy may hold a password.
    """
    kept = {name: os.environ[name] for name in names if name in os.environ}
    if not kept:
        yield []
        return
    # Of the same name each time: only one deploy of an app is at work.
    path = RUN / f"asgi-{app.name}.variables"
    write_atomically(path, environment_file(kept).encode(), mode=0o600)
    try:
        yield [f"EnvironmentFile={path}"]
    finally:
        path.unlink(missing_ok=True)


def _run_in_sandbox(
    release: Release, texts: Sequence[str], argv: Sequence[str], more: Sequence[str], timeout: float
) -> str:
    properties = [
        *sandbox(texts, release),
        *more,
        f"RuntimeMaxSec={timeout:.0f}",
    ]
    unit = f"asgi-{release.app.name}-run-{os.getpid()}-{time.monotonic_ns()}.service"
    command = ["systemd-run", "--quiet", "--wait", "--pipe", f"--unit={unit}", "--service-type=exec"]
    command += [f"--property={entry}" for entry in properties]
    try:
        # env looks the program up in the PATH that begins with the release's virtualenv.
        return run([*command, "--", "/usr/bin/env", *argv], timeout=timeout + 30)
    except CommandError as error:
        raise CommandError(argv, _why_it_ended(unit, timeout) or error.status, error.output) from error
    except BaseException:
        # Only systemd-run has ended with this process: a migration must not go on beside the next one.
        succeeds(["systemctl", "stop", unit])
        raise


def end_commands(app: App) -> None:
    """Stop what a deploy that was killed had running in the sandbox; for who holds the app's lock."""
    ours = re.compile(rf"asgi-{re.escape(app.name)}-run-\d+-\d+\.service")
    found = [name for name in listed(f"asgi-{app.name}-run-*") if ours.fullmatch(name)]
    if found:
        run(["systemctl", "stop", *found])


def _why_it_ended(unit: str, limit: float) -> str:
    """What a failed unit does not say itself, in words: who is killed has no last ones. Forgets the unit."""
    said = _end(unit)
    succeeds(["systemctl", "reset-failed", unit])
    if said.get("Result") == "timeout":
        return f"still ran after {limit:.0f} s and was ended"
    return KILLED if _killed(said) else ""


def how_it_ended(unit: str) -> str:
    """How the process of a unit that shall run has ended, in words that follow its name."""
    said = _end(unit)
    if _killed(said):
        return KILLED
    status = said.get("ExecMainStatus")
    if said.get("ExecMainCode") == EXITED:
        return f"ended by itself, with exit status {status}; it must run until it is told to end"
    # Without an end it was stopped, or runs again already.
    return (
        f"was ended by signal {status}" if said.get("ExecMainCode") in SIGNALLED else "did not go on running"
    )


def _end(unit: str) -> dict[str, str]:
    """What systemd says of the end of a unit's process."""
    names = ("Result", "ExecMainCode", "ExecMainStatus")
    shown = run(["systemctl", "show", *(f"--property={name}" for name in names), unit])
    return dict(line.partition("=")[::2] for line in shown.splitlines())


def _killed(said: Mapping[str, str]) -> bool:
    killed = said.get("Result") == "signal" and said.get("ExecMainStatus") == "9"
    return killed or said.get("Result") == "oom-kill"

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release that serves, brought back to what it must be: its small files, its socket, its units, its processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .. import _progress
from .._files import gid_of, owned_as
from .._nginx import account
from .._process import run
from . import background, paths, units
from .context import AppContext
from .errors import DeployError
from .gate import GateError
from .paths import Release
from .repairs import Repair

# Of an app's socket, as its unit has it.
SOCKET_MODE = 0o660
# Seconds that a converge gives a release which already serves to answer its health checks: slow is not dead.
STILL_HEALTHY_TIMEOUT_S = 20.0
# Seconds that one which does not answer has for its end. It may hang, and would take its whole graceful time.
SILENT_TIMEOUT_S = 10.0


@dataclass
class _Found:
    """What was found wrong so far."""

    wrong: list[str] = field(default_factory=list)
    differed: set[Path] = field(default_factory=set)
    """The files whose content was another."""


def defects(context: AppContext, release: Release, patience: float) -> Iterator[Repair]:
    """What is wrong with the serving release, which has ``patience`` (seconds) to answer its health checks.

    The background processes come last: they may ask the app. The actions raise DeployError.
    """
    found = _Found()
    yield from _files(context, release, found)
    processes = {paths.SYSTEMD / unit: unit for unit in background.of(release)}
    own = found.differed - processes.keys()
    # They share the environment and the credentials with the app, and nothing else that is a file.
    shared = any(path.is_relative_to(release.secrets) for path in own)
    stale = [unit for path, unit in processes.items() if shared or path in found.differed]
    yield from _socket(release, found)
    yield from _app(context, release, found, patience, restart=bool(own))
    yield from _processes(context, release, stale)


def _files(context: AppContext, release: Release, found: _Found) -> Iterator[Repair]:
    """The release's small files where they differ."""
    candidate = context.candidate(release)
    for path, text, mode in candidate.text_files():
        owner = candidate.owner_of(path)
        if not path.is_file() or path.read_bytes() != text.encode():
            reason = f"{path} differed"
            found.differed.add(path)
        elif not owned_as(path, uid=owner[0], gid=owner[1], mode=mode):
            reason = f"{path} had another owner or mode"
        else:
            continue
        found.wrong.append(reason)
        yield Repair([reason], partial(candidate.put, path, text, mode))


def _socket(release: Release, found: _Found) -> Iterator[Repair]:
    """The socket, which must be nginx's alone; one whose name is gone is stopped, for nobody finds it any more."""
    for repair in socket_defects(release):
        found.wrong += repair.reasons
        yield repair


def socket_defects(release: Release) -> Iterator[Repair]:
    """What is wrong with the socket of a release."""
    path = release.socket_path
    if not path.is_socket():
        yield Repair([f"{path} was gone"], partial(_stop, release))
        return
    group = gid_of(account().group)
    if not owned_as(path, uid=0, gid=group, mode=SOCKET_MODE):
        yield Repair([f"{path} had another owner or mode"], partial(_give, path, group))


def _stop(release: Release) -> None:
    # A service whose drop-in was gone is none to systemd, and could not be stopped.
    units.reload()
    run(["systemctl", "stop", release.socket, release.service])


def _give(path: Path, group: int) -> None:
    os.chown(path, 0, group)
    path.chmod(SOCKET_MODE)


def _app(
    context: AppContext, release: Release, found: _Found, patience: float, *, restart: bool
) -> Iterator[Repair]:
    """The app itself, which is started where so much is wrong already, or its units are."""
    stopped = []
    seen = units.states([release.socket, release.service])
    for unit in (release.socket, release.service):
        if seen[unit].active not in ("active", "activating", "reloading"):
            stopped.append(f"{unit} was {seen[unit].active}")
        if not seen[unit].enabled:
            stopped.append(f"{unit} was not enabled at boot")
    found.wrong += stopped
    if found.wrong:
        yield Repair(stopped, partial(_start, context, release, found.wrong, restart=restart))
    elif not context.live:
        try:
            context.gate.passes(release, patience)
        except GateError as error:
            reason = f"it did not answer: {error}"
            yield Repair([reason], partial(_restart_silent, context, release, reason))


def _start(context: AppContext, release: Release, wrong: list[str], *, restart: bool) -> None:
    _progress.step("repair", ", ".join(wrong), app=context.app.name)
    units.enable(release)
    units.reload()
    began = time.time()
    units.start(release)
    if restart:
        units.restart(release)
    if not context.live:
        _must_pass(context, release, began)


def _restart_silent(context: AppContext, release: Release, reason: str) -> None:
    _progress.step("repair", reason, app=context.app.name)
    began = time.time()
    units.restart(release)
    units.hasten(release, SILENT_TIMEOUT_S)
    _must_pass(context, release, began)


def _must_pass(context: AppContext, release: Release, began: float) -> None:
    """Wait for the serving release after a repair. Raises DeployError with its journal since that ``began``."""
    try:
        context.gate.passes(release)
    except GateError as error:
        raise DeployError(
            f"{context.app.name}: {units.with_journal(error, release.service, began)}"
        ) from error


def _processes(context: AppContext, release: Release, stale: list[str]) -> Iterator[Repair]:
    """The processes that do not run, and those that were started with other settings (``stale``)."""
    # One that ends again and again may have said why while it was looked at, and not yet once more.
    began = time.time()
    wrong = background.lacking(release)
    if wrong or stale:
        yield Repair(wrong, partial(_start_processes, context, release, stale, began))


def _start_processes(context: AppContext, release: Release, stale: list[str], began: float) -> None:
    _progress.step("processes", app=context.app.name)
    units.reload()
    try:
        background.stop_for_now(stale)
        background.start(release)
        background.stay_up(release, background.STAYS_UP)
    except background.EndedError as error:
        raise DeployError(
            f"{context.app.name}: processes: {units.with_journal(error, error.unit, began)}"
        ) from error

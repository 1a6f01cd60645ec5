# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release gets the traffic: proved, switched to, watched, and taken back when it goes bad."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Literal

from .. import _progress, _words
from .._files import gid_of
from .._nginx import account
from .._process import CommandError
from . import assets, background, build, hints, ledger, memory, store, units
from .candidate import RefusedError
from .context import AppContext
from .errors import DeployError
from .paths import Release
from .retire import retire_others
from .runtime.virtualenv import workers_file
from .switch import NotProvedError, Switch
from .watch import WentBadError, watch


def activate(context: AppContext, release: Release, previous: Release | None) -> None:
    """Prove the release, give it the traffic, watch it, and stop the old one.

    Raises NotProvedError before the switch, and DeployError when it went bad after it and was taken back.
    """
    began = time.time()

    def fit(candidate: Release) -> bool:
        return limit_workers(context, candidate)

    restart, ready = is_in_place(context), keeping_files_of(context, previous, release)
    Switch(previous, context.gate, restart, fit, ready).to(release)
    wanted = context.spec["watch"]
    if wanted["seconds"]:
        _progress.step("watch", wanted["seconds"], app=context.app.name)
        try:
            watch(release, context.gate, wanted)
        except (WentBadError, background.EndedError) as error:
            unit = error.unit if isinstance(error, background.EndedError) else release.service
            said = units.with_journal(error, unit, began)
            raise DeployError(context.masked(_take_back(context, release, previous, said))) from error
    retire_others(context, previous)
    earlier = context.previous_of(release)
    for old in store.prunable(context, keep={each.id for each in (release, previous, earlier) if each}):
        store.discard(old)
    assets.prune(context.app)


def is_in_place(context: AppContext) -> bool:
    """Whether the host has no memory for two instances, so that the old one stops first."""
    return bool(context.spec["strategy"] == "restart")


def keeping_files_of(context: AppContext, *releases: Release | None) -> Callable[[], None]:
    """Before a switch: what keeps the static files of both, so that pages from before it find theirs after it."""

    def keep() -> None:
        for release in filter(None, releases):
            entry = ledger.read(release)
            folders = [*context.spec["static"], *entry.get("static", [])]
            if folders:
                assets.keep(release, folders, gid_of(account().group))

    return keep


def limit_workers(context: AppContext, release: Release) -> bool:
    """Lower the number of workers to what fits by their measured size; returns whether it was too high."""
    wanted, room = int(context.spec["workers"]["wanted"]), context.spec["workers"]["room"]
    if not room:
        return False
    measured = memory.of(units.state(release.service).main_pid)
    if measured is None:
        return False
    fitting = min(wanted, measured.fitting(room))
    ledger.update(release, workers=fitting, worker_mb=round(max(measured.workers)))
    if fitting < wanted:
        context.candidate(release).put(*workers_file(release, fitting))
    return fitting < wanted


def _take_back(context: AppContext, release: Release, previous: Release | None, reason: str) -> str:
    """Give the traffic back to the earlier release; returns what happened in words."""
    what = f"{context.app.name}: release {release.id} went bad after the switch: {reason}\n"
    if previous is None:
        return f"{what}There is no earlier release, so it still serves."
    try:
        Switch(release, context.gate_of(previous), is_in_place(context)).to(previous)
    except NotProvedError as error:
        return f"{what}It still serves: the earlier release {previous.id} does not work either: {error}"
    ledger.update(release, state=ledger.BAD, reason=reason.partition("\n")[0])
    units.stop(release, wait=False)
    units.reload()
    background.only(previous)
    return f"{what}Release {previous.id} serves again."


def rollback_target(active: Release | None, release: Release) -> str | None:
    """What a release that takes over from ``active`` can be taken back to: nothing of the development mode."""
    if active is None:
        return None
    entry = ledger.read(active)
    if entry.get("mode") != ledger.DEVELOPMENT:
        return active.id
    earlier: str | None = entry.get("previous")
    return ledger.read(release).get("previous") if earlier == release.id else earlier


@contextlib.contextmanager
def going_to(context: AppContext, release: Release, active: Release | None) -> Iterator[None]:
    """Go to a release that is on disk already; if that fails before the switch, its ledger is as it was.

    Raises DeployError, which says why.
    """
    before = ledger.read(release)
    previous = rollback_target(active, release)
    by, after = context.spec["by"], pending_hooks(context)
    ledger.update(release, previous=previous, by=by, activated=None, after=after)
    try:
        yield
    except (CommandError, NotProvedError, RefusedError, OSError) as error:
        if context.app.active() != release:
            ledger.write(release, before)
            if not isinstance(error, (NotProvedError, RefusedError)):
                # The gate was passed, and the switch failed: on a full disk, say.
                units.end(release)
        raise DeployError(explain(context, release, error, active)) from error


def pending_hooks(context: AppContext) -> Literal["pending"] | None:
    """What the ledger says of the hooks that are still to run after the switch."""
    return ledger.PENDING if context.spec["hooks"]["after"] else None


def run_after_hooks(context: AppContext, release: Release, previous: Release | None) -> None:
    """Run the hooks after the switch. Raises DeployError, and takes the release back where the inventory says so."""
    hooks = context.spec["hooks"]
    try:
        if hooks["after"]:
            _progress.step("after", app=context.app.name)
        context.candidate(release).hooks("after")
        if ledger.read(release).get("after"):
            ledger.update(release, after=None)
    except RefusedError as error:
        if hooks["after_failure"] == "rollback":
            said = _take_back(context, release, previous, str(error))
            raise DeployError(context.masked(said)) from error
        raise DeployError(
            context.masked(f"{context.app.name}: release {release.id} serves, but {error}")
        ) from error


def explain(
    context: AppContext, release: Release, error: Exception, previous: Release | None, *, built: bool = True
) -> str:
    """Why a release does not serve, what serves instead, and the fix where it is known."""
    text = error.words if isinstance(error, CommandError) else str(error)
    # The journal is safe already, and so is the rest behind this line.
    text = text if isinstance(error, (CommandError, build.BuildError)) else _words.safe(text)
    if isinstance(error, (CommandError, build.BuildError)):
        text = _words.of_command(text, context.masked(text))
    name = context.app.name
    if context.app.active() == release:
        return context.masked(f"{name}: release {release.id} serves, but after the switch: {text}")
    serves = f"Release {previous.id} serves as before." if previous else "No release of it serves yet."
    hint = hints.of(error, text, context.app, context.spec["server"], context.spec)
    failed = "is not good enough to serve" if built else "could not be built"
    return context.masked(f"{name}: release {release.id} {failed}. {text}\n{hint}{serves}")

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A deploy: build the wanted release, prove it, switch to it, stop the old one, prune.

Whatever fails before the switch leaves what served before serving, and nothing of the attempt behind.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from .. import _progress
from .._process import CommandError
from . import activate, background, build, ledger, lock, repairs, store, units
from .candidate import RefusedError
from .context import AppContext
from .errors import DeployError
from .paths import Release
from .switch import NotProvedError

if TYPE_CHECKING:
    from .._contract.answers import AppAnswer, Migrated


def deploy(context: AppContext, archive: Path | None, *, migrate: bool = True) -> AppAnswer:
    """Bring the app to the wanted release; ``archive`` is its source. Raises DeployError.

    Without ``migrate`` the hooks of that name are left out: another host of the fleet has run them.
    """
    with lock.held(context.app, context.spec["by"]):
        previous = context.app.active()
        _receive(context, archive)
        if previous and _serves_already(context, previous):
            return _nothing_new(context, previous)
        _clear_the_way(context, previous)
        if release := store.find_built(context):
            migrated = _go_to_built(context, release, previous, migrate=migrate)
        else:
            release = store.name_release(context)
            migrated = _build_and_go(context, release, previous, archive, migrate=migrate)
        activate.run_after_hooks(context, release, previous)
        repairs.apply(store.development_leftovers(context, release))
        return {
            "status": "deployed",
            "release": ledger.read(release),
            "chosen": build.chosen_versions(release),
            "migrated": migrated,
        }


def _receive(context: AppContext, archive: Path | None) -> None:
    """Bring the live folder to what was sent, if that is another."""
    live, wanted = context.live, context.spec["live"]
    if archive and live and wanted and not live.holds(wanted["digest"]):
        shared = [item["path"] for item in context.spec["shared"]]
        own = list(context.private.get("files", {}))
        context.synced = live.receive(archive, wanted["digest"], shared, own) or [str(live.folder)]


def _serves_already(context: AppContext, active: Release) -> bool:
    """Whether another deploy was quicker while this one waited for the lock, or the code alone is another."""
    return ledger.read(active).get("digest") == context.digest() and store.is_complete(context, active)


def _nothing_new(context: AppContext, active: Release) -> AppAnswer:
    """The answer where the wanted release serves; of what was synced the ledger says so."""
    if context.synced:
        ledger.update(active, version=context.spec["source"].get("version", ""), synced=ledger.now())
    return {
        "status": "synced" if context.synced else "current",
        "reasons": context.synced,
        "release": ledger.read(active),
    }


def _clear_the_way(context: AppContext, active: Release | None) -> None:
    """Remove what a deploy that died has left, and have the processes run that it may have stopped."""
    units.end_commands(context.app)
    repairs.apply(store.trials(context))
    store.clear_away(context, store.half_built(context, active))
    if active:
        with contextlib.suppress(CommandError):
            background.only(active)


def _go_to_built(
    context: AppContext, release: Release, previous: Release | None, *, migrate: bool
) -> Migrated:
    """Go to a release that is on disk already. Raises DeployError."""
    migrated: Migrated = {}
    _progress.step("again", release.id, app=context.app.name)
    with activate.going_to(context, release, previous):
        # An earlier version of the role has noted none.
        ledger.update(release, details=context.details())
        if migrate:
            migrated = context.candidate(release).migrate(previous)
        activate.activate(context, release, previous)
    return migrated


def _build_and_go(
    context: AppContext, release: Release, previous: Release | None, archive: Path | None, *, migrate: bool
) -> Migrated:
    """Build a release and go to it; one that fails before the switch is removed. Raises DeployError."""
    migrated: Migrated = {}
    _progress.step("build", release.id, app=context.app.name)
    try:
        _open(context, release)
        candidate = context.candidate(release)
        others = [other for other in reversed(context.app.all_releases()) if other != release]
        candidate.build(archive, context.tools, others)
        if migrate:
            migrated = candidate.migrate(previous)
        ledger.update(release, after=activate.pending_hooks(context))
        activate.activate(context, release, previous)
    except (build.BuildError, CommandError, NotProvedError, RefusedError, OSError) as error:
        built = ledger.read(release).get("state", ledger.BUILDING) != ledger.BUILDING
        if context.app.active() != release:
            store.discard(release)
        raise DeployError(activate.explain(context, release, error, previous, built=built)) from error
    except BaseException:
        state = ledger.read(release).get("state", ledger.BUILDING)
        if context.app.active() != release and state in ledger.UNPROVED:
            store.discard(release)
        raise
    return migrated


def _open(context: AppContext, release: Release) -> None:
    """Make the folder and the ledger's entry of a release that is now being built."""
    context.runtime.make_folder(release)
    spec, app = context.spec, context.app
    ledger.write(
        release,
        {
            "app": app.name,
            "id": release.id,
            "source": spec["source"]["describe"],
            "version": spec["source"].get("version", ""),
            **({"ref": spec["source"]["ref"]} if spec["source"].get("ref") else {}),
            "digest": context.digest(),
            "parts": context.wanted_parts(),
            "details": context.details(),
            "gate": context.gate.entry(),
            "processes": list(spec["processes"]),
            "static": spec["static"],
            "created": ledger.now(),
            # Clocks are put right; the order in which releases were made is what they are pruned by.
            "number": 1 + max(map(store.number, app.all_releases())),
            "activated": None,
            "by": spec["by"],
            "previous": activate.rollback_target(app.active(), release),
            "state": ledger.BUILDING,
            **context.runtime.ledger_entry(),
        },
    )

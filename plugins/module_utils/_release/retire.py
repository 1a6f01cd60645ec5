# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs of an app beside the release that serves, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from . import background, ledger, units
from .context import AppContext
from .paths import Release
from .repairs import Repair


def retire_others(context: AppContext, previous: Release | None) -> None:
    """Stop what the app does not need any more; the previous release stays up with ``keep_warm``."""
    active = context.app.active()
    for identity, state in units.instances(context.app).items():
        kept = context.spec["keep_warm"] and previous and identity == previous.id
        if _runs(state) and not kept and active and identity != active.id:
            # Streams have the graceful timeout; nothing else is left, so there is nothing to wait for.
            units.stop(context.app.release(identity), wait=False)
    units.reload()
    if active:
        background.only(active)
    if previous and previous.ledger.is_file() and previous != active:
        ledger.update(previous, state=ledger.SUPERSEDED)


def unfinished_switch(context: AppContext, active: Release) -> Iterator[Repair]:
    """A switch that a deploy has made and not lived to note."""
    entry = ledger.read(active)
    if entry.get("state") == ledger.ACTIVE:
        return

    def finish() -> None:
        ledger.update(active, state=ledger.ACTIVE, activated=entry.get("activated") or ledger.now())
        retire_others(context, context.previous_of(active))

    yield Repair([f"the switch to {active.id} was not finished"], finish)


def strays(context: AppContext, active: Release) -> Iterator[Repair]:
    """Instances that run, or would at boot, beside those that shall."""
    app = context.app
    previous = context.previous_of(active)
    warm = previous if previous and context.spec["keep_warm"] else None
    for identity, state in units.instances(app).items():
        if identity in (active.id, warm.id if warm else None) or not _runs(state):
            continue
        yield Repair([f"release {identity} ran beside it"], partial(_stop, app.release(identity)))
    if processes := background.others(active):
        yield Repair([f"{unit} ran beside it" for unit in processes], partial(background.stop, processes))
    if warm and not units.state(warm.service).enabled:
        yield Repair([f"release {warm.id} was not kept warm"], partial(_keep_warm, warm))
    yield from context.runtime.left_behind()


def _stop(release: Release) -> None:
    units.stop(release, wait=False)
    units.reload()


def _keep_warm(release: Release) -> None:
    units.start(release)
    units.reload()


def _runs(state: units.UnitState) -> bool:
    """Whether an instance runs, or would at boot."""
    return state.active in ("active", "activating") or state.enabled

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deploy that died has begun, brought to its end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from . import assets, ledger, store
from .activate import run_after_hooks
from .context import AppContext
from .hold import Hold
from .paths import Release
from .repairs import Repair
from .retire import strays, unfinished_switch


def leftovers(context: AppContext, active: Release) -> Iterator[Repair]:
    """What is left of dead deploys beside the release that serves; for who holds the lock. Raises DeployError."""
    app = context.app
    if (hold := Hold(active)).left_behind():
        yield Repair(["its requests were held"], partial(_end_hold, hold))
    yield from unfinished_switch(context, active)
    half_built = store.half_built(context, active)
    yield Repair(
        [f"release {release.id} was left half built" for release in half_built],
        partial(store.clear_away, context, half_built),
    )
    yield from store.trials(context)
    yield from strays(context, active)
    previous = context.previous_of(active)
    for release in app.all_releases():
        if release != active and ledger.read(release).get("state") == ledger.ACTIVE:
            yield Repair(
                [f"release {release.id} was not marked as superseded"],
                partial(ledger.update, release, state=ledger.SUPERSEDED),
            )
    for release in store.prunable(context, keep={active.id} | ({previous.id} if previous else set())):
        yield Repair([f"release {release.id} was not pruned"], partial(store.discard, release))
    yield from store.development_leftovers(context, active)
    # Of no consequence to anything that serves, so it is no change.
    yield Repair([], partial(assets.prune, app, at_once=False))
    if ledger.read(active).get("after") == ledger.PENDING:
        yield Repair(
            ["hooks.after had not run to their end"], partial(run_after_hooks, context, active, previous)
        )


def _end_hold(hold: Hold) -> None:
    hold.give_back()
    hold.clear()

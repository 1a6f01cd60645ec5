# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an app is as it is wanted: inspect() finds it out, apply() repairs what can be repaired without a new release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ledger, lock, reasons, remove, repair, repairs, resume, store
from .context import NAMED, AppContext
from .errors import BusyError
from .gate import GateError
from .paths import Release

if TYPE_CHECKING:
    from .._contract.answers import AppAnswer

# Seconds that a release which serves has to answer where it is only to be found out whether there is something to do.
QUICK_TIMEOUT_S = 5.0
# Seconds that one in development mode has to answer before it is said that it does not; nothing else is done then.
LIVE_TIMEOUT_S = 5.0


def inspect(context: AppContext, *, patience: float = repair.STILL_HEALTHY_TIMEOUT_S) -> AppAnswer:
    """What apply() would do and answer; nothing is changed."""
    if context.spec["state"] == "absent":
        return _removed(remove.inspect(context, purge=context.spec["purge"]))
    return _look(context, patience, repairs.inspect)


def apply(context: AppContext, *, patience: float = repair.STILL_HEALTHY_TIMEOUT_S) -> AppAnswer:
    """Repair the release that serves where it is the wanted one; remove the app where it is to be absent.

    It has ``patience`` (seconds) to answer its health checks.
    The answer holds ``status``: ``current``, ``repaired``, ``removed`` or ``needed`` (a new release), with ``reasons``.
    Raises DeployError.
    """
    if context.spec["state"] == "absent":
        return _removed(remove.apply(context, purge=context.spec["purge"]))
    return _look(context, patience, repairs.apply)


def _removed(what: list[str]) -> AppAnswer:
    return {"status": "removed" if what else "current", "reasons": what}


def _look(context: AppContext, patience: float, handle: repairs.Handler) -> AppAnswer:
    active = context.app.active()
    if active is None:
        return {"status": "needed", "reasons": ["no release serves yet"]}
    if why := _why_a_new_one(context, active):
        again = store.find_built(context)
        return {
            "status": "needed",
            "reasons": why,
            "previous": active.id,
            "wanted": context.digest()[:NAMED],
            "again": again.id if again else None,
        }
    try:
        with lock.held(context.app, context.spec["by"], wait=0.0):
            found = handle(resume.leftovers(context, active))
            found += handle(repair.defects(context, active, patience))
    except BusyError:
        # Whoever is at work looks after it; its candidate is no leftover.
        found = []
    answer: AppAnswer = {
        "status": "repaired" if found else "current",
        "reasons": found,
        "release": ledger.read(active),
    }
    if context.live and (wanted := context.spec["live"]):
        # Of code that is about to change there is nothing to say.
        unsynced = not context.live.holds(wanted["digest"])
        answer["unsynced"] = unsynced
        answer["warnings"] = [] if unsynced else _code_that_fails(context, active)
    return answer


def _why_a_new_one(context: AppContext, active: Release) -> list[str]:
    """Why the release that serves cannot be the wanted one; empty where it is."""
    entry, wanted = ledger.read(active), context.wanted_parts()
    if any(entry.get("parts", {}).get(name) != digest for name, digest in wanted.items()):
        return reasons.of(entry, wanted, context.details(), context.spec["source"])
    return [] if store.is_complete(context, active) else ["files of the release are missing or differ"]


def _code_that_fails(context: AppContext, active: Release) -> list[str]:
    """What is to be said of live code that does not pass. A restart would not help it: it waits for its next change."""
    try:
        context.gate.passes(active, LIVE_TIMEOUT_S)
    except GateError as error:
        words = (
            f"{context.app.name} runs in development mode, and its code as it is now does not pass the health check: "
            f"{error}. It waits for the next change; what it said: journalctl -u {active.service}"
        )
        return [words]
    return []

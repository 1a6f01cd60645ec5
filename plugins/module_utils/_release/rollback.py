# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back to an earlier release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ledger, lock
from .activate import going_to, is_in_place, keeping_files_of
from .context import AppContext
from .errors import DeployError
from .paths import Release
from .retire import retire_others
from .switch import Switch

if TYPE_CHECKING:
    from .._contract.answers import AppAnswer


def inspect(context: AppContext, identity: str | None) -> AppAnswer:
    """Find the release that a rollback would go to, and change nothing. Raises DeployError."""
    with lock.held(context.app, context.spec["by"]):
        active, target = _ends(context, identity)
        return _answer(active, target)


def apply(context: AppContext, identity: str | None) -> AppAnswer:
    """Start an earlier release, prove it, switch to it. Raises DeployError."""
    with lock.held(context.app, context.spec["by"]):
        active, target = _ends(context, identity)
        if target != active:
            with going_to(context, target, active):
                # The hooks after a deploy are no part of going back.
                ledger.update(target, after=None)
                keep = keeping_files_of(context, active, target)
                Switch(active, context.gate_of(target), is_in_place(context), ready=keep).to(target)
            retire_others(context, active)
        return _answer(active, target)


def _answer(active: Release, target: Release) -> AppAnswer:
    return {"status": "current" if target == active else "rolled back", "release": ledger.read(target)}


def _ends(context: AppContext, identity: str | None) -> tuple[Release, Release]:
    """The release that serves, and the one to go to: the previous one, or that of this ``identity``."""
    name, active = context.app.name, context.app.active()
    if active is None:
        raise DeployError(f"{name}: nothing serves, so there is nothing to roll back from; deploy it first")
    if context.live or ledger.read(active).get("mode") == ledger.DEVELOPMENT:
        raise DeployError(
            f"{name}: it runs in development mode (reload: true), and its code is a folder that "
            "changes, of which nothing earlier is kept: put the code right there; or set reload: false, and "
            "run site.yml"
        )
    there = {
        release.id: release
        for release in context.app.all_releases()
        if ledger.read(release).get("state") not in (None, ledger.BAD, *ledger.UNPROVED)
    }
    wanted = identity or ledger.read(active).get("previous")
    if wanted not in there:
        asked = f"no release {identity}" if identity else "no earlier release"
        choice = ", ".join(there) or "none"
        raise DeployError(f"{name}: this host has {asked}; there are: {choice} (give one with -e release=ID)")
    return active, there[wanted]

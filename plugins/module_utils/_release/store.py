# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of an app on disk: found, named, kept, removed."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from functools import partial

from .. import _trees
from .._files import sync_folder
from . import background, ledger, paths, tree, units
from .context import NAMED, AppContext
from .hold import Hold
from .images import cleanup as image_cleanup
from .live import Live
from .paths import Release
from .repairs import Repair


def is_complete(context: AppContext, release: Release) -> bool:
    """Whether the release's own files are there; what is in it cannot be put back, only built anew."""
    if not release.folder.is_dir() or not tree.is_readable(release.folder.stat()):
        return False
    files = all((release.folder / name).is_file() for name in context.spec["files"])
    return files and context.runtime.is_complete(release)


def find_built(context: AppContext) -> Release | None:
    """The wanted release where it is on disk already, as after a rollback; else None."""
    digest = context.digest()
    for release in reversed(context.app.all_releases()):
        if ledger.read(release).get("digest") != digest or release == context.app.active():
            continue
        files = [release.drop_in, *(paths.SYSTEMD / unit for unit in background.of(release))]
        if is_complete(context, release) and all(path.is_file() for path in files):
            return release
    return None


def name_release(context: AppContext) -> Release:
    """The wanted release, by a name of its own."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return context.app.release(f"{stamp}-{context.digest()[:NAMED]}")


def number(release: Release) -> int:
    """The place of a release among all of its app; 0 for those of earlier versions, which its name puts in order."""
    return int(ledger.read(release).get("number", 0))


def half_built(context: AppContext, active: Release | None) -> list[Release]:
    """What a deploy that died half way left: releases that never served."""
    return [
        release
        for release in context.app.all_releases()
        if ledger.read(release).get("state", ledger.BUILDING) in ledger.UNPROVED and release != active
    ]


def clear_away(context: AppContext, leftovers: list[Release]) -> None:
    """Remove what a deploy that died left, and uv's cache with it.

    uv does not sync what it writes: if it was the power that went, its cache may hold empty files, and would
    install them for ever.
    """
    if leftovers:
        context.tools.forget(context.app)
        context.runtime.clear_away(leftovers)
    for release in leftovers:
        discard(release)


def prunable(context: AppContext, keep: set[str]) -> list[Release]:
    """The oldest releases beyond ``keep_releases``, but for those of ``keep`` and those that still drain."""
    releases = [
        release
        for release in sorted(context.app.all_releases(), key=number)
        # One of the development mode is in nobody's way: it goes by itself.
        if ledger.read(release).get("mode") != ledger.DEVELOPMENT
    ]
    old = [release for release in releases if release.id not in keep]
    return [
        release
        for release in old[: max(0, len(releases) - int(context.spec["keep_releases"]))]
        if units.state(release.service).active in ("inactive", "failed")
    ]


def discard(release: Release) -> None:
    """Remove a release and all that belongs to it."""
    if (hold := Hold(release)).left_behind():
        hold.clear()
    background.discard(release)
    if release.drop_in.exists() or release.id in units.instances(release.app):
        units.stop(release)
        units.forget_failure(release)
    image_cleanup.discard(release)
    release.trial.unlink(missing_ok=True)
    for folder in (release.drop_in.parent, release.secrets, release.folder):
        with contextlib.suppress(OSError):
            _trees.remove(folder)
    if release.app.releases.is_dir():
        sync_folder(release.app.releases)


def trials(context: AppContext) -> Iterator[Repair]:
    """What a deploy that was killed was trying; for who holds the lock, beside whom nobody tries anything."""
    for path in context.app.trials():
        yield Repair([f"{path} was left"], partial(path.unlink, missing_ok=True))


def development_leftovers(context: AppContext, active: Release) -> Iterator[Repair]:
    """What the development mode has left, and nobody can go back to."""
    for release in context.app.all_releases():
        entry = ledger.read(release)
        proved = entry.get("state", ledger.BUILDING) not in ledger.UNPROVED
        if release != active and proved and entry.get("mode") == ledger.DEVELOPMENT:
            yield Repair(
                [f"release {release.id} of the development mode was left"], partial(discard, release)
            )
    folder = Live(context.app)
    if not (context.live and context.live.folder == folder.folder) and (left := folder.leftovers()):
        yield Repair([f"{path} was left" for path in left], folder.clear)

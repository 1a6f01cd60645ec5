# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app goes: what was added for it is taken away, and its data only on demand."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from .. import _progress, _trees
from .._files import uid_of
from .._process import run
from . import footprint, lock, paths, repairs, store, units, workshop
from .context import AppContext
from .gate import wait_until_let_go
from .images import cleanup as image_cleanup
from .paths import App
from .switch import LET_GO

# Where logind notes whose processes it keeps.
LINGERING = Path("/var/lib/systemd/linger")


@dataclass(frozen=True)
class _Footprint:
    """What there is of an app on the host."""

    paths: list[Path]
    """What is removed by its path."""
    there: list[str]
    """Everything that is there, in words."""
    user: bool
    """Whether the app has its user."""
    user_goes: bool
    """Whether the user goes as well."""

    def words(self, app: App) -> list[str]:
        """What would be removed."""
        return [*self.there, *([f"user {app.user}"] if self.user_goes else [])]


def _footprint(app: App, *, purge: bool) -> _Footprint:
    template = [paths.SYSTEMD / f"asgi-{app.name}@.{kind}" for kind in ("socket", "service")]
    own = [*template, app.secrets, *([app.data] if purge else [])]
    there = [*(str(path) for path in own if path.exists()), *footprint.there(app)]
    user = _has_user(app.user)
    # With data left behind its owner stays. One alone is left of a removal that failed at its end.
    goes = user and (purge or not app.data.is_dir() or not any(app.data.iterdir()))
    return _Footprint(own, there, user, goes)


def inspect(context: AppContext, *, purge: bool) -> list[str]:
    """What would be removed; the app's data only with ``purge``."""
    return _footprint(context.app, purge=purge).words(context.app)


def apply(context: AppContext, *, purge: bool) -> list[str]:
    """Take away what was added; the app's data only with ``purge``. Returns what was removed."""
    app, found = context.app, _footprint(context.app, purge=purge)
    if not found.words(app):
        return []
    _progress.step("remove", app=app.name)
    # Somebody may have removed the folder and left the units.
    has_folder = str(app.folder) in found.there
    with lock.held(app, context.spec["by"]) if has_folder else contextlib.nullcontext():
        _remove(context, found, has_folder=has_folder)
    return found.there


def _remove(context: AppContext, found: _Footprint, *, has_folder: bool) -> None:
    app = context.app
    if active := app.active():
        # The site is gone, but nginx may still bring to its end what came before.
        wait_until_let_go(active.socket_path, LET_GO)
    known = {release.id for release in app.all_releases() if has_folder} | set(units.instances(app))
    for identity in sorted(known | units.with_settings(app)):
        store.discard(app.release(identity))
    image_cleanup.remove_all(app)
    workshop.forget(app)
    repairs.apply(store.trials(context))
    if has_folder:
        footprint.take_away(app)
    for path in found.paths:
        with contextlib.suppress(FileNotFoundError):
            _trees.remove(path)
    units.reload()
    if app.data.is_dir() and not any(app.data.iterdir()):
        app.data.rmdir()
    if found.user and not app.data.exists():
        # With data left behind its owner stays too: a number that is given away again would inherit it.
        _end_lingering(app.user)
        Path(f"/etc/sysusers.d/{app.user}.conf").unlink(missing_ok=True)
        run(["userdel", app.user])
        found.there.append(f"user {app.user}")
    app.lock.unlink(missing_ok=True)


def _end_lingering(user: str) -> None:
    """End what logind keeps running for a user: where there is a polkit, any process may ask that of it for its own.

    It is beside the app's units, and a user who has a process is not removed.
    """
    if (LINGERING / user).exists():
        run(["loginctl", "disable-linger", user])
        run(["systemctl", "stop", f"user@{uid_of(user)}.service"])


def _has_user(name: str) -> bool:
    try:
        uid_of(name)
    except KeyError:
        return False
    return True

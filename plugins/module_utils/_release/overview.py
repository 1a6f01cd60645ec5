# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host has: the releases of each app, and which of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import background, ledger, units
from .paths import App


def overview(root: Path) -> dict[str, dict[str, Any]]:
    """Each app below ``root`` with the id of its active release and the ledger entries of all, the oldest first.

    ``down`` are the background processes of the active release that do not run.
    """
    found = {}
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        # The user's name is not needed to look.
        app = App(root, folder.name, "")
        if not app.releases.is_dir():
            continue
        running = {
            identity
            for identity, state in units.instances(app).items()
            if state.active in ("active", "reloading")
        }
        try:
            active = app.active()
        except OSError:
            active = None
        found[app.name] = {
            "active": active.id if active else None,
            "down": background.down(active) if active else [],
            "releases": [
                {**ledger.read(release), "id": release.id, "runs": release.id in running}
                for release in app.all_releases()
            ],
        }
    return found

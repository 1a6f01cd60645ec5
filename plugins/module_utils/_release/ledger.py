# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``release.json``: what a release is, since when, from where and by whom."""

from __future__ import annotations

import datetime
import json
from typing import Any

from .._files import write_atomically
from .paths import Release

BUILDING = "building"
BUILT = "built"
ACTIVE = "active"
SUPERSEDED = "superseded"
# Taken back after it had served.
BAD = "bad"
# Of hooks.after, from the switch until they have run to their end.
PENDING = "pending"
# The mode of a release whose source is a live folder; others have none.
DEVELOPMENT = "development"
# Of a release that never served.
UNPROVED = (BUILDING, BUILT)


def now() -> str:
    """The time as the ledger writes it: UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(release: Release) -> dict[str, Any]:
    """The entry; empty where there is none or it was cut off in the middle."""
    try:
        entry: dict[str, Any] = json.loads(release.ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry


def write(release: Release, entry: dict[str, Any]) -> None:
    """Replace the entry."""
    write_atomically(release.ledger, (json.dumps(entry, indent=2, sort_keys=True) + "\n").encode())


def update(release: Release, **changes: Any) -> dict[str, Any]:
    """Change fields of the entry and return it."""
    entry = {**read(release), **changes}
    write(release, entry)
    return entry

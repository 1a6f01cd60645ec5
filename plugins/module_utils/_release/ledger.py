# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``release.json``: what a release is, since when, from where and by whom."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Final, Unpack

from .._files import write_atomically
from .paths import Release

if TYPE_CHECKING:
    from .._contract.ledger import LedgerEntry

BUILDING: Final = "building"
BUILT: Final = "built"
ACTIVE: Final = "active"
SUPERSEDED: Final = "superseded"
# Taken back after it had served.
BAD: Final = "bad"
# Of hooks.after, from the switch until they have run to their end.
PENDING: Final = "pending"
# The mode of a release whose source is a live folder; others have none.
DEVELOPMENT: Final = "development"
# Of a release that never served.
UNPROVED = (BUILDING, BUILT)


def now() -> str:
    """The time as the ledger writes it: UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(release: Release) -> LedgerEntry:
    """The entry; empty where there is none or it was cut off in the middle."""
    try:
        entry: LedgerEntry = json.loads(release.ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry


def write(release: Release, entry: LedgerEntry) -> None:
    """Replace the entry."""
    write_atomically(release.ledger, (json.dumps(entry, indent=2, sort_keys=True) + "\n").encode())


def update(release: Release, **changes: Unpack[LedgerEntry]) -> LedgerEntry:
    """Change fields of the entry and return it."""
    entry: LedgerEntry = {**read(release), **changes}
    write(release, entry)
    return entry

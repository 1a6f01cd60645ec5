# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host answers of an app."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from .ledger import LedgerEntry


class Migrated(TypedDict, total=False):
    """What became of the hooks ``migrate``; empty without any."""

    ran: bool
    own: bool
    """Whether what they changed is this host's own."""


class AppAnswer(TypedDict):
    """What was found out or done."""

    status: Literal["current", "repaired", "needed", "deployed", "synced", "rolled back", "removed"]
    reasons: NotRequired[list[str]]
    release: NotRequired[LedgerEntry]
    previous: NotRequired[str]
    wanted: NotRequired[str]
    """The end of the name that the next release will have."""
    again: NotRequired[str | None]
    """The release on disk that will serve again."""
    unsynced: NotRequired[bool]
    """Of development mode: whether the live folder is not as it was sent."""
    warnings: NotRequired[list[str]]
    chosen: NotRequired[dict[str, str]]
    """The versions that the lock has, by project."""
    migrated: NotRequired[Migrated]

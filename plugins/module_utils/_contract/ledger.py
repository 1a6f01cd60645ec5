# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``release.json`` says of a release. Hosts hold it: a key keeps its name and meaning."""

from __future__ import annotations

from typing import Literal, TypedDict

from .release import HealthCheck, StaticFolder


class GateEntry(TypedDict):
    """The gate that the release was made with."""

    checks: list[HealthCheck]
    host: str
    prefix: str
    warm_up: int


class ImageEntry(TypedDict, total=False):
    """What the release's image is."""

    id: str
    digest: str
    user: str
    uid: int
    gid: int
    sets: list[str]
    asked: str


class LedgerEntry(TypedDict, total=False):
    """All of it; what an earlier version of the role has not noted is not there."""

    app: str
    id: str
    source: str
    version: str
    digest: str
    parts: dict[str, str]
    details: dict[str, dict[str, str]]
    gate: GateEntry
    processes: list[str]
    static: list[StaticFolder]
    created: str
    number: int
    activated: str | None
    by: str
    previous: str | None
    state: Literal["building", "built", "active", "superseded", "bad"]
    mode: Literal["development"]
    after: Literal["pending"] | None
    reason: str
    synced: str
    own_database: bool
    locked: str
    source_stamp: str | None
    venv_stamp: str | None
    workers: int
    worker_mb: int
    image: ImageEntry

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the verbs ask of every kind of runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..gate import Gate
from ..paths import Release
from ..repairs import Repair
from ..uv import Tools

if TYPE_CHECKING:
    from ..._contract.ledger import LedgerEntry
    from ..._contract.release import HookStage
    from ..candidate import Candidate

TextFile = tuple[Path, str, int]
"""A small file by its path, text and mode."""


@dataclass(frozen=True)
class Hook:
    """One command of the app's, and what its sandbox lets it do."""

    argv: Sequence[str]
    stage: HookStage
    writable: Sequence[Path] = ()
    bound: Mapping[Path, Path] = field(default_factory=dict)
    """Folders by the places that they are seen in."""


class Runtime(Protocol):
    """One kind of runtime, for one app."""

    @property
    def gate_kind(self) -> type[Gate]:
        """The gate of a release of this kind."""

    @property
    def settings(self) -> list[dict[str, object]]:
        """What shapes the process beside what every app has."""

    def source_digest(self) -> str:
        """What stands for the source in the release's identity. Raises DeployError."""

    def ledger_entry(self) -> LedgerEntry:
        """What the ledger notes of a release of this kind beside what it notes of all."""

    def make_folder(self, release: Release) -> None:
        """Make the folder of a release that is now being built."""

    def is_complete(self, release: Release) -> bool:
        """Whether what the release runs, and its source, are there as they were built."""

    def text_files(self, release: Release) -> list[TextFile]:
        """The small files of a release that only this kind has."""

    def owner_of(self, release: Release, path: Path, /) -> tuple[int, int]:
        """The numbers of the user and group that one of the small files belongs to."""

    def build(
        self, candidate: Candidate, archive: Path | None, tools: Tools, others: Sequence[Release], /
    ) -> None:
        """Fill the release's folder. Raises RefusedError, BuildError, CommandError, OSError."""

    def run_hook(self, release: Release, hook: Hook, limit: float) -> None:
        """Run one command as the app would run, for ``limit`` seconds at most. Raises CommandError."""

    def clear_away(self, leftovers: Sequence[Release]) -> None:
        """Remove what the builds of these releases, which were killed, have left outside of their folders."""

    def left_behind(self) -> Iterator[Repair]:
        """What is on the host of releases that are not."""

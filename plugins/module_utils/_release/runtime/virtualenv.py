# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that runs in a virtualenv of its own, from a source of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import environment, ledger, tree, units
from ..gate import Gate
from ..paths import App, Release
from ..repairs import Repair
from ..uv import Tools
from .protocol import Hook, TextFile

if TYPE_CHECKING:
    from ..._contract.ledger import LedgerEntry
    from ..._contract.release import AppPrivate, ReleaseSpec
    from ..candidate import Candidate


def workers_file(release: Release, fitting: int) -> TextFile:
    """The file that says how many workers fit, where that is less than were wanted."""
    return release.folder / "workers", f"{fitting}\n", 0o644


@dataclass(frozen=True)
class VirtualenvRuntime:
    """The runtime of most apps; ``spec`` says what is wanted, ``private`` holds environment and secrets."""

    app: App
    spec: ReleaseSpec
    private: AppPrivate

    @property
    def gate_kind(self) -> type[Gate]:
        """The plain gate."""
        return Gate

    @property
    def settings(self) -> list[dict[str, object]]:
        """Nothing more."""
        return []

    def source_digest(self) -> str:
        """That of the inventory's source."""
        return str(self.spec["source"]["digest"])

    def ledger_entry(self) -> LedgerEntry:
        """Nothing more."""
        return {}

    def make_folder(self, release: Release) -> None:
        """Make it with its source."""
        release.source.mkdir(parents=True, mode=0o755)

    def is_complete(self, release: Release) -> bool:
        """Whether virtualenv and source have the stamps that the ledger notes."""
        stamp = ledger.read(release).get("venv_stamp")
        runs = (release.venv / "bin" / "python").exists() and tree.stamp(release.venv) == stamp
        return runs and self._has_source(release)

    def _has_source(self, release: Release) -> bool:
        stamp = ledger.read(release).get("source_stamp")
        return release.source.is_dir() and tree.stamp(release.source) == stamp

    def text_files(self, release: Release) -> list[TextFile]:
        """The command, the number of workers where not all fit, and the secret files."""
        files: list[TextFile] = []
        if self.spec["command"]:
            known = environment.tokens(release, self.spec["domains"])
            filled = environment.fill(self.spec["command"], known)
            files.append((release.folder / "command.json", f"{json.dumps(filled)}\n", 0o644))
        fitting = ledger.read(release).get("workers")
        if fitting and fitting < self.spec["workers"]["wanted"]:
            files.append(workers_file(release, fitting))
        view = environment.view_key(self.app)
        wanted = environment.wanted_files(release, self.private, self.spec["domains"], view)
        return files + [(release.secrets / name, text, 0o600) for name, text in wanted.items()]

    def owner_of(self, _release: Release, _path: Path, /) -> tuple[int, int]:
        """All of them are root's: systemd brings credentials to the app."""
        return 0, 0

    def build(
        self, candidate: Candidate, archive: Path | None, tools: Tools, others: Sequence[Release], /
    ) -> None:
        """Build source and virtualenv in the sandbox for builds."""
        candidate.build_virtualenv(archive, tools, others)

    def run_hook(self, release: Release, hook: Hook, limit: float) -> None:
        """Run it in the sandbox of the app's own unit."""
        texts = [self.spec["texts"]["service"], self.spec["texts"]["release.conf"]]
        units.run_in_sandbox(
            release,
            texts,
            hook.argv,
            writable=hook.writable,
            bound=hook.bound,
            loosened=units.LOOSE if hook.stage == "build" else (),
            timeout=limit,
        )

    def clear_away(self, leftovers: Sequence[Release]) -> None:
        """Nothing more: the next build clears its sandbox itself."""

    def left_behind(self) -> Iterator[Repair]:
        """Nothing."""
        return iter(())

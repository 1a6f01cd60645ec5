# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Development mode: a release that runs in a virtualenv of its own, over a folder whose code changes under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import ledger, requirements
from ..errors import DeployError
from ..live import Live, dependencies
from ..paths import Release
from .virtualenv import VirtualenvRuntime

if TYPE_CHECKING:
    from ..._contract.ledger import LedgerEntry


@dataclass(frozen=True)
class DevelopmentRuntime(VirtualenvRuntime):
    """As a virtualenv; the source is a link to the live folder."""

    live: Live

    def source_digest(self) -> str:
        """Of a folder that is on the host: what decides the virtualenv. The rest may change."""
        if not self.live.mount:
            return super().source_digest()
        try:
            return dependencies(self.live.folder, self.spec["source"])
        except (requirements.UnreadableError, OSError) as error:
            raise DeployError(
                f"{self.app.name}: source.mount: {error}\nWhat served before serves as it did."
            ) from error

    def ledger_entry(self) -> LedgerEntry:
        """The mode, by which nobody goes back to it."""
        return {"mode": ledger.DEVELOPMENT}

    def make_folder(self, release: Release) -> None:
        """Make it alone: the source is a link, made when the release is filled."""
        release.folder.mkdir(parents=True, mode=0o755)

    def _has_source(self, release: Release) -> bool:
        return self.live.is_source_of(release)

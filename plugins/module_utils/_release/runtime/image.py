# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that runs in a container of its own image."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ... import _progress
from ..._files import gid_of, uid_of
from .. import frontends, ledger, tree
from ..gate import Gate
from ..images import cleanup, container, names, source
from ..images.gate import ContainerGate
from ..paths import App, Release
from ..repairs import Repair
from ..uv import Tools
from .protocol import Hook, TextFile

if TYPE_CHECKING:
    from ..._contract.ledger import LedgerEntry
    from ..._contract.release import AppPrivate, Login, ReleaseSpec
    from ..candidate import Candidate


class ImageRuntime:
    """The runtime of an app whose source is an image; ``login`` is that of the registry which the image is in."""

    def __init__(
        self,
        app: App,
        spec: ReleaseSpec,
        private: AppPrivate,
        login: Login | None = None,
    ) -> None:
        self.app, self.spec, self.private, self._login = app, spec, private, login

    @property
    def gate_kind(self) -> type[Gate]:
        """The gate that knows the usual mistake."""
        return ContainerGate

    @property
    def settings(self) -> list[dict[str, object]]:
        """Those of the container."""
        return names.settings(self.spec)

    @functools.cached_property
    def _resolved_digest(self) -> str:
        """What the tag of an image in a registry stands for, asked once."""
        return source.resolved_digest(self.spec, self._login, self.app.active())

    def source_digest(self) -> str:
        """That of the inventory's source, and of what its tag stands for now."""
        return f"{self.spec['source']['digest']}{self._resolved_digest}"

    def ledger_entry(self) -> LedgerEntry:
        """Nothing yet: what the image is gets known when it is there."""
        return {}

    def make_folder(self, release: Release) -> None:
        """Make it with the folder for the static files of the image."""
        release.source.mkdir(parents=True, mode=0o755)

    def is_complete(self, release: Release) -> bool:
        """Whether the image is the one that the release was proved with, and its static files are there."""
        stamp = ledger.read(release).get("source_stamp")
        return names.exists(release) and release.source.is_dir() and tree.stamp(release.source) == stamp

    def text_files(self, release: Release) -> list[TextFile]:
        """The unit of the container and its secret files."""
        unit = container.unit_text(release, self.spec, self.private)
        secret = container.secret_files(release, self.spec, self.private)
        return [
            (release.drop_in.with_name("image.conf"), unit, 0o644),
            *((release.secrets / name, text, 0o600) for name, text in secret.items()),
        ]

    def owner_of(self, release: Release, path: Path, /) -> tuple[int, int]:
        """A container has no systemd that brings credentials to its user: they are the app's own, below root's folder."""
        if path.is_relative_to(release.secrets / "credentials"):
            return uid_of(self.app.user), gid_of(self.app.user)
        return 0, 0

    def build(
        self, candidate: Candidate, archive: Path | None, tools: Tools, _others: Sequence[Release], /
    ) -> None:
        """Bring the image to the host."""
        release = candidate.release
        _progress.step("image", app=self.app.name)
        source.make(release, self.spec, archive, tools, self._login, self._resolved_digest)
        frontends.must_hold_pages(release, self.spec["static"])
        candidate.put_texts()
        ledger.update(release, state=ledger.BUILT, locked="", source_stamp=tree.stamp(release.source))

    def run_hook(self, release: Release, hook: Hook, limit: float) -> None:
        """Run it in a container of the image."""
        container.run_hook(release, self.spec, self.private, hook.argv, limit)

    def clear_away(self, leftovers: Sequence[Release]) -> None:
        """Remove the layers and working containers of the build."""
        if leftovers:
            cleanup.clear_away(self.app, str(ledger.read(leftovers[0]).get("created", "")))

    def left_behind(self) -> Iterator[Repair]:
        """The images of releases that are gone."""
        if left := cleanup.left_behind(self.app):
            yield Repair(
                [f"the image {name} was left behind" for name in left],
                partial(cleanup.remove_left_behind, self.app),
            )

"""A workshop without a sandbox, in a folder of the test: orders are carried out in this process."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import bench, workshop
from ansible_collections.asgi.host.plugins.module_utils._release.paths import Release


class NearWorkshop(workshop.Workshop):
    """Notes the programs that would run, and runs none, unless it is told to."""

    def __init__(self, release: Release, folder: Path, *, runs: bool = False) -> None:
        super().__init__(release, "/usr/bin/python3")
        self._runs = runs
        self._home = folder
        self.ran: list[list[str]] = []
        self.scratch.mkdir(parents=True, exist_ok=True)

    def run(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        """Note it."""
        self.ran.append(list(argv))
        return super().run(argv, env) if self._runs else ""

    def take(self, name: str, target: Path) -> None:
        """Copy it, as whoever tests."""
        shutil.copytree(self.scratch / name, target, symlinks=True)

    def take_bytecode(self, name: str, target: Path) -> None:
        """There is none."""

    def begin(self) -> None:
        """Nothing is to be started."""

    def _clear(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)

    def _ask(self, order: Mapping[str, Any], argv: Sequence[str]) -> dict[str, Any]:
        try:
            return bench.ORDERS[order["do"]](order)
        except OSError as error:
            raise CommandError(argv, "failed", str(error)) from error

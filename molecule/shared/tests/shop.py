"""The app of the scenario ``release``, deployed by a test again and again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load import Load, Outcome
from playbook import ROLLBACK, Run, changed_inventory, play
from targets import APPS, Target

APP = "parcels"
DOMAIN = "parcels.test"


class Shop:
    """The app on one host, with a source that can be edited, deployed with any keys."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        self.source = folder / APP
        shutil.copytree(APPS / APP, self.source)
        self.number = 10

    def new_version(self) -> str:
        """Change the code; returns the version that it now says."""
        self.number += 1
        text = f'"""A version of the tests."""\n\nVERSION = "{self.number}"\n'
        (self.source / APP / "__init__.py").write_text(text)
        return str(self.number)

    def edit(self, old: str, new: str) -> None:
        path = self.source / APP / "main.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def inventory(self, **keys: Any) -> Path:
        change = {"source": {"path": str(self.source)}, **keys}
        return changed_inventory(self.folder, [self.target], change={APP: change})

    def deploy(self, **keys: Any) -> Run:
        return play(inventory=self.inventory(**keys), targets=[self.target])

    def rollback(self, **keys: Any) -> Run:
        return play(
            "-e", f"app={APP}", inventory=self.inventory(**keys), targets=[self.target], playbook=ROLLBACK
        )

    def answers(self) -> dict[str, Any]:
        found: dict[str, Any] = self.target.door.json(DOMAIN)
        return found

    def failed(self, run: Run) -> str:
        """The message of a run that must have failed."""
        assert run.failed(self.target.name) == 1, run.output[-3000:]
        return run.messages(self.target.name)

    def succeeded(self, run: Run) -> Run:
        assert run.status == 0, run.output[-4000:]
        return run

    def releases(self) -> list[str]:
        return self.target.run(f"ls /srv/asgi/{APP}/releases").split()

    def running(self) -> set[str]:
        units = self.target.pids()
        return {
            unit.partition("@")[2].removesuffix(".service")
            for unit in units
            if unit.startswith(f"asgi-{APP}@")
        }

    @contextmanager
    def load(self, method: str = "GET", path: str = "/") -> Iterator[Outcome]:
        """Requests during the block, on kept connections and on new ones."""
        kept, fresh = Outcome(), Outcome()
        common = {"door": self.target.door, "domain": DOMAIN, "path": path, "method": method, "clients": 2}
        whole = Outcome()
        with (
            Load(**common, keep_alive=True, pause=0.01).running(kept),  # type: ignore[arg-type]
            Load(**common, keep_alive=False, pause=0.01).running(fresh),  # type: ignore[arg-type]
        ):
            yield whole
        whole.add(kept)
        whole.add(fresh)
        print(f"\n{self.target.name}: {method} {whole}")

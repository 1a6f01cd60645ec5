"""The app of the scenario ``release``, deployed by a test again and again."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from client import TIMEOUT
from load import KEPT, NEW, Load, Outcome
from playbook import ROLLBACK, Run, changed_inventory, play
from targets import APPS, ROOT, Target, tool

APP = "parcels"
DOMAIN = "parcels.test"
# Places in the app's source: where the front page answers, and where a parcel's name is read.
RETURN = '    return {\n        "version": VERSION,'
READ = "    name = (await request.body()).decode()\n"
# Seconds that a client waits where requests are held: a little less than nginx does.
PATIENT = 55.0


def change_text(path: Path, old: str, new: str) -> None:
    """Change a source as a developer does."""
    text = path.read_text()
    assert old in text, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new))


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

    @contextmanager
    def edited(self, old: str, new: str) -> Iterator[None]:
        """A changed source during the block."""
        self.edit(old, new)
        try:
            yield
        finally:
            self.edit(old=new, new=old)

    def edit(self, old: str, new: str) -> None:
        change_text(self.source / APP / "main.py", old, new)

    def inventory(self, **keys: Any) -> Path:
        change = {"source": {"path": str(self.source)}, **keys}
        return changed_inventory(self.folder, [self.target], change={APP: change})

    def deploy(self, **keys: Any) -> Run:
        return play(inventory=self.inventory(**keys), targets=[self.target])

    def rollback(self, *options: str, **keys: Any) -> Run:
        return play(
            "-e",
            f"app={APP}",
            *options,
            inventory=self.inventory(**keys),
            targets=[self.target],
            playbook=ROLLBACK,
        )

    def start_deploy(self, **keys: Any) -> subprocess.Popen[str]:
        """A converge in the background, in a process group of its own."""
        return subprocess.Popen(
            [tool("ansible-playbook"), str(ROOT / "site.yml"), "-i", str(self.inventory(**keys))],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def answers(self) -> dict[str, Any]:
        """What the front page says; while requests are held, when they are answered."""
        found: dict[str, Any] = self.target.door.json(DOMAIN, timeout=PATIENT)
        return found

    def failed(self, run: Run) -> str:
        """The message of a run that must have failed."""
        assert run.failed(self.target.name) == 1, run.output[-3000:]
        return run.messages(self.target.name)

    def succeeded(self, run: Run) -> Run:
        assert run.status == 0, run.output[-4000:]
        return run

    def state(self) -> tuple[str, dict[str, list[int]]]:
        """What a play may not touch that does nothing: the link, the releases with their entries, and the processes."""
        there = f"cd /srv/asgi/{APP} && readlink current && sha256sum releases/*/release.json"
        return self.target.run(there), self.target.pids()

    def release(self) -> str:
        """The id of the release that serves."""
        return str(self.target.release(APP)["id"])

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
    def load(self, method: str = "GET", path: str = "/", timeout: float = TIMEOUT) -> Iterator[Outcome]:
        """Requests during the block, on kept connections and on new ones."""
        kept, fresh = Outcome(), Outcome()
        whole = Outcome()
        load = Load(self.target.door, DOMAIN, path, method, clients=2, pause=KEPT, timeout=timeout)
        with load.running(kept), dataclasses.replace(load, keep_alive=False, pause=NEW).running(fresh):
            yield whole
        whole.add(kept)
        whole.add(fresh)
        print(f"\n{self.target.name}: {method} {whole}")

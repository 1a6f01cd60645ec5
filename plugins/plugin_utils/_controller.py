# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the action plugins ask of this machine: who is at work, where files lie, and what hosts were like the last time."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible_collections.asgi.host.plugins.module_utils import _words
from ansible_collections.asgi.host.plugins.module_utils._files import write_atomically
from ansible_collections.asgi.host.plugins.plugin_utils import _progress
from ansible_collections.asgi.host.plugins.plugin_utils._fleet import run_folder


def operator() -> str:
    """Who deploys, for the ledger."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def bases(task_vars: Mapping[str, Any]) -> list[str]:
    """Where a relative path of the inventory may lie."""
    return [task_vars.get("inventory_dir") or ".", task_vars.get("playbook_dir") or ".", "."]


def read_key(loader: Any, path: str) -> bytes:
    """A deploy key, which may lie encrypted by ansible-vault."""
    return Path(loader.get_real_file(path)).read_bytes()


def address(task_vars: Mapping[str, Any]) -> str:
    """A host's address as this machine knows it."""
    return str(task_vars.get("ansible_host") or task_vars["inventory_hostname"])


def on_host(
    action: Any,
    task_vars: Mapping[str, Any] | None,
    task: str,
    arguments: Mapping[str, Any],
    private: str | None = None,
    *,
    progress: bool = False,
) -> dict[str, Any]:
    """What the module host answers to one task of an action plugin; ``private`` is wrapped already.

    With ``progress`` the play says what the host is at while that lasts; in check mode, what it would do.
    """
    check = action._task.check_mode
    with _progress.Follower(action, inventory_name(task_vars), wanted=progress, check=check) as follower:
        answer: dict[str, Any] = action._execute_module(
            module_name="asgi.host.host",
            module_args={
                "task": task,
                "arguments": arguments,
                "private": private,
                "progress": follower.token,
            },
            task_vars=task_vars,
        )
    follower.conclude(answer.pop("notes", []))
    # What apps and their commands said is shown by Ansible as it comes.
    safe: dict[str, Any] = _words.safe_all(answer)
    return safe


def inventory_name(task_vars: Mapping[str, Any] | None) -> str:
    """A host's name in the inventory."""
    return str((task_vars or {}).get("inventory_hostname"))


def say(action: Any, task_vars: Mapping[str, Any] | None, words: str, app: str = "") -> None:
    """Say in the play what happens on a host, or in check mode would."""
    name, check = inventory_name(task_vars), action._task.check_mode
    action._display.display(_progress.line(name, words, app, check=check))


def say_once(action: Any, task_vars: Mapping[str, Any] | None, words: str, app: str) -> None:
    """Say what holds for all hosts of an app: with the first of them alone. Nothing where there are no words."""
    if not words:
        return
    said = hashlib.sha256(f"{app} {words}".encode()).hexdigest()[:16]
    try:
        (run_folder() / f"said-{said}").touch(exist_ok=False)
    except FileExistsError:
        return
    say(action, task_vars, words, app)


def cache(name: str) -> Path | None:
    """A folder of our own among those of Ansible, nobody else's; None on a disk that takes none."""
    folder = Path(constants.config.get_config_value("ANSIBLE_HOME")) / "asgi-host" / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if folder.stat().st_uid == os.geteuid() else None


# Raised when the facts get another shape: those that another version of the collection has kept are not read.
SHAPE = 2


class Remembered:
    """What a host was like the last time, and which sources it was asked for.

    The facts are a guess, by which the host can be asked everything in one call; the host compares them with its own
    before anything that was made from them counts. By the sources it is known which are new, and worth being sent
    along. Losing all of it costs one call.
    """

    def __init__(self, task_vars: Mapping[str, Any]) -> None:
        names = ("inventory_dir", "inventory_hostname", "ansible_host", "ansible_port")
        folder = cache("facts")
        which = json.dumps([SHAPE, *[str(task_vars.get(name)) for name in names]])
        self._path = folder / f"{hashlib.sha256(which.encode()).hexdigest()[:24]}.json" if folder else None

    def read(self) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """The facts, and the sources by app; None and nothing where none can be read."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8")) if self._path else {}
            return found["facts"], found["sources"]
        except (OSError, ValueError, KeyError, TypeError):
            return None, {}

    def write(self, facts: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        """Keep them, where they are others. A disk that takes none is no reason to fail."""
        if self._path is None or (facts, sources) == self.read():
            return
        own = {"mode": 0o600, "uid": os.geteuid(), "gid": os.getegid()}
        text = json.dumps({"facts": facts, "sources": sources})
        with contextlib.suppress(OSError):
            write_atomically(self._path, text.encode(), **own)

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts of one run of ansible-playbook taking turns: a fleet's database is migrated once, and never by two at a time.

Each host's task runs in a process of its own. They share a folder that Ansible makes for the run and removes at
its end, so that nothing outlives the run and nothing needs a server.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants


def run_folder() -> Path:
    """The folder that all processes of this run of Ansible share."""
    # Ansible fills its module of settings while it runs.
    folder = Path(constants.DEFAULT_LOCAL_TMP) / "asgi-host"  # type: ignore[attr-defined]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@dataclass
class Turn:
    """One host's turn at deploying an app that has migrations."""

    done: bool = False
    """Whether another host has run the migrations of the same release, on a database that they share."""
    failed: str = ""
    """Why the same release failed on another host, which its name begins; empty when it did not."""


@contextmanager
def turn(spec: Mapping[str, Any], host: str, waits: Callable[[], None]) -> Iterator[tuple[Turn, Any]]:
    """Wait for this host's turn; yields it, and the function that is to be told the outcome.

    ``waits`` is told when another host is at it. The function takes what the module said of the migrations, and the
    failure if there was one.
    """
    what = [spec["source"]["digest"], spec["requirements"], spec["hooks"]["migrate"]]
    key = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    path = run_folder() / f"{spec['name']}.migrated"
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        seen = json.loads(stream.read() or "{}")
        known = seen.get(key, {})

        def note(migrated: Mapping[str, Any], failure: str) -> None:
            shared = bool(migrated.get("ran")) and not migrated.get("own")
            seen[key] = {
                "done": known.get("done", False) or shared,
                "failed": f"{host}: {failure}" if failure else "",
            }
            stream.truncate(0)
            stream.write(json.dumps(seen))
            stream.flush()

        yield Turn(known.get("done", False), known.get("failed", "")), note

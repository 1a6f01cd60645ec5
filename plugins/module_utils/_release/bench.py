# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program inside the build sandbox: it carries out orders, a JSON object a line, until its input ends.

It runs as the unprivileged build user, as ``python3 -I -S -c``, with the standard library of Python 3.11 alone. Root
takes nothing that it says on trust but the text of a result.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Bytes of output that one order may return; the end says what went wrong.
OUTPUT_MAX_BYTES = 8_000_000
# What tools leave in a live folder beside its source.
NO_SOURCE = {".git", ".venv", "venv", "node_modules", "__pycache__"}


def run(order: Mapping[str, Any]) -> dict[str, Any]:
    """Run a program; its output goes to a file, because a pipe stays open as long as a process that it left."""
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                order["argv"],
                env={**os.environ, **order["env"]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            return {"status": None, "output": str(error)}
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - OUTPUT_MAX_BYTES))
        return {"status": done.returncode, "output": output.read().decode("utf-8", "replace")}


def copy(order: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a source, which backends write into; of a live folder what belongs to it, or files of one kind alone."""
    shutil.rmtree(order["to"], ignore_errors=True)
    ending = order["only"]

    def others(folder: str, names: list[str]) -> list[str]:
        paths = {name: Path(folder) / name for name in names}
        return [
            name
            for name, path in paths.items()
            if name == "__pycache__" or path.is_symlink() or not (path.is_dir() or name.endswith(ending))
        ]

    ignore = no_part if order["live"] else others if ending else None
    shutil.copytree(order["from"], order["to"], symlinks=True, ignore=ignore)
    for base, _folders, _files in os.walk(order["to"]):
        Path(base).chmod(0o755)
    return {}


def no_part(folder: str, names: list[str]) -> list[str]:
    """What a live folder has beside its source: what tools left there, and sockets of what runs in it."""
    kinds = {name: (Path(folder) / name).lstat().st_mode for name in names}
    special = [
        name
        for name, mode in kinds.items()
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
    ]
    return [*special, *(NO_SOURCE & set(names))]


def write(order: Mapping[str, Any]) -> dict[str, Any]:
    """Write a small file."""
    path = Path(order["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(order["text"], encoding="utf-8")
    return {}


def read(order: Mapping[str, Any]) -> dict[str, Any]:
    """The text of a small file."""
    return {"output": Path(order["path"]).read_text(encoding="utf-8")}


def say_otherwise(order: Mapping[str, Any]) -> dict[str, Any]:
    """Name another folder in what an editable installation has written into a virtualenv."""
    for site in Path(order["venv"]).glob("lib/python3*/site-packages"):
        places = [*site.glob("*.pth"), *site.glob("*.py"), *site.glob("*.dist-info/direct_url.json")]
        for path in places:
            content = path.read_bytes()
            changed = content.replace(order["old"].encode(), order["new"].encode())
            if changed != content:
                # Not through a hard link into the cache.
                path.unlink()
                path.write_bytes(changed)
    return {}


def set_variables(order: Mapping[str, Any]) -> dict[str, Any]:
    """Set variables for all that follows; the first order, whose answer says that the sandbox is up."""
    os.environ.update(order["env"])
    Path(os.environ["HOME"]).mkdir(parents=True, exist_ok=True)
    return {}


ORDERS = {
    "set": set_variables,
    "run": run,
    "copy": copy,
    "write": write,
    "read": read,
    "say_otherwise": say_otherwise,
}


def main() -> None:
    """Answer each order by a line."""
    # Programs must not speak on the line that the answers go by.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = ORDERS[order["do"]](order)
        except (OSError, shutil.Error, UnicodeError) as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

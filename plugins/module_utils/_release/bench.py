# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program inside the build sandbox: it carries out orders, a JSON object a line, until its input ends.

It runs as the unprivileged build user, by the app's base interpreter as ``python3 -I -S -c``, with the standard library
alone. Root takes nothing that it says on trust but the text of a result.
"""

from __future__ import annotations

import json
import os
import py_compile
import shutil
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Bytes of output that one order may return; the end says what went wrong.
OUTPUT_MAX_BYTES = 8_000_000
# Modules from which on a further process compiles, and what each of them may say.
MODULES_EACH = 100
PIPE_BYTES = 60_000
# What tools leave in a live folder beside its source.
NO_SOURCE = {".git", ".venv", "venv", "node_modules", "__pycache__"}


def run(order: Mapping[str, Any]) -> dict[str, Any]:
    """Run a program; its output goes to a file, because a pipe stays open as long as a process that it left."""
    with os.fdopen(os.memfd_create("output"), "w+b") as output:
        try:
            # A program of its own in the sandbox of builds: there is no module to ask.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
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
    """Copy a source, which backends write into; of a live folder what belongs to it."""
    shutil.rmtree(order["to"], ignore_errors=True)
    ignore = no_part if order["live"] else None
    shutil.copytree(order["from"], order["to"], symlinks=True, ignore=ignore)
    for base, _folders, _files in os.walk(order["to"]):
        Path(base).chmod(0o755)
    return {}


def no_part(folder: str, names: list[str]) -> list[str]:
    """What a live folder has beside its source: what tools left there, sockets of what runs in it, the app's secrets."""
    kinds = {name: (Path(folder) / name).lstat().st_mode for name in names}
    special = [
        name
        for name, mode in kinds.items()
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
        or (stat.S_ISREG(mode) and not os.access(Path(folder) / name, os.R_OK))
    ]
    return [*special, *(NO_SOURCE & set(names))]


def bytecode_of(module: str) -> str:
    """Return where this Python looks for a module's bytecode, beside it; whatever PYTHONPYCACHEPREFIX says here."""
    folder, name = os.path.split(module)
    return os.path.join(folder, "__pycache__", f"{name[: -len('.py')]}.{sys.implementation.cache_tag}.pyc")


def compile_modules(order: Mapping[str, Any]) -> dict[str, Any]:
    """Write the bytecode of all modules below a folder into another or the same, as of modules in a third one."""
    Path(order["to"]).mkdir(parents=True, exist_ok=True)
    places = []
    for base, folders, names in os.walk(order["from"]):
        folders[:] = [name for name in folders if name != "__pycache__"]
        inside = os.path.relpath(base, order["from"])
        places += [os.path.normpath(f"{inside}/{name}") for name in names if name.endswith(".py")]

    def compile_some(some: list[str]) -> str:
        wrong = ""
        for place in some:
            path = f"{order['from']}/{place}"
            if Path(path).is_symlink():
                continue
            try:
                target = f"{order['to']}/{bytecode_of(place)}"
                py_compile.compile(path, cfile=target, dfile=f"{order['as']}/{place}", doraise=True)
            except (py_compile.PyCompileError, OSError, ValueError) as error:
                wrong += f"{error}\n"
        return wrong

    count = max(1, min(os.cpu_count() or 1, len(places) // MODULES_EACH))
    said = in_processes([places[start::count] for start in range(count)], compile_some)
    return {"status": 1 if said and order["strict"] else 0, "output": said}


def in_processes(parts: list[list[str]], work: Callable[[list[str]], str]) -> str:
    """Have each part but the first worked on by a process of its own; returns all that they said."""
    pipes = []
    for part in parts[1:]:
        out, into = os.pipe()
        pid = os.fork()
        if not pid:
            # A pipe takes as much without a reader.
            os.write(into, work(part).encode("utf-8", "replace")[:PIPE_BYTES])
            os._exit(0)
        os.close(into)
        pipes.append((pid, out))
    said = work(parts[0])
    for pid, out in pipes:
        with os.fdopen(out, "rb") as stream:
            said += stream.read().decode("utf-8", "replace")
        if os.waitpid(pid, 0)[1]:
            said += "a process of the compilation ended by itself\n"
    return said


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
    "compile": compile_modules,
    "say_otherwise": say_otherwise,
}


def main() -> None:
    """Answer each order by a line."""
    # Programs must not speak on the line that the answers go by.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # The compiler's words about a module would be on that line too: the unit's standard error is its output.
    warnings.simplefilter("ignore")
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

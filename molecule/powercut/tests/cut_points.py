"""Goes into the machine: stops a deploy at each boundary between its steps until the controller lets it go on.

Python imports it at each start there; it does something only where ``/run/asgi-cut-points`` names an address to tell
the boundaries to, and only in what runs below the release module's ``deploy``. The product knows nothing of it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

ADDRESS = Path("/run/asgi-cut-points")
DEPLOY = "_release/deploy.py"


def described(event: str, args: tuple[Any, ...]) -> str:
    """What the process is about to do, where that is a step; else an empty string."""
    if event == "subprocess.Popen":
        return " ".join(map(os.fsdecode, args[1]))
    if event in ("os.rename", "os.symlink", "os.link"):
        return f"{os.fsdecode(args[0])} {os.fsdecode(args[1])}"
    if event in ("shutil.rmtree", "asgi_host.remove"):
        return os.fsdecode(args[0])
    if event == "open" and isinstance(args[0], str) and args[2] & os.O_DIRECTORY and os.path.isabs(args[0]):
        # A folder is opened to be synced: the rename before it may be lost still. One opened by a name alone is walked.
        return args[0]
    return ""


def deploying() -> bool:
    """Whether the release module's deploy is at work, in this thread."""
    frame = sys._getframe(1)
    while frame:
        if frame.f_code.co_name == "deploy" and frame.f_code.co_filename.endswith(DEPLOY):
            return True
        if not frame.f_back:
            return False
        frame = frame.f_back
    return False


def watch(address: str) -> None:
    """Tell each boundary to the controller, and wait for its word."""
    host, port = address.split(":")
    state: dict[str, Any] = {"busy": False, "line": None}

    def seen(event: str, args: tuple[Any, ...]) -> None:
        if state["busy"] or not (what := described(event, args)) or not deploying():
            return
        state["busy"] = True
        try:
            if state["line"] is None:
                state["line"] = socket.create_connection((host, int(port))).makefile("rw")
            state["line"].write(json.dumps([event, what, os.getpid()]) + "\n")
            state["line"].flush()
            state["line"].readline()
        except OSError:
            # The controller listens no more: go on as if nobody had asked.
            return
        finally:
            state["busy"] = False

    sys.addaudithook(seen)


if ADDRESS.exists():
    watch(ADDRESS.read_text(encoding="ascii").strip())

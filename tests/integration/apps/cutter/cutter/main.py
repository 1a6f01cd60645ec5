"""Answers with the release that it runs from, and the version of its code, its files and its environment."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cutter.version import VERSION

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SOURCE = Path(__file__).resolve().parents[1]
# Written to, so that it counts as used memory.
BALLAST = bytearray(b"x") * (int(os.environ.get("CUTTER_BALLAST", "0")) * 1_000_000)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """One answer to every question."""
    if scope["type"] != "http":
        return
    answer = {
        "code": VERSION,
        "file": (SOURCE / "note.txt").read_text(encoding="utf-8").strip(),
        "environment": os.environ.get("CUTTER_VERSION", ""),
        "release": SOURCE.parent.name,
    }
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

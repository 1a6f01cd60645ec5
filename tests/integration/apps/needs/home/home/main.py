"""Needs a home for caches, and writes beside its own source."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SOURCE = Path(__file__).resolve().parent.parent


async def answer(send: Send, status: int, body: dict[str, Any]) -> None:
    """Sends one JSON answer."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def leave_mark(folder: Path) -> dict[str, Any]:
    """Adds one line to the folder's file `mark` and says how many there are, and where it really is."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / "mark"
    with mark.open("a") as file:
        file.write("x\n")
    return {"lines": len(mark.read_text().splitlines()), "real": str(mark.resolve())}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`POST /` leaves a mark in `~/.cache` and in the source's `uploads/`; others show the places."""
    if scope["type"] != "http":
        return
    places = {"cache": Path(os.environ["HOME"]) / ".cache" / "home-app", "uploads": SOURCE / "uploads"}
    if scope["method"] != "POST":
        await answer(send, 200, {"app": "home", **{name: str(path) for name, path in places.items()}})
        return
    marks = {name: leave_mark(path) for name, path in places.items()}
    await answer(send, 200, {"app": "home", **marks})

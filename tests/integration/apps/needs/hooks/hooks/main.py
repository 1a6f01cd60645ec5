"""Needs hooks that run with the app's environment, user and folder."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def answer(send: Send, status: int, body: dict[str, Any]) -> None:
    """Sends one JSON answer."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """What the hooks noted in the app's data folder."""
    if scope["type"] != "http":
        return
    log = Path(os.environ["STATE_DIRECTORY"].split(":")[0]) / "hooks.jsonl"
    runs = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    await answer(send, 200, {"app": "hooks", "uid": os.getuid(), "runs": runs})

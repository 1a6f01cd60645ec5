"""Needs an older gunicorn than the role would choose."""

import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
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
    """The versions of the server that runs the app."""
    if scope["type"] == "http":
        versions = {name: version(name) for name in ("gunicorn", "uvicorn", "uvicorn-worker")}
        await answer(send, 200, {"app": "oldgunicorn", **versions})

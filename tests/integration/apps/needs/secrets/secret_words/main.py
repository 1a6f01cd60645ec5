"""Needs secrets whose characters survive the way into the environment."""

import hashlib
import json
import os
from collections.abc import Awaitable, Callable
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
    """`/NAME`: length and SHA-256 of the variable's UTF-8 bytes; 404 when it is not set."""
    if scope["type"] != "http":
        return
    name = scope["path"].strip("/")
    if not name:
        await answer(send, 200, {"app": "secrets"})
    elif (value := os.environb.get(name.encode())) is None:
        await answer(send, 404, {"app": "secrets", "name": name})
    else:
        digest = hashlib.sha256(value).hexdigest()
        await answer(send, 200, {"app": "secrets", "name": name, "length": len(value), "sha256": digest})

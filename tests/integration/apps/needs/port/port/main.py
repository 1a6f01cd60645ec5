"""Needs the port that the client used, as Django's get_port() does."""

import json
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
    """200 with the port of `scope["server"]`; 500 where the server left it out."""
    if scope["type"] != "http":
        return
    host, port = scope.get("server") or (None, None)
    await answer(send, 200 if isinstance(port, int) else 500, {"app": "port", "host": host, "port": port})

"""Broken: the lifespan's startup fails."""

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reports the failure as frameworks do; an exception alone would only mean "no lifespan here"."""
    if scope["type"] == "lifespan":
        await receive()
        message = "failing_lifespan: the database of this app is not there"
        await send({"type": "lifespan.startup.failed", "message": message})

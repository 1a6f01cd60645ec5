"""Broken: the lifespan's startup never ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Waits for ever before it is ready."""
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.Event().wait()

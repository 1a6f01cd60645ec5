"""Needs to be called with arguments, quotes included."""

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


def create_app(names: list[str], title: str = "") -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An app that answers with the arguments it was made with."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, 200, {"app": "factory", "names": names, "title": title})

    return app


def create_default_app() -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The same without arguments, for `factory: true`."""
    return create_app([])

"""Needs one worker: it keeps its sessions in memory."""

import json
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

VISITS: dict[str, int] = {}


async def answer(send: Send, status: int, body: dict[str, Any]) -> None:
    """Sends one JSON answer."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`POST /` opens a session; `GET /ID` counts its visits, or 404 in a process that did not open it."""
    if scope["type"] != "http":
        return
    session = scope["path"].strip("/")
    if scope["method"] == "POST":
        session = uuid.uuid4().hex
        VISITS[session] = 0
    elif session in VISITS:
        VISITS[session] += 1
    elif session:
        await answer(send, 404, {"app": "sessions", "pid": os.getpid()})
        return
    body = {"app": "sessions", "session": session, "visits": VISITS.get(session, 0), "pid": os.getpid()}
    await answer(send, 200, body)

"""Needs a media folder that the app writes and nginx serves."""

import json
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

UPLOAD_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


async def answer(send: Send, status: int, body: dict[str, Any]) -> None:
    """Sends one JSON answer."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def keep(name: str, content: bytes) -> str:
    """Writes the upload with the strict modes that real apps use: folder 0750, file 0640."""
    folder = Path(os.environ["STATE_DIRECTORY"].split(":")[0]) / "media" / "uploads"
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    folder.chmod(0o750)
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o640)
    return f"/media/uploads/{name}"


async def read_body(receive: Receive) -> bytes:
    """The whole request body."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`PUT /NAME` keeps the body and says where nginx must serve it; `/media/…` never reaches the app."""
    if scope["type"] != "http":
        return
    name = scope["path"].strip("/")
    if scope["method"] == "PUT" and UPLOAD_NAME.fullmatch(name):
        await answer(send, 201, {"app": "media", "url": keep(name, await read_body(receive))})
    elif name:
        await answer(send, 404, {"app": "media", "path": scope["path"]})
    else:
        await answer(send, 200, {"app": "media"})

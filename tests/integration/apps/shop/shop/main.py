"""HTTP, a WebSocket and a server-sent event stream, and what the app saw of its client."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from shop import __version__

app = FastAPI(title="shop", version=__version__)


@app.get("/")
async def index() -> dict[str, str]:
    """The front page: the message is the inventory's, so that a changed `env` can be seen."""
    message = os.environ.get("SHOP_MESSAGE", "Welcome to the shop")
    return {"app": "shop", "message": message, "version": __version__}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answers as soon as the app can serve."""
    return {"status": "ok"}


@app.get("/whoami")
async def whoami(request: Request) -> dict[str, Any]:
    """The client, scheme and host as they reached the app through the proxy."""
    return {
        "app": "shop",
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "host": request.url.hostname,
        "port": request.url.port or (443 if request.url.scheme == "https" else 80),
        "root_path": request.scope.get("root_path", ""),
        "url": str(request.url),
        "home": str(request.url_for("index")),
        "headers": dict(request.headers),
    }


@app.post("/echo")
async def echo(request: Request) -> dict[str, Any]:
    """Length in bytes and SHA-256 of the body, read as a stream."""
    digest, length = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        length += len(chunk)
    return {"length": length, "sha256": digest.hexdigest()}


@app.get("/events")
async def events(
    count: Annotated[int, Query(ge=1, le=10_000)] = 5,
    interval: Annotated[float, Query(ge=0, le=60)] = 0.2,
) -> StreamingResponse:
    """`count` events, `interval` seconds apart."""

    async def stream() -> AsyncIterator[str]:
        for number in range(count):
            if number:
                await asyncio.sleep(interval)
            yield f"data: {number}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@app.websocket("/ws")
async def websocket(socket: WebSocket) -> None:
    """Sends each text back."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass

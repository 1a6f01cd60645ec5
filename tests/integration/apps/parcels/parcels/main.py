"""Says which release answers, and writes down every parcel, so that none is lost or delivered twice."""

import asyncio
import importlib
import importlib.metadata
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from parcels import VERSION

RELEASE = Path(__file__).resolve().parents[2].name
DELIVERED = Path(os.environ["STATE_DIRECTORY"]) / "delivered"


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the folder of the deliveries; note an orderly end."""
    DELIVERED.mkdir(exist_ok=True)
    yield
    with (DELIVERED.parent / "ended").open("a") as stream:
        stream.write(f"{VERSION} {os.getpid()}\n")


app = FastAPI(lifespan=lifespan)


def installed(name: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if installed("prometheus-client"):
    app.include_router(importlib.import_module("parcels.counting").router)


@app.get("/")
async def index() -> dict[str, Any]:
    """All that makes this release differ from another."""
    return {
        "version": VERSION,
        "greeting": os.environ.get("GREETING", ""),
        "python": sys.executable,
        "base": sys.base_prefix,
        "humanize": installed("humanize"),
        "pid": os.getpid(),
        "release": RELEASE,
    }


@app.get("/seen")
async def seen(request: Request) -> dict[str, Any]:
    """Who asks, and how, as the app sees it."""
    return {
        "client": request.client.host if request.client else None,
        "url": str(request.url),
        "uid": os.getuid(),
    }


@app.get("/status/{status}")
async def answer(status: int) -> Response:
    """The status that was asked for."""
    return Response(status_code=status)


@app.post("/parcels")
async def parcel(request: Request) -> dict[str, str]:
    """Write the parcel's name down."""
    name = (await request.body()).decode()
    with (DELIVERED / str(os.getpid())).open("a") as stream:
        stream.write(f"{name}\n")
    return {"delivered": name, "version": VERSION}


@app.get("/events")
async def events() -> StreamingResponse:
    """An event each 0.1 s, for ever."""

    async def stream() -> AsyncIterator[str]:
        for number in itertools.count():
            yield f"data: {number} {VERSION}\n\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(stream(), media_type="text/event-stream")


@app.websocket("/ws")
async def websocket(socket: WebSocket) -> None:
    """Sends each text back, with the version before it."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(f"{VERSION} {await socket.receive_text()}")
    except WebSocketDisconnect:
        pass

"""Endpoints through which the tests look at a deployed app from inside.

It reads and writes whatever path it is asked for: never deploy it on a host that others reach.
"""

import asyncio
import errno
import hashlib
import itertools
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from probe import process

STARTED = time.time()
STATIC = Path(__file__).resolve().parent.parent / "static"
# What the tests put into a request whose arrival they ask for.
MARK = b"door-"
SEEN: deque[dict[str, Any]] = deque(maxlen=5000)


class Recorder:
    """Keeps every request with a mark as the server handed it over, before anything of the app looks at it."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] != "/seen":
            where = scope.get("raw_path", b"") + b"?" + scope.get("query_string", b"")
            if MARK in where or any(MARK in value for _name, value in scope["headers"]):
                SEEN.append(
                    {
                        "type": scope["type"],
                        "method": scope.get("method", ""),
                        "target": where.decode("latin-1"),
                        "scheme": scope["scheme"],
                        "http_version": scope["http_version"],
                        "client": (scope.get("client") or [None])[0],
                        "server": scope.get("server"),
                        "root_path": scope.get("root_path", ""),
                        "headers": [
                            [name.decode("latin-1"), value.decode("latin-1")]
                            for name, value in scope["headers"]
                        ],
                    }
                )
        await self.inner(scope, receive, send)


app = FastAPI(title="probe")
app.add_middleware(Recorder)


def error_name(error: OSError) -> str:
    """`EACCES`, `EROFS`, …"""
    return errno.errorcode.get(error.errno or 0, str(error))


@app.get("/")
async def index() -> dict[str, Any]:
    """Which process answered, and the marker that the inventory gave it."""
    return {"app": "probe", "pid": os.getpid(), "marker": os.environ.get("PROBE_MARKER", "")}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answers as soon as the app can serve."""
    return {"status": "ok"}


@app.get("/whoami")
async def whoami(request: Request) -> dict[str, Any]:
    """The request as the app saw it."""
    return {
        "app": "probe",
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "host": request.url.hostname,
        "port": request.url.port or (443 if request.url.scheme == "https" else 80),
        "root_path": request.scope.get("root_path", ""),
        "path": request.scope["path"],
        "url": str(request.url),
        "server": request.scope.get("server"),
        "http_version": request.scope["http_version"],
        "headers": dict(request.headers),
        "raw_headers": [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in request.scope["headers"]
        ],
    }


@app.get("/seen")
async def seen(mark: str) -> list[dict[str, Any]]:
    """The requests that reached this process with a mark in their target or headers, oldest first."""
    return [
        item
        for item in SEEN
        if mark in item["target"] or any(mark in value for _name, value in item["headers"])
    ]


@app.get("/answer")
async def answer(
    status: Annotated[int, Query(ge=200, le=599)] = 200, header: Annotated[list[str] | None, Query()] = None
) -> Response:
    """An answer with this status and these headers, each as `name: value`."""
    response = PlainTextResponse("as asked", status)
    for line in header or []:
        name, _sign, value = line.partition(": ")
        response.headers.append(name, value)
    return response


@app.get("/download")
async def download(size: Annotated[int, Query(ge=0, le=10**9)]) -> StreamingResponse:
    """So many bytes, in parts."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield bytes(min(65536, size - start))

    return StreamingResponse(
        parts(), media_type="application/octet-stream", headers={"Content-Length": str(size)}
    )


@app.get("/process")
async def show_process() -> dict[str, Any]:
    """Identity, privileges and server of the process that answers."""
    return {**process.describe(), "started": STARTED}


@app.post("/write")
def write(path: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    """Tries to create the file, takes it away again, and says `ok` or the error's name."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(descriptor)
        Path(path).unlink()
    except OSError as error:
        return {"path": path, "result": error_name(error)}
    return {"path": path, "result": "ok"}


@app.get("/read")
def read(path: str) -> dict[str, Any]:
    """Tries to read the file, or to list the folder, and says `ok` or the error's name."""
    target = Path(path)
    try:
        if target.is_dir():
            return {"path": path, "result": "ok", "names": sorted(item.name for item in target.iterdir())}
        content = target.read_bytes()
    except OSError as error:
        return {"path": path, "result": error_name(error)}
    text = content[:4096].decode(errors="replace")
    return {"path": path, "result": "ok", "length": len(content), "text": text}


@app.get("/env")
async def environment_names() -> list[str]:
    """The names, never the values, of the environment."""
    return sorted(os.environ)


@app.get("/env/{name}")
async def environment(name: str) -> dict[str, str | None]:
    """One variable's value; null when it is not set."""
    return {"name": name, "value": os.environ.get(name)}


@app.get("/credential/{name}")
def credential(name: str) -> dict[str, str]:
    """One file of `$CREDENTIALS_DIRECTORY`."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise HTTPException(404, "CREDENTIALS_DIRECTORY is not set")
    try:
        return {"name": name, "value": (Path(folder) / name).read_text()}
    except OSError as error:
        raise HTTPException(404, error_name(error)) from error


@app.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=3600)] = 1.0) -> dict[str, Any]:
    """Answers after so many seconds."""
    await asyncio.sleep(seconds)
    return {"seconds": seconds, "pid": os.getpid()}


@app.post("/echo")
async def echo(request: Request) -> dict[str, Any]:
    """Length in bytes and SHA-256 of the body, read as a stream."""
    digest, length = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        length += len(chunk)
    return {"length": length, "sha256": digest.hexdigest(), "pid": os.getpid()}


@app.get("/events")
async def events(
    count: Annotated[int | None, Query(ge=1)] = None,
    interval: Annotated[float, Query(ge=0, le=60)] = 0.2,
) -> StreamingResponse:
    """Events `interval` seconds apart: `count` of them, or for ever."""

    async def stream() -> AsyncIterator[str]:
        for number in itertools.count() if count is None else range(count):
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


@app.get("/static/{name}")
def static(name: str) -> Response:
    """The static files as the app serves them: the header shows that nginx did not."""
    headers = {"X-From-App": "1"}
    if name not in {item.name for item in STATIC.iterdir()}:
        return PlainTextResponse("no such file", 404, headers)
    return FileResponse(STATIC / name, headers=headers)

"""Pages are files in the app's data folder, so they outlive every release."""

import os
import re
import tempfile
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PAGE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
PAGE_LIMIT = 1_000_000
"""The largest page, in bytes."""


def pages_folder() -> Path:
    """`pages/` in the first folder of `$STATE_DIRECTORY`; made when missing."""
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    folder = Path(state or tempfile.gettempdir()) / "pages"
    folder.mkdir(mode=0o750, exist_ok=True)
    return folder


def page_path(request: Request) -> Path:
    """The file of the page that the request names; 404 for a name that no page can have."""
    name = request.path_params["name"]
    if not PAGE_NAME.fullmatch(name):
        raise HTTPException(404, "a page's name is lower-case letters, digits and hyphens")
    return pages_folder() / f"{name}.txt"


def write_whole(path: Path, text: bytes) -> bool:
    """Replaces the file in one step; true if it was not there before."""
    new = not path.exists()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".page-", delete=False) as draft:
        draft.write(text)
    Path(draft.name).replace(path)
    return new


async def index(request: Request) -> Response:
    """The list of pages; every name is from `PAGE_NAME`, so it needs no escaping."""
    names = sorted(path.stem for path in pages_folder().glob("[a-z0-9]*.txt"))
    items = "".join(f'<li><a href="{request.url_for("page", name=name)}">{name}</a></li>' for name in names)
    return HTMLResponse(f"<!doctype html><title>wiki</title><h1>wiki</h1><ul>{items}</ul>\n")


async def healthz(request: Request) -> Response:
    """Healthy only when the pages can be listed."""
    return JSONResponse({"status": "ok", "pages": len(list(pages_folder().glob("[a-z0-9]*.txt")))})


async def whoami(request: Request) -> Response:
    """The client, scheme and host as they reached the app through the proxy."""
    return JSONResponse(
        {
            "app": "wiki",
            "client": request.client.host if request.client else None,
            "scheme": request.url.scheme,
            "host": request.url.hostname,
            "port": request.url.port or (443 if request.url.scheme == "https" else 80),
            "root_path": request.scope.get("root_path", ""),
            "url": str(request.url),
            "home": str(request.url_for("index")),
            "headers": dict(request.headers),
        }
    )


async def read_page(request: Request) -> Response:
    """The page's text."""
    path = page_path(request)
    try:
        return PlainTextResponse(await run_in_threadpool(path.read_bytes))
    except FileNotFoundError:
        raise HTTPException(404, "no such page") from None


async def write_page(request: Request) -> Response:
    """Keeps the body as the page's text: 201 for a new page, 204 for a changed one."""
    path, text = page_path(request), bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > PAGE_LIMIT:
            raise HTTPException(413, f"a page holds at most {PAGE_LIMIT} bytes")
    new = await run_in_threadpool(write_whole, path, bytes(text))
    return Response(status_code=201 if new else 204)


async def echo(socket: WebSocket) -> None:
    """Sends each text back."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


app = Starlette(
    routes=[
        Route("/", index),
        Route("/healthz", healthz),
        Route("/whoami", whoami),
        Route("/pages/{name}", read_page, name="page"),
        Route("/pages/{name}", write_page, methods=["PUT"]),
        WebSocketRoute("/ws", echo),
    ]
)

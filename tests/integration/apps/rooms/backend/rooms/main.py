"""Rooms and who has booked them; a booking is a line in the app's data folder, so it outlives every release."""

import os
from pathlib import Path
from typing import Annotated, Any

from litestar import Litestar, Request, WebSocket, get, post, websocket
from litestar.exceptions import NotFoundException, ServiceUnavailableException, WebSocketDisconnect
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Server
from litestar.params import Parameter
from litestar.response import Redirect

ROOMS = ("attic", "cellar", "garden")
Who = Annotated[str, Parameter(query="who", min_length=1, max_length=64, pattern=r"^[\w .-]+$")]


def bookings_of(room: str) -> Path:
    """The file of a room's bookings; 404 for a room that there is not."""
    if room not in ROOMS:
        raise NotFoundException(f"no room {room}; there are {', '.join(ROOMS)}")
    return Path(os.environ["STATE_DIRECTORY"].split(":")[0]) / f"{room}.txt"


@get("/", name="index")
async def index(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The rooms, each with its address."""
    return {"app": "rooms", "rooms": {room: request.url_for("room", room=room) for room in ROOMS}}


@get("/healthz", sync_to_thread=True)
def healthz() -> dict[str, str]:
    """Healthy only when bookings can be written."""
    if not os.access(bookings_of(ROOMS[0]).parent, os.W_OK):
        raise ServiceUnavailableException("the data folder cannot be written")
    return {"status": "ok"}


@get("/whoami")
async def whoami(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The client, scheme and host as they reached the app through the proxy."""
    return {
        "app": "rooms",
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "host": request.url.hostname,
        "port": request.url.port or (443 if request.url.scheme == "https" else 80),
        "root_path": request.scope.get("root_path", ""),
        "url": str(request.url),
        "home": request.url_for("index"),
        "headers": dict(request.headers),
    }


@get("/rooms/{room:str}", name="room", sync_to_thread=True)
def show(room: str) -> dict[str, Any]:
    """Who has booked a room."""
    path = bookings_of(room)
    return {"room": room, "booked_by": path.read_text().splitlines() if path.exists() else []}


@post("/rooms/{room:str}", sync_to_thread=True)
def book(request: Request[Any, Any, Any], room: str, who: Who) -> Redirect:
    """Books a room, and leads back to it."""
    with bookings_of(room).open("a") as file:
        file.write(f"{who}\n")
    return Redirect(request.url_for("room", room=room), status_code=303)


@websocket("/ws")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    """Sends each text back."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


def create_app() -> Litestar:
    """The app, for `factory: true`; the schema's page must know where the app is mounted."""
    mount = os.environ.get("ROOMS_MOUNT", "/")
    schema = OpenAPIConfig(title="rooms", version="1.0.0", servers=[Server(url=mount)])
    return Litestar([index, healthz, whoami, show, book, echo], openapi_config=schema)

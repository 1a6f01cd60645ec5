"""A page in which visitors sign in by name and talk over a WebSocket."""

import os
from typing import Any

from quart import Quart, ResponseReturnValue, redirect, render_template, request, session, url_for, websocket

app = Quart(__name__)
app.config.update(
    SECRET_KEY=os.environ["CHAT_SECRET_KEY"],
    SESSION_COOKIE_SECURE=True,
    SESSION_COOKIE_SAMESITE="Lax",
    # Apps on one domain must not overwrite each other's.
    SESSION_COOKIE_NAME="chat_session",
)


@app.get("/")
async def index() -> str:
    """The page, with its links made from the names of the routes."""
    return await render_template("index.html", name=session.get("name"))


@app.post("/enter")
async def enter() -> ResponseReturnValue:
    """Remembers the visitor's name, and leads back to the page."""
    name = (await request.form).get("name", "")[:64].strip()
    if not name:
        return "a name is missing", 400
    session["name"] = name
    return redirect(url_for("index", _external=True), code=303)


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answers as soon as the app can serve."""
    return {"status": "ok"}


@app.get("/whoami")
async def whoami() -> dict[str, Any]:
    """The client, scheme and host as they reached the app through the proxy."""
    host, _sign, port = request.host.partition(":")
    return {
        "app": "chat",
        "client": request.remote_addr,
        "scheme": request.scheme,
        "host": host,
        "port": int(port or (443 if request.scheme == "https" else 80)),
        "root_path": request.root_path,
        "url": request.url,
        "home": url_for("index", _external=True),
        "headers": {name.lower(): value for name, value in request.headers.items()},
    }


@app.websocket("/ws")
async def echo() -> None:
    """Sends each text back."""
    await websocket.accept()
    while True:
        await websocket.send(await websocket.receive())

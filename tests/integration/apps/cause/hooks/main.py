"""Serves, where its hooks let it; answers 404 but for one path, below its mount point."""

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    found = scope["path"].removeprefix(scope["root_path"]) in ("/", "/healthz")
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": []})
    await send({"type": "http.response.body", "body": b"found" if found else b"not found"})

"""Says which code answers, in which process, and what it knows of the client and of the host."""

import asyncio
import importlib.util
import json
import os
from typing import Any

from live import VERSION


def facts(scope: dict[str, Any]) -> dict[str, Any]:
    """What the tests ask for."""
    return {
        "version": VERSION,
        "client": scope["client"] and scope["client"][0],
        "scheme": scope["scheme"],
        "server": scope["server"],
        "pid": os.getpid(),
        "code": __file__,
        "humanize": importlib.util.find_spec("humanize") is not None,
        "homes": sorted(os.listdir("/home")) if os.access("/home", os.R_OK) else None,
        "readable": {path: os.access(path, os.R_OK) for path in ("/home/dev/diary", "/etc/asgi")},
    }


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The facts everywhere, but for /events: a line each 0.1 s, for ever."""
    if scope["type"] != "http":
        return
    streams = scope["path"] == "/events"
    kind = b"text/event-stream" if streams else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    while streams:
        await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": json.dumps(facts(scope)).encode()})

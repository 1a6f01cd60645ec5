"""Answers with its version; takes three seconds to import, as an app with large libraries does."""

import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from slow.version import VERSION

time.sleep(3)


async def index(request: Request) -> PlainTextResponse:
    """The version; a POST's body is read first."""
    await request.body()
    return PlainTextResponse(VERSION)


app = Starlette(routes=[Route("/", index, methods=["GET", "POST"])])

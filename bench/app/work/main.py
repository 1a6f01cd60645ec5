"""One handler for each kind of work that an app may do."""

import asyncio
import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from work.version import VERSION

# Seconds: a quick answer of a database, and a slow one.
QUICK, SLOW = 0.002, 0.05
# A few milliseconds of one core.
STEPS = 60_000
ROWS = [
    {"id": number, "name": f"item {number}", "price": number * 1.5, "tags": ["a", "b"]}
    for number in range(20)
]


async def index(request: Request) -> JSONResponse:
    """The version; a POST's body is read first."""
    await request.body()
    return JSONResponse({"version": VERSION})


async def seen(request: Request) -> JSONResponse:
    """Who asks, and how, as the app sees it."""
    return JSONResponse({"client": request.client and request.client.host, "scheme": request.url.scheme})


async def waits(_request: Request) -> JSONResponse:
    """What async is for: little to compute, and a short wait that leaves the loop to others."""
    await asyncio.sleep(QUICK)
    return JSONResponse({"items": ROWS})


async def computes(_request: Request) -> JSONResponse:
    """Only computes."""
    return JSONResponse({"sum": sum(number * number for number in range(STEPS))})


async def blocks(_request: Request) -> JSONResponse:
    """The common mistake: a wait that keeps the loop from everybody else."""
    time.sleep(SLOW)  # noqa: ASYNC251 - it is the mistake that is measured
    return JSONResponse({"items": ROWS})


def threads(_request: Request) -> JSONResponse:
    """The same wait in a handler without async, which runs in a pool of threads."""
    time.sleep(SLOW)
    return JSONResponse({"items": ROWS})


app = Starlette(
    routes=[
        Route("/", index, methods=["GET", "POST"]),
        *(Route(f"/{each.__name__}", each) for each in (seen, waits, computes, blocks, threads)),
    ]
)

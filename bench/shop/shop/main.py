"""A small API as FastAPI's own tutorial makes one: a response model, and JSON of a few hundred bytes."""

from fastapi import FastAPI, Request
from pydantic import BaseModel

from shop.version import VERSION


class Item(BaseModel):
    """Something that is sold."""

    id: int
    name: str
    price: float
    tags: list[str]


class Page(BaseModel):
    """What the shop answers."""

    version: str
    items: list[Item]


class Seen(BaseModel):
    """Who asks, and how, as the app sees it."""

    client: str | None
    scheme: str


ITEMS = [Item(id=number, name=f"item {number}", price=number * 1.5, tags=["a", "b"]) for number in range(5)]

app = FastAPI()


@app.get("/")
async def index() -> Page:
    """The version, and a list."""
    return Page(version=VERSION, items=ITEMS)


@app.get("/seen")
async def seen(request: Request) -> Seen:
    """Who asks, and how."""
    return Seen(client=request.client.host if request.client else None, scheme=request.url.scheme)

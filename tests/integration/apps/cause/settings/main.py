"""Settings in the usual form, of which one is missing."""

from typing import Any

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    payment_api_key: str


settings = Settings()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Never reached."""

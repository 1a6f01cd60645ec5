# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a project's own files run it: in images, on platforms. One form for what they all say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .commands import Command, Served, served

# Of images whose containers serve an app beside others: what they are is the user's to bring.
SERVICES = {
    "postgres": "PostgreSQL", "postgis": "PostgreSQL with PostGIS", "timescaledb": "PostgreSQL with TimescaleDB",
    "pgvector": "PostgreSQL with pgvector", "mysql": "MySQL", "mariadb": "MariaDB", "redis": "Redis", "valkey": "Redis",
    "rabbitmq": "RabbitMQ", "mongo": "MongoDB", "memcached": "memcached", "elasticsearch": "Elasticsearch",
    "opensearch": "OpenSearch", "meilisearch": "Meilisearch", "minio": "an object store", "mailpit": "a mail server",
    "nats": "NATS", "kafka": "Kafka",
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """A value, and the file and line that say so."""

    value: Any
    where: str


@dataclass
class Ways:
    """What the files say, the strongest word first."""

    commands: list[Command] = field(default_factory=list)
    """Those of the container or process that serves."""
    processes: dict[str, Said] = field(default_factory=dict)
    once: list[Said] = field(default_factory=list)
    """Commands of a release, before it serves."""
    environment: dict[str, Said] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Names of secret variables, each with where it is said."""
    packages: dict[str, str] = field(default_factory=dict)
    python: Said | None = None
    health: list[Said] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    """Paths of the source that outlive a container."""
    extras: list[Said] = field(default_factory=list)
    groups: list[Said] = field(default_factory=list)
    services: dict[str, str] = field(default_factory=dict)
    requirements: Said | None = None
    names: set[str] = field(default_factory=set)
    """Names of containers, which no host knows."""

    def servers(self) -> list[tuple[Command, Served]]:
        """The calls of web servers, with what they say."""
        return [(command, served(command)) for command in self.commands if command.serves]

    def variable(self, name: str, value: Any, where: str) -> None:
        """Remember a variable; the first word counts."""
        if re.fullmatch(r"[A-Za-z_]\w*", name):
            self.environment.setdefault(name, Said("" if value is None else _text(value), where))


def mapping(value: Any) -> Mapping[Any, Any]:
    """A mapping as it is; anything else is an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """A list as it is; anything else is an empty one."""
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def path_of_url(text: str) -> str:
    """The path that a health check asks, from a command or an address; empty where there is none."""
    match = re.search(
        r"(?:https?://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::[^/\s'\"]+)?(/[^\s'\"|\\)>;]*)?",
        text,
    )
    if not match:
        return ""
    path = match.group(1) or "/"
    return "" if re.search(r"[$`{}]", path) else path

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that others have written in TOML or JSON: each field in the type that it must have, or an error that names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


class UnreadableError(Exception):
    """A file that cannot be read for what it must be; the message names it and the fix."""


@dataclass(frozen=True)
class Table:
    """A table of the file named ``file``; ``path`` is where in it the table stands. What is missing is empty."""

    file: str
    content: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def table(self, *keys: str) -> Table:
        """The table below these keys, an empty one where there is none. Raises UnreadableError for something else."""
        found = self
        for key in keys:
            value = found.content.get(key, {})
            if not isinstance(value, Mapping):
                raise found.wrong(key, "a table")
            found = Table(self.file, value, found._place(key))
        return found

    def tables(self, key: str) -> list[Table]:
        """The tables of a list, or the only one. Raises UnreadableError for something else."""
        value = self.content.get(key, [])
        items = [value] if isinstance(value, Mapping) else value
        if not (isinstance(items, list) and all(isinstance(item, Mapping) for item in items)):
            raise self.wrong(key, "a list of tables")
        return [Table(self.file, item, f"{self._place(key)}[{place}]") for place, item in enumerate(items)]

    def text(self, key: str, default: str = "") -> str:
        """A string. Raises UnreadableError for something else."""
        value = self.content.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def needed(self, key: str) -> str:
        """A string that must be there. Raises UnreadableError where it is not."""
        return self.text(key) or self._missing(key)

    def _missing(self, key: str) -> str:
        raise self.wrong(key, "a string")

    def texts(self, key: str) -> list[str]:
        """A list of strings. Raises UnreadableError for something else."""
        value = self.content.get(key, [])
        if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise self.wrong(key, "a list of strings")
        return list(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A truth value. Raises UnreadableError for something else."""
        value = self.content.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def wrong(self, key: str, wanted: str) -> UnreadableError:
        """That a field has not the type ``wanted``."""
        return UnreadableError(f"{self.file}: {self._place(key)} is not {wanted}; correct it")

    def _place(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

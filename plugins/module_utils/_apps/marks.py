# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values that still wait for a person: those that hold the mark which ``asgi.host.new`` writes where it does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .reading import is_list

MARK = "CHANGE_ME"
_WORD = re.compile(rf"(?<![A-Za-z0-9_]){MARK}(?![A-Za-z0-9_])")
DEPTH = 8
WORDS = f"is still marked with {MARK}; give the value, where the inventory or its vault has the mark"


def marked(value: Any, key: str = "", depth: int = 0) -> Iterator[str]:
    """The dotted keys of all marked values in ``value``; no value is shown, for it may be in part a secret."""
    if isinstance(value, str):
        if _WORD.search(value):
            yield key
    elif depth > DEPTH:
        return
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from marked(each, f"{key}.{name}" if key else str(name), depth + 1)
    elif is_list(value):
        for number, each in enumerate(value):
            yield from marked(each, f"{key}[{number}]", depth + 1)


def without_marked(found: list[str], where: str, keys: list[str]) -> list[str]:
    """What was ``found``, with a word on each marked key in the place of what its check says of the mark."""
    starts = tuple(f"{where}: {key}: " for key in keys)
    return (
        [
            *(f"{where}: {key}: {WORDS}" for key in keys),
            *(each for each in found if not each.startswith(starts)),
        ]
        if keys
        else found
    )

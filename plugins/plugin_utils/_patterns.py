# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patterns as in `.gitignore` (gitignore(5)): which paths of a folder they match."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class _Pattern:
    form: re.Pattern[str]
    negated: bool
    folders_only: bool
    words: str
    """Its last part without wildcards."""


class Patterns:
    """A list of patterns, of which the last one that matches decides."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns = [_parsed(line) for line in lines]
        # Most paths of a folder share theirs with others.
        self._folder = functools.cache(self._of_folder)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, name: str) -> bool:
        """Whether they match a file by its relative path, or a folder that it is in."""
        above, _sign, _last = name.rpartition("/")
        return (bool(above) and self._folder(above)) or self._decides(name, is_folder=False) is not None

    def name(self, name: str) -> bool:
        """Whether they match the file itself, by more than wildcards."""
        found = self._decides(name, is_folder=False)
        return found is not None and bool(found.words)

    def reach(self, part: str) -> bool:
        """Whether one of them spells out the name of a folder (``part``)."""
        return any(part in pattern.form.pattern.replace("\\", "") for pattern in self._patterns)

    def _of_folder(self, name: str) -> bool:
        """What matches a folder matches all that is in it, whatever comes later."""
        every = accumulate(name.split("/"), lambda above, part: f"{above}/{part}")
        return any(self._decides(folder, is_folder=True) is not None for folder in every)

    def _decides(self, name: str, *, is_folder: bool) -> _Pattern | None:
        """The pattern that says yes to one path; None where none does, or the last one says no."""
        for pattern in reversed(self._patterns):
            if (is_folder or not pattern.folders_only) and pattern.form.fullmatch(name):
                return None if pattern.negated else pattern
        return None


def _parsed(line: str) -> _Pattern:
    text = re.sub(r"(?<!\\)\s+\Z", "", line)
    negated = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    # A slash that is not the last character ties a pattern to the top.
    anywhere = "/" not in text
    text = text.removeprefix("/")
    parts = text.split("/")
    form = "(?:.*/)?" if anywhere else ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            form += ".+" if last else "(?:.*/)?"
        else:
            form += _expression(part) + ("" if last else "/")
    return _Pattern(
        re.compile(form, re.DOTALL), negated, folders_only, re.sub(r"\[.*?\]|[*?\\]", "", parts[-1])
    )


def _expression(part: str) -> str:
    """The regular expression of what stands between two slashes."""
    found = ""
    rest = part
    while rest:
        sign, rest = rest[0], rest[1:]
        if sign == "*":
            found += "[^/]*"
        elif sign == "?":
            found += "[^/]"
        elif sign == "\\" and rest:
            found, rest = found + re.escape(rest[0]), rest[1:]
        elif sign == "[" and (several := re.match(r"([!^]?)(\]?[^\]]*)\]", rest)):
            inside = re.sub(r"([\\\[&~|])", r"\\\1", several[2])
            found += f"(?!/)[{'^' if several[1] else ''}{inside}]"
            rest = rest[several.end() :]
        else:
            # A class without an end matches nothing.
            found += re.escape(sign) if sign != "[" else "(?!)"
    return found

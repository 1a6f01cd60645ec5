# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions of Python, and the ranges that an app may name."""

from __future__ import annotations

import re

PYTHON = re.compile(r"3(?:\.\d{1,3}){0,2}")
RANGE = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*(\d{1,3}(?:\.\d{1,3}){0,2}(?:\.\*)?)")


def numbers(version: str) -> tuple[int, ...]:
    """The numbers with which a version begins."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else (0,)


def fits(version: str, wanted: str) -> bool:
    """Whether a version is the one, or within the range, that is wanted."""
    has = numbers(version)
    if PYTHON.fullmatch(wanted):
        asked = numbers(wanted)
        return has[: len(asked)] == asked
    return all(_holds(has, operator, limit) for operator, limit in RANGE.findall(wanted))


def _holds(has: tuple[int, ...], operator: str, limit: str) -> bool:
    """One clause of a range, by the rules of the version specifiers for plain releases."""
    asked = numbers(limit)
    if operator in ("==", "!="):
        length = len(asked) if limit.endswith("*") else 3
        return (_padded(has)[:length] == _padded(asked)[:length]) == (operator == "==")
    if operator == "~=":
        return _padded(has) >= _padded(asked) and has[: len(asked) - 1] == asked[:-1]
    order = {
        ">=": _padded(has) >= _padded(asked),
        "<=": _padded(has) <= _padded(asked),
        ">": _padded(has) > _padded(asked),
        "<": _padded(has) < _padded(asked),
    }
    return order[operator]


def _padded(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version, 0, 0, 0)[:3]

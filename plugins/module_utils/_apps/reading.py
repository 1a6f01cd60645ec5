# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values as an inventory gives them: read without trust in their type, and shown in a message without a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._private import without_passwords


def is_list(value: object) -> bool:
    """Whether it is a list, or a tuple, which is one to Ansible."""
    return isinstance(value, (list, tuple))


def as_list(value: object) -> list[Any]:
    """The items of a list; none where it is no list."""
    return list(value) if isinstance(value, (list, tuple)) else []


def as_text(value: object) -> str:
    """A string as it is; anything else is an empty one."""
    return value if isinstance(value, str) else ""


def matches(pattern: re.Pattern[str], value: object) -> bool:
    """Whether it is a string, and all of it fits the pattern."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def as_int(value: object) -> int | None:
    """A whole number, also as a string, which is what a template or a lookup may give."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value) else None


def as_bool(value: object) -> bool | None:
    """True or false, also as YAML's words in a string; None for anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "false": False, "no": False}.get(as_text(value).lower())


def scalar(value: object) -> str | None:
    """A variable's value as the string that a process sees; None for what has no such form."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        return None
    try:
        return str(value)
    except ValueError:  # a number beyond Python's limit of digits
        return None


def at(given: Mapping[Any, Any], key: str) -> Any:
    """The value under a dotted key; None where there is none."""
    value: Any = given
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def show(value: object) -> str:
    """A value as a message shows it: short, one line, containers by their kind, no password of a URL."""
    if value is None:
        return "an empty value"
    if isinstance(value, Mapping):
        return "a mapping"
    if is_list(value):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = str(value) if isinstance(value, (int, float)) else repr(str(value))
    except Exception:  # noqa: BLE001 - a number too long to print, an object whose own text fails
        return f"a value of type {type(value).__name__}"
    text = without_passwords(text, "***@")
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"


def hidden(value: object) -> str:
    """In place of a value that may hold a secret."""
    return "an empty value" if value is None else "the value"

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What checks are made of: each judges one value, and says what is wrong with it and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from .defaults import YEAR
from .nearest import nearest
from .reading import as_bool, as_int, as_text, is_list, matches, show

# Reports one problem: the key, dotted below the app, and the words that follow it.
Say: TypeAlias = Callable[[str, str], None]
Check: TypeAlias = Callable[[Say, str, Any], None]


class InputError(ValueError):
    """The inventory is wrong; the message names the variables and the fixes, a line for each problem."""


def a_bool(say: Say, key: str, value: Any) -> None:
    """True or false."""
    if as_bool(value) is None:
        say(key, f"{show(value)} is neither true nor false; give true or false")


def number(low: int, high: int | None = None, unit: str = "") -> Check:
    """A whole number from ``low`` to ``high``; ``unit`` says of what, and begins with a space."""

    def check(say: Say, key: str, value: Any) -> None:
        given = as_int(value)
        if given is None or given < low or (high is not None and given > high):
            limits = f"of {low} or more" if high is None else f"from {low} to {high}"
            say(key, f"{show(value)} is out of range; give a whole number{unit} {limits}")

    return check


def seconds(say: Say, key: str, value: Any) -> None:
    """A time without a limit of its own; beyond some 10^13 it overflows in systemd, and no time here is that long."""
    given = as_int(value)
    if given is not None and given > YEAR:
        say(key, f"{show(value)} is more than a year; give a whole number of seconds up to {YEAR}")
    else:
        number(1, None, " of seconds")(say, key, value)


def one_of(*choices: str) -> Check:
    """One of these words."""

    def check(say: Say, key: str, value: Any) -> None:
        if not isinstance(value, str) or value not in choices:
            close = nearest(as_text(value), choices)
            hint = f"did you mean {close}? " if close else ""
            say(key, f"{show(value)} is not known; {hint}give {' or '.join(choices)}")

    return check


def optional(check: Check) -> Check:
    """What ``check`` takes, or nothing."""

    def checked(say: Say, key: str, value: Any) -> None:
        if value is not None:
            check(say, key, value)

    return checked


def each(check: Check, example: str, *, filled: bool = False, distinct: bool = True) -> Check:
    """A list of what ``check`` takes; ``filled`` refuses an empty one, ``distinct`` an item given twice."""

    def checked(say: Say, key: str, value: Any) -> None:
        if not is_list(value):
            say(key, f"{show(value)} is not a list; give a list such as {example}")
            return
        if filled and not value:
            say(key, f"the list is empty; give at least one, such as {example}, or leave the key out")
        seen: set[str] = set()
        for index, item in enumerate(value):
            check(say, f"{key}[{index}]", item)
            if distinct and isinstance(item, str):
                if item in seen:
                    say(f"{key}[{index}]", f"{show(item)} is there twice; remove one")
                seen.add(item)

    return checked


def keys(checks: Mapping[str, Check], needed: Iterable[str] = (), example: str = "") -> Check:
    """A mapping with these keys and no others."""

    def checked(say: Say, key: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            fix = example or "{" + ", ".join(f"{name}: …" for name in checks) + "}"
            say(key, f"{show(value)} is not a mapping; give {fix}")
            return
        unknown(say, value, set(checks), f"{key}.")
        for name, check in checks.items():
            if name in value:
                check(say, f"{key}.{name}", value[name])
            elif name in needed:
                say(f"{key}.{name}", "is missing; " + (f"give {example}" if example else "give it"))

    return checked


def unknown(say: Say, given: Mapping[Any, Any], known: set[str], prefix: str = "") -> None:
    """Say of each key that is not known which one may be meant."""
    for key in given:
        if not isinstance(key, str) or key not in known:
            close = nearest(as_text(key), known)
            shown = key if isinstance(key, str) and re.fullmatch(r"[\w.-]{1,60}", key) else show(key)
            fix = f"did you mean {close}?" if close else f"the keys are {', '.join(sorted(known))}"
            say(f"{prefix}{shown}", f"no such key; {fix}")


def line(what: str, example: str, *, empty: bool = False) -> Check:
    """A string on one line."""

    def check(say: Say, key: str, value: Any) -> None:
        if not isinstance(value, str) or (not value.strip() and not empty):
            say(key, f"{show(value)} is not {what}; give a string such as {example}")
        elif re.search(r"[\x00-\x1f\x7f]", value):
            say(key, f"{show(value)} holds a line break or control character; give {what} on one line")

    return check


def pattern(form: re.Pattern[str], what: str, fix: str) -> Check:
    """A string that is all of this form."""

    def check(say: Say, key: str, value: Any) -> None:
        if not matches(form, value):
            say(key, f"{show(value)} is not {what}; {fix}")

    return check

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A repair is what is wrong and the action that puts it right.

Whoever finds repairs yields them one by one, and looks further only when the next one is asked for. So the same finder serves
a look, which runs no action, and a converge, where each action has run before the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Repair:
    """What is wrong, in words for the operator, and what puts it right."""

    reasons: list[str]
    """Empty for what is of no consequence to anything that serves: then the action runs, and counts as no change."""
    action: Callable[[], object]


Handler = Callable[[Iterable[Repair]], list[str]]


def inspect(repairs: Iterable[Repair]) -> list[str]:
    """Return what is wrong; change nothing."""
    return [reason for repair in repairs for reason in repair.reasons]


def apply(repairs: Iterable[Repair]) -> list[str]:
    """Put right what is wrong; return what that was."""
    found = []
    for repair in repairs:
        found += repair.reasons
        repair.action()
    return found

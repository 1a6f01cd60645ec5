# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of an app in an inventory, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps.marks import MARK


class NewError(Exception):
    """A project of which no inventory can be written; the message names the option and the fix."""


@dataclass(frozen=True)
class Line:
    """One value with its reason."""

    value: Any
    why: str = ""
    aside: bool = False
    """A comment: the app can do without it."""
    vaulted: bool = False
    """The value is the name of a variable of the vault, and the only kind of line that Ansible may take for a template."""


@dataclass
class Plan:
    """``app`` holds lines, mappings and lists of lines by key; ``vault`` the secrets by the name of their variable."""

    name: str
    app: dict[str, Any] = field(default_factory=dict)
    vault: dict[str, Line] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What a person should know, which is no line."""

    @property
    def marked(self) -> list[str]:
        """The keys that a person must fill in."""
        secret = [f"{name} in the vault" for name, line in self.vault.items() if MARK in str(line.value)]
        return [*_marked(self.app), *secret]


def _marked(node: Any, key: str = "") -> list[str]:
    if isinstance(node, Line):
        return [key] if MARK in str(node.value) and not node.aside else []
    if isinstance(node, Mapping):
        return [
            each
            for name, inner in node.items()
            for each in _marked(inner, f"{key}.{name}" if key else str(name))
        ]
    return [each for number, inner in enumerate(node) for each in _marked(inner, f"{key}[{number}]")]

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets on their way from the controller to a module.

They travel as one opaque parameter with ``no_log``. Given one by one, Ansible would mask each value
wherever it turns up, and a secret such as ``1`` would tear holes into every id and path of the answer.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

MASK = "(secret)"
# A shorter value is more likely to be a word of an ordinary message than the secret itself.
SHORTEST_MASKED = 4


def wrap(values: Any) -> str:
    """``values`` as one opaque string."""
    return base64.b64encode(json.dumps(values).encode()).decode()


def unwrap(text: str | None) -> Any:
    """What wrap() was given; an empty mapping for nothing."""
    return json.loads(base64.b64decode(text)) if text else {}


def of_an_app(private: Mapping[str, Any]) -> list[Any]:
    """What is secret of an app's private values: its variables are not, and of its files those that say so are."""
    files = [each["hidden"] for each in private.get("files", {}).values()]
    return [private.get("secrets", {}), private.get("credentials", {}), files]


def strings(values: Any) -> list[str]:
    """Every string in ``values``, however deep."""
    if isinstance(values, str):
        return [values]
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list):
        return [text for value in values for text in strings(value)]
    return []


def without_passwords(text: str, shown: str = "") -> str:
    """``text`` with ``shown`` for the name and password of each address in it; a password may hold an @ itself."""
    return re.sub(r"(?<=//)[^/\s]*@", shown, text)


def mask(text: str, values: Any) -> str:
    """``text`` without the secrets: each whole value, and each line of one that has several."""
    found = {part for value in strings(values) for part in (value, *value.splitlines())}
    for secret in sorted(found, key=len, reverse=True):
        if len(secret) >= SHORTEST_MASKED:
            text = text.replace(secret, MASK)
    return text

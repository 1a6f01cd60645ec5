# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logins of further indexes and of forges."""

from __future__ import annotations

from collections.abc import Mapping

KEYS = {"username", "password"}


def problems(logins: object) -> list[str]:
    """What is wrong with ``asgi_host_package_index_logins``; no message shows a value."""
    where, fix = "asgi_host_package_index_logins", "{username: deploy, password: …}"
    if not isinstance(logins, Mapping):
        return [f"{where}: is not a mapping; give {{internal: {fix}}}, by the name or host of an index"]
    return [
        f"{where}.{name}: is not a login; give {fix}, both as strings"
        for name, login in logins.items()
        if not isinstance(login, Mapping)
        or set(login) != KEYS
        or not all(isinstance(login[key], str) and login[key].isprintable() and login[key] for key in KEYS)
    ]

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables of a play that are taken for the role's and are not: without a word they would do nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import mistyped, nearest
from ansible_collections.asgi.host.plugins.module_utils._apps.reading import as_list, show

PREFIX = "asgi_host_"
# Of the role itself: its name begins like one of the others, and nobody sets it.
INTERNAL = ("server_pins", "uv_requirements")
# The hosts themselves, by which an inventory names its group.
HOSTS = ("asgi_host", "asgi_hosts")
# A name that is compared holds one of these: to compare all of a play would take as long as the rest of the task.
PARTS = ("asgi", "host")


def warnings(given: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """What to say of a play with variables of these ``names`` to which the role's are ``given``, without their prefix."""
    known = given.keys() - set(INTERNAL)
    found = [words for name in sorted(names) if (words := _misspelt(name, known))]
    if not as_list(given["apps"]):
        found.append(
            f"{PREFIX}apps is empty, so the role brings no app to this host; list the apps in {PREFIX}apps, "
            "for example in group_vars/asgi_hosts.yml beside the inventory"
        )
    return found


def _misspelt(name: str, known: Iterable[str]) -> str:
    if name.startswith(PREFIX):
        rest = name.removeprefix(PREFIX)
        if rest in known:
            return ""
        meant = nearest(rest, known)
        fix = (
            f"did you mean {PREFIX}{meant}?"
            if meant
            else f"give a variable of your own another prefix than {PREFIX}"
        )
        return f"{show(name)} is no variable of the role asgi.host.asgi_host, and does nothing; {fix}"
    if name in HOSTS or name.startswith("_") or not any(part in name.lower() for part in PARTS):
        return ""
    meant = mistyped(name, [PREFIX + each for each in known])
    return (
        f"{show(name)} does nothing in the role asgi.host.asgi_host; did you mean {meant}?" if meant else ""
    )

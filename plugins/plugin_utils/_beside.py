# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apps of one host that are deployed beside one another, so that none waits for the commands of another one."""

from __future__ import annotations

import contextvars
import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Deploys at the same time on one host: each builds, or waits for commands of its app's own.
TOGETHER = 4

App = Mapping[str, Any]


def rows(apps: Sequence[App], domains: Mapping[str, Sequence[str]]) -> list[list[App]]:
    """The apps in rows that may go beside one another, each row in its order.

    Apps that share a domain are one row, for they are one site. ``domains``: by name of the app.
    """
    found: list[tuple[set[str], list[App]]] = []
    for app in apps:
        own, row = set(domains.get(app["name"], ())), [app]
        for other in [other for other in found if other[0] & own]:
            found.remove(other)
            own, row = own | other[0], [*other[1], *row]
        found.append((own, row))
    return [row for _own, row in found]


def second(action: Any) -> Any:
    """The action with a connection, a shell and a way to become root of its own: those of Ansible serve one thread.

    All else that the action holds is shared with it.
    """
    copied = copy.copy(action)
    copied._connection = copy.copy(action._connection)
    copied._connection._shell = copy.copy(action._connection._shell)
    if copied._connection.become:
        copied._connection.set_become_plugin(copy.copy(copied._connection.become))
    return copied


def carry_out(action: Any, rows_: Sequence[Sequence[App]], work: Callable[[Any, App], None]) -> None:
    """Do the ``work`` for the apps of all rows, with the action that is to do it, and wait for them all.

    One row alone is worked on here; of several each has a thread. Raises what the first of the rows raised.
    """

    def go(own: Any, row: Sequence[App]) -> None:
        for app in row:
            work(own, app)

    if len(rows_) <= 1:
        for row in rows_:
            go(action, row)
        return
    with ThreadPoolExecutor(TOGETHER, thread_name_prefix="asgi.host deploy") as pool:
        # Ansible keeps the task at hand in a context.
        under_way = [pool.submit(contextvars.copy_context().run, go, second(action), row) for row in rows_]
    for each in under_way:
        each.result()

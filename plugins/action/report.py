# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of the module report: the end of a play, in words. Asks no host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.plugin_utils import _controller, _outcome
from ansible_collections.asgi.host.plugins.plugin_utils._role import Role


class ActionModule(ActionBase):
    """One line for each app that changed, the public result, and the words of all that failed."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: role, and what the tasks before have returned: releases, removed, sites."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args
        releases, removed, sites = (given.get(key) or {} for key in ("releases", "removed", "sites"))
        failures = {**(releases.get("failures") or {}), **(removed.get("failures") or {})}
        wrong = [
            *failures.values(),
            *(sites.get("failures") or []),
            *((sites.get("self_test") or {}).get("differences") or {}).values(),
        ]
        apps = {**(releases.get("apps") or {}), **(removed.get("apps") or {})}
        role = Role(given["role"], _controller.bases(task_vars or {}))
        for name, found in apps.items():
            # A site that failed may lead nowhere.
            where = "" if sites.get("failures") else role.place(name)
            if name not in failures and (words := _outcome.done(found, where)):
                _controller.say(self, task_vars, words, name)
        result.update(
            wrong=wrong,
            after=role.own_tasks["after"],
            ansible_facts=_outcome.facts(task_vars or {}, apps, role.url, failures),
        )
        return result

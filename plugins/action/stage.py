# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: has the module host carry out a stage."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils._private import wrap
from ansible_collections.asgi.host.plugins.plugin_utils import _controller, _doors
from ansible_collections.asgi.host.plugins.plugin_utils._role import Role, Tasks


class ActionModule(ActionBase):
    """One call for all steps; where apps are asked at their end, this machine asks them as well."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: stage, role, host (facts), failed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        role = Role(self._task.args["role"], _controller.bases(task_vars))
        tasks = self._tasks(role)
        # Apps whose release failed are told of in the end, and so is what goes wrong with the sites after them.
        later = self._task.args["stage"] == "sites"
        arguments = {"steps": tasks.steps, "doors": tasks.doors, "told_later": later}
        answer = _controller.on_host(
            self, task_vars, "stage", arguments, wrap(tasks.private), progress=role.progress
        )
        if tasks.doors and not self._task.check_mode and "self_test" in answer:
            address = _controller.address(task_vars)
            answer["self_test"] = _doors.conclude(tasks.doors, answer["self_test"], address, self._display)
        return {**result, **answer}

    def _tasks(self, role: Role) -> Tasks:
        """What is to be done in the stage."""
        given = self._task.args
        stage, host = given["stage"], given["host"]
        if stage == "sites":
            return role.sites(host, given["failed"])
        return {"base": role.base, "pythons": role.pythons, "leave": role.leave}[stage](host)

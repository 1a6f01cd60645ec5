# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: has the module host carry out a stage."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.plugin_utils._controller import on_host


class ActionModule(ActionBase):
    """One call for all steps."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: steps, private, doors."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            {
                "steps": {"type": "list", "elements": "dict", "required": True},
                "private": {"type": "str", "no_log": True},
                "doors": {"type": "list", "elements": "dict", "default": []},
            }
        )
        arguments = {"steps": given["steps"], "doors": given["doors"]}
        return {**result, **on_host(self, task_vars, "stage", arguments, given["private"])}

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: has the module host gather facts."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils._host import ARGUMENTS
from ansible_collections.asgi.host.plugins.plugin_utils._controller import on_host


class ActionModule(ActionBase):
    """One call."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: packages, interpreters, wheels, folders, groups, root, names."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(ARGUMENTS)
        return {**result, **on_host(self, task_vars, "host_info", given)}

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of self_test: what the host found, and what this machine finds from outside; runs nothing on the host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.plugin_utils import _doors


class ActionModule(ActionBase):
    """Asks with the tickets that the host gave, where this machine reaches the door."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: doors, found (what the module stage returned as self_test), address (of the host)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        found = _doors.conclude(arguments["doors"], arguments["found"], arguments["address"], self._display)
        result.update(changed=False, **found)
        return result

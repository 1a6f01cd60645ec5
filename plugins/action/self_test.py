# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of self_test: what the host found, and what this machine finds from outside; runs nothing on the host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils import _self_test


class ActionModule(ActionBase):
    """Asks with the tickets that the host gave, where this machine reaches the door."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: doors, found (what the module stage returned as self_test), address (of the host)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        found = arguments["found"]
        doors = [_self_test.Door(**door) for door in arguments["doors"]]
        outside = _self_test.from_outside(doors, found["tickets"], arguments["address"])
        for words in found["untested"].values():
            self._display.warning(words)
        if found["tickets"] and not outside.asked:
            self._display.v(
                f"self-test: asked on the host alone; this machine reaches no app at {arguments['address']}"
            )
        result.update(
            changed=False,
            asked={"host": found["asked"], "outside": outside.asked},
            differences={**outside.differences, **found["differences"]},
            untested=found["untested"],
        )
        return result

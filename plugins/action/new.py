# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of the module new: writes the inventory of a project on the controller. Asks no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils import _words
from ansible_collections.asgi.host.plugins.plugin_utils._new import command
from ansible_collections.asgi.host.plugins.plugin_utils._new.lines import NewError


class ActionModule(ActionBase):
    """Reads a folder, executes nothing of it, and writes files beside no other."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: those of the module."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        folder = Path.cwd()
        try:
            written = command.prepare(self._task.args, folder)
            if not self._task.check_mode:
                command.put(written)
        except (NewError, OSError) as error:
            return {**result, "failed": True, "msg": _words.safe(str(error))}
        # In the clone the playbook has a name of its own.
        playbook = "site.yml" if (folder / "site.yml").is_file() else "asgi.host.site"
        text = _words.safe(command.words(written, folder, playbook))
        self._display.display(text)
        return {
            **result,
            "changed": True,
            "files": sorted(written.files),
            "marked": written.marked,
            "notes": written.notes,
        }

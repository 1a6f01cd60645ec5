# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role computes on the controller: the apps, and the stages of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _apps, _private
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _doors,
    _preflight,
    _pythons,
    _stages,
    _table,
    _wheels,
)


class FilterModule:
    """The filters of the collection, all internal to the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {
            "normalize": _apps.normalize,
            "on_controller": _preflight.on_controller,
            "interpreters": _preflight.interpreters,
            "uv_path": _stages.uv_path,
            "base_stage": _stages.base,
            "proxy_stage": _stages.proxy,
            "doors": _doors.doors,
            "leave_stage": _stages.leave,
            "differing_wheels": _wheels.differing,
            "pip_environment": _wheels.pip_environment,
            "missing_pythons": _apps.missing_pythons,
            "python_stage": _pythons.stage,
            "python_environment": _pythons.environment,
            "releases_table": _table.releases_table,
            "wrap": _private.wrap,
        }

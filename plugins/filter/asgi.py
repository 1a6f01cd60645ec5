# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role's tasks themselves compute on the controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils import _table


class FilterModule:
    """The filters of the collection, all internal to the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {
            "normalize": _apps.normalize,
            "missing_pythons": _apps.missing_pythons,
            "releases_table": _table.releases_table,
        }

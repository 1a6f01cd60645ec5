"""The base stage of a host without apps, for the tests of its steps."""

from __future__ import annotations

from typing import Any

from ansible_collections.asgi.host.plugins.plugin_utils._plan import system


def base_steps(*missing: str) -> list[dict[str, Any]]:
    """The steps on a host where these packages are missing."""
    return system.base(
        [],
        host={"users": [], "missing_packages": list(missing)},
        root="/srv/asgi",
        uv_requirements="uv==1",
        authority="",
        wheels="",
    )

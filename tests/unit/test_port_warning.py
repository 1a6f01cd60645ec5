"""A program that listens on a port of the host is spoken of; one on the passed socket is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _specs


@pytest.mark.parametrize(
    ("command", "network", "warned"),
    [
        ("granian --port $PORT main:app", "any", True),
        (["granian", "--port=${PORT}"], "local", True),
        ("granian --port $PORT main:app", "none", False),
        ("uvicorn --fd 3 main:app", "any", False),
        ("serve $PORTAL", "any", False),
    ],
)
def test_who_can_reach_it_is_said(command: Any, network: str, warned: bool) -> None:
    app = {"server": "command", "command": command, "sandbox": {"network": network}}
    spec = {"name": "shop", "on_port": _specs._is_on_port(app)}
    said = "".join(_specs.warnings(spec, {}))
    assert ("every user and every other app of the host" in said) == warned
    assert ("sandbox: {network: none}" in said) == warned

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The runtime that an app wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..images.names import is_image
from ..paths import App
from .development import DevelopmentRuntime
from .image import ImageRuntime
from .protocol import Runtime
from .virtualenv import VirtualenvRuntime


def runtime_of(
    app: App, spec: Mapping[str, Any], private: Mapping[str, Any], login: Mapping[str, str] | None = None
) -> Runtime:
    """The runtime of an app, as the module is told of it; ``login`` is that of the registry of its image."""
    if is_image(spec):
        return ImageRuntime(app, spec, private, login)
    kind = DevelopmentRuntime if spec.get("live") else VirtualenvRuntime
    return kind(app, spec, private)

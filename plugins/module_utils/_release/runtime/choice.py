# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The runtime that an app wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..images.names import is_image
from ..live import wanted
from ..paths import App
from .development import DevelopmentRuntime
from .image import ImageRuntime
from .protocol import Runtime
from .virtualenv import VirtualenvRuntime

if TYPE_CHECKING:
    from ..._contract.release import AppPrivate, Login, ReleaseSpec


def runtime_of(app: App, spec: ReleaseSpec, private: AppPrivate, login: Login | None = None) -> Runtime:
    """The runtime of an app, as the module is told of it; ``login`` is that of the registry of its image."""
    if is_image(spec):
        return ImageRuntime(app, spec, private, login)
    if live := wanted(app, spec):
        return DevelopmentRuntime(app, spec, private, live)
    return VirtualenvRuntime(app, spec, private)

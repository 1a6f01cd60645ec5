# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where in a site an app and its static folders are; for the templates of nginx."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import frontend


def static_place(item: Mapping[str, Any], app: Mapping[str, Any]) -> str:
    """The URL path of a static folder of an app on its domains."""
    return frontend.place(app["root_path"], item["url"], app["proxy"]["paths"])


def app_locations(app: Mapping[str, Any]) -> list[str]:
    """The locations that lead to an app, but for those of its streams, of which it has none in maintenance."""
    streams = [] if app["maintenance"] else app["proxy"]["stream_paths"]
    return frontend.app_locations(app["root_path"], app["proxy"]["paths"], streams)


def first_path(app: Mapping[str, Any]) -> str:
    """A path of the site below which all that is asked for is the app's; without a / at its end."""
    paths = app["proxy"]["paths"]
    return f"{app['root_path']}{paths[0].rstrip('/') if paths else ''}"


def is_the_app_s(path: str, app: Mapping[str, Any]) -> bool:
    """Whether nginx hands a path, which begins below the mount point, to the app."""
    paths = app["proxy"]["paths"]
    plain = path.partition("?")[0]
    return not paths or any(f"{plain}/".startswith(f"{each.rstrip('/')}/") for each in paths)


def hidden_files(place: str) -> str:
    """The pattern, in quotes, of what is hidden below a static URL path; dots of the path itself are no matter.

    Names with a leading dot, and the bytecode that a release has of every module, wherever that lies.
    """
    return f'"^{re.escape(place)}(?:.*/)?(?:\\.|__pycache__/)"'

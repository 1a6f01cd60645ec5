# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The line of the health check: a path that the gate asks, and that answers without a login."""

from __future__ import annotations

import re

from ansible_collections.asgi.host.plugins.module_utils._apps.marks import MARK

from . import django, routes
from .context import Context
from .lines import Line
from .routes import Route
from .ways import Said


def add(context: Context) -> None:
    """``health``."""
    found = _path(context)
    if found is None:
        words = f"{MARK}: a path that answers 200 without a login"
        context.plan.app["health"] = {"path": Line(words, "no fixed path was found among the routes")}
        return
    lines = {"path": Line(found.value, found.where)}
    plain = routes.HEALTHY.fullmatch(found.value) or found.value.endswith("/login/")
    if context.django and not plain:
        lines["status"] = Line([200, 301, 302], "a page that sends to its login or its language is well")
    context.plan.app["health"] = lines


def _path(context: Context) -> Said | None:
    """The word of a container's own check; a route that is named like one; else a page that is there."""
    if context.ways.health:
        return context.ways.health[0]
    if context.django:
        urls = django.urls(context.code, context.django.modules)
        known = [Route(path, where, whole=True) for path, where in urls]
    else:
        known = routes.read(context.code, context.entry)
    found = routes.health(known) or routes.spoken(context.code, context.entry)
    return found or _page(context, [route for route in known if route.whole])


def _page(context: Context, known: list[Route]) -> Said | None:
    home = next((route for route in known if route.path == "/"), None)
    if home:
        return Said("/", home.where)
    if context.django:
        login = next(
            (route for route in known if re.search(r"login/?$", route.path)), next(iter(known), None)
        )
        return Said(login.path, login.where) if login else None
    if context.entry.framework == "Litestar":
        return Said("/schema/openapi.json", "Litestar's schema, which is there unless the app says otherwise")
    return routes.openapi(context.code, context.entry)

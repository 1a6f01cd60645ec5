# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's templates, rendered on the controller for all apps at once.

One task per file and app would cost half a second each; here they become the arguments of one module call.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
from ansible_collections.asgi.host.plugins.module_utils import _nginx
from ansible_collections.asgi.host.plugins.module_utils._apps import nearest
from ansible_collections.asgi.host.plugins.module_utils._apps.frontend import has_top
from ansible_collections.asgi.host.plugins.plugin_utils._browser import added_headers, cache_control
from ansible_collections.asgi.host.plugins.plugin_utils._controller import cache
from ansible_collections.asgi.host.plugins.plugin_utils._error_pages import own_pages
from ansible_collections.asgi.host.plugins.plugin_utils._frontend import (
    app_locations,
    hidden_files,
    static_place,
)
from ansible_collections.asgi.host.plugins.plugin_utils._identity import (
    RULES,
    identity_headers,
    said_by_nginx,
)
from ansible_collections.asgi.host.plugins.plugin_utils._passwords import password_file, realm
from ansible_collections.asgi.host.plugins.plugin_utils._redirects import path_redirects
from ansible_collections.asgi.host.plugins.plugin_utils._settings import (
    REQUESTS_OF_ADDRESS,
    WEBSOCKETS_OF_ADDRESS,
    below_home,
    in_data,
    read_timeout,
    streams,
    upstream,
)
from ansible_collections.asgi.host.plugins.plugin_utils._timeouts import DOOR, NGINX_SEND, timeouts

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "asgi_host" / "templates"


# What a user's folder may replace or extend: the texts of sites and of what a release runs.
OWN = (
    *(
        f"nginx/{name}.conf.j2"
        for name in ("asgi-00-shared", "asgi-app", "compression", "proxy", "server", "tls")
    ),
    *(f"systemd/{name}.j2" for name in ("image.conf", "process.service", "release.conf")),
)
# Before the name of a template of the role that a user's one extends.
ROLE = "role"


class TemplateFaultError(ValueError):
    """A user's template that cannot be rendered; the message names the file, the line and the fix."""


def render(template: str, *, templates: str = "", **values: Any) -> str:
    """The text of a template of the role, or of the one in the folder ``templates`` that takes its place.

    A name that is not given is an error, never an empty string. Raises TemplateFaultError for a user's template.
    """
    if template not in OWN:
        templates = ""
    try:
        return _environment(templates).get_template(template).render(**values)
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError) as error:
        if not templates:
            raise
        raise TemplateFaultError(_fault(template, error)) from error


def _fault(template: str, error: Exception) -> str:
    """What is wrong with a user's template, for the operator."""
    line = getattr(error, "lineno", None)
    where = f"{getattr(error, 'name', None) or template}{f', line {line}' if line else ''}"
    return (
        f"asgi_host_templates: {where}: {error}; put it right, or take the file out, and the role's own is used "
        "(docs/extending.md)"
    )


def problems_of(templates: str) -> Iterator[str]:
    """What is wrong with the files of a user's folder of templates: names that nothing reads, and syntax.

    Files whose name begins with ``_`` are for the others to include.
    """
    folder = Path(templates)
    for path in sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("_")
    ):
        name = str(path.relative_to(folder))
        if name not in OWN:
            close = nearest(name, OWN)
            hint = f"did you mean {close}?" if close else f"it may hold {', '.join(OWN)}"
            yield f"asgi_host_templates: {name} is no template that the role takes from there; {hint}"
            continue
        try:
            _environment(templates).get_template(name)
        except (jinja2.TemplateError, UnicodeDecodeError) as error:
            yield _fault(name, error)


def _loader(templates: str) -> jinja2.BaseLoader:
    own = jinja2.FileSystemLoader(TEMPLATES)
    if not templates:
        return own
    return jinja2.ChoiceLoader([jinja2.FileSystemLoader(templates), own, jinja2.PrefixLoader({ROLE: own})])


@functools.cache
def _environment(templates: str = "") -> jinja2.Environment:
    # To compile the templates takes longer than all else that the controller computes.
    compiled = cache("templates")
    environment = jinja2.Environment(
        bytecode_cache=jinja2.FileSystemBytecodeCache(str(compiled)) if compiled else None,
        loader=_loader(templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (the output is configuration, not HTML)
    )
    filters = (
        added_headers,
        app_locations,
        cache_control,
        hidden_files,
        identity_headers,
        nginx_string,
        nginx_time,
        own_pages,
        password_file,
        path_redirects,
        read_timeout,
        realm,
        said_by_nginx,
        static_folder,
        static_place,
        streams,
        timeouts,
        upstream,
    )
    environment.filters.update({each.__name__: each for each in filters})
    environment.globals.update(
        requests_of_address=REQUESTS_OF_ADDRESS, websockets_of_address=WEBSOCKETS_OF_ADDRESS
    )
    environment.globals.update(door=DOOR, identity=RULES, nginx_send=NGINX_SEND, nginx_group=_nginx.GROUP)
    environment.tests.update(in_data=in_data, below_home=below_home, has_top=has_top)
    # A JSON text is a Python literal for strings, which is what the templates use it for.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True}
    return environment


def nginx_string(value: object) -> str:
    """``value`` as a quoted string of nginx's configuration."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def nginx_time(seconds: int) -> str:
    """Seconds in nginx's words, whole hours as such."""
    hours, rest = divmod(seconds, 3600)
    return f"{seconds}s" if rest else f"{hours}h"


def static_folder(path: str, app: dict[str, Any], root: str) -> str:
    """Where nginx finds a static path: in the data folder, absolute, or in the current release's source."""
    path = path.rstrip("/")
    if in_data(path):
        return path.replace("{data}", f"/var/lib/asgi/{app['name']}", 1)
    if path.startswith("/"):
        return path
    for token, folder in (("{venv}/", "venv"), ("{release}/", "")):
        if path.startswith(token):
            return "/".join(filter(None, (f"{root}/{app['name']}/current", folder, path.removeprefix(token))))
    path = path.removeprefix("{source}/")
    return f"{root}/{app['name']}/current/src/{path}"

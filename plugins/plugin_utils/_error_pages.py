# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's own error pages: of files on the controller, which nginx gets, or in the release."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import error_pages
from ansible_collections.asgi.host.plugins.plugin_utils import _sources

FOLDER = "/etc/nginx/asgi/pages"


@dataclass(frozen=True)
class Page:
    """A page in the place of an answer with a ``status``, which may be ``maintenance``."""

    status: str
    uri: str
    """Where nginx finds it in the site; no client does."""
    file: str
    in_source: bool

    @property
    def intercepts(self) -> bool:
        """Whether it stands for answers of the app's own as well. What nginx says of an app that does not answer is its own."""
        return self.status not in (error_pages.UNAVAILABLE, error_pages.MAINTENANCE)


def own_pages(app: Mapping[str, Any], root: str) -> list[Page]:
    """The pages of a normalized app; in maintenance its page of 503 does where it has none for that."""
    given: dict[str, str] = dict(app["proxy"]["error_pages"])
    if error_pages.UNAVAILABLE in given:
        given.setdefault(error_pages.MAINTENANCE, given[error_pages.UNAVAILABLE])
    found = []
    for status, path in sorted(given.items()):
        name = f"{status}{PurePosixPath(path).suffix}"
        inside = error_pages.in_source(path)
        source = f"{root}/{app['name']}/current/src/{inside}"
        found.append(
            Page(
                status=status,
                uri=f"/.asgi-host/{app['name']}/{name}",
                file=source if inside else f"{_folder(app)}/{name}",
                in_source=bool(inside),
            )
        )
    return found


def named_files(app: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The files on the controller that an app names, each with its key."""
    given = app["proxy"]["error_pages"].items()
    return [
        (f"proxy.error_pages.{status}", path) for status, path in given if not error_pages.in_source(path)
    ]


def problems(app: Mapping[str, Any], bases: list[str]) -> Iterator[str]:
    """What is wrong with those that are there."""
    for key, path in named_files(app):
        try:
            _sources.locate(path, bases).read_text(encoding="utf-8")
        except _sources.SourceError:
            continue  # named already
        except (OSError, ValueError) as error:
            yield f"{key}: {path} is no text that can be read ({error}); give a page in HTML"


def steps(app: Mapping[str, Any], bases: list[str]) -> list[dict[str, Any]]:
    """The steps that bring an app's pages to the host, and take away those that it has no more."""
    folder = _folder(app)
    contents = {}
    for page in own_pages(app, "/"):
        path = app["proxy"]["error_pages"].get(page.status) or app["proxy"]["error_pages"]["503"]
        if not page.in_source:
            contents[page.file] = _sources.locate(path, bases).read_text(encoding="utf-8")
    if not contents:
        return []
    others = " ".join(f"! -path {shlex.quote(path)}" for path in contents)
    find = f"find {folder} -type f {others}"
    return [
        *({"file": path, "content": text, "ours": True} for path, text in contents.items()),
        {
            "name": f"{folder} without pages of before",
            "command": ["sh", "-c", f"{find} -delete"],
            "unless": ["sh", "-c", f'test -z "$({find} 2>/dev/null)"'],
        },
    ]


def leaves(app: Mapping[str, Any]) -> dict[str, Any]:
    """The step that takes the pages of an app away, once nginx has let go of them."""
    return {"absent": _folder(app)}


def wanted(apps: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of the normalized apps whose pages lie on the host."""
    return {app["name"] for app in apps if named_files(app)}


def _folder(app: Mapping[str, Any]) -> str:
    return f"{FOLDER}/{app['name']}"

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The content of an app's ``files``, which the controller reads and renders."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from ansible_collections.asgi.host.plugins.plugin_utils import _controller
from ansible_collections.asgi.host.plugins.plugin_utils._sources import SourceError, locate

# Bytes of one file: all of them go along with each call, also where nothing has changed.
LARGEST = 256 * 1024
# Characters of a part of a secret file below which it is more likely a word of a message than the secret itself.
SHORTEST_HIDDEN = 8
# Where the values of a file are: in quotes, or behind a sign to the end of the line.
VALUES = re.compile(
    r"""(["'])(?P<quoted>(?:(?!\1)[^\\\n]|\\.)+)\1|[=:]\s*(?P<plain>[^\s"'{\[(].*?)\s*$""", re.MULTILINE
)


class Contents:
    """Reads files and renders templates with the variables of the play. The loader and templar of an ``action`` do it."""

    def __init__(self, action: Any, task_vars: Mapping[str, Any], bases: list[str]) -> None:
        self._action = action
        self._task_vars, self._bases = task_vars, bases
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, app: Mapping[str, Any]) -> dict[str, Any]:
        """What each file of a normalized app is, by its path: ``content`` in Base64, ``mode``, ``secret``, ``raw``.

        ``hidden`` are parts of a secret one that no message shows. Raises SourceError.
        """
        name = app["name"]
        if name not in self._known:
            domain = app["domains"][0] if app["domains"] else "localhost"
            self._known[name] = {
                each["path"]: self._one(f"files[{number}]", each, domain)
                for number, each in enumerate(app["files"])
            }
        return self._known[name]

    def problems(self, apps: list[dict[str, Any]]) -> list[str]:
        """What is wrong with the files of normalized apps."""
        found = []
        for app in apps:
            try:
                if app["state"] == "present":
                    self.of(app)
            except SourceError as error:
                found.append(f"asgi_host_apps ({app['name']}): {error}")
        return found

    def _one(self, key: str, item: Mapping[str, Any], domain: str) -> dict[str, Any]:
        content = self._content(key, item)
        if "file" not in item:
            # The one token that may mean something else later: a file of a release is written once, so it is a new release.
            content = content.replace(b"{domain}", domain.encode())
        if len(content) > LARGEST:
            raise SourceError(
                f"{key}: {item['path']} has {len(content)} bytes, and {LARGEST} are the most; put it into the source"
            )
        return {
            "content": base64.b64encode(content).decode(),
            "mode": item["mode"],
            "secret": item["secret"],
            "raw": "file" in item,
            "hidden": hidden_parts(content.decode("utf-8", "replace")) if item["secret"] else [],
        }

    def _content(self, key: str, item: Mapping[str, Any]) -> bytes:
        if "content" in item:
            return str(item["content"]).encode()
        kind = "template" if "template" in item else "file"
        try:
            path = str(locate(item[kind], self._bases))
            return (
                self._rendered(path)
                if kind == "template"
                else _controller.read_key(self._action._loader, path)
            )
        except (SourceError, AnsibleError, OSError, ValueError) as error:
            raise SourceError(f"{key}.{kind}: {' '.join(str(error).split())}") from error

    def _rendered(self, path: str) -> bytes:
        own = {"loader": self._action._loader, "templar": self._action._templar}
        lookup = lookup_loader.get("ansible.builtin.template", **own)
        (text,) = lookup.run([path], dict(self._task_vars))
        return str(text).encode()


def hidden_parts(text: str) -> list[str]:
    """The parts of a secret file that are secret by themselves: each value, and each line with one."""
    found = set()
    for match in VALUES.finditer(text):
        found.add(match["quoted"] or match["plain"])
        begin, end = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.start())
        found.add(text[begin : end if end >= 0 else None].strip())
    return sorted(part for part in found if len(part) >= SHORTEST_HIDDEN)

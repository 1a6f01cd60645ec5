# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small projects for the tests of ``asgi.host.new``, and the lines that are made of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils._new import lines, plan, write


class Loader(yaml.SafeLoader):
    """Reads what Ansible takes for no template."""


def _text(_loader: yaml.SafeLoader, node: yaml.Node) -> str:
    return str(node.value)


Loader.add_constructor("!unsafe", _text)
Loader.add_constructor("!vault", _text)


@dataclass(frozen=True)
class Made:
    """What came of a project."""

    app: dict[str, Any]
    vault: dict[str, Any]
    text: str
    plan: lines.Plan

    def get(self, key: str) -> Any:
        """A value by its dotted key; None where there is none."""
        value: Any = self.app
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def make(folder: Path, files: Mapping[str, str], **keys: Any) -> Made:
    """The lines of a project with these files, which the role must take but for marked ones."""
    lay(folder, files)
    given = {"name": "shop", "domain": "shop.example.com", "email": "", "shown_path": "../shop", **keys}
    found = plan.make(folder, **given)
    text = write.app(found, "  ")
    (app,) = yaml.load(text, Loader=Loader)
    problems = [each for each in _apps.problems([app]) if "CHANGE_ME" not in each]
    assert not problems, problems
    return Made(app, yaml.load(write.vault(found), Loader=Loader) or {}, text, found)

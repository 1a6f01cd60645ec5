# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan as text: a new inventory, or one app more in one that is there, with nothing else of it changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.asgi.host.plugins.module_utils import _words

from .lines import Line, NewError, Plan
from .project import load_yaml

WIDTH = 132
PLAIN = re.compile(
    r"(?!(?:true|false|yes|no|on|off|null|y|n|~)$)[A-Za-z_./][\w./@+-]*(?::[A-Za-z_][\w.]*)?(?:\(\))?",
    re.IGNORECASE,
)
# Words that a command may have without quotes in YAML.
COMMAND = re.compile(r"[A-Za-z_./][\w./@+=-]*(?: [\w./@+=-]+(?::[\w.]+)?)*")
# Ansible would take it for a template, and run what it says on the controller.
TEMPLATE = re.compile(r"\{\{|\{%|\{#")


def comment(text: str) -> str:
    """Words of a project's files as those of a comment: on one line, and nothing that steers a terminal."""
    return _words.safe(" ".join(str(text).split()))


def scalar(value: Any) -> str:
    """A value as YAML. What the project says is never a template."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(scalar(each) for each in value)}]"
    text = str(value)
    if TEMPLATE.search(text):
        return f"!unsafe {json.dumps(text)}"
    plain = (PLAIN.fullmatch(text) or COMMAND.fullmatch(text)) and isinstance(load_yaml(text), str)
    return text if plain and len(text) < 200 else json.dumps(text)


def _with(text: str, why: str, indent: str) -> Iterator[str]:
    """A line with its reason beside it, or above where both are too long."""
    reason = comment(why)
    if not reason:
        yield text
    elif len(text) + len(reason) + 4 <= WIDTH:
        yield f"{text}  # {reason}"
    else:
        yield f"{indent}# {reason}"
        yield text


def render(node: Mapping[str, Any], indent: str) -> Iterator[str]:
    """The lines of a mapping."""
    for key, value in node.items():
        if isinstance(value, Line):
            if value.aside:
                text = str(value.value)
                yield f"{indent}# {comment(key)}: {comment(text)}" + (
                    f"  # {comment(value.why)}" if value.why else ""
                )
            else:
                text = f'"{{{{ {value.value} }}}}"' if value.vaulted else scalar(value.value)
                yield from _with(f"{indent}{scalar(key)}: {text}", value.why, indent)
        elif isinstance(value, Mapping):
            live = _live(value)
            yield f"{indent}{scalar(key)}:" if live else f"{indent}# {comment(key)}:"
            yield from render(value, f"{indent}  ")
        else:
            yield f"{indent}{key}:"
            for item in value:
                yield from _item(item, f"{indent}  ")


def _live(node: Any) -> bool:
    return (
        not node.aside
        if isinstance(node, Line)
        else any(_live(each) for each in (node.values() if isinstance(node, Mapping) else node))
    )


def _item(item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, Line):
        yield from _with(f"{indent}- {scalar(item.value)}", item.why, indent)
        return
    first = True
    for line in render(item, f"{indent}  "):
        if first and not line.lstrip().startswith("#"):
            yield f"{indent}- {line.lstrip()}"
            first = False
        else:
            yield line


def app(plan: Plan, indent: str) -> str:
    """The app as an item of a list."""
    return (
        "\n".join(
            [
                *(f"{indent}# {comment(note)}" for note in _wrapped(plan.notes, len(indent))),
                *_item(plan.app, indent),
            ]
        )
        + "\n"
    )


def _wrapped(notes: list[str], indent: int) -> Iterator[str]:
    for note in notes:
        line = ""
        for word in comment(note).split():
            if line and len(line) + len(word) + indent + 3 > 120:
                yield line
                line = "  "
            line = f"{line} {word}" if line.strip() else f"{line}{word}"
        yield line


def vault(plan: Plan) -> str:
    """The secrets, for a file that is encrypted next."""
    lines = [
        "---",
        f"# The secrets of {plan.name}. Fill in what is marked, and encrypt the file with ansible-vault encrypt.",
    ]
    for name, line in plan.vault.items():
        lines += _with(f"{scalar(name)}: {scalar(line.value)}", line.why, "")
    return "\n".join(lines) + "\n"


HOSTS = """---
# The hosts that site.yml provisions.
asgi_hosts:
  hosts:
    {host}:  # host=
      # The user of the connection, where your configuration of ssh does not name it; it may become root.
      # ansible_user: admin
"""
MAIN = """---
# Written by asgi.host.new from the files of the project: each line has its reason beside it. A line that is marked with
# CHANGE_ME waits for you, and nothing is deployed before. Every key is described in the README of the role asgi_host.
asgi_host_environment: production

asgi_host_apps:
"""


def new(plan: Plan, host: str) -> dict[str, str]:
    """The files of a new inventory, by their path in it."""
    files = {
        "hosts.yml": HOSTS.format(host=scalar(host)),
        "group_vars/asgi_hosts/main.yml": MAIN + app(plan, "  "),
    }
    if plan.vault:
        files["group_vars/asgi_hosts/vault.yml"] = vault(plan)
    return files


def added(plan: Plan, inventory: Path) -> dict[str, str]:
    """The files of an existing inventory that change, or come, with one app more. Raises NewError."""
    path, text, node = _apps_of(inventory)
    before = load_yaml(text)
    names = [str(each.get("name")) for each in _list(before, node.keys) if isinstance(each, dict)]
    if plan.name in names:
        raise NewError(
            f"app: {inventory} has an app {plan.name} already ({path.relative_to(inventory)}); give another name with -e app=NAME, or edit that one"
        )
    changed = _insert(text, node.value, plan)
    after = load_yaml(changed)
    whole = _list(after, node.keys)
    if (
        whole[:-1] != _list(before, node.keys)
        or not whole
        or whole[-1].get("name") != plan.name
        or _without(after, node.keys) != _without(before, node.keys)
    ):
        raise NewError(
            f"inventory: the list asgi_host_apps in {path.relative_to(inventory)} is written in a form that nothing can be added "
            "to; make it a list with one app below the other"
        )
    files = {str(path.relative_to(inventory)): changed}
    if plan.vault:
        files[str(_vault_path(path, inventory, plan.name))] = vault(plan)
    return files


class _Found:
    def __init__(self, keys: list[str], value: yaml.SequenceNode) -> None:
        self.keys, self.value = keys, value


def _apps_of(inventory: Path) -> tuple[Path, str, _Found]:
    """The file with the list of apps, its text, and the list's node in it."""
    files = sorted(
        path
        for path in inventory.rglob("*")
        if path.suffix in (".yml", ".yaml", "") and path.is_file() and not path.is_symlink()
    )
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
            tree = yaml.compose(text, Loader=yaml.SafeLoader) if "asgi_host_apps" in text else None
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if tree is not None and (found := _search(tree, [])):
            return path, text, found
    raise NewError(
        f"inventory: {inventory} is there, and no file of it has the list asgi_host_apps; add asgi_host_apps: [] to its "
        "group_vars, or name a folder that is not there yet"
    )


def _search(node: yaml.Node, keys: list[str]) -> _Found | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        here = [*keys, str(key.value)]
        if key.value == "asgi_host_apps" and isinstance(value, yaml.SequenceNode):
            return _Found(here, value)
        if found := _search(value, here):
            return found
    return None


def _list(tree: Any, keys: list[str]) -> list[Any]:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, list) else []


def _without(tree: Any, keys: list[str]) -> Any:
    """The whole but for the list."""
    if not keys or not isinstance(tree, dict):
        return None
    return {name: _without(value, keys[1:]) if name == keys[0] else value for name, value in tree.items()}


def _insert(text: str, node: yaml.SequenceNode, plan: Plan) -> str:
    lines = text.splitlines(keepends=True)
    if node.flow_style and not node.value:
        row, column = node.start_mark.line, node.start_mark.column
        key = lines[row][:column].rstrip()
        indent = " " * (len(key) - len(key.lstrip()) + 2)
        tail = lines[node.end_mark.line][node.end_mark.column :].strip()
        lines[row : node.end_mark.line + 1] = [f"{key}  {tail}\n" if tail else f"{key}\n", app(plan, indent)]
        return "".join(lines)
    if node.flow_style:
        raise NewError(
            "inventory: asgi_host_apps is a list in brackets; write it with one app below the other, each behind a -"
        )
    last = max(_ends(node))
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines.insert(last + 1, "\n" + app(plan, " " * node.start_mark.column))
    return "".join(lines)


def _ends(node: yaml.Node) -> Iterator[int]:
    """The last lines of all values; the end of a block itself is where the next one begins."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        end = node.end_mark.line
        yield end - 1 if node.end_mark.column == 0 and end > node.start_mark.line else end
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _ends(each)
    else:
        for key, value in node.value:
            yield from _ends(key)
            yield from _ends(value)


def _vault_path(path: Path, inventory: Path, name: str) -> Path:
    """A file of its own for the secrets, where the hosts of the list read it."""
    inside = path.relative_to(inventory)
    if inside.parts[0] in ("group_vars", "host_vars") and len(inside.parts) > 2:
        found = inside.parent / f"vault_{name}.yml"
    elif not any(
        (inventory / "group_vars" / f"all{end}").is_file() for end in (".yml", ".yaml", "", ".json")
    ):
        found = Path("group_vars") / "all" / f"vault_{name}.yml"
    else:
        folder = inside.with_suffix("") if inside.parts[0] == "group_vars" else Path("group_vars/all")
        raise NewError(
            f"inventory: there is no folder for the secrets of {name}, since {inside} and group_vars/all are files; make one a folder: "
            f"mkdir {folder} && mv {folder}.yml {folder}/main.yml, in {inventory}"
        )
    if (inventory / found).exists():
        raise NewError(
            f"app: {inventory / found} is there already; give another name with -e app=NAME, or remove it"
        )
    return found

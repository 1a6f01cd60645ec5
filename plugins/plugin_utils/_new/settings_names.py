# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of the variables that a project's code reads, and whether it can do without each."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from .code import Code, Module, name_of
from .project import Project, aside
from .pydantic_fields import fields, settings_classes
from .variable_calls import Read, calls, helpers

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{1,80}")
# Variables of tools and platforms, which no inventory sets.
FOREIGN = frozenset(
    {
        "PATH", "HOME", "USER", "LANG", "TZ", "PWD", "SHELL", "TERM", "TMPDIR", "CI", "PYTEST_CURRENT_TEST", "PORT", "HOSTNAME", "VIRTUAL_ENV",
        "DJANGO_SETTINGS_MODULE", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "WEB_CONCURRENCY", "PYTHONPATH", "EDITOR", "NO_COLOR", "XDG_CONFIG_HOME",
        "RUN_MAIN", "GITHUB_ACTIONS", "KUBERNETES_SERVICE_HOST", "PYTHONUNBUFFERED", "VCAP_SERVICES", "COLUMNS", "LOGNAME",
    }
)  # fmt: skip


def read(code: Code, folder: str = "") -> dict[str, Read]:
    """The variables by name; those of code below ``folder`` of the project alone. Reads twice count as the weaker demand."""
    found: dict[str, Read] = {}
    own, settings = helpers(code), settings_classes(code)
    tested: set[str] = set()
    for path, module in code.modules.items():
        # manage.py and scripts are not what serves.
        if (folder and not path.startswith(f"{folder}/")) or path.endswith("manage.py"):
            continue
        tested |= _tested(module)
        for each in [*calls(code, module, own), *fields(code, module, settings)]:
            if not NAME.fullmatch(each.name) or each.name in FOREIGN:
                continue
            known = found.get(each.name)
            # Whoever falls back on something says that it can do without.
            if (
                known is None
                or (known.required and not each.required)
                or (known.default is None and each.default is not None and not known.required)
            ):
                found[each.name] = each
    return {
        name: replace(each, required=each.required and name not in tested)
        for name, each in sorted(found.items())
    }


def examples(project: Project) -> dict[str, tuple[str, str]]:
    """The variables of example files such as ``.env.example``: value and file by name."""
    found: dict[str, tuple[str, str]] = {}
    for path in project.named(
        r"\.?env(?:\.[\w-]+)*\.(?:example|sample|template|dist)",
        r"\.env\.(?:example|sample|template|dist)\S*",
        r"example\.env",
        r"\.env",
    ):
        if aside(path) or "frontend" in path:
            continue
        for line in project.text(path).splitlines():
            if match := re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)", line):
                found.setdefault(match.group(1), (match.group(2).strip().strip("'\""), path))
    return found


def words_of_production(code: Code) -> dict[str, str]:
    """What files of the project call the environment of production, where they call it by one word."""
    found: dict[str, str] = {}
    for path, module in code.modules.items():
        own = {
            node.value
            for node in module.nodes
            if isinstance(node, ast.Constant) and node.value in ("prod", "production")
        }
        if len(own) == 1:
            found[path] = own.pop()
    return found


def _tested(module: Module) -> set[str]:
    """Variables that the code looks for before it reads them: ``if "X" in os.environ``."""
    found = set()
    for node in module.nodes:
        if isinstance(node, ast.Compare) and any(isinstance(each, (ast.In, ast.NotIn)) for each in node.ops):
            asked = node.left.value if isinstance(node.left, ast.Constant) else None
            found |= (
                {asked}
                if isinstance(asked, str) and name_of(node.comparators[0]).endswith("environ")
                else set()
            )
    return found

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A project's folder, read without running any of it: file names, texts, syntax trees, TOML and YAML.

Whoever wrote the project is not trusted with the controller: no file is imported or executed, no link is followed, and
a file that is too large or cannot be parsed is passed over.
"""

from __future__ import annotations

import ast
import os
import re
import stat
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from ansible_collections.asgi.host.plugins.plugin_utils._sources import LEFT_OUT

FILES, BYTES = 30_000, 1_000_000
# Merge keys multiply: a page of YAML can stand for more pairs than any memory holds.
PAIRS = 20_000
# Folders whose code does not serve: what it reads or makes is not the app's.
ASIDE = frozenset(
    {
        "test", "tests", "testing", "e2e", "docs", "doc", "docs_src", "examples", "example", "samples", "benchmarks", "bench",
        "locale", "migrations", "versions", "site-packages", "build", "dist", ".devcontainer", ".github", ".vscode",
        ".claude", ".agents", "fixtures", "conf_templates", "cookiecutter", "stubs", "typings",
    }
)  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Tags of compose and of others are read as what they stand on; merges have an end."""

    pairs = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Count what merges bring together."""
        self.pairs += len(node.value)
        if self.pairs > PAIRS:
            raise yaml.YAMLError("too many pairs")
        super().flatten_mapping(node)
        self.pairs += len(node.value)


def _untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _untagged)


def load_yaml(text: str) -> Any:
    """What a text in YAML says; None where it is not one."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError):
        return None


class Project:
    """The files of one folder, by their paths inside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._texts: dict[str, str | None] = {}
        self._trees: dict[str, ast.Module | None] = {}
        self._nodes: dict[str, list[ast.AST]] = {}

    @cached_property
    def files(self) -> list[str]:
        """Every file with its path in the folder, the shallow ones first."""
        found: list[str] = []
        for base, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
            here = Path(base).relative_to(self.folder)
            found += [str(PurePosixPath(here / name)) for name in sorted(names)]
            if len(found) > FILES:
                break
        return sorted(found, key=lambda path: (path.count("/"), path))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a file, with its path."""
        return frozenset(str(parent) for path in self.files for parent in PurePosixPath(path).parents)

    def has(self, path: str) -> bool:
        """Whether it is a file of the project."""
        return path in self._known

    def text(self, path: str) -> str:
        """A file's text; empty where there is none, or none that can be read."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path] or ""

    def _read(self, path: str) -> str | None:
        if not self.has(path):
            return None
        try:
            handle = os.open(self.folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > BYTES:
                return None
            return stream.read(BYTES).decode("utf-8", errors="replace")

    def tree(self, path: str) -> ast.Module | None:
        """The syntax tree of a Python file; None where it has none."""
        if path not in self._trees:
            try:
                with warnings.catch_warnings():
                    # Of escapes in the project's strings, for instance.
                    warnings.simplefilter("ignore")
                    self._trees[path] = ast.parse(self.text(path))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[path] = None
        return self._trees[path]

    def nodes(self, path: str) -> list[ast.AST]:
        """Every node of a Python file's tree."""
        if path not in self._nodes:
            tree = self.tree(path)
            self._nodes[path] = list(ast.walk(tree)) if tree else []
        return self._nodes[path]

    def toml(self, path: str) -> dict[str, Any]:
        """A TOML file's table; empty where there is none."""
        try:
            return tomllib.loads(self.text(path))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def yaml(self, path: str) -> Any:
        """What a YAML file says; None where there is none."""
        return load_yaml(self.text(path))

    def named(self, *patterns: str) -> list[str]:
        """The files whose name fits one of these expressions, the shallow ones first."""
        form = re.compile("|".join(f"(?:{each})" for each in patterns))
        return [path for path in self.files if form.fullmatch(path.rpartition("/")[2])]

    @cached_property
    def python(self) -> list[str]:
        """The Python files that may serve: none of tests, documentation or migrations."""
        return [path for path in self.files if path.endswith(".py") and not aside(path)]


def aside(path: str) -> bool:
    """Whether a file belongs to what does not serve."""
    *folders, name = path.split("/")
    if path in ("setup.py", "noxfile.py", "fabfile.py", "tasks.py"):
        return True
    return not ASIDE.isdisjoint(folders) or bool(re.match(r"(?:test_|conftest\.py)|.*_tests?\.py", name))


def parent(path: str) -> str:
    """The folder of a path inside the project; empty at its top."""
    return path.rpartition("/")[0]


def joined(*parts: str) -> str:
    """Parts of a path as one, without dots; empty for the top, and for what leads out of it."""
    found = os.path.normpath("/".join(part for part in parts if part)) if any(parts) else ""
    return "" if found in (".", "") or found.startswith(("..", "/")) else found


def unique(items: Iterable[Any]) -> Iterator[Any]:
    """Each once, in their order."""
    return iter(dict.fromkeys(items))

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Python files as modules: what each imports and assigns, where the import root is, and what a plain expression is worth."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .project import Project, parent


@dataclass
class Module:
    """One file. ``root`` is the folder that its name is told from."""

    path: str
    root: str
    tree: ast.Module
    nodes: list[ast.AST]
    """All of the tree."""
    imports: dict[str, str] = field(default_factory=dict)
    """What a name stands for, with dots."""
    assigned: dict[str, ast.expr] = field(default_factory=dict)
    """The last value of each name at its top, conditions and the like included."""
    plain: dict[str, str] = field(default_factory=dict)
    """The first plain string of each."""
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    """The modules from which it takes all names."""

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call."""
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    @property
    def name(self) -> str:
        """The name that it is imported by."""
        return dotted(self.path, self.root)


def dotted(path: str, root: str) -> str:
    """A file as a module, seen from a folder."""
    inside = path.removeprefix(f"{root}/") if root else path
    return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Code:
    """All Python files of a project that may serve."""

    def __init__(self, project: Project) -> None:
        self.project = project

    @cached_property
    def modules(self) -> dict[str, Module]:
        """Each by its path."""
        found = {}
        for path in self.project.python:
            tree = self.project.tree(path)
            if tree is not None:
                found[path] = _module(path, self.root_of(path), tree, self.project.nodes(path))
        return found

    def imported(self, name: str) -> int:
        """How often absolute imports of the project name the package or module that a name begins with."""
        return self._tops[name.partition(".")[0]]

    @cached_property
    def _tops(self) -> Counter[str]:
        """How often absolute imports begin with each name."""
        tops: Counter[str] = Counter()
        for path in self.project.python:
            for node in self.project.nodes(path):
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    tops[node.module.partition(".")[0]] += 1
                elif isinstance(node, ast.Import):
                    tops.update(each.name.partition(".")[0] for each in node.names)
        return tops

    @cached_property
    def _first_party(self) -> Counter[str]:
        """How often absolute imports name a package or module that lies in a folder, by the folder."""
        tops = self._tops
        places: Counter[str] = Counter()
        for path in self.project.python:
            folder, _sign, name = path.rpartition("/")
            # A file is a module of its folder; its folder is a package of the one above.
            places[f"{folder}\0{name.removesuffix('.py')}"] = tops[name.removesuffix(".py")]
            while folder:
                above, _sign, last = folder.rpartition("/")
                places[f"{above}\0{last}"] = tops[last]
                folder = above
        roots: Counter[str] = Counter()
        for place, count in places.items():
            roots[place.partition("\0")[0]] += count
        return roots

    def root_of(self, path: str) -> str:
        """The folder from which a file is imported: the one that the project's own imports begin at."""
        folder, choices = parent(path), []
        package = self.project.has(f"{folder}/__init__.py" if folder else "__init__.py")
        while True:
            choices.append(folder)
            if not folder:
                break
            folder = parent(folder)
        top = choices[0]
        if package:
            while top and self.project.has(f"{top}/__init__.py"):
                top = parent(top)
        else:
            top = next(
                (each for each in choices if each.rpartition("/")[2] == "src" or self._is_project(each)), ""
            )

        def score(choice: str) -> tuple[float, int]:
            number = float(self._first_party[choice])
            number += 0.5 if choice == top else 0
            return number, -choices.index(choice) if choice != top else 1

        return max(choices, key=score)

    def _is_project(self, folder: str) -> bool:
        return any(
            self.project.has(f"{folder}/{name}" if folder else name)
            for name in ("pyproject.toml", "requirements.txt", "setup.py", "uv.lock")
        )

    def find(self, name: str, root: str | None = None) -> str:
        """The file of a module's name; empty where the project has none."""
        tail = name.replace(".", "/")
        ends = (f"{tail}.py", f"{tail}/__init__.py")
        for end in ends:
            whole = f"{root}/{end}" if root else end
            if root is not None and self.project.has(whole):
                return whole
        named = self._by_stem.get(tail.rpartition("/")[2], ())
        return next(
            (path for path in named if path in ends or path.endswith(tuple(f"/{end}" for end in ends))), ""
        )

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        """The Python files by the last part of their module's name, the shallow ones first."""
        found: dict[str, list[str]] = {}
        for path in self.project.files:
            if path.endswith(".py"):
                stem = path.removesuffix(".py").removesuffix("/__init__")
                found.setdefault(stem.rpartition("/")[2], []).append(path)
        return found

    def resolve(self, module: Module, name: str) -> tuple[Module, str] | None:
        """Where a name that a module uses is made: the module, and the name there; by imports of the project."""
        head, _sign, rest = name.partition(".")
        if head in module.assigned or head in module.functions or head in module.classes:
            return (module, name) if not rest or head in module.classes else None
        target = module.imports.get(head)
        for _round in range(8):
            if not target:
                return None
            whole = f"{target}.{rest}" if rest else target
            parts = whole.split(".")
            for cut in range(len(parts), 0, -1):
                path = self.find(".".join(parts[:cut]), module.root)
                other = self.modules.get(path)
                if other is None:
                    continue
                left = ".".join(parts[cut:])
                if not left:
                    return None
                first = left.partition(".")[0]
                if first in other.assigned or first in other.functions or first in other.classes:
                    return other, left
                module, target, rest = other, other.imports.get(first), left.partition(".")[2]
                break
            else:
                return None
        return None

    @cached_property
    def _attributes(self) -> dict[str, list[ast.expr]]:
        """The values of the attributes of all classes, by name."""
        found: dict[str, list[ast.expr]] = {}
        for module in self.modules.values():
            for each in module.nodes:
                if isinstance(each, ast.ClassDef):
                    for name, value in _assignments(each.body):
                        found.setdefault(name, []).append(value)
        return found

    def text(self, node: ast.expr | None, module: Module, depth: int = 0) -> str | None:
        """What an expression is worth if it is a plain string, or a setting with a default; None elsewhere."""
        found: str | None = None
        if depth > 5 or node is None:
            return found
        if isinstance(node, ast.Constant):
            found = node.value if isinstance(node.value, str) else None
        elif isinstance(node, (ast.JoinedStr, ast.BinOp)):
            added = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
            inner = (
                node.values
                if isinstance(node, ast.JoinedStr)
                else [node.left, node.right]
                if added
                else [None]
            )
            parts = [self.text(each, module, depth + 1) for each in inner]
            found = None if None in parts else "".join(part for part in parts if part is not None)
        elif isinstance(node, ast.FormattedValue):
            found = self.text(node.value, module, depth + 1)
        elif isinstance(node, ast.Name):
            found = self._of_name(node.id, module, depth)
        elif isinstance(node, ast.Attribute):
            known = {self.text(each, module, depth + 1) for each in self._attributes.get(node.attr, [])}
            found = known.pop() if len(known) == 1 else None
        elif isinstance(node, ast.Call):
            found = self.text(default_of(node), module, depth + 1)
        return found

    def _of_name(self, name: str, module: Module, depth: int) -> str | None:
        if name in module.assigned:
            text = self.text(module.assigned[name], module, depth + 1)
            return module.plain.get(name) if text is None else text
        found = self.resolve(module, name)
        return self.text(found[0].assigned.get(found[1]), found[0], depth + 1) if found else None


def default_of(call: ast.Call) -> ast.expr | None:
    """What a setting falls back on: the keyword ``default``, or the second argument of a call that reads one by name."""
    for word in call.keywords:
        if word.arg == "default":
            return word.value
    first = call.args[0] if call.args else None
    by_name = isinstance(first, ast.Constant) and isinstance(first.value, str) and len(call.args) > 1
    # Field("x") has its default first.
    return call.args[1] if by_name else first if callee(call).endswith("Field") else None


def callee(call: ast.Call) -> str:
    """The name that is called, with dots; empty where it is no name."""
    return name_of(call.func)


def name_of(node: ast.expr) -> str:
    """A name with dots; empty for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _module(path: str, root: str, tree: ast.Module, nodes: list[ast.AST]) -> Module:
    found = Module(path, root, tree, nodes)
    package = dotted(path, root).split(".")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    _imports(found, package)
    for name, value in _assignments(tree.body):
        found.assigned[name] = value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.plain.setdefault(name, value.value)
    for statement in _flat(tree.body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.functions[statement.name] = statement
        elif isinstance(statement, ast.ClassDef):
            found.classes[statement.name] = statement
    return found


def _imports(found: Module, package: list[str]) -> None:
    """What the names of a module stand for, by its imports anywhere."""
    for node in found.nodes:
        if isinstance(node, ast.Import):
            for each in node.names:
                found.imports[each.asname or each.name.partition(".")[0]] = (
                    each.name if each.asname else each.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            for each in node.names:
                if each.name == "*":
                    found.stars.append(start)
                else:
                    found.imports[each.asname or each.name] = f"{start}.{each.name}" if start else each.name


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements, those of conditions, ``with`` and ``try`` included; not those of functions and classes."""
    for statement in body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try, ast.With, ast.For)):
                yield from _flat(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from _flat(handler.body)


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in _flat(body):
        if isinstance(statement, ast.Assign):
            yield from (
                (target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name)
            )
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value
        ):
            yield statement.target.id, statement.value


def where(module: Module, node: Any) -> str:
    """File and line, for a reason."""
    return f"{module.path}:{getattr(node, 'lineno', 1)}"

"""Print the figures of the code by which CONTRIBUTING.md says whether it becomes easier to read; of a commit, with its name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What mypy lets hold anything: a dict or a Mapping whose values are Any.
UNTYPED = re.compile(r"\b(?:dict|Mapping|MutableMapping)\[[^\[\]]*\bAny\]")
PATCH = re.compile(r"\b(?:monkeypatch|patched)\.set(?:attr|item|env)\(|\bmock\.patch\b")


def figures(root: Path) -> dict[str, str]:
    """The figures of a tree, by their names."""
    code = {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(root.glob("plugins/**/*.py"))
    }
    sizes = {path: _lines(path) for path in code}
    largest = max(sizes, key=lambda path: sizes[path])
    functions = [(path, each) for path, tree in code.items() for each in _functions(tree)]
    where, longest = max(functions, key=lambda found: _length(found[1]))
    tests = [path.read_text(encoding="utf-8") for path in sorted(root.glob("tests/unit/*.py"))]
    return {
        "untyped dict parameters": str(_untyped(code)),
        "largest file": f"{sizes[largest]} ({largest.relative_to(root)})",
        "files above 450 lines": str(sum(size > 450 for size in sizes.values())),
        "longest function": f"{_length(longest)} ({where.relative_to(root)}, {longest.name})",
        "patches in the unit tests": str(sum(len(PATCH.findall(text)) for text in tests)),
        "most patches in one function": _most_patches(tests),
        "lines of plugins": str(sum(sizes.values())),
        "files of plugins": str(len(sizes)),
    }


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _length(function: ast.FunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _untyped(code: dict[Path, ast.Module]) -> int:
    """How many parameters take a mapping of anything, under this name or under another one."""
    aliases = {
        target.id
        for tree in code.values()
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value and _is_untyped(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    return sum(
        any(name in aliases for name in re.findall(r"\w+", ast.unparse(each.annotation)))
        or _is_untyped(each.annotation)
        for tree in code.values()
        for function in _functions(tree)
        for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        if each.annotation
    )


def _is_untyped(annotation: ast.expr) -> bool:
    return isinstance(annotation, (ast.Subscript, ast.BinOp)) and bool(
        UNTYPED.search(ast.unparse(annotation))
    )


def _most_patches(tests: list[str]) -> str:
    found = [
        (len(PATCH.findall(ast.get_source_segment(text, each) or "")), each.name)
        for text in tests
        for each in _functions(ast.parse(text))
    ]
    count, name = max(found)
    return f"{count} ({name})"


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        root = ROOT
        if commit := sys.argv[1:2]:
            root = Path(folder)
            packed = subprocess.run(
                ["git", "-C", str(ROOT), "archive", *commit, "plugins", "tests/unit"],
                check=True,
                capture_output=True,
            )
            subprocess.run(["tar", "-x", "-C", folder], check=True, input=packed.stdout)
        for name, value in figures(root).items():
            print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls and lookups that read a variable of the environment: os, django-environ, environs, decouple, Starlette, and a project's own."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .code import Code, Module, callee, name_of, where

# Methods of django-environ's Env and of environs' Env that read a variable by its first argument.
CASTS = frozenset(
    {
        "str", "bool", "int", "float", "list", "tuple", "dict", "json", "url", "db", "db_url", "cache", "cache_url", "email",
        "email_url", "search_url", "channels", "channels_url", "path", "bytes", "decimal", "date", "datetime", "timedelta",
        "log_level", "uuid", "enum", "dj_db_url", "dj_email_url", "dj_cache_url", "get_value", "unicode", "json_list",
    }
)  # fmt: skip
READERS = {
    "decouple.config": 1,
    "decouple.Config": 0,
    "starlette.config.Config": 0,
    "environ.Env": 0,
    "environs.Env": 0,
    "prettyconf.config": 1,
}


@dataclass(frozen=True)
class Read:
    """One variable."""

    name: str
    where: str
    required: bool
    default: str | None = None
    """What it is without one, as text; None where that is nothing, or cannot be told."""
    kind: str = ""
    """Its type, as the code has it."""
    choices: tuple[str, ...] = ()


def helpers(code: Code) -> set[str]:
    """The project's own functions that read the variable which their first argument names, by others of them as well."""
    found: set[str] = set()
    functions = [
        (module, node, next(each.arg for each in node.args.args if each.arg not in ("self", "cls")))
        for module in code.modules.values()
        for node in module.nodes
        if isinstance(node, ast.FunctionDef)
        and any(each.arg not in ("self", "cls") for each in node.args.args)
    ]
    calls = [(module, node.name, name, list(_with_name(node, name))) for module, node, name in functions]
    for _round in range(3):
        for module, own, _name, inner in calls:
            for call in inner:
                if how_read(module, call) or (isinstance(call, ast.Call) and callee(call) in found):
                    found.add(own)
    return found


def _with_name(function: ast.FunctionDef, name: str) -> Iterator[ast.AST]:
    """The calls and lookups whose first argument is this name."""
    for node in ast.walk(function):
        first = first_of(node)
        if isinstance(first, ast.Name) and first.id == name:
            yield node


def first_of(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Call):
        named = [word.value for word in node.keywords if word.arg in ("key", "var", "name")]
        return node.args[0] if node.args else (named[0] if named else None)
    return node.slice if isinstance(node, ast.Subscript) else None


def how_read(module: Module, node: ast.AST) -> str:
    """How a node reads the environment: ``get``, ``must``, or empty."""
    if isinstance(node, ast.Subscript):
        name = name_of(node.value)
        full = f"{module.imports.get(name.partition('.')[0], '')}.{name.partition('.')[2]}".strip(".")
        return "must" if full == "os.environ" and isinstance(node.ctx, ast.Load) else ""
    if not isinstance(node, ast.Call):
        return ""
    name = callee(node)
    head, _sign, rest = name.partition(".")
    full = f"{module.imports.get(head, '')}.{rest}".strip(".")
    if full in ("os.getenv", "os.environ.get", "os.environ.pop", "environ.get") and not full.startswith(
        "environ."
    ):
        return "get"
    if full in READERS:
        return "must" if READERS[full] else ""
    made = module.assigned.get(head)
    kind = _kind(module, made)
    if kind and (not rest or rest in CASTS):
        return "must"
    return ""


def _kind(module: Module, made: ast.expr | None) -> str:
    """The reader that a name was made as: ``env = environ.Env()``."""
    if not isinstance(made, ast.Call):
        return ""
    name = callee(made)
    head, _sign, rest = name.partition(".")
    full = f"{module.imports.get(head, '')}.{rest}".strip(".")
    return full if full in READERS else ""


def calls(code: Code, module: Module, helpers: set[str]) -> Iterator[Read]:
    fallbacks = _fallbacks(module)
    imported = _imported_readers(code, module)
    depends = {
        id(each)
        for node in module.nodes
        if isinstance(node, ast.If)
        for part in (node.body, node.orelse)
        for below in part
        for each in ast.walk(below)
    }
    for node in module.nodes:
        first = first_of(node)
        if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
            if (
                isinstance(node, ast.Call)
                and callee(node).partition(".")[2] in ("db", "cache", "email", "db_url", "dj_db_url")
                and not node.args
                and how_read(module, node)
            ):
                yield Read(
                    {"cache": "CACHE_URL", "email": "EMAIL_URL"}.get(
                        callee(node).partition(".")[2], "DATABASE_URL"
                    ),
                    where(module, node),
                    _bare(node),
                )
            elif (
                isinstance(node, ast.Call)
                and module.imports.get(callee(node).partition(".")[0]) == "dj_database_url"
                and not node.args
            ):
                yield Read("DATABASE_URL", where(module, node), _bare(node), _text(code, module, node))
            continue
        how = how_read(module, node) or (
            imported and isinstance(node, ast.Call) and _of_imported(node, imported)
        )
        name = callee(node).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if (
            not how
            and name in helpers
            and isinstance(node, ast.Call)
            and (module.imports.get(name) or name in module.functions or "." in callee(node))
        ):
            how = "get"
        if not how:
            continue
        default = _text(code, module, node) if isinstance(node, ast.Call) else None
        required = (
            how == "must"
            and (isinstance(node, ast.Subscript) or _bare(node))
            and first.value not in fallbacks
            and id(node) not in depends
        )
        yield Read(
            first.value,
            where(module, node),
            required,
            default if default is not None else fallbacks.get(first.value),
            _cast(node),
        )


def _of_imported(node: ast.Call, imported: set[str]) -> str:
    head, _sign, rest = callee(node).partition(".")
    return "must" if head in imported and (not rest or rest in CASTS) else ""


def _imported_readers(code: Code, module: Module) -> set[str]:
    """Names that another module of the project made as readers: ``from .env import env``."""
    found = set()
    for name in module.imports:
        if (
            name in ("env", "config", "environ", "ENV", "Env", "cfg")
            and (at := code.resolve(module, name))
            and _kind(at[0], at[0].assigned.get(at[1]))
        ):
            found.add(name)
    return found


def _bare(node: Any) -> bool:
    """Whether a call names nothing to fall back on."""
    return not any(word.arg == "default" for word in node.keywords) and len(node.args) < 2


def _cast(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    for word in node.keywords:
        if word.arg in ("cast", "type"):
            return name_of(word.value)
    last = callee(node).rpartition(".")[2]
    return last if last in CASTS else ""


def _text(code: Code, module: Module, node: ast.Call) -> str | None:
    value = next(
        (word.value for word in node.keywords if word.arg == "default"),
        node.args[1] if len(node.args) > 1 else None,
    )
    return literal(code, module, value)


def literal(code: Code, module: Module, value: ast.expr | None) -> str | None:
    if isinstance(value, ast.Constant) and value.value is not None:
        return str(value.value)
    if (
        isinstance(value, ast.Attribute)
        and (at := code.resolve(module, name_of(value)))
        and at[1].partition(".")[0] in at[0].classes
    ):
        return _member(at[0].classes[at[1].partition(".")[0]], value.attr)
    if isinstance(value, (ast.List, ast.Tuple)) and all(
        isinstance(each, ast.Constant) for each in value.elts
    ):
        return json.dumps([str(getattr(each, "value", "")) for each in value.elts])
    return code.text(value, module) if value is not None else None


def _member(owner: ast.ClassDef, name: str) -> str | None:
    """The value of a member of an Enum."""
    for each in owner.body:
        if (
            isinstance(each, ast.Assign)
            and name_of(each.targets[0]) == name
            and isinstance(each.value, ast.Constant)
        ):
            return str(each.value.value)
    return None


def _fallbacks(module: Module) -> dict[str, str | None]:
    """What django-environ was told in ``Env(DEBUG=(bool, False))``."""
    found: dict[str, str | None] = {}
    for value in module.assigned.values():
        if _kind(module, value) == "environ.Env" and isinstance(value, ast.Call):
            for word in value.keywords:
                if word.arg and isinstance(word.value, ast.Tuple) and len(word.value.elts) > 1:
                    last = word.value.elts[1]
                    found[word.arg] = (
                        str(last.value) if isinstance(last, ast.Constant) and last.value is not None else None
                    )
    return found

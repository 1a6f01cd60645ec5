# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fields of pydantic's settings, each of which is a variable: prefixes, aliases, defaults and choices."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .code import Code, Module, callee, name_of, where
from .variable_calls import Read, first_of, how_read, literal


def settings_classes(code: Code) -> set[str]:
    """The full names of the project's classes that are settings of pydantic."""
    found: set[str] = set()
    for _round in range(4):
        for module in code.modules.values():
            for name, node in module.classes.items():
                for base in map(name_of, node.bases):
                    full = module.imports.get(base.partition(".")[0], "")
                    full = f"{full}.{base.partition('.')[2]}".strip(".")
                    at = code.resolve(module, base) if base else None
                    known = f"{at[0].path}:{at[1]}" if at else ""
                    if (
                        full
                        in (
                            "pydantic_settings.BaseSettings",
                            "pydantic.BaseSettings",
                            "pydantic.v1.BaseSettings",
                            "pydantic_settings.main.BaseSettings",
                        )
                        or known in found
                    ):
                        found.add(f"{module.path}:{name}")
    return found


def _prefix(code: Code, module: Module, node: ast.ClassDef, depth: int = 0) -> str | None:
    """The ``env_prefix`` of a class, its bases asked where it has none."""
    own = next(iter(_own_prefixes(node)), None)
    if own is not None:
        return code.text(own, module) or ""
    for base in map(name_of, node.bases):
        at = code.resolve(module, base) if base and depth < 4 else None
        if at and at[1] in at[0].classes:
            found = _prefix(code, at[0], at[0].classes[at[1]], depth + 1)
            if found is not None:
                return found
    return None


def _own_prefixes(node: ast.ClassDef) -> Iterator[ast.expr]:
    """What a class itself says: by model_config in its two forms, by Config of pydantic 1, or as it is declared."""
    yield from (word.value for word in node.keywords if word.arg == "env_prefix")
    for each in node.body:
        if isinstance(each, ast.ClassDef) and each.name == "Config":
            yield from (
                inner.value
                for inner in each.body
                if isinstance(inner, ast.Assign) and name_of(inner.targets[0]) == "env_prefix"
            )
        elif isinstance(each, (ast.Assign, ast.AnnAssign)):
            target = each.targets[0] if isinstance(each, ast.Assign) else each.target
            if name_of(target) != "model_config":
                continue
            if isinstance(each.value, ast.Call):
                yield from (word.value for word in each.value.keywords if word.arg == "env_prefix")
            elif isinstance(each.value, ast.Dict):
                pairs = zip(each.value.keys, each.value.values, strict=True)
                yield from (
                    value
                    for key, value in pairs
                    if isinstance(key, ast.Constant) and key.value == "env_prefix"
                )


def fields(code: Code, module: Module, settings: set[str]) -> Iterator[Read]:
    nested = _nested(module)
    for name, node in module.classes.items():
        if f"{module.path}:{name}" not in settings or re.search(r"Test", name):
            continue
        prefix = _prefix(code, module, node) or ""
        for each in node.body:
            if (
                not isinstance(each, ast.AnnAssign)
                or not isinstance(each.target, ast.Name)
                or each.target.id == "model_config"
            ):
                continue
            kind = ast.unparse(each.annotation)
            if kind.startswith(("ClassVar", "typing.ClassVar")) or each.target.id.startswith("_"):
                continue
            plain = kind.partition("|")[0].strip()
            if plain in nested or _is_settings(code, module, plain, settings):
                continue
            yield from _field(code, module, each, prefix, kind)


def _nested(module: Module) -> set[str]:
    return {
        name
        for name, node in module.classes.items()
        if any(name_of(base).endswith("BaseModel") for base in node.bases)
    }


def _is_settings(code: Code, module: Module, name: str, settings: set[str]) -> bool:
    at = code.resolve(module, name) if re.fullmatch(r"\w+", name) else None
    return bool(at) and f"{at[0].path}:{at[1]}" in settings if at else False


def _field(code: Code, module: Module, node: ast.AnnAssign, prefix: str, kind: str) -> Iterator[Read]:
    names, default, required = [f"{prefix}{name_of(node.target)}".upper()], None, node.value is None
    value = node.value
    if isinstance(value, ast.Call) and callee(value).endswith("Field"):
        required = True
        words = {word.arg: word.value for word in value.keywords if word.arg}
        first = value.args[0] if value.args else words.get("default")
        if first is not None and not (isinstance(first, ast.Constant) and first.value is ...):
            required, default = False, literal(code, module, first)
        if "default_factory" in words:
            required = False
        alias = (
            _aliases(words.get("validation_alias"))
            or _aliases(words.get("alias"))
            or _aliases(words.get("env"))
        )
        names = alias[:1] or names
    elif isinstance(value, ast.Constant) and value.value is ...:
        required = True
    elif (
        isinstance(value, ast.Call) and isinstance(first_of(value), ast.Constant) and how_read(module, value)
    ):
        # config("X") of Starlette, os.getenv("X"): that call says it.
        return
    elif value is not None:
        default = literal(code, module, value)
    for name in names:
        yield Read(
            name, where(module, node), required, default, kind, _choices(code, module, node.annotation)
        )


def _aliases(node: ast.expr | None) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.Call):
        return [
            each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
    if isinstance(node, (ast.List, ast.Tuple)):
        return [
            each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
    return []


def _choices(code: Code, module: Module, annotation: ast.expr) -> tuple[str, ...]:
    """The words that a Literal or an Enum takes."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and name_of(node.value).endswith("Literal"):
            return tuple(
                each.value
                for each in ast.walk(node.slice)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )
        if isinstance(node, ast.Name) and (at := code.resolve(module, node.id)) and at[1] in at[0].classes:
            owner = at[0].classes[at[1]]
            if any("Enum" in name_of(base) for base in owner.bases):
                return tuple(
                    each.value.value
                    for each in owner.body
                    if isinstance(each, ast.Assign)
                    and isinstance(each.value, ast.Constant)
                    and isinstance(each.value.value, str)
                )
    return ()

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of the variables that a project's code reads, and whether it can do without each."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from .code import Code, Module, callee, name_of, where
from .project import Project, aside

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{1,80}")
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
# Variables of tools and platforms, which no inventory sets.
FOREIGN = frozenset(
    {
        "PATH", "HOME", "USER", "LANG", "TZ", "PWD", "SHELL", "TERM", "TMPDIR", "CI", "PYTEST_CURRENT_TEST", "PORT", "HOSTNAME", "VIRTUAL_ENV",
        "DJANGO_SETTINGS_MODULE", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "WEB_CONCURRENCY", "PYTHONPATH", "EDITOR", "NO_COLOR", "XDG_CONFIG_HOME",
        "RUN_MAIN", "GITHUB_ACTIONS", "KUBERNETES_SERVICE_HOST", "PYTHONUNBUFFERED", "VCAP_SERVICES", "COLUMNS", "LOGNAME",
    }
)  # fmt: skip


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


def read(code: Code, folder: str = "") -> dict[str, Read]:
    """The variables by name; those of code below ``folder`` of the project alone. Reads twice count as the weaker demand."""
    found: dict[str, Read] = {}
    helpers = _helpers(code)
    settings = _settings_classes(code)
    tested: set[str] = set()
    for path, module in code.modules.items():
        # manage.py and scripts are not what serves.
        if (folder and not path.startswith(f"{folder}/")) or path.endswith("manage.py"):
            continue
        tested |= _tested(module)
        for each in [*_calls(code, module, helpers), *_fields(code, module, settings)]:
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


def _helpers(code: Code) -> set[str]:
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
    for _ in range(3):
        for module, own, _name, inner in calls:
            for call in inner:
                if _reads(module, call) or (isinstance(call, ast.Call) and callee(call) in found):
                    found.add(own)
    return found


def _with_name(function: ast.FunctionDef, name: str) -> Iterator[ast.AST]:
    """The calls and lookups whose first argument is this name."""
    for node in ast.walk(function):
        first = _first(node)
        if isinstance(first, ast.Name) and first.id == name:
            yield node


def _first(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Call):
        named = [word.value for word in node.keywords if word.arg in ("key", "var", "name")]
        return node.args[0] if node.args else (named[0] if named else None)
    return node.slice if isinstance(node, ast.Subscript) else None


def _reads(module: Module, node: ast.AST) -> str:
    """How a node reads the environment: ``get``, ``must``, or empty."""
    if isinstance(node, ast.Subscript):
        name = name_of(node.value)
        full = f"{module.imports.get(name.partition('.')[0], '')}.{name.partition('.')[2]}".strip(".")
        return "must" if full == "os.environ" and isinstance(node.ctx, ast.Load) else ""
    if not isinstance(node, ast.Call):
        return ""
    name = callee(node)
    head, _, rest = name.partition(".")
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
    head, _, rest = name.partition(".")
    full = f"{module.imports.get(head, '')}.{rest}".strip(".")
    return full if full in READERS else ""


def _calls(code: Code, module: Module, helpers: set[str]) -> Iterator[Read]:
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
        first = _first(node)
        if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
            if (
                isinstance(node, ast.Call)
                and callee(node).partition(".")[2] in ("db", "cache", "email", "db_url", "dj_db_url")
                and not node.args
                and _reads(module, node)
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
        how = _reads(module, node) or (
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
    head, _, rest = callee(node).partition(".")
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
    return _literal(code, module, value)


def _literal(code: Code, module: Module, value: ast.expr | None) -> str | None:
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


def _settings_classes(code: Code) -> set[str]:
    """The full names of the project's classes that are settings of pydantic."""
    found: set[str] = set()
    for _ in range(4):
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


def _fields(code: Code, module: Module, settings: set[str]) -> Iterator[Read]:
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
            required, default = False, _literal(code, module, first)
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
    elif isinstance(value, ast.Call) and isinstance(_first(value), ast.Constant) and _reads(module, value):
        # config("X") of Starlette, os.getenv("X"): that call says it.
        return
    elif value is not None:
        default = _literal(code, module, value)
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

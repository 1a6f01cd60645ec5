# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of a Django project, as far as they are plain: static and media folders, the database, the settings module."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from .code import Code, Module, callee, name_of, where
from .framework import Entry
from .project import joined, parent
from .ways import Said, Ways


@dataclass
class Django:
    """Paths are inside the project."""

    settings: str = ""
    why: str = ""
    manage: str = ""
    static_url: str = ""
    static: Said | None = None
    """The folder of STATIC_ROOT."""
    static_variable: str = ""
    """The variable that says STATIC_ROOT, where one does."""
    media_url: str = ""
    media: Said | None = None
    database: Said | None = None
    database_variable: str = ""
    """A SQLite file inside the source."""
    modules: list[Module] = field(default_factory=list)
    geo: str = ""


def read(code: Code, entry: Entry, ways: Ways) -> Django:
    """What the settings of the app say."""
    found = Django(settings=entry.settings, why=f"{entry.path} names it")
    found.manage = next(iter(sorted(code.project.named(r"manage\.py"), key=lambda path: path.count("/"))), "")
    if given := ways.environment.get("DJANGO_SETTINGS_MODULE"):
        found.settings, found.why = given.value, given.where
    better = _production(code, found.settings, entry.app_dir)
    if better:
        found.why = f"{found.settings or 'the settings'} is for development; {better} is there"
        found.settings = better
    path = code.find(found.settings, entry.app_dir) if found.settings else ""
    found.modules = _with_bases(code, path)
    for module in found.modules:
        _paths(code, module, found)
    return found


def _production(code: Code, settings: str, root: str) -> str:
    """The production settings beside those that are for development; empty where there are none, or they are named."""
    package, _sign, last = settings.rpartition(".")
    if not settings or re.match(r"prod|live|deploy|heroku|docker", last):
        return ""
    of_package = code.find(settings, root).endswith("/__init__.py")
    home = settings if of_package else package
    if not of_package and not re.match(r"dev|local|base|test|common|settings", last):
        return ""
    if of_package:
        text = code.project.text(code.find(settings, root))
        if re.search(
            r"^\s*(?:from|import)\s+\S*\.?(?:prod|production)\b", text, re.MULTILINE
        ) and not re.search(r"^\s*(?:from|import)\s+\S*\.?(?:dev|local|development)\b", text, re.MULTILINE):
            return ""
    return next(
        (
            f"{home}.{name}"
            for name in ("production", "prod", "live")
            if home and code.find(f"{home}.{name}", root)
        ),
        "",
    )


def _with_bases(code: Code, path: str) -> list[Module]:
    """The settings module, and those that it takes all from."""
    found: list[Module] = []
    waiting = [path]
    while waiting and len(found) < 12:
        module = code.modules.get(waiting.pop(0))
        if module is None or module in found:
            continue
        found.append(module)
        waiting += [code.find(start, module.root) for start in module.stars]
    return found


def _paths(code: Code, module: Module, found: Django) -> None:
    given = module.assigned
    if not found.static and (node := given.get("STATIC_ROOT")):
        folder = _path(code, node, module, found.modules)
        if folder:
            found.static = Said(folder, where(module, node))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            found.static_variable = str(node.args[0].value)
            found.static = Said("", where(module, node))
    for key in ("STATIC_URL", "MEDIA_URL"):
        if key in given and not getattr(found, key.lower()):
            text = code.text(given[key], module) or ""
            if re.fullmatch(r"/?[\w/.-]+", text):
                setattr(found, key.lower(), f"/{text.strip('/')}/")
    if not found.media and (node := given.get("MEDIA_ROOT")):
        folder = _path(code, node, module, found.modules)
        if folder:
            found.media = Said(folder, where(module, node))
    if not found.database:
        _database(code, module, found)
    if any(
        "django.contrib.gis" in str(getattr(each, "value", ""))
        for each in module.nodes
        if isinstance(each, ast.Constant)
    ):
        found.geo = module.path


def _database(code: Code, module: Module, found: Django) -> None:
    for node in module.nodes:
        if not isinstance(node, ast.Dict):
            continue
        keys = {
            key.value: value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        if "sqlite" in (code.text(keys.get("ENGINE"), module) or "") and "NAME" in keys:
            name = keys["NAME"]
            if isinstance(name, ast.Call) and len(name.args) > 1 and isinstance(name.args[0], ast.Constant):
                # A variable that falls back on a file.
                found.database_variable, name = str(name.args[0].value), name.args[1]
            path = _path(code, name, module, found.modules)
            if path:
                found.database = Said(path, where(module, name))
                return


def _path(code: Code, node: ast.expr | None, module: Module, modules: list[Module], depth: int = 0) -> str:
    """A path of the source that an expression of ``pathlib`` or ``os.path`` stands for; empty where that is not plain."""
    found = _whole(code, node, module, modules, depth)
    return joined(found.strip("/")) if found and found.startswith("/") else ""


def _whole(code: Code, node: ast.expr | None, module: Module, modules: list[Module], depth: int) -> str:
    """The same as an absolute path, whose ``/`` is the project's folder; a relative one for anything that is below another."""
    found = ""
    if node is None or depth > 12:
        return found
    if isinstance(node, ast.Constant):
        found = node.value if isinstance(node.value, str) and not node.value.startswith("/") else ""
    elif isinstance(node, ast.Name):
        owner = next((each for each in [module, *modules] if node.id in each.assigned), None)
        if node.id == "__file__":
            found = f"/{module.path}"
        elif owner:
            found = _whole(code, owner.assigned[node.id], owner, modules, depth + 1)
    elif isinstance(node, ast.Attribute) and node.attr == "parent":
        found = _above(_whole(code, node.value, module, modules, depth + 1), 1)
    elif (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "parents"
    ):
        count = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(count, int):
            found = _above(_whole(code, node.value.value, module, modules, depth + 1), count + 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
        parts = [_whole(code, each, module, modules, depth + 1) for each in (node.left, node.right)]
        found = "/".join((parts[0].rstrip("/"), parts[1].lstrip("/"))) if all(parts) else ""
    elif isinstance(node, ast.Call):
        found = _of_call(code, node, module, modules, depth)
    return found


def _above(path: str, count: int) -> str:
    """The folder this many levels above an absolute path; empty for another."""
    if not path.startswith("/"):
        return ""
    for _round in range(min(count, 20)):
        path = f"/{parent(path.strip('/'))}"
    return path


def _of_call(code: Code, node: ast.Call, module: Module, modules: list[Module], depth: int) -> str:
    """What functions of os.path and methods of pathlib make of paths."""
    last = (callee(node) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")).rpartition(".")[
        2
    ]
    parts = [_whole(code, each, module, modules, depth + 1) for each in node.args]
    if isinstance(node.func, ast.Attribute) and last in ("resolve", "absolute", "as_posix", "joinpath"):
        parts.insert(0, _whole(code, node.func.value, module, modules, depth + 1))
    if not parts or not all(parts):
        return ""
    if last == "dirname":
        return _above(parts[0], 1)
    known = (
        "resolve",
        "absolute",
        "as_posix",
        "joinpath",
        "abspath",
        "realpath",
        "normpath",
        "Path",
        "str",
        "join",
    )
    return "/".join(parts) if last in known else ""


def urls(code: Code, modules: list[Module]) -> list[tuple[str, str]]:
    """The fixed paths of the project's own URLs, with where each is said; those of an ``include`` with their prefix."""
    name = next(
        (text for module in modules if (text := code.text(module.assigned.get("ROOT_URLCONF"), module))), ""
    )
    return list(_urls(code, code.find(name, modules[0].root if modules else "") if name else "", "", 0))


def _urls(code: Code, path: str, prefix: str, depth: int) -> list[tuple[str, str]]:
    module = code.modules.get(path)
    if module is None or depth > 12:
        return []
    lists = [
        each.value
        for each in module.nodes
        if isinstance(each, (ast.Assign, ast.AugAssign, ast.AnnAssign))
        and each.value
        and "urlpatterns" in _targets(each)
    ]
    return [found for each in lists for found in _patterns(code, module, each, prefix, depth)]


def _targets(node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> set[str]:
    return {name_of(each) for each in (node.targets if isinstance(node, ast.Assign) else [node.target])}


def _patterns(code: Code, module: Module, node: ast.expr, prefix: str, depth: int) -> list[tuple[str, str]]:
    """The paths of a list of patterns: one that is written out, a name of one, or several that are added."""
    inner: list[ast.expr] = []
    if depth > 12:
        return []
    if isinstance(node, ast.Name):
        inner = [module.assigned[node.id]] if node.id in module.assigned else []
    elif isinstance(node, ast.BinOp):
        inner = [node.left, node.right]
    elif isinstance(node, ast.Starred):
        inner = [node.value]
    elif isinstance(node, ast.IfExp):
        inner = [node.body]
    elif isinstance(node, (ast.List, ast.Tuple)):
        inner = node.elts
    elif (
        isinstance(node, ast.Call)
        and callee(node).rpartition(".")[2] in ("path", "re_path", "url")
        and len(node.args) > 1
    ):
        return _pattern(code, module, node, prefix, depth)
    return [
        found
        for each in inner
        for found in _patterns(code, module, each, prefix, depth + (not isinstance(node, ast.List)))
    ]


def _pattern(code: Code, module: Module, node: ast.Call, prefix: str, depth: int) -> list[tuple[str, str]]:
    """The paths of one pattern, which may stand for those of another file."""
    text = code.text(node.args[0], module)
    if text is None:
        return []
    if callee(node).rpartition(".")[2] != "path":
        text = text.lstrip("^").rstrip("$")
    target = node.args[1]
    if isinstance(target, ast.Call) and callee(target).rpartition(".")[2] == "include" and target.args:
        if inner := code.text(target.args[0], module):
            return _urls(code, code.find(inner, module.root), prefix + text, depth + 1)
        given = (
            target.args[0].elts[0]
            if isinstance(target.args[0], ast.Tuple) and target.args[0].elts
            else target.args[0]
        )
        return _patterns(code, module, given, prefix + text, depth + 1)
    if name_of(target).endswith("site.urls"):
        text = f"{text}login/"
    return [(f"/{prefix}{text}", where(module, node))] if re.fullmatch(r"[\w/.-]*", prefix + text) else []

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects of a project's code that are ASGI apps, and the functions that make one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .code import Code, Module, callee, name_of, where

# What makes an ASGI app, by its full name; the same class is known by the module that it is usually imported from.
CLASSES = {
    "fastapi.FastAPI": "FastAPI", "starlette.applications.Starlette": "Starlette", "litestar.Litestar": "Litestar",
    "starlite.Starlite": "Starlite", "quart.Quart": "Quart", "quart_trio.QuartTrio": "Quart", "blacksheep.Application": "BlackSheep",
    "falcon.asgi.App": "Falcon", "socketio.ASGIApp": "Socket.IO", "esmerald.Esmerald": "Esmerald", "ravyn.Ravyn": "Ravyn",
    "connexion.AsyncApp": "Connexion", "sanic.Sanic": "Sanic", "asgiref.wsgi.WsgiToAsgi": "WSGI by asgiref",
    "channels.routing.ProtocolTypeRouter": "Channels", "django.core.asgi.get_asgi_application": "Django",
    "strawberry.asgi.GraphQL": "Strawberry", "ariadne.asgi.GraphQL": "Ariadne", "a2wsgi.WSGIMiddleware": "WSGI by a2wsgi",
}  # fmt: skip
LAST = {full.rpartition(".")[2]: full for full in CLASSES}
WSGI = {
    "flask.Flask": "Flask",
    "bottle.Bottle": "Bottle",
    "falcon.App": "Falcon",
    "pyramid.config.Configurator": "Pyramid",
    "dash.Dash": "Dash",
}


@dataclass(frozen=True)
class Made:
    """A name of a module that is an app, or a function that makes one."""

    module: Module
    name: str
    framework: str
    node: ast.AST
    factory: bool = False

    @property
    def text(self) -> str:
        """The import string."""
        return f"{self.module.name}:{self.name}"


def wsgi_only(code: Code) -> str:
    """Where a project makes an app of WSGI, for a refusal; empty where it does not."""
    for module in code.modules.values():
        for node in module.calls:
            if kind := WSGI.get(full_name(module, callee(node))):
                return f"{where(module, node)} makes an app of {kind}"
    return ""


def full_name(module: Module, name: str) -> str:
    head, _sign, rest = name.partition(".")
    target = module.imports.get(head, "")
    return f"{target}.{rest}" if rest and target else target


def framework_of(module: Module, call: ast.Call, own: Mapping[str, str]) -> str:
    """The framework whose app a call makes; empty for any other call."""
    name = callee(call)
    if name in own:
        return own[name]
    full = full_name(module, name)
    if full in own:
        return own[full]
    return CLASSES.get(full) or (_by_last(full) if "." in full else "")


def _by_last(full: str) -> str:
    """A class that is imported from another module of its own package: ``fastapi.applications.FastAPI``."""
    known = LAST.get(full.rpartition(".")[2], "")
    return CLASSES[known] if known and known.partition(".")[0] == full.partition(".")[0] else ""


def _own_classes(code: Code) -> dict[str, str]:
    """Classes of the project that are apps, by their full names."""
    found: dict[str, str] = {}
    for _round in range(2):
        for module in code.modules.values():
            for name, node in module.classes.items():
                for base in map(name_of, node.bases):
                    full = full_name(module, base)
                    kind = (
                        CLASSES.get(full)
                        or _by_last(full)
                        or found.get(full)
                        or found.get(f"{module.name}.{base}")
                    )
                    if kind:
                        found[f"{module.name}.{name}"] = kind
    return found


def made_in(code: Code) -> Iterator[Made]:
    own = _own_classes(code)
    makers: dict[tuple[str, str], str] = {}
    for module in code.modules.values():
        known = {
            **own,
            **{
                name: own[f"{module.name}.{name}"]
                for name in module.classes
                if f"{module.name}.{name}" in own
            },
        }
        for name, function in module.functions.items():
            if kind := _makes(module, function, known):
                makers[module.path, name] = kind
    for module in code.modules.values():
        known = {
            **own,
            **{
                name: own[f"{module.name}.{name}"]
                for name in module.classes
                if f"{module.name}.{name}" in own
            },
        }
        called = set()
        for name, value in module.assigned.items():
            if not isinstance(value, ast.Call):
                continue
            kind = framework_of(module, value, known)
            if not kind and (at := code.resolve(module, callee(value))):
                kind = makers.get((at[0].path, at[1]), "")
                called.add(at[1])
            if not kind and any(isinstance(each, ast.Name) and each.id == name for each in value.args):
                # A middleware around the app of the same name.
                kind = "ASGI"
            if kind and not _inside_another(module, name):
                yield Made(module, name, kind, value)
        for name, function in module.functions.items():
            if (module.path, name) in makers and name not in called and _needs_nothing(function):
                yield Made(module, name, makers[module.path, name], function, factory=True)


def _makes(module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef, own: Mapping[str, str]) -> str:
    """The framework of the app that a function returns."""
    if isinstance(function, ast.AsyncFunctionDef):
        return ""
    returned = {
        each.value.id
        for each in ast.walk(function)
        if isinstance(each, ast.Return) and isinstance(each.value, ast.Name)
    }
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Return)
            and isinstance(node.value, ast.Call)
            and (kind := framework_of(module, node.value, own))
        ):
            return kind
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if names & returned and (kind := framework_of(module, node.value, own)):
                return kind
    annotated = name_of(function.returns) if function.returns else ""
    full = full_name(module, annotated)
    return CLASSES.get(full) or _by_last(full)


def _needs_nothing(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = function.args
    return len(given.posonlyargs) + len(given.args) <= len(given.defaults) and None not in given.kw_defaults


def _inside_another(module: Module, name: str) -> bool:
    """Whether an app is mounted into another of its module."""
    for node in module.calls:
        if callee(node).rpartition(".")[2] in ("mount", "Mount", "ASGIApp", "include_app"):
            given = [*node.args, *(word.value for word in node.keywords)]
            if any(isinstance(each, ast.Name) and each.id == name for each in given) and not callee(
                node
            ).startswith(f"{name}."):
                return True
    return False

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which object of a project is its app: by the commands that serve it, by its settings, and by its code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .code import Code, Module, callee, dotted, name_of, where
from .project import joined, parent
from .ways import Ways

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
NAMES = ("app", "application", "asgi_app", "asgi", "api", "main_app", "server")
FILES = ("main", "asgi", "app", "server", "api", "application", "__init__", "web", "wsgi")


@dataclass(frozen=True)
class Entry:
    """An app: its import string, seen from ``app_dir``, and why it is thought to be the one."""

    app: str
    app_dir: str
    framework: str
    why: str
    path: str
    factory: bool = False
    settings: str = ""
    """Django's settings module."""
    others: tuple[str, ...] = ()


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


def find(code: Code, ways: Ways, project_table: Mapping[str, Any]) -> Entry | None:
    """The app; None where nothing looks like one."""
    made = list(_made(code))
    # What the code makes decides between what several files say.
    return (
        _by_table(code, project_table, made)
        or _by_command(code, ways, made)
        or _by_run(code, made)
        or _django(code)
        or _by_code(code, made)
    )


def wsgi_only(code: Code) -> str:
    """Where a project makes an app of WSGI, for a refusal; empty where it does not."""
    for module in code.modules.values():
        for node in module.calls:
            if kind := WSGI.get(_full(module, callee(node))):
                return f"{where(module, node)} makes an app of {kind}"
    return ""


def _full(module: Module, name: str) -> str:
    head, _, rest = name.partition(".")
    target = module.imports.get(head, "")
    return f"{target}.{rest}" if rest and target else target


def framework_of(module: Module, call: ast.Call, own: Mapping[str, str]) -> str:
    """The framework whose app a call makes; empty for any other call."""
    name = callee(call)
    if name in own:
        return own[name]
    full = _full(module, name)
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
    for _ in range(2):
        for module in code.modules.values():
            for name, node in module.classes.items():
                for base in map(name_of, node.bases):
                    full = _full(module, base)
                    kind = (
                        CLASSES.get(full)
                        or _by_last(full)
                        or found.get(full)
                        or found.get(f"{module.name}.{base}")
                    )
                    if kind:
                        found[f"{module.name}.{name}"] = kind
    return found


def _made(code: Code) -> Iterator[Made]:
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
    full = _full(module, annotated)
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


def _entry(
    code: Code, text: str, why: str, made: list[Made], *, app_dir: str = "", factory: bool = False
) -> Entry | None:
    """An import string as something names it, if the project has its module."""
    module, _, attribute = text.partition(":")
    path = code.find(module, app_dir or None)
    if not path:
        return None
    root = (
        path.removesuffix(".py").removesuffix("/__init__").removesuffix(module.replace(".", "/")).rstrip("/")
    )
    own = code.modules.get(path)
    if own and root and own.root != root and code.imported(own.name) and not code.imported(module):
        # The name is told from inside of a package, whose modules are imported by its name.
        root, text = own.root, f"{own.name}:{attribute}"
    known = next(
        (each for each in made if each.module.path == path and each.name == attribute.partition("(")[0]), None
    )
    factory = (factory or bool(known and known.factory)) and "(" not in attribute
    settings = settings_named(code, path)
    kind = known.framework if known else "ASGI"
    return Entry(
        text,
        root,
        "Django" if settings and kind in ("ASGI", "Channels") else kind,
        why,
        path,
        factory,
        settings,
    )


def _by_table(code: Code, table: Mapping[str, Any], made: list[Made]) -> Entry | None:
    tool = table.get("tool") if isinstance(table.get("tool"), dict) else {}
    text = (
        tool.get("fastapi", {}).get("entrypoint")
        if isinstance(tool, dict) and isinstance(tool.get("fastapi"), dict)
        else None
    )
    return _entry(code, str(text), "pyproject.toml: [tool.fastapi] entrypoint", made) if text else None


def _by_command(code: Code, ways: Ways, made: list[Made]) -> Entry | None:
    for command, said in ways.servers():
        why = f"{command.where} runs {command.program}"
        if said.path and (found := _by_file(code, said.path, why, made)):
            return found
        if (
            said.entry
            and not said.wsgi
            and (
                found := _entry(
                    code, said.entry, why, made, app_dir=_folder(code, said.app_dir), factory=said.factory
                )
            )
        ):
            return found
    for name in ("LITESTAR_APP", "QUART_APP", "UVICORN_APP"):
        if name in ways.environment:
            given = ways.environment[name]
            text = given.value if ":" in given.value else f"{given.value}:app"
            if found := _entry(code, text, f"{given.where}: {name}", made):
                return found
    for command in ways.commands:
        if command.program.startswith("python") and command.words[-1].endswith(".py"):
            path = command.words[-1].removeprefix("./").rpartition("/")[2]
            names = [module for module in code.modules if module == path or module.endswith(f"/{path}")]
            if names and (found := _by_file(code, names[0], f"{command.where} runs {path}", made)):
                return found
    return None


def _folder(code: Code, given: str) -> str:
    """A folder of the image as one of the project."""
    parts = given.strip("/").split("/")
    return next(
        (tail for start in range(len(parts)) if (tail := joined(*parts[start:])) in code.project.folders), ""
    )


def _by_file(code: Code, path: str, why: str, made: list[Made]) -> Entry | None:
    found = [each for each in made if each.module.path == path or each.module.path.endswith(f"/{path}")]
    best = min(found, key=_rank, default=None)
    return _of_made(code, best, why) if best else None


def _by_run(code: Code, made: list[Made]) -> Entry | None:
    """What a script of the project gives to ``uvicorn.run``."""
    for module in sorted(code.modules.values(), key=lambda each: each.path.count("/")):
        for node in module.calls:
            if _full(module, callee(node)) not in ("uvicorn.run", "hypercorn.run"):
                continue
            words = {word.arg: word.value for word in node.keywords if word.arg}
            target = node.args[0] if node.args else words.get("app")
            factory = isinstance(words.get("factory"), ast.Constant) and bool(
                getattr(words["factory"], "value", False)
            )
            why = f"{where(module, node)}: {callee(node)}"
            text = code.text(target, module)
            if text and ":" in text and (found := _entry(code, text, why, made, factory=factory)):
                return found
            if isinstance(target, ast.Name) and (found := _by_file_name(code, module, target.id, why, made)):
                return found
    return None


def _by_file_name(code: Code, module: Module, name: str, why: str, made: list[Made]) -> Entry | None:
    at = code.resolve(module, name)
    found = [each for each in made if at and each.module.path == at[0].path and each.name == at[1]]
    return _of_made(code, found[0], why) if found else None


def settings_named(code: Code, path: str) -> str:
    """The settings module that a file names by DJANGO_SETTINGS_MODULE."""
    module = code.modules.get(path)
    if module is None:
        return ""
    for node in module.nodes:
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "DJANGO_SETTINGS_MODULE":
                    return code.text(value, module) or ""
        elif isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(node.args[0], ast.Constant):
            if node.args[0].value == "DJANGO_SETTINGS_MODULE":
                return code.text(node.args[1], module) or ""
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            key = node.targets[0].slice
            if isinstance(key, ast.Constant) and key.value == "DJANGO_SETTINGS_MODULE":
                return code.text(node.value, module) or ""
    return ""


def _django(code: Code) -> Entry | None:
    """A Django project: by ASGI_APPLICATION, by its asgi.py, or by its settings where it has none."""
    manage = next(
        (
            path
            for path in code.project.named(r"manage\.py")
            if path in code.modules and settings_named(code, path)
        ),
        "",
    )
    for module in sorted(code.modules.values(), key=lambda each: each.path.count("/")):
        text = code.text(module.assigned.get("ASGI_APPLICATION"), module)
        name, _, attribute = (text or "").rpartition(".")
        path = code.find(name, module.root) if name else ""
        if path:
            root = (
                path.removesuffix(".py")
                .removesuffix("/__init__")
                .removesuffix(name.replace(".", "/"))
                .rstrip("/")
            )
            why = f"{where(module, module.assigned['ASGI_APPLICATION'])}: ASGI_APPLICATION"
            if whole := _setup_beside(code, path):
                # What ASGI_APPLICATION names is found by Channels, once Django is set up.
                return Entry(
                    f"{whole.name}:application",
                    whole.root,
                    "Django",
                    f"{whole.path} sets up Django, and finds {text}",
                    whole.path,
                    settings=settings_named(code, whole.path),
                )
            return Entry(
                f"{name}:{attribute}",
                root,
                "Django",
                why,
                path,
                settings=settings_named(code, path) or settings_named(code, manage),
            )
    for path in code.project.named(r"asgi\.py"):
        own = code.modules.get(path)
        if own and "application" in own.assigned and (settings := settings_named(code, path)):
            return Entry(
                f"{own.name}:application", own.root, "Django", f"{path} makes it", path, settings=settings
            )
    if manage:
        settings = settings_named(code, manage)
        root = code.modules[manage].root if code.find(settings, parent(manage)) == "" else parent(manage)
        why = f"{manage} is Django's, and the project has no asgi.py"
        return Entry(
            "django.core.asgi:get_asgi_application()", root, "Django", why, manage, settings=settings
        )
    return None


def _setup_beside(code: Code, path: str) -> Module | None:
    """The asgi.py of a project with old Channels, beside the module of its routes."""
    for each in code.project.named(r"asgi\.py"):
        module = code.modules.get(each)
        if (
            module
            and each != path
            and "get_default_application" in module.imports
            and "application" in module.assigned
        ):
            return module
    return None


def _rank(made: Made) -> tuple[int, ...]:
    stem = made.module.path.rpartition("/")[2].removesuffix(".py")
    return (
        int(made.factory),
        FILES.index(stem) if stem in FILES else len(FILES),
        NAMES.index(made.name) if made.name in NAMES else len(NAMES),
        made.module.path.count("/"),
    )


def _by_code(code: Code, made: list[Made]) -> Entry | None:
    made = [
        each
        for each in made
        if not re.search(r"(?:^|/)(?:scripts?|utils?|tools?|cli|bin)/", each.module.path) or len(made) == 1
    ]
    if not made:
        return None
    best, *rest = sorted(made, key=_rank)
    found = _of_made(code, best, f"{where(best.module, best.node)} makes it")
    others = tuple(each.text for each in rest if each.text != best.text and not each.factory)[:3]
    return Entry(**{**found.__dict__, "others": others})


def _of_made(code: Code, made: Made, why: str) -> Entry:
    path, root = made.module.path, made.module.root
    settings = settings_named(code, path)
    framework = "Django" if settings and made.framework in ("Django", "Channels", "ASGI") else made.framework
    return Entry(f"{dotted(path, root)}:{made.name}", root, framework, why, path, made.factory, settings)

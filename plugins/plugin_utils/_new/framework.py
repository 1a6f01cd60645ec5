# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which object of a project is its app: by the commands that serve it, by its settings, and by its code."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .code import Code, Module, callee, dotted, where
from .made import Made, full_name, made_in
from .project import joined, parent
from .ways import Ways

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


def find(code: Code, ways: Ways, project_table: Mapping[str, Any]) -> Entry | None:
    """The app; None where nothing looks like one."""
    made = list(made_in(code))
    # What the code makes decides between what several files say.
    return (
        _by_table(code, project_table, made)
        or _by_command(code, ways, made)
        or _by_run(code, made)
        or _django(code)
        or _by_code(code, made)
    )


def _entry(
    code: Code, text: str, why: str, made: list[Made], *, app_dir: str = "", factory: bool = False
) -> Entry | None:
    """An import string as something names it, if the project has its module."""
    module, _sign, attribute = text.partition(":")
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
            if full_name(module, callee(node)) not in ("uvicorn.run", "hypercorn.run"):
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
        name, _sign, attribute = (text or "").rpartition(".")
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

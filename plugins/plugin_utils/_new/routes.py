# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixed paths that an app answers, as its code says them; and of those the one that tells whether it is well."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .code import Code, Module, callee, name_of, where
from .framework import Entry
from .ways import Said

HEALTHY = re.compile(
    r"/(?:[\w.-]+/)*_{0,2}(?:"
    r"health(?:z|check|-check|_check|checks)?|healthiness|livez?|liveness|ready|readyz|readiness|ping|"
    r"heartbeat|alive|lb-?heartbeat|status|up|ht"
    r")_{0,2}/?",
    re.IGNORECASE,
)
# Of several paths, the one that says most.
ORDER = (
    "healthz",
    "health",
    "healthcheck",
    "health-check",
    "livez",
    "live",
    "heartbeat",
    "ping",
    "alive",
    "up",
    "ready",
    "readyz",
    "status",
)
INCLUDES = ("include_router", "register_blueprint", "mount")
VERBS = ("get", "route", "api_route", "head", "add_api_route", "add_route", "Route", "add_url_rule")


@dataclass(frozen=True)
class Route:
    """One path, and whether its whole prefix is known."""

    path: str
    where: str
    whole: bool


def health(routes: list[Route]) -> Said | None:
    """The path of a health check among the routes; None where none looks like one."""
    found = [route for route in routes if route.whole and HEALTHY.fullmatch(route.path)]

    def rank(route: Route) -> tuple[int, int]:
        last = route.path.strip("/_").rpartition("/")[2].strip("_").lower()
        return (ORDER.index(last) if last in ORDER else len(ORDER), route.path.count("/"))

    best = min(found, key=rank, default=None)
    return Said(best.path, best.where) if best else None


def read(code: Code, entry: Entry) -> list[Route]:
    """The routes of the app: those that it has itself, and those of routers with known prefixes."""
    prefixes = _prefixes(code, entry)
    found: list[Route] = []
    for module in code.modules.values():
        for owner, text, node in _routes(code, module):
            known = prefixes.get((module.path, owner))
            if known is None:
                found.append(Route(text, where(module, node), whole=False))
            else:
                found += [Route(_join(prefix, text), where(module, node), whole=True) for prefix in known]
    return [route for route in found if re.fullmatch(r"/[\w./-]*", route.path)]


def _join(prefix: str, text: str) -> str:
    whole = f"{prefix.rstrip('/')}/{text.lstrip('/')}" if text else prefix
    return whole if whole.startswith("/") else f"/{whole}"


def _routes(code: Code, module: Module) -> Iterator[tuple[str, str, ast.AST]]:
    """Owner, path and place of each route of a module; the owner of a bare ``@get`` or ``Route`` is empty."""
    controllers = _controllers(code, module)
    inside = {id(each): path for node, path in controllers for each in ast.walk(node)}
    for node in module.calls:
        owner, _sign, verb = callee(node).rpartition(".")
        if verb not in VERBS or (not owner and verb not in ("Route", "get")):
            continue
        given = (
            node.args[0]
            if node.args
            else next((word.value for word in node.keywords if word.arg in ("path", "paths", "rule")), None)
        )
        texts = (
            [code.text(each, module) for each in given.elts]
            if isinstance(given, (ast.List, ast.Tuple))
            else [code.text(given, module)]
        )
        if given is None and not owner:
            texts = [""]
        for text in texts:
            if text is not None and (not text or text.startswith("/") or not owner):
                yield owner, _join(inside.get(id(node), ""), text) if not owner else text, node


def spoken(code: Code, entry: Entry) -> Said | None:
    """A path of health that the app's own file has as a plain string: of a middleware, for instance."""
    module = code.modules.get(entry.path)
    for node in module.nodes if module else ():
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and len(node.value) > 2
            and HEALTHY.fullmatch(node.value)
        ):
            return Said(node.value, f"{entry.path}:{node.lineno}")
    return None


def _controllers(code: Code, module: Module) -> list[tuple[ast.ClassDef, str]]:
    """Litestar's controllers, with their path."""
    found = []
    for node in module.classes.values():
        for each in node.body:
            if isinstance(each, (ast.Assign, ast.AnnAssign)):
                target = each.targets[0] if isinstance(each, ast.Assign) else each.target
                if name_of(target) == "path" and each.value is not None:
                    found.append((node, code.text(each.value, module) or ""))
    return found


def _prefixes(code: Code, entry: Entry) -> dict[tuple[str, str], list[str]]:
    """The prefixes of each router, by the file and the name that it has there; the app's own is empty."""
    start = code.modules.get(entry.path)
    if start is None:
        return {}
    apps = _names_of_app(start, entry)
    found: dict[tuple[str, str], list[str]] = {(start.path, name): [""] for name in apps}
    # Handlers without an owner: Litestar's, and Route of Starlette, whose lists are given to the app.
    for module in code.modules.values():
        found[module.path, ""] = [""]
        for name in apps | {"app", "application"}:
            if module.imports.get(name):
                at = code.resolve(module, name)
                if at and at[0].path == start.path and at[1] in apps:
                    found[module.path, name] = [""]
    _factories(code, start, found)
    including = [
        (module, calls)
        for module in code.modules.values()
        if (calls := [node for node in module.calls if callee(node).rpartition(".")[2] in INCLUDES])
    ]
    for _round in range(6):
        before = sum(map(len, found.values()))
        for module, calls in including:
            _included(code, module, calls, found)
        if before == sum(map(len, found.values())):
            break
    return found


def _names_of_app(module: Module, entry: Entry) -> set[str]:
    """What the app is called in its own file, in a factory as well."""
    names = {entry.app.partition(":")[2].partition("(")[0], "app", "application"}
    for function in module.functions.values():
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Name):
                names.add(node.value.id)
    return names


def _factories(code: Code, start: Module, found: dict[tuple[str, str], list[str]]) -> None:
    """Functions of other files that make the app, or get it to add routes: ``include_routers(app)``."""
    for node in start.calls:
        at = code.resolve(start, callee(node)) if callee(node) else None
        function = at[0].functions.get(at[1]) if at else None
        if at is None or function is None:
            continue
        for given, argument in zip(node.args, function.args.args, strict=False):
            if isinstance(given, ast.Name) and (start.path, given.id) in found:
                found[at[0].path, argument.arg] = [""]
        for inner in ast.walk(function):
            if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Name):
                found.setdefault((at[0].path, inner.value.id), [""])
        for word in node.keywords:
            router = code.resolve(start, name_of(word.value)) if name_of(word.value) else None
            if router and word.arg:
                for inner in ast.walk(function):
                    if (
                        isinstance(inner, ast.Call)
                        and callee(inner).endswith(".include_router")
                        and inner.args
                        and name_of(inner.args[0]) == word.arg
                    ):
                        found.setdefault(
                            (router[0].path, router[1]), [_own_prefix(code, router[0], router[1])]
                        )


def _included(
    code: Code, module: Module, calls: list[ast.Call], found: dict[tuple[str, str], list[str]]
) -> None:
    for node in calls:
        owner, _sign, verb = callee(node).rpartition(".")
        if not node.args or (module.path, owner) not in found:
            continue
        words = {word.arg: word.value for word in node.keywords}
        target = (
            words.get("app") or (node.args[1] if len(node.args) > 1 else None)
            if verb == "mount"
            else node.args[0]
        )
        if target is None:
            continue
        name = name_of(target)
        at = code.resolve(module, name) if name else None
        if at is None:
            continue
        extra = node.args[0] if verb == "mount" else words.get("prefix", words.get("url_prefix"))
        text = code.text(extra, module) if extra is not None else ""
        if text is None:
            continue
        own = _own_prefix(code, at[0], at[1])
        place = found.setdefault((at[0].path, at[1]), [])
        for above in found[module.path, owner][:4]:
            whole = above + (text or "") + own
            if whole not in place and len(place) < 4:
                place.append(whole)


def _own_prefix(code: Code, module: Module, name: str) -> str:
    made = module.assigned.get(name)
    if isinstance(made, ast.Call):
        for word in made.keywords:
            if word.arg in ("prefix", "url_prefix"):
                return code.text(word.value, module) or ""
    return ""


def openapi(code: Code, entry: Entry) -> Said | None:
    """Where a FastAPI app shows its schema, which every one has unless it says otherwise."""
    for module in _of_entry(code, entry):
        for node in module.calls:
            if callee(node).rpartition(".")[2] == "FastAPI":
                if any(word.arg is None for word in node.keywords):
                    return None
                given = next((word.value for word in node.keywords if word.arg == "openapi_url"), None)
                if given is None:
                    return Said("/openapi.json", f"{where(module, node)}: the schema, which is always there")
                text = code.text(given, module)
                return (
                    Said(text, f"{where(module, node)}: openapi_url")
                    if text and text.startswith("/")
                    else None
                )
    return None


def _of_entry(code: Code, entry: Entry) -> Iterator[Module]:
    start = code.modules.get(entry.path)
    if start is None:
        return
    yield start
    for name in start.imports:
        at = code.resolve(start, name)
        if at and at[0].path != start.path:
            yield at[0]


def static(code: Code, entry: Entry) -> list[tuple[str, str, str]]:
    """Mounts of StaticFiles: URL, folder as the code names it, and where."""
    found = []
    for module in _of_entry(code, entry):
        for node in module.calls:
            if callee(node).rpartition(".")[2] in ("mount", "Mount") and len(node.args) > 0:
                url = code.text(node.args[0], module)
                inner = next(
                    (
                        each
                        for each in ast.walk(node)
                        if isinstance(each, ast.Call) and callee(each).rpartition(".")[2] == "StaticFiles"
                    ),
                    None,
                )
                if not url or inner is None or url.strip("/") == "":
                    continue
                folder = next(
                    (word.value for word in inner.keywords if word.arg == "directory"),
                    inner.args[0] if inner.args else None,
                )
                text = code.text(folder, module)
                if text and not text.startswith("/"):
                    found.append((url, text.removeprefix("./"), where(module, node)))
    return found

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Dockerfile and a compose file say of the app: packages, Python, commands, variables, folders that are kept."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import commands
from .project import Project, joined, parent
from .ways import SERVICES, Said, Ways, items, mapping, path_of_url

DEVELOPMENT = re.compile(
    r"dev|test|template|override|local|ci\b|debug|e2e|infra|example|portainer|-ha\b", re.IGNORECASE
)
INSTALL = re.compile(r"(?:apt-get|apt|aptitude)\s+(?:-\S+\s+)*install\b(.*)", re.DOTALL)
# Of images alone: settings of tools that a host does not have, or has by itself.
OF_IMAGES = re.compile(
    r"(?:PYTHON|UV_|PIP_|POETRY|PIPENV|PDM_|VIRTUAL_ENV|PATH$|LANG$|LC_|DEBIAN_FRONTEND|HOME$|PORT$|HOST$|TZ$|NODE_|NPM_|WEB_CONCURRENCY|"
    r"GUNICORN_|S6_|UVICORN_|UWSGI_|GIT_|APP_HOME|VENV|TERM$|LD_LIBRARY_PATH|USER$|UID$|GID$|PUID|PGID|STATE_DIRECTORY|LISTEN_)"
)


@dataclass
class Stage:
    """One stage of a Dockerfile."""

    name: str
    base: str
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    """Instruction, its text, and where it stands."""


def read(project: Project) -> Ways:
    """What the Dockerfile and the compose file of the app say together; the compose file's word goes first."""
    found = Ways()
    compose = _compose_file(project)
    services = _services(project, compose)
    web = _web(services, project)
    dockerfile, target = _dockerfile(project, compose, services.get(web, {}))
    found.names = set(services)
    if web:
        _read_compose(project, compose, services, web, found, dockerfile)
    if dockerfile:
        _read_dockerfile(project, dockerfile, target, found)
    return found


def _compose_file(project: Project) -> str:
    names = project.named(r"(?:docker-)?compose[\w.-]*\.ya?ml", r"[\w.-]*-compose\.ya?ml")
    names = [
        name
        for name in names
        if not name.startswith(".") and "/." not in name and isinstance(project.yaml(name), dict)
    ]
    return min(
        names, key=lambda name: (bool(DEVELOPMENT.search(name)), name.count("/"), len(name)), default=""
    )


def _services(project: Project, compose: str) -> dict[str, dict[str, Any]]:
    found = mapping(mapping(project.yaml(compose)).get("services")) if compose else {}
    return {str(name): each for name, each in found.items() if isinstance(each, dict)}


def _web(services: Mapping[str, Mapping[str, Any]], project: Project) -> str:
    """The service that is the app: built here, and serving."""

    def score(name: str) -> int:
        each = services[name]
        calls = _calls(each, "", project)
        image = str(each.get("image") or "")
        number = 4 if any(call.serves for call in calls) else 0
        number += 2 if each.get("build") else 0
        number += 1 if each.get("ports") or each.get("expose") or each.get("labels") else 0
        number += 1 if re.search(r"web|api|app|backend|server|django|fastapi", name) else 0
        number -= (
            9
            if any(part in image for part in (*SERVICES, "nginx", "traefik", "caddy", "adminer", "node"))
            else 0
        )
        number -= (
            4
            if re.search(r"front|nginx|proxy|worker|celery|beat|migrat|prestart|test|docs|vite|node", name)
            else 0
        )
        return number

    best = max(services, key=score, default="")
    return best if best and score(best) > 0 else ""


def _calls(service: Mapping[str, Any], where: str, project: Project) -> list[commands.Command]:
    given = service.get("command") or service.get("entrypoint")
    if isinstance(given, list):
        return commands.of_words([_filled(str(word)) for word in given], where, project)
    return commands.split(_filled(str(given)), where, project) if given else []


def _filled(text: str) -> str:
    """Compose's own variables: what has a default is filled in, what has none is left to the shell."""
    text = re.sub(r"\$\{(\w+):?-([^}]*)\}", r"\2", text)
    return re.sub(r"\$\{(\w+)(?::?\?[^}]*)?\}", r"$\1", text).replace("$$", "$")


def _dockerfile(project: Project, compose: str, service: Mapping[str, Any]) -> tuple[str, str]:
    build = service.get("build")
    folder = parent(compose)
    if isinstance(build, str):
        build = {"context": build}
    if isinstance(build, dict):
        context = joined(folder, str(build.get("context") or "."))
        path = joined(context, _filled(str(build.get("dockerfile") or "Dockerfile")))
        if project.has(path):
            return path, str(build.get("target") or "")
    names = project.named(r"(?:Docker|Container)file(?:[.-][\w.-]+)?", r"[\w-]+\.(?:Docker|docker)file")
    names = [name for name in names if not name.startswith(".") and "/." not in name]
    pythonic = [name for name in names if re.search(r"\b(?:pip|uv|poetry|pdm|python)\b", project.text(name))]
    return min(
        pythonic,
        key=lambda name: (bool(DEVELOPMENT.search(name)), "alpine" in name, name.count("/"), len(name)),
        default="",
    ), ""


def _pairs(given: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(given, dict):
        yield from ((str(name), value) for name, value in given.items())
    elif isinstance(given, list):
        for each in given:
            name, _sign, value = str(each).partition("=")
            yield name, value


def _read_compose(
    project: Project,
    compose: str,
    services: Mapping[str, Mapping[str, Any]],
    web: str,
    found: Ways,
    dockerfile: str,
) -> None:
    service, where = services[web], f"{compose}: {web}"
    found.commands += _calls(service, where, project)
    for name, value in _pairs(service.get("environment")):
        found.variable(name, _filled(str("" if value is None else value)), where)
    test = mapping(service.get("healthcheck")).get("test")
    asked = path_of_url(" ".join(map(str, test)) if isinstance(test, list) else str(test or ""))
    if asked:
        found.health.append(Said(asked, f"{where}: healthcheck"))
    for name, each in services.items():
        image = str(each.get("image") or "").partition(":")[0].rpartition("/")[2]
        kind = next((SERVICES[part] for part in SERVICES if part in image), "")
        if kind:
            found.services.setdefault(kind, f"{compose}: {name}")
        elif (
            name != web
            and _same_image(service, each)
            and (calls := _calls(each, f"{compose}: {name}", project))
        ):
            _other(name, calls, f"{compose}: {name}", found)
    _kept(project, compose, items(service.get("volumes")), dockerfile, where, found)


def _same_image(web: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    build, image = other.get("build"), other.get("image")
    return bool(
        (build and build == web.get("build"))
        or (image and image == web.get("image"))
        or _context(web) == _context(other) != ""
    )


def _context(service: Mapping[str, Any]) -> str:
    build = service.get("build")
    return str(build.get("context") or "") if isinstance(build, dict) else str(build or "")


def _other(name: str, calls: list[commands.Command], where: str, found: Ways) -> None:
    if any(call.migrates for call in calls) or re.search(r"migrat|prestart|init\b|setup", name):
        found.once += [Said(call, where) for call in calls if call.program not in ("set", "echo", "cd")]
    elif not any(call.serves for call in calls) and not re.search(
        r"test|shell|lint|superuser|seed|create|flower", name
    ):
        found.processes[name] = Said(calls[-1], where)


def _kept(
    project: Project, compose: str, volumes: list[Any], dockerfile: str, where: str, found: Ways
) -> None:
    """Folders inside the image's own that a volume keeps; binds of the source itself are for development."""
    workdir = _workdir(project, dockerfile)
    for each in volumes:
        if isinstance(each, dict):
            host, inside = str(each.get("source") or ""), str(each.get("target") or "")
        else:
            host, _sign, inside = _filled(str(each)).partition(":")
            inside = inside.partition(":")[0]
        source = joined(parent(compose), host) if host.startswith(".") else ""
        inside_image = workdir and inside.startswith(f"{workdir}/") and "$" not in inside
        if not inside_image or (source and (source in project.folders or project.has(source))):
            continue
        path = joined(inside.removeprefix(f"{workdir}/"))
        if path and not path.startswith((".", "node_modules")):
            found.kept[path] = f"{where}: volumes"


def _workdir(project: Project, dockerfile: str) -> str:
    found = re.findall(r"^WORKDIR\s+(/\S+)", project.text(dockerfile), re.MULTILINE | re.IGNORECASE)
    return found[-1].rstrip("/") if found else ""


def stages(text: str, path: str) -> list[Stage]:
    """The stages of a Dockerfile, each with its instructions."""
    found: list[Stage] = []
    for number, line in _logical(text):
        word, _sign, rest = line.partition(" ")
        word, rest = word.upper(), rest.strip()
        if word == "FROM":
            parts = [part for part in rest.split() if not part.startswith("--")]
            name = parts[2] if len(parts) > 2 and parts[1].lower() == "as" else ""
            found.append(Stage(name.lower(), parts[0] if parts else "", []))
        elif found:
            found[-1].lines.append((word, rest, f"{path}:{number}"))
    return found


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that they go on in, without comments; heredocs follow their instruction."""
    lines, number = text.splitlines(), 0
    while number < len(lines):
        first, line = number + 1, lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\") and number < len(lines):
            more = lines[number].strip()
            number += 1
            line = line[:-1] + ("\\" if more.startswith("#") or not more else f" {more}")
        if match := re.match(r"RUN\b.*<<-?['\"]?(\w+)", line):
            body = []
            while number < len(lines) and lines[number].strip() != match.group(1):
                body.append(lines[number])
                number += 1
            number += 1
            line = "RUN " + "\n".join(body)
        yield first, line.rstrip("\\")


def _read_dockerfile(project: Project, path: str, target: str, found: Ways) -> None:
    text = project.text(path)
    every = stages(text, path)
    if not every:
        return
    last = next((stage for stage in every if target and stage.name == target.lower()), None) or _runtime(
        every
    )
    arguments = dict(re.findall(r"^ARG\s+(\w+)=\"?([^\s\"]+)", text, re.MULTILINE))
    chain = _chain(every, last)
    for stage in chain:
        _read_stage(project, stage, arguments, found)
    for stage in every:
        base = _replaced(stage.base, arguments)
        if stage in chain and (match := re.match(r"(?:.*/)?(?:python|uv):(?:python)?(\d\.\d+)", base)):
            found.python = found.python or Said(match.group(1), f"{path}: FROM {base}")
    for stage in every:
        _installed_parts(stage, found)


def _runtime(every: list[Stage]) -> Stage:
    """The stage that serves: the last with a command, and before those that only add to it."""
    serving = [
        stage for stage in every if any(word in ("CMD", "ENTRYPOINT") for word, _text, _where in stage.lines)
    ]
    return serving[-1] if serving else every[-1]


def _chain(every: list[Stage], last: Stage) -> list[Stage]:
    """The stages that a stage is built upon, itself the first."""
    found, by_name = [last], {stage.name: stage for stage in every if stage.name}
    while (below := by_name.get(found[-1].base.lower())) and below not in found:
        found.append(below)
    return found


def _replaced(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)(?::-[^}]*)?\}?", lambda match: values.get(match.group(1), ""), text)


def _read_stage(project: Project, stage: Stage, arguments: Mapping[str, str], found: Ways) -> None:
    given = {word: (rest, where) for word, rest, where in stage.lines if word in ("ENTRYPOINT", "CMD")}
    for word in ("CMD", "ENTRYPOINT"):
        if word in given:
            found.commands += _form(*given[word], project)
    for word, rest, where in stage.lines:
        if word == "ENV":
            for name, value in _env(rest):
                filled = re.sub(r"^\$\{?(\w+)\}?$", lambda match: arguments.get(match.group(1), "$"), value)
                if not OF_IMAGES.match(name) and "$" not in filled:
                    found.variable(name, filled, where)
        elif word == "RUN":
            _packages(rest, where, found)
        elif word == "HEALTHCHECK" and (asked := path_of_url(rest)):
            found.health.append(Said(asked, where))
        elif word == "VOLUME":
            workdir = next((text for name, text, _where in reversed(stage.lines) if name == "WORKDIR"), "")
            for folder in re.findall(r"/[\w./-]+", rest):
                if workdir and folder.startswith(f"{workdir.rstrip('/')}/"):
                    found.kept.setdefault(folder.removeprefix(workdir.rstrip("/")).strip("/"), where)


def _form(rest: str, where: str, project: Project) -> list[commands.Command]:
    if rest.startswith("["):
        try:
            return commands.of_words(json.loads(rest), where, project)
        except (ValueError, TypeError):
            return []
    return commands.split(rest, where, project)


def _env(rest: str) -> Iterator[tuple[str, str]]:
    try:
        words = shlex.split(rest)
    except ValueError:
        return
    if words and "=" not in words[0]:
        yield words[0], " ".join(words[1:])
        return
    for word in words:
        name, _sign, value = word.partition("=")
        yield name, value


def _packages(rest: str, where: str, found: Ways) -> None:
    """Debian packages of a RUN line; a list in a shell variable is looked up in the line itself."""
    own = {name: re.sub(r"\s+", " ", value) for name, value in re.findall(r"(\w+)=\"([^\"]*)\"", rest)}
    purged = " ".join(re.findall(r"(?:apt-get|apt)\s+[^&;]*\b(?:purge|remove|autoremove)\b([^&;]*)", rest))
    for part in re.split(r"&&|;|\n", re.sub(r"`[^`]*`", "", rest)):
        if match := INSTALL.search(part):
            for word in _replaced(match.group(1), own).split():
                if (
                    re.fullmatch(r"[a-z0-9][a-z0-9.+-]*[a-z0-9.+](?:=\S+)?", word)
                    and word not in _replaced(purged, own).split()
                ):
                    found.packages.setdefault(word.partition("=")[0], where)


def _installed_parts(stage: Stage, found: Ways) -> None:
    """Extras, groups and the file of requirements that the image installs."""
    for word, rest, where in stage.lines:
        if word != "RUN" or not re.search(r"\b(?:uv|pip|poetry|pdm)\b", rest):
            continue
        extras = re.findall(r"--extra[= ](\S+)", rest) + re.findall(r"(?:-E|--extras)[= ]\"?([\w,-]+)", rest)
        extras += re.findall(r"install[^&;]*\s[\"']?\.\[([\w,-]+)\]", rest)
        groups = re.findall(r"--(?:group|with)[= ]([\w,-]+)", rest)
        found.extras += [
            Said(name, where) for each in extras for name in each.strip("'\"").split(",") if name
        ]
        found.groups += [
            Said(name, where)
            for each in groups
            for name in each.split(",")
            if name not in ("dev", "test", "")
        ]
        files = re.findall(r"(?:-r|--requirement)[= ]?(\S+\.txt)", rest)
        if files and not found.requirements:
            found.requirements = Said(files[-1], where)

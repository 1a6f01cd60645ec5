# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a project's files say to the lines of its app in an inventory, each with its reason."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import APP_DEFAULTS
from ansible_collections.asgi.host.plugins.module_utils._apps.marks import MARK

from . import containers, dependencies, django, framework, platforms, routes, settings_names, values
from .code import Code
from .dependencies import Dependencies
from .framework import Entry
from .project import Project, joined, parent
from .ways import Said, Ways

# Variables that are named one by one although the app can do without; more are named together.
OF_NOTE = re.compile(r"URL|URI|HOST|DSN|EMAIL|SMTP|SECRET|PASSWORD|TOKEN|KEY|BUCKET|ORIGINS|DOMAIN|LOG_LEVEL|STORAGE|BACKEND", re.IGNORECASE)
NOTED, REST = 24, 40


class NewError(Exception):
    """A project of which no inventory can be written; the message names the option and the fix."""


@dataclass(frozen=True)
class Line:
    """One value with its reason; as a comment where the app can do without it."""

    value: Any
    why: str = ""
    aside: bool = False


@dataclass
class Plan:
    """``app`` holds lines, mappings and lists of lines by key; ``vault`` the secrets by the name of their variable."""

    name: str
    app: dict[str, Any]
    vault: dict[str, Line]
    notes: list[str] = field(default_factory=list)
    """What a person should know, which is no line."""
    marked: list[str] = field(default_factory=list)
    """The keys that a person must fill in."""


def make(folder: Path, *, name: str, domain: str, email: str, shown_path: str, entry_text: str = "") -> Plan:
    """The plan of a project. ``shown_path`` is how the inventory names the folder. Raises NewError."""
    return _Maker(Project(folder), name, domain, email, shown_path, entry_text).plan()


def merged(*all_ways: Ways) -> Ways:
    """What several kinds of files say; the first word counts where only one can be."""
    found = Ways()
    for ways in all_ways:
        found.commands += ways.commands
        for mine, theirs in (
            (found.processes, ways.processes), (found.environment, ways.environment), (found.secrets, ways.secrets),
            (found.packages, ways.packages), (found.kept, ways.kept), (found.services, ways.services),
        ):  # fmt: skip
            for key, value in theirs.items():
                mine.setdefault(key, value)  # type: ignore[attr-defined]
        found.once += ways.once
        found.health += ways.health
        found.extras += ways.extras
        found.groups += ways.groups
        found.python = found.python or ways.python
        found.names |= ways.names
        found.requirements = found.requirements or ways.requirements
    return found


class _Maker:
    def __init__(self, project: Project, name: str, domain: str, email: str, shown_path: str, entry_text: str) -> None:
        self.project, self.name, self.domain, self.email, self.shown_path = project, name, domain, email, shown_path
        self.code = Code(project)
        self.ways = merged(platforms.read(project), containers.read(project))
        self.entry = self._entry(entry_text)
        self.depends: Dependencies = dependencies.find(project, self.entry.app_dir, self.ways)
        self.base = self.depends.folder
        self.django = django.read(self.code, self.entry, self.ways) if self.entry.framework == "Django" else None
        self.made = Plan(name, {}, {})

    def _entry(self, text: str) -> Entry:
        table = self.project.toml("pyproject.toml")
        for path in [] if text else self.project.named(r"pyproject\.toml"):
            tool = self.project.toml(path).get("tool")
            if isinstance(tool, dict) and "fastapi" in tool:
                table = self.project.toml(path)
                break
        if text:
            self.ways.commands.clear()
            table = {"tool": {"fastapi": {"entrypoint": text}}}
        found = framework.find(self.code, self.ways, table)
        if text and found and found.app == text:
            return Entry(**{**found.__dict__, "why": "as given in entry"})
        if text:
            raise NewError(f"entry: {text!r} names no module of the project; give module:attribute such as shop.main:app")
        if found:
            return found
        if said := framework.wsgi_only(self.code):
            raise NewError(
                f"project: {said}, which is WSGI, and this role serves ASGI; wrap it in the project (from asgiref.wsgi import "
                "WsgiToAsgi; asgi = WsgiToAsgi(app)), and name that object with -e entry=MODULE:asgi"
            )
        raise NewError(
            "project: no ASGI app is in it: nothing that makes one of FastAPI, Starlette, Django, Litestar, Quart, BlackSheep or Falcon, and "
            "no command that serves one in a Dockerfile, compose file, Procfile or fly.toml; name it with -e entry=MODULE:NAME"
        )

    def inside(self, path: str) -> str:
        """A path of the project as one of the source, whose top may be a folder of it."""
        return path.removeprefix(f"{self.base}/") if self.base and path != self.base else ("" if path == self.base else path)

    @property
    def app_dir(self) -> str:
        """The folder of the import root inside the source."""
        return self.inside(self.entry.app_dir)

    def plan(self) -> Plan:
        """All lines, in the order that a person reads them."""
        app = self.made.app
        app["name"] = Line(self.name)
        others = f"; also there: {', '.join(self.entry.others)}" if self.entry.others else ""
        app["app"] = Line(self.entry.app, f"{self.entry.framework}: {self.entry.why}{others}")
        if self.entry.factory:
            app["factory"] = Line(True, "it is a function that makes the app")
        app["source"] = self._source()
        if self.app_dir:
            app["app_dir"] = Line(self.app_dir, "the folder that imports begin at")
        if self.depends.python:
            app["python"] = Line(self.depends.python.value, self.depends.python.where)
        elif self.ways.python:
            why = f"{self.ways.python.where}; without it, the host's own"
            app["python"] = Line(f'"{self.ways.python.value}"', why, aside=True)
        self._packages()
        self._site()
        self._variables()
        self._hooks()
        self._processes()
        self._folders()
        self._health()
        self._notes()
        return self.made

    def _source(self) -> dict[str, Line]:
        depends = self.depends
        path = f"{self.shown_path.rstrip('/')}/{self.base}" if self.base else self.shown_path
        found = {"path": Line(path, depends.why or "nothing in it names dependencies: list them in requirements")}
        if depends.named:
            found["requirements"] = Line(depends.named, depends.why)
        if depends.member and depends.member in str(depends.table):
            if "member" in APP_DEFAULTS["source"]:
                found["member"] = Line(depends.member, "the member of the workspace that is the app")
            else:
                self.made.notes.append(f"{self.entry.app} is of the workspace's member {depends.member}; the root's own dependencies are installed")
        known = {name for name in _keys(depends.table, "project.optional-dependencies", "tool.poetry.extras")}
        extras = {each.value: each.where for each in self.ways.extras if each.value in known}
        groups = {each.value: each.where for each in self.ways.groups if each.value in _keys(depends.table, "dependency-groups")}
        for key, given in (("extras", extras), ("groups", groups)):
            if given:
                found[key] = Line(sorted(given), f"{next(iter(given.values()))} installs them")
        return found

    def _packages(self) -> None:
        wanted = dependencies.packages(self.depends, self.ways)
        if self.django and self.django.geo:
            for each in ("gdal-bin", "libproj-dev"):
                wanted.setdefault(each, f"{self.django.geo} has django.contrib.gis")
        if wanted:
            self.made.app["packages"] = [Line(name, why) for name, why in wanted.items()]
        if not self.depends.file and not self.depends.lock and self.depends.folder == "" and not self.project.has("setup.py"):
            self.made.app["requirements"] = [Line(f"{MARK}: what the project imports, such as fastapi", "no file of it names its dependencies")]

    def _site(self) -> None:
        app = self.made.app
        app["domains"] = Line([self.domain or MARK], "domain=" if self.domain else "the name of the site")
        if self.email:
            app["tls"] = {"acme": {"email": Line(self.email, "email=, for the authority's letters")}}
        else:
            app["tls"] = Line("{acme: {email: you@example.com}}", "a certificate of Let's Encrypt; without it, a self-signed one", aside=True)
        for _command, said in self.ways.servers():
            if said.workers and "--reload" not in _command.words:
                app["workers"] = Line(said.workers, f"{_command.where} asks for as many")
                break

    # Variables

    def _variables(self) -> None:
        read = settings_names.read(self.code, parent(self.entry.path) and self.entry.app_dir)
        examples = settings_names.examples(self.project)
        env: dict[str, Line] = {}
        secret: dict[str, Line] = {}
        rest: list[str] = []
        if self.django and self.django.settings and self._settings_must_be_named():
            env["DJANGO_SETTINGS_MODULE"] = Line(self.django.settings, self.django.why)
        if self.django and self.django.database and self.django.database_variable:
            name = self.django.database.value.rpartition("/")[2]
            env[self.django.database_variable] = Line(f"{{data}}/{name}", f"{self.django.database.where}; a file that outlives a release")
        if self.django and self.django.static_variable:
            env[self.django.static_variable] = Line("{source}/staticfiles", "where collectstatic puts files, and nginx finds them")
        self._words = settings_names.words_of_production(self.code)
        for name, each in read.items():
            if name in env:
                continue
            said = self.ways.environment.get(name)
            if said and said.value in self.ways.names:
                # A container, which no host knows by its name.
                said = None
            shown = said.value if said else examples.get(name, (None, ""))[0]
            if shown in self.ways.names:
                shown = None
            self._variable(each, shown, said, env, secret, rest)
        self._further(read, env, secret)
        if env:
            self.made.app["env"] = env
        if secret:
            self.made.app["secrets"] = secret
        if rest:
            named = ", ".join(rest[:REST]) + (f" and {len(rest) - REST} more" if len(rest) > REST else "")
            self.made.notes.append(f"The code reads {len(rest)} further variables, and has a default for each: {named}")

    def _settings_must_be_named(self) -> bool:
        """Whether the app's own file does not name these settings, or a command runs before it."""
        assert self.django is not None
        return self.django.settings != framework.settings_named(self.code, self.entry.path) or self.entry.app.startswith("django.core.asgi:")

    def _variable(
        self, read: settings_names.Read, shown: str | None, said: Said | None, env: dict[str, Line], secret: dict[str, Line], rest: list[str]
    ) -> None:
        on_file = self.django is not None and self.django.database is not None
        given = values.of(read, domain=self.domain, shown=shown, words=self._words, database_is_file=on_file)
        why = f"{read.where}{' must have it' if read.required else ''}" + (f"; {given.why}" if given.why else "")
        plain = given.value is None and not given.marked
        if plain and said and not given.secret and (value := values.usable(said.value)) is not None and self._of_host(read.name, value, read.default):
            env[read.name] = Line(value, f"{said.where} sets it; {read.where} reads it")
        elif given.secret and not plain:
            self._secret(read.name, given, why, secret)
        elif not plain:
            env[read.name] = Line(given.value if given.value is not None else f"{MARK}: {_about(read)}", why)
        elif OF_NOTE.search(read.name) and sum(each.aside for each in (*env.values(), *secret.values())) < NOTED:
            default = read.default or '""'
            if given.secret:
                secret[read.name] = Line('"{{ ' + self._vaulted(read.name) + ' }}"', f"{read.where}; can do without", aside=True)
            else:
                env[read.name] = Line(_short(default), f"{read.where}, its default", aside=True)
        else:
            rest.append(read.name)

    def _secret(self, name: str, given: values.Given, why: str, secret: dict[str, Line]) -> None:
        if given.value is not None and "{" in given.value:
            # The address of a file in the data folder holds no secret; its tokens are the role's.
            secret[name] = Line(given.value, why)
            return
        variable = self._vaulted(name)
        secret[name] = Line("{{ " + variable + " }}", why)
        self.made.vault[variable] = Line(given.value if given.value is not None else f"{MARK}: {given.why}", why)

    def _vaulted(self, name: str) -> str:
        return f"vault_{self.name.replace('-', '_')}_{name.lower()}"

    def _further(self, read: Mapping[str, settings_names.Read], env: dict[str, Line], secret: dict[str, Line]) -> None:
        """Variables that no code of the project reads by name, and that its files set: those of libraries."""
        for name, where in self.ways.secrets.items():
            if name not in secret and name not in env:
                given = values.of(settings_names.Read(name, where, required=True, kind="SecretStr"), domain=self.domain)
                self._secret(name, given, where, secret)
        for name, said in self.ways.environment.items():
            if name in read or name in env or name in secret or name in settings_names.FOREIGN or values.is_secret(name, "", said.value):
                continue
            if (value := values.usable(said.value)) is not None and self._of_host(name, value, None) and len(value) < 200:
                env[name] = Line(value, f"{said.where} sets it")

    def _of_host(self, name: str, value: str, default: str | None) -> bool:
        """Whether a value of a container says something to a host: not its ports and paths, nor the names of others."""
        return not (
            value == default
            or value.startswith("/")
            or value in self.ways.names
            or re.search(r"(?:^|_)(?:DEBUG|PORT|HOST|BIND|WORKERS|LISTEN)$", name)
            or (re.search(r"LOG_?LEVEL", name) and value.upper() == "DEBUG")
            or name.startswith(("POSTGRES_", "MYSQL_", "REDIS_", "PG"))
        )

    # Commands

    def _in_folder(self, folder: str, command: str) -> str:
        """A command as a hook that runs in this folder of the project, which is not the app's."""
        inside = self.inside(folder)
        if inside == self.app_dir:
            return command
        return f"cd {{source}}{f'/{inside}' if inside else ''} && {command}"

    def _hooks(self) -> None:
        build: list[Line] = []
        migrate: list[Line] = []
        if self.django:
            manage = parent(self.django.manage)
            if self.django.static and self.django.manage:
                build.append(Line(self._in_folder(manage, "python manage.py collectstatic --noinput"), f"{self.django.static.where}: STATIC_ROOT"))
            for command in self.ways.commands:
                if command.builds and "collectstatic" not in command.text:
                    build.append(Line(self._in_folder(manage, command.text), command.where))
            if self.django.manage:
                migrate.append(Line(self._in_folder(manage, "python manage.py migrate --noinput"), self.django.manage))
        for said in [*self.ways.once, *(Said(each, each.where) for each in self.ways.commands if each.migrates)]:
            text = said.value.text
            if self.django and re.search(r"manage\.py (?:migrate|collectstatic)\b", text):
                continue
            if not any(text in line.value for line in migrate) and not re.search(r"wait[-_]?for|pg_isready|sleep|^until|^psql|chown|mkdir -p /", text):
                folder = self._folder_of(said.value)
                if folder is not None:
                    migrate.append(Line(self._in_folder(folder, text), said.where))
        if not self.django and not any("alembic" in line.value or "database upgrade" in line.value for line in migrate):
            self._alembic(migrate)
        hooks = {name: lines for name, lines in (("build", build), ("migrate", migrate)) if lines}
        if hooks:
            self.made.app["hooks"] = hooks

    def _folder_of(self, command: Any) -> str | None:
        """The folder of the project that a command runs in: that of the file it names; None where that is nowhere."""
        if command.program == "alembic":
            return parent(self._ini()) if self._ini() else self.entry.app_dir
        for word in command.words:
            if word.endswith((".py", ".sh", ".ini", ".toml")) and "/" not in word.removeprefix("./"):
                place = next((path for path in self.project.files if path.rpartition("/")[2] == word.removeprefix("./")), None)
                return parent(place) if place else None
            if word.endswith(".py"):
                tail = word.removeprefix("./")
                place = next((path for path in self.project.files if path == tail or path.endswith(f"/{tail}")), None)
                return (place.removesuffix(tail).rstrip("/")) if place else None
        return self.entry.app_dir

    def _ini(self) -> str:
        return next((path for path in self.project.named(r"alembic\.ini") if not path.startswith("tests/")), "")

    def _alembic(self, migrate: list[Line]) -> None:
        ini = self._ini()
        if ini and ("alembic" in self.depends.requirements or not self.depends.requirements):
            location = re.search(r"^script_location\s*=\s*(.+)$", self.project.text(ini), re.MULTILINE)
            folder = joined(parent(ini), location.group(1).strip().replace("%(here)s/", "")) if location and ":" not in location.group(1) else parent(ini)
            if folder in self.project.folders or not location:
                migrate.append(Line(self._in_folder(parent(ini), "alembic upgrade head"), ini))

    def _processes(self) -> None:
        found = []
        for name, said in self.ways.processes.items():
            clean = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:31]
            text = said.value.text
            if not re.match(r"[a-z]", clean) or "--reload" in text or re.match(r"(?:npm|yarn|bun|node|nginx|watchmedo|mailhog)\b", said.value.program):
                continue
            found.append({"name": Line(clean, said.where), "command": Line(text)})
        if found:
            self.made.app["processes"] = found

    # Folders

    def _folders(self) -> None:
        shared: dict[str, str] = {}
        static: list[tuple[str, str, str]] = []
        if self.django:
            self._django_folders(shared, static)
        for url, folder, where in [] if self.django else routes.static(self.code, self.entry):
            for base in (self.entry.app_dir, "", parent(self.entry.path)):
                if (place := joined(base, folder)) in self.project.folders:
                    static.append((f"/{url.strip('/')}/", self.inside(place), where))
                    break
        moved = "{data}" in (line.value for line in self.made.app.get("env", {}).values())
        for path, where in self.ways.kept.items():
            if moved and path == "data":
                # A variable says that it is elsewhere.
                continue
            if not self.project.has(path) and path not in self.project.folders:
                shared.setdefault(self.inside(path), where)
        # A folder inside of another outlives a release with that one.
        outer = {path: why for path, why in shared.items() if path and not any(path != each and path.startswith(f"{each}/") for each in shared)}
        if outer:
            self.made.app["shared"] = [{"path": Line(path, f"{why}; it outlives a release")} for path, why in outer.items()]
        first = {url: (path, why) for url, path, why in reversed(static)}
        if first:
            self.made.app["static"] = [{"url": Line(url, why), "path": Line(path)} for url, (path, why) in sorted(first.items(), reverse=True)]

    def _django_folders(self, shared: dict[str, str], static: list[tuple[str, str, str]]) -> None:
        given = self.django
        assert given is not None
        if given.static:
            folder = "staticfiles" if given.static_variable else self.inside(given.static.value)
            static.append((given.static_url or "/static/", folder, f"{given.static.where}: STATIC_ROOT"))
        if given.media and given.media.value:
            folder = self.inside(given.media.value)
            tracked = given.media.value in self.project.folders
            if tracked:
                self.made.notes.append(f"{given.media.value} is MEDIA_ROOT, and the project has files in it: they are copied the first time")
            shared[folder] = f"{given.media.where}: MEDIA_ROOT"
            if given.media_url:
                static.append((given.media_url, f"{{data}}/{folder}", f"{given.media.where}: MEDIA_ROOT"))
        if given.database and not given.database_variable:
            folder = parent(self.inside(given.database.value))
            if folder and parent(given.database.value) not in self.project.folders:
                shared[folder] = f"{given.database.where}: the database is a file in it"
            else:
                shared[self.inside(given.database.value)] = f"{given.database.where}: the database is this file"

    # The gate

    def _health(self) -> None:
        found = self._health_path()
        if found is None:
            self.made.app["health"] = {"path": Line(f"{MARK}: a path that answers 200 without a login", "no fixed path was found among the routes")}
            return
        lines = {"path": Line(found.value, found.where)}
        if self.django and not routes.HEALTHY.fullmatch(found.value) and not found.value.endswith("/login/"):
            lines["status"] = Line([200, 301, 302], "a page that sends to its login or its language is well")
        self.made.app["health"] = lines

    def _health_path(self) -> Said | None:
        if self.ways.health:
            return self.ways.health[0]
        if self.django:
            urls = [routes.Route(path, where, whole=True) for path, where in django.urls(self.code, self.django.modules)]
            if found := routes.health(urls):
                return found
            home = next((route for route in urls if route.path == "/"), None)
            login = next((route for route in urls if re.search(r"login/?$", route.path)), None)
            if found := routes.spoken(self.code, self.entry):
                return found
            best = home or login or next(iter(urls), None)
            return Said(best.path, best.where) if best else None
        known = routes.read(self.code, self.entry)
        if found := routes.health(known) or routes.spoken(self.code, self.entry):
            return found
        whole = [route for route in known if route.whole]
        if home := next((route for route in whole if route.path == "/"), None):
            return Said("/", home.where)
        if schema := routes.openapi(self.code, self.entry):
            return schema
        if self.entry.framework == "Litestar":
            return Said("/schema/openapi.json", "Litestar's schema, which is there unless the app says otherwise")
        return None

    def _notes(self) -> None:
        depends = self.depends
        if depends.lock and depends.file != "uv.lock":
            self.made.notes.append(f"The project is locked by {joined(depends.folder, depends.lock)}")
        for kind, where in self.ways.services.items():
            self.made.notes.append(f"It is run beside {kind} ({where}), which this role does not bring")
        self.made.marked = [*_marked(self.made.app), *(f"{name} in the vault" for name, line in self.made.vault.items() if MARK in str(line.value))]


def _keys(table: Mapping[str, Any], *names: str) -> list[str]:
    found: list[str] = []
    for name in names:
        value: Any = table
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        found += list(value) if isinstance(value, Mapping) else []
    return found


def _about(read: settings_names.Read) -> str:
    return f"{read.name}, {read.kind}" if read.kind and len(read.kind) < 40 else read.name


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _marked(node: Any, key: str = "") -> list[str]:
    if isinstance(node, Line):
        return [key] if MARK in str(node.value) and not node.aside else []
    if isinstance(node, Mapping):
        return [each for name, inner in node.items() for each in _marked(inner, f"{key}.{name}" if key else str(name))]
    if isinstance(node, list):
        return [each for number, inner in enumerate(node) for each in _marked(inner, f"{key}[{number}]")]
    return []


def shown_from(folder: Path, inventory: Path, given: str) -> str:
    """How an inventory names a folder: absolute where it was given so, else from the inventory's own folder."""
    return str(folder) if os.path.isabs(given) else os.path.relpath(folder, inventory)

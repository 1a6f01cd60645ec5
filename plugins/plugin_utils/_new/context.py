# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of one project while its lines are made."""

from __future__ import annotations

from pathlib import Path

from . import containers, dependencies, django, framework, made, platforms
from .code import Code
from .framework import Entry
from .lines import NewError, Plan
from .project import Project
from .ways import Ways


class Context:
    """The project, what its files say, and the plan that comes of it. Raises NewError where there is no app in it."""

    def __init__(self, folder: Path, *, name: str, domain: str, entry_text: str = "") -> None:
        self.name, self.domain = name, domain
        self.project = Project(folder)
        self.code = Code(self.project)
        self.ways = _merged(platforms.read(self.project), containers.read(self.project))
        self.entry = self._entry(entry_text)
        self.depends = dependencies.find(self.project, self.entry.app_dir, self.ways)
        self.base = self.depends.folder
        """The folder of the project that is the source."""
        self.django = (
            django.read(self.code, self.entry, self.ways) if self.entry.framework == "Django" else None
        )
        self.plan = Plan(name)

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
            raise NewError(
                f"entry: {text!r} names no module of the project; give module:attribute such as shop.main:app"
            )
        if found:
            return found
        if said := made.wsgi_only(self.code):
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
        return (
            path.removeprefix(f"{self.base}/")
            if self.base and path != self.base
            else ("" if path == self.base else path)
        )

    @property
    def app_dir(self) -> str:
        """The folder of the import root inside the source."""
        return self.inside(self.entry.app_dir)

    def in_folder(self, folder: str, command: str) -> str:
        """A command as a hook that runs in this folder of the project, which is not the app's."""
        inside = self.inside(folder)
        if inside == self.app_dir:
            return command
        return f"cd {{source}}{f'/{inside}' if inside else ''} && {command}"

    def vaulted(self, variable: str) -> str:
        """The name that the vault has for a variable of the app."""
        return f"vault_{self.name.replace('-', '_')}_{variable.lower()}"


def _merged(*all_ways: Ways) -> Ways:
    """What several kinds of files say; the first word counts where only one can be."""
    found = Ways()
    for ways in all_ways:
        found.commands += ways.commands
        found.processes = {**ways.processes, **found.processes}
        found.environment = {**ways.environment, **found.environment}
        found.secrets = {**ways.secrets, **found.secrets}
        found.packages = {**ways.packages, **found.packages}
        found.kept = {**ways.kept, **found.kept}
        found.services = {**ways.services, **found.services}
        found.once += ways.once
        found.health += ways.health
        found.extras += ways.extras
        found.groups += ways.groups
        found.python = found.python or ways.python
        found.names |= ways.names
        found.requirements = found.requirements or ways.requirements
    return found

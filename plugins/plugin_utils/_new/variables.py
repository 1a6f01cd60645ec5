# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of the app's variables: env, secrets, and the vault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.asgi.host.plugins.module_utils._apps.marks import MARK

from . import framework, settings_names, values
from .context import Context
from .lines import Line
from .project import parent
from .values import Given
from .variable_calls import Read

# Variables that are named one by one although the app can do without; more are named together.
OF_NOTE = re.compile(
    r"URL|URI|HOST|DSN|EMAIL|SMTP|SECRET|PASSWORD|TOKEN|KEY|BUCKET|ORIGINS|DOMAIN|LOG_LEVEL|STORAGE|BACKEND",
    re.IGNORECASE,
)
NOTED, REST = 24, 40


@dataclass
class _Found:
    env: dict[str, Line] = field(default_factory=dict)
    secrets: dict[str, Line] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)
    """Names that are only told."""


def add(context: Context) -> None:
    """All variables that the code reads, and those that the project's files set."""
    found = _Found()
    read = settings_names.read(context.code, parent(context.entry.path) and context.entry.app_dir)
    examples = settings_names.examples(context.project)
    words = settings_names.words_of_production(context.code)
    _of_django(context, found)
    for name, each in read.items():
        if name not in found.env:
            shown = examples.get(name, (None, ""))[0]
            _variable(context, each, None if shown in context.ways.names else shown, words, found)
    _further(context, read, found)
    # By what the project calls them keys are made, and names inside of templates: nothing but names may come so far.
    for lines in (found.env, found.secrets):
        for name in [name for name in lines if not settings_names.NAME.fullmatch(name)]:
            del lines[name]
    for key, lines in (("env", found.env), ("secrets", found.secrets)):
        if lines:
            context.plan.app[key] = lines
    if found.rest:
        more = f" and {len(found.rest) - REST} more" if len(found.rest) > REST else ""
        variables = (
            "1 further variable, and has a default for it"
            if len(found.rest) == 1
            else (f"{len(found.rest)} further variables, and has a default for each")
        )
        context.plan.notes.append(f"The code reads {variables}: {', '.join(found.rest[:REST])}{more}")


def _of_django(context: Context, found: _Found) -> None:
    given = context.django
    if given is None:
        return
    named = framework.settings_named(context.code, context.entry.path)
    if given.settings and (given.settings != named or context.entry.app.startswith("django.core.asgi:")):
        found.env["DJANGO_SETTINGS_MODULE"] = Line(given.settings, given.why)
    if given.database and given.database_variable:
        name = given.database.value.rpartition("/")[2]
        found.env[given.database_variable] = Line(
            f"{{data}}/{name}", f"{given.database.where}; a file that outlives a release"
        )
    if given.static_variable:
        found.env[given.static_variable] = Line(
            "{source}/staticfiles", "where collectstatic puts files, and nginx finds them"
        )


def _variable(
    context: Context, read: Read, example: str | None, words: Mapping[str, str], found: _Found
) -> None:
    said = context.ways.environment.get(read.name)
    if said and said.value in context.ways.names:
        # A container, which no host knows by its name.
        said = None
    on_file = context.django is not None and context.django.database is not None
    beside = " ".join(kind for kind in context.ways.services if "SQL" in kind or "Maria" in kind)
    shown = said.value if said else example
    given = values.of(
        read,
        domain=context.domain,
        shown=shown,
        words=words,
        database="file" if on_file else beside,
    )
    why = f"{read.where}{' must have it' if read.required else ''}" + (f"; {given.why}" if given.why else "")
    useful = values.usable(said.value) if said and not given.secret else None
    if given.value is None and not given.marked:
        if said and useful is not None and _of_host(context, read.name, useful, read.default):
            found.env[read.name] = Line(useful, f"{said.where} sets it; {read.where} reads it")
        else:
            _aside(context, read, given, found)
    elif given.secret:
        _secret(context, read.name, given, why, found)
    else:
        found.env[read.name] = Line(
            given.value if given.value is not None else f"{MARK}: {_about(read)}", why
        )


def _aside(context: Context, read: Read, given: Given, found: _Found) -> None:
    """A variable that the app can do without: a comment, or a name among others."""
    noted = sum(line.aside for lines in (found.env, found.secrets) for line in lines.values())
    if not OF_NOTE.search(read.name) or noted >= NOTED:
        found.rest.append(read.name)
    elif given.secret:
        text = f'"{{{{ {context.vaulted(read.name)} }}}}"'
        found.secrets[read.name] = Line(text, f"{read.where}; can do without", aside=True)
    else:
        found.env[read.name] = Line(_short(read.default or '""'), f"{read.where}, its default", aside=True)


def _secret(context: Context, name: str, given: Given, why: str, found: _Found) -> None:
    if given.value is not None and "{" in given.value:
        # The address of a file in the data folder holds no secret; its tokens are the role's.
        found.secrets[name] = Line(given.value, why)
        return
    variable = context.vaulted(name)
    found.secrets[name] = Line(variable, why, vaulted=True)
    context.plan.vault[variable] = Line(
        given.value if given.value is not None else f"{MARK}: {given.why}", why
    )


def _further(context: Context, read: Mapping[str, Read], found: _Found) -> None:
    """Variables that no code of the project reads by name, and that its files set: those of libraries."""
    for name, where in context.ways.secrets.items():
        if settings_names.NAME.fullmatch(name) and name not in found.secrets and name not in found.env:
            given = values.of(Read(name, where, required=True, kind="SecretStr"), domain=context.domain)
            _secret(context, name, given, where, found)
    known = {*read, *found.env, *found.secrets, *settings_names.FOREIGN}
    for name, said in context.ways.environment.items():
        value = values.usable(said.value)
        if name in known or value is None or values.is_secret(name, "", said.value):
            continue
        if _of_host(context, name, value, None) and len(value) < 200:
            found.env[name] = Line(value, f"{said.where} sets it")


def _of_host(context: Context, name: str, value: str, default: str | None) -> bool:
    """Whether a value of a container says something to a host: not its ports and paths, nor the names of others."""
    return not (
        value == default
        or value.startswith("/")
        or value in context.ways.names
        or re.search(r"(?:^|_)(?:DEBUG|PORT|HOST|BIND|WORKERS|LISTEN)$", name)
        or (re.search(r"LOG_?LEVEL", name) and value.upper() == "DEBUG")
        or name.startswith(("POSTGRES_", "MYSQL_", "REDIS_", "PG"))
    )


def _about(read: Read) -> str:
    return f"{read.name}, {read.kind}" if read.kind and len(read.kind) < 40 else read.name


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."

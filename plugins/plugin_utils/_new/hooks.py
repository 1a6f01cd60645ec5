# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of commands: hooks and background processes."""

from __future__ import annotations

import re

from .commands import Command
from .context import Context
from .lines import Line
from .project import joined, parent
from .ways import Said

# What a container does before it serves and a host does not: others are waited for by systemd and by the gate.
OF_CONTAINERS = re.compile(r"wait[-_]?for|pg_isready|sleep|^until|^psql|chown|mkdir -p /")
OF_OTHERS = re.compile(r"(?:npm|yarn|bun|node|nginx|watchmedo|mailhog)\b")


def add(context: Context) -> None:
    """Hooks of builds and migrations, and the processes beside the app."""
    hooks = {"build": _build(context), "migrate": _migrate(context)}
    if any(hooks.values()):
        context.plan.app["hooks"] = {name: lines for name, lines in hooks.items() if lines}
    if found := _processes(context):
        context.plan.app["processes"] = found


def _build(context: Context) -> list[Line]:
    given = context.django
    if given is None or not given.manage:
        return []
    manage, found = parent(given.manage), []
    if given.static:
        text = context.in_folder(manage, "python manage.py collectstatic --noinput")
        found.append(Line(text, f"{given.static.where}: STATIC_ROOT"))
    others = [each for each in context.ways.commands if each.builds and "collectstatic" not in each.text]
    return [*found, *(Line(context.in_folder(manage, each.text), each.where) for each in others)]


def _migrate(context: Context) -> list[Line]:
    given, found = context.django, []
    if given and given.manage:
        text = context.in_folder(parent(given.manage), "python manage.py migrate --noinput")
        found.append(Line(text, given.manage))
    migrating = [Said(each, each.where) for each in context.ways.commands if each.migrates]
    for said in [*context.ways.once, *migrating]:
        text = said.value.text
        known = any(text in line.value for line in found) or OF_CONTAINERS.search(text)
        if known or (given and re.search(r"manage\.py (?:migrate|collectstatic)\b", text)):
            continue
        folder = _folder_of(context, said.value)
        if folder is not None:
            found.append(Line(context.in_folder(folder, text), said.where))
    if not given and not any("alembic" in line.value or "database upgrade" in line.value for line in found):
        found += _alembic(context)
    return found


def _folder_of(context: Context, command: Command) -> str | None:
    """The folder of the project that a command runs in: that of the file it names; None where that is nowhere."""
    if command.program == "alembic" and _ini(context):
        return parent(_ini(context))
    file = next(
        (word.removeprefix("./") for word in command.words if re.search(r"\.(?:py|sh|ini|toml)$", word)), ""
    )
    if not file:
        return context.entry.app_dir
    place = next((path for path in context.project.files if path == file or path.endswith(f"/{file}")), None)
    return None if place is None else place.removesuffix(file).rstrip("/")


def _ini(context: Context) -> str:
    found = context.project.named(r"alembic\.ini")
    return next((path for path in found if not path.startswith("tests/")), "")


def _alembic(context: Context) -> list[Line]:
    """The migrations of a project that says by no command how it migrates."""
    ini, needs = _ini(context), context.depends.requirements
    if not ini or (needs and "alembic" not in needs):
        return []
    location = re.search(r"^script_location\s*=\s*([^:\n]+)$", context.project.text(ini), re.MULTILINE)
    folder = joined(parent(ini), location.group(1).strip().replace("%(here)s/", "")) if location else ""
    if location and folder not in context.project.folders:
        return []
    return [Line(context.in_folder(parent(ini), "alembic upgrade head"), ini)]


def _processes(context: Context) -> list[dict[str, Line]]:
    found = []
    for name, said in context.ways.processes.items():
        clean = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:31]
        text = said.value.text
        if re.match(r"[a-z]", clean) and "--reload" not in text and not OF_OTHERS.match(said.value.program):
            found.append({"name": Line(clean, said.where), "command": Line(text)})
    return found

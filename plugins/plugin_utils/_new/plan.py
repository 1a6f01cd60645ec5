# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a project's files say to the lines of its app in an inventory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps.marks import MARK

from . import dependencies, folders, gate, hooks, variables
from .context import Context
from .lines import Line, Plan


def make(folder: Path, *, name: str, domain: str, email: str, shown_path: str, entry_text: str = "") -> Plan:
    """All lines, in the order that a person reads them. Raises NewError.

    ``shown_path`` is how the inventory names the folder, ``entry_text`` an import string that somebody gave.
    """
    context = Context(folder, name=name, domain=domain, entry_text=entry_text)
    app, entry = context.plan.app, context.entry
    app["name"] = Line(name)
    others = f"; also there: {', '.join(entry.others)}" if entry.others else ""
    app["app"] = Line(entry.app, f"{entry.framework}: {entry.why}{others}")
    if entry.factory:
        app["factory"] = Line(value=True, why="it is a function that makes the app")
    app["source"] = _source(context, shown_path)
    if context.app_dir:
        app["app_dir"] = Line(context.app_dir, "the folder that imports begin at")
    _python(context)
    _packages(context)
    _site(context, email)
    variables.add(context)
    hooks.add(context)
    folders.add(context)
    gate.add(context)
    _notes(context)
    return context.plan


def shown_from(folder: Path, inventory: Path, given: str) -> str:
    """How an inventory names a folder: absolute where it was given so, else from the inventory's own folder."""
    return str(folder) if os.path.isabs(given) else os.path.relpath(folder, inventory)


def _source(context: Context, shown_path: str) -> dict[str, Line]:
    depends, ways = context.depends, context.ways
    path = f"{shown_path.rstrip('/')}/{context.base}" if context.base else shown_path
    found = {"path": Line(path, depends.why or "nothing in it names dependencies: list them in requirements")}
    if depends.named:
        found["requirements"] = Line(depends.named, depends.why)
    if depends.member:
        found["member"] = Line(depends.member, "the member of the workspace that is the app")
    known = {
        "extras": _keys(depends.table, "project.optional-dependencies", "tool.poetry.extras"),
        "groups": _keys(depends.table, "dependency-groups"),
    }
    for key, said in (("extras", ways.extras), ("groups", ways.groups)):
        given = {each.value: each.where for each in said if each.value in known[key]}
        if given:
            found[key] = Line(sorted(given), f"{next(iter(given.values()))} installs them")
    return found


def _python(context: Context) -> None:
    if context.depends.python:
        context.plan.app["python"] = Line(context.depends.python.value, context.depends.python.where)
    elif context.ways.python:
        # The Python of an image is the newest of its day, and no demand.
        why = f"{context.ways.python.where}; without it, the host's own"
        context.plan.app["python"] = Line(f'"{context.ways.python.value}"', why, aside=True)


def _packages(context: Context) -> None:
    depends, app = context.depends, context.plan.app
    wanted = dependencies.packages(depends, context.ways)
    if context.django and context.django.geo:
        for each in ("gdal-bin", "libproj-dev"):
            wanted.setdefault(each, f"{context.django.geo} has django.contrib.gis")
    if wanted:
        app["packages"] = [Line(name, why) for name, why in wanted.items()]
    if not (depends.file or depends.folder):
        words = f"{MARK}: what the project imports, such as fastapi"
        app["requirements"] = [Line(words, "no file of it names its dependencies")]


def _site(context: Context, email: str) -> None:
    app = context.plan.app
    app["domains"] = Line([context.domain or MARK], "domain=" if context.domain else "the name of the site")
    if email:
        app["tls"] = {"acme": {"email": Line(email, "email=, for the authority's letters")}}
    else:
        words = "a certificate of Let's Encrypt; without it, a self-signed one"
        app["tls"] = Line("{acme: {email: you@example.com}}", words, aside=True)
    for command, said in context.ways.servers():
        if said.workers and "--reload" not in command.words:
            app["workers"] = Line(said.workers, f"{command.where} asks for as many")
            break


def _notes(context: Context) -> None:
    notes = context.plan.notes
    for kind, where in context.ways.services.items():
        notes.append(f"It is run beside {kind} ({where}), which this role does not bring")


def _keys(table: Mapping[str, Any], *names: str) -> set[str]:
    found: set[str] = set()
    for name in names:
        value: Any = table
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        found |= set(value) if isinstance(value, Mapping) else set()
    return found

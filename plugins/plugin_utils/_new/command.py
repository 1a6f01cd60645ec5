# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``asgi.host.new`` is given, judged; the files that it writes; and what it says in the end."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps.marks import MARK
from ansible_collections.asgi.host.plugins.module_utils._apps.program_values import NAME
from ansible_collections.asgi.host.plugins.module_utils._apps.web_values import EMAIL, domain

from . import plan, write
from .lines import NewError

# The name or address of a host, as an inventory has it.
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|[0-9a-fA-F:]{2,39}")
KEYS = ("project", "host", "domain", "app", "inventory", "email", "entry")


@dataclass
class Written:
    """What came of it."""

    files: dict[str, str]
    """Each with its text, by its path."""
    inventory: Path
    added: bool
    """Whether the inventory was there already."""
    marked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    vault: str = ""


def prepare(given: Mapping[str, Any], folder: Path) -> Written:
    """The files that the options ask for; ``folder`` is where relative paths start. Nothing is written. Raises NewError."""
    values = {key: str(given.get(key) or "").strip() for key in KEYS}
    source = _project(values["project"], folder)
    name = values["app"] or _name(source)
    if not NAME.fullmatch(name):
        raise NewError(
            f"app: {name!r} is not a name; give 1 to 31 lower-case letters, digits and -, a letter first, with -e app=shop"
        )
    _site(values)
    inventory = folder / (values["inventory"] or f"inventories/{name}")
    there = inventory.exists()
    if there and not inventory.is_dir():
        raise NewError(
            f"inventory: {inventory} is a file; give the folder of an inventory, or one that is not there yet, with -e inventory=inventories/{name}"
        )
    if not there and not HOST.fullmatch(values["host"]):
        raise NewError(
            f"host: {values['host']!r} is no host; give the name or address that ssh reaches, with -e host=203.0.113.5"
        )
    shown = plan.shown_from(source, inventory, values["project"])
    made = plan.make(
        source,
        name=name,
        domain=values["domain"],
        email=values["email"],
        shown_path=shown,
        entry_text=values["entry"],
    )
    files = write.added(made, inventory) if there else write.new(made, values["host"])
    found = Written(
        {str(inventory / path): text for path, text in files.items()},
        inventory,
        there,
        made.marked,
        made.notes,
    )
    found.vault = next((str(inventory / path) for path in files if Path(path).name.startswith("vault")), "")
    return found


def _project(text: str, folder: Path) -> Path:
    if not text:
        raise NewError("project: is missing; give the project's folder, with -e project=../shop")
    path = Path(os.path.normpath(folder / os.path.expanduser(text)))
    if not path.is_dir():
        what = "is a file" if path.is_file() else "is not there"
        raise NewError(f"project: {path} {what}; give the folder of the project, with -e project=../shop")
    if not os.access(path, os.R_OK | os.X_OK):
        raise NewError(
            f"project: {path} cannot be read; give its folder to your user, or run this as a user who may"
        )
    return path


def _name(source: Path) -> str:
    """The app's name after its folder."""
    return re.sub(r"[^a-z0-9]+", "-", source.name.lower()).strip("-0123456789")[:31].rstrip("-") or "app"


def _site(values: Mapping[str, str]) -> None:
    found: list[str] = []
    if values["domain"]:
        domain(lambda key, words: found.append(f"{key}: {words}"), "domain", values["domain"])
    if found:
        raise NewError(f"{found[0]}, with -e domain=shop.example.com")
    if values["email"] and not EMAIL.fullmatch(values["email"]):
        raise NewError(
            f"email: {values['email']!r} is not an address of mail; give one, with -e email=ops@example.com"
        )


def put(written: Written) -> None:
    """Write the files: each whole or not at all, the secrets for nobody else's eyes."""
    for name, text in written.files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if name == written.vault else path.stat().st_mode & 0o777 if path.exists() else 0o644
        new = path.with_name(f".{path.name}.new")
        # Not by a link that somebody laid there.
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
        new.replace(path)


def _short(path: str, folder: Path) -> str:
    """A path as somebody in ``folder`` would type it."""
    near = os.path.relpath(path, folder)
    return path if near.startswith("../..") else near


def words(written: Written, folder: Path, playbook: str) -> str:
    """What was written, what waits for a person, and the next commands."""
    shown = [_short(path, folder) for path in written.files]
    lines = [f"{'Added to' if written.added else 'Wrote'} {', '.join(shown)}"]
    if written.marked:
        count = "1 line is" if len(written.marked) == 1 else f"{len(written.marked)} lines are"
        lines.append(f"{count} marked with {MARK}; nothing is deployed before you give the value:")
        lines += [f"  {each}" for each in written.marked]
    inventory = _short(str(written.inventory), folder)
    lines.append("Next:")
    if written.vault:
        lines.append(f"  ansible-vault encrypt {_short(written.vault, folder)}")
    options = " --ask-vault-pass" if written.vault or any(written.inventory.rglob("vault*.yml")) else ""
    lines.append(f"  ansible-playbook {playbook} -i {inventory}{options}")
    return "\n".join(lines)

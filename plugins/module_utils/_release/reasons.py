# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why an app gets a new release: what differs of the parts of its digest, by the names that an inventory has for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from . import environment, inputs
from .images import names as image_names
from .paths import App

if TYPE_CHECKING:
    from .._contract.ledger import LedgerEntry
    from .._contract.release import AppPrivate, ReleaseSpec, SourceSpec

# The parts of the digest as the ledger has them, where an operator calls them otherwise.
CALLED = {"requirements": "dependencies", "interpreter": "python"}
# Characters of a digest that are kept of a detail: they only say whether it is another.
KEPT = 12
# Characters of a version that are shown.
SHOWN = 20


def details(app: App, spec: ReleaseSpec, private: AppPrivate) -> dict[str, dict[str, str]]:
    """A digest for each thing within a part, by its name; of environment and secrets by the host's own key.

    Of the interpreter it is the version.
    """
    source = spec["source"]
    known: dict[str, dict[str, Any]] = {
        "requirements": {
            "requirements": spec["requirements"],
            "server_requirements": spec["server_requirements"],
            "the role's server": spec["server_pins"],
            **{f"source.{key}": source.get(key) for key in ("requirements", "extras", "groups")},
            # Not there where it is not chosen, as in releases of earlier versions.
            **inputs.chosen(spec),
        },
        "settings": {
            "unit": spec["texts"],
            **spec["files"],
            "command": spec["command"],
            "hooks.build": spec["hooks"]["build"],
            "shared": spec["shared"],
            **{f"processes.{name}": text for name, text in spec["processes"].items()},
            "image": image_names.settings(spec),
            **({"build": spec["build"]} if spec.get("build") else {}),
        },
    }
    found = {
        part: {
            name: hashlib.sha256(json.dumps(value).encode()).hexdigest()[:KEPT]
            for name, value in each.items()
        }
        for part, each in known.items()
    }
    found["environment"] = {
        f"{kind}.{name}": environment.keyed_digest(app, value)[:KEPT]
        for kind, values in cast("Mapping[str, Mapping[str, str]]", private).items()
        for name, value in values.items()
    }
    found["interpreter"] = {"version": spec["python"]["version"] if spec["python"] else ""}
    return found


def of(
    entry: LedgerEntry,
    parts: Mapping[str, str],
    now: Mapping[str, Mapping[str, str]],
    source: SourceSpec,
) -> list[str]:
    """What differs between a release's ``entry`` in the ledger and what is wanted: its ``parts``, and details ``now``."""
    before = entry.get("parts", {})
    return [
        f"{CALLED.get(part, part)} changed{_within(part, entry, now, source)}"
        for part, digest in parts.items()
        if before.get(part) != digest
    ]


def _within(
    part: str,
    entry: LedgerEntry,
    now: Mapping[str, Mapping[str, str]],
    source: SourceSpec,
) -> str:
    """What of a part differs, behind a colon; empty where a release has not noted it."""
    if part == "source":
        return _from_to(entry.get("version"), source.get("version"))
    old, new = entry.get("details", {}).get(part), now.get(part, {})
    if old is None:
        return ""
    if part == "interpreter":
        return _from_to(old.get("version"), new.get("version"))
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return f": {', '.join(names)}" if names else ""


def _from_to(old: object, new: object) -> str:
    """Both versions, where they are known and differ as they are shown."""
    versions = [str(each or "")[:SHOWN] for each in (old, new)]
    return f": {versions[0]} → {versions[1]}" if all(versions) and versions[0] != versions[1] else ""

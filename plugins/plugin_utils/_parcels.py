# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packed sources that go along with a call to the host: an upload of its own is three more calls."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.plugin_utils._origins import Origin
from ansible_collections.asgi.host.plugins.plugin_utils._specs import Told

# Bytes of a packed source that goes along.
SMALL = 256 * 1024
# What is known of a source from one play to the next, where it was too large.
LARGE = "too large to go along"


def tell_version(spec: dict[str, Any], origin: Origin) -> None:
    """Add to what a host is told of an app the version that its project has from git. Raises SourceError."""
    if spec["source"]["kind"] == "tree" and (version := origin.own_version(spec["source"])):
        spec["own_version"] = version


def small(parcel: Path) -> str | None:
    """A packed source as text; None where it is too large."""
    return base64.b64encode(parcel.read_bytes()).decode() if parcel.stat().st_size <= SMALL else None


def changed(told: Told, known: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """By app the packed sources that are others than those that are ``known``; and what is to be known the next time.

    Migrations go from host to host, and a live folder is no release: those sources are left to the module release, as
    is one that was too large once. Raises SourceError.
    """
    found, notes = {}, {}
    for spec in told.specs:
        if spec["state"] == "absent":
            continue
        name, digest = spec["name"], spec["source"]["digest"]
        before = known.get(name, digest)
        notes[name] = LARGE if before == LARGE else digest
        if before in (LARGE, digest) or spec["hooks"]["migrate"] or spec["live"]:
            continue
        with tempfile.TemporaryDirectory(prefix="asgi-host-") as scratch:
            parcel = told.origins[name].parcel(Path(scratch))
            tell_version(spec, told.origins[name])
            if parcel and (text := small(parcel)):
                found[name] = text
            elif parcel:
                notes[name] = LARGE
    return found, notes

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One app of one host: what is wanted of it, and what its releases are known by."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import _words
from .._private import mask, without_passwords
from . import build, environment, ledger, live, reasons, requirements
from .candidate import Candidate
from .errors import DeployError
from .gate import Gate
from .images import gate as image_gate
from .images import names as image_names
from .images import source as image_source
from .live import Live
from .paths import App, Release

# Characters of its digest that a release has in its name.
NAMED = 6


class AppContext:
    """What every verb of an app works with. ``spec`` says what is wanted, ``private`` holds its environment and secrets."""

    def __init__(self, spec: Mapping[str, Any], private: Mapping[str, Any], tools: build.Tools) -> None:
        self.spec = spec
        # Who may ask a registry is no part of what runs.
        self.login = private.get("registry")
        self.private = {key: value for key, value in private.items() if key != "registry"}
        self.tools = tools
        self.app = App(Path(spec["root"]), spec["name"], spec["user"])
        self.synced: list[str] = []
        """In development mode: what was sent to the live folder."""

    @property
    def live(self) -> Live | None:
        """The live folder that is the source in development mode."""
        return live.wanted(self.app, self.spec)

    def wanted_parts(self) -> dict[str, str]:
        """A digest for each thing that shapes the process; together they are the release's identity."""
        spec = self.spec
        parts: dict[str, Any] = {
            "source": self._source_digest(),
            "requirements": [
                spec["requirements"],
                spec["server_pins"],
                spec["server_requirements"],
                spec["source"].get("extras", []),
                spec["source"].get("groups", []),
                spec["source"].get("requirements"),
            ],
            "interpreter": spec["python"],
            "settings": [
                spec["texts"],
                spec["files"],
                spec["command"],
                spec["hooks"]["build"],
                spec["shared"],
                spec["processes"],
                *image_names.settings(spec),
            ],
        }
        digests = {
            name: hashlib.sha256(json.dumps(value).encode()).hexdigest() for name, value in parts.items()
        }
        digests["environment"] = environment.keyed_digest(self.app, self.private)
        return digests

    def details(self) -> dict[str, dict[str, str]]:
        """What is kept of each part to tell why the next release is made."""
        return reasons.details(self.app, self.spec, self.private)

    def digest(self) -> str:
        """The digest of all parts: the identity of the wanted release."""
        return hashlib.sha256(json.dumps(self.wanted_parts(), sort_keys=True).encode()).hexdigest()

    @functools.cached_property
    def asked(self) -> str:
        """What the tag of an image in a registry stands for, asked once; empty for any other source."""
        return image_source.resolved_digest(self.spec, self.login, self.app.active())

    def _source_digest(self) -> str:
        """What stands for the source. Of a live folder that is what decides the virtualenv; the rest may change."""
        if not (self.live and self.live.mount):
            return f"{self.spec['source']['digest']}{self.asked}"
        try:
            return live.dependencies(self.live.folder, self.spec["source"])
        except (requirements.UnreadableError, OSError) as error:
            raise DeployError(
                f"{self.app.name}: source.mount: {error}\nWhat served before serves as it did."
            ) from error

    def candidate(self, release: Release) -> Candidate:
        """A release of the app in the making."""
        return Candidate(release, self.spec, self.private, self.login, self.asked)

    @property
    def gate(self) -> Gate:
        """The gate of the wanted release."""
        kind = image_gate.ContainerGate if image_names.is_image(self.spec) else Gate
        return kind(self.spec["health"], self.spec["host"], self.spec["root_path"], self.spec["warm_up"])

    def gate_of(self, release: Release) -> Gate:
        """The gate that a release was made with: a newer inventory may ask for a page that it lacks."""
        entry = ledger.read(release).get("gate")
        return Gate(**entry) if entry else self.gate

    def previous_of(self, release: Release) -> Release | None:
        """The release that a release can be taken back to, where it is on disk."""
        identity = ledger.read(release).get("previous")
        previous = self.app.release(identity) if identity else None
        return previous if previous and previous.folder.is_dir() else None

    def masked(self, text: str) -> str:
        """A text without the app's secrets."""
        secret = [
            self.private.get("secrets", {}),
            self.private.get("credentials", {}),
            (self.login or {}).get("password", ""),
            self.tools.index or "",
        ]
        # A secret may hold what is shown by number.
        return without_passwords(mask(mask(text, secret), _words.safe_all(secret)))

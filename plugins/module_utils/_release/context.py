# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One app of one host: what is wanted of it, and what its releases are known by."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _words
from .._private import mask, of_an_app, without_passwords
from . import environment, frontends, inputs, ledger, live, reasons
from .candidate import Candidate
from .gate import Gate
from .images.gate import ContainerGate
from .live import Live
from .paths import App, Release
from .runtime.choice import runtime_of
from .runtime.protocol import Runtime
from .uv import Tools

if TYPE_CHECKING:
    from .._contract.release import AppPrivate, ReleaseSpec

# Characters of its digest that a release has in its name.
NAMED = 6


class AppContext:
    """What every verb of an app works with. ``spec`` says what is wanted, ``private`` holds its environment and secrets."""

    def __init__(self, spec: ReleaseSpec, private: AppPrivate, tools: Tools) -> None:
        self.spec = spec
        # Who may ask a registry is no part of what runs.
        self.login = private.get("registry")
        self.private: AppPrivate = {**private}
        self.private.pop("registry", None)
        self.tools = tools
        self.app = App(Path(spec["root"]), spec["name"], spec["user"])
        self.synced: list[str] = []
        """In development mode: what was sent to the live folder."""

    @property
    def live(self) -> Live | None:
        """The live folder that is the source in development mode."""
        return live.wanted(self.app, self.spec)

    @functools.cached_property
    def runtime(self) -> Runtime:
        """What the wanted release runs in."""
        return runtime_of(self.app, self.spec, self.private, self.login)

    def wanted_parts(self) -> dict[str, str]:
        """A digest for each thing that shapes the process; together they are the release's identity."""
        spec = self.spec
        parts: dict[str, Any] = {
            "source": self.runtime.source_digest(),
            "requirements": [
                spec["requirements"],
                spec["server_pins"],
                spec["server_requirements"],
                spec["source"].get("extras", []),
                spec["source"].get("groups", []),
                spec["source"].get("requirements"),
                *inputs.choices(spec),
            ],
            "interpreter": spec["python"],
            "settings": [
                spec["texts"],
                spec["files"],
                spec["command"],
                spec["hooks"]["build"],
                spec["shared"],
                spec["processes"],
                *self.runtime.settings,
                *frontends.settings(spec),
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

    def candidate(self, release: Release) -> Candidate:
        """A release of the app in the making."""
        return Candidate(release, self.spec, self.private, self.runtime)

    @property
    def gate(self) -> Gate:
        """The gate of the wanted release."""
        return self.runtime.gate_kind(
            self.spec["health"], self.spec["host"], self.spec["root_path"], self.spec["warm_up"]
        )

    def gate_of(self, release: Release) -> Gate:
        """The gate that a release was made with: a newer inventory may ask for a page that it lacks."""
        entry = ledger.read(release)
        kind = ContainerGate if entry.get("image") else Gate
        return kind(**entry["gate"]) if entry.get("gate") else self.gate

    def previous_of(self, release: Release) -> Release | None:
        """The release that a release can be taken back to, where it is on disk."""
        identity = ledger.read(release).get("previous")
        previous = self.app.release(identity) if identity else None
        return previous if previous and previous.folder.is_dir() else None

    def masked(self, text: str) -> str:
        """A text without the app's secrets."""
        secret = [
            *of_an_app(self.private),
            self.login["password"] if self.login else "",
            self.tools.index or "",
        ]
        # A secret may hold what is shown by number.
        return without_passwords(mask(mask(text, secret), _words.safe_all(secret)))

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""uv on a host: where it is, what it is told, and the sandbox that it runs in."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._private import without_passwords
from .._process import CommandError
from . import indexes
from .paths import App
from .workshop import Workshop
from .workshop import forget as forget_builds

CACHE = "/var/cache/asgi/pythons"
# How uv runs as root, which is to bring interpreters alone: by its own settings, with the authorities that the host
# believes, and a cache that no build can reach.
UV_ENVIRONMENT = {
    "UV_CACHE_DIR": CACHE,
    "UV_NO_CONFIG": "1",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
# How uv begins to say that requirements do not go together.
UNSOLVED = "No solution found"


@dataclass(frozen=True)
class Tools:
    """How uv runs on this host. ``index`` may hold credentials: it travels in the environment, never in argv.

    With ``wheels``, a folder, no index is asked at all.
    """

    uv: str
    index: str | None
    wheels: str | None = None
    refresh: bool = False
    """Whether to ask the index anew for what the cache knows."""
    shop: Workshop | None = None
    """The sandbox that uv runs in."""
    logins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By name or host, the logins of further indexes."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What builds are told."""
    addresses: tuple[str, ...] = ()
    """Further indexes of requirement files, which have no name."""
    own_version: Mapping[str, str] = field(default_factory=dict)
    """What the build of the project itself is told beside that."""

    @property
    def workshop(self) -> Workshop:
        """The sandbox, where there is one."""
        if self.shop is None:
            raise RuntimeError("uv runs in a sandbox alone")
        return self.shop

    @property
    def private(self) -> bool:
        """Whether an index is asked with a password."""
        return bool(self.logins) or (bool(self.index) and without_passwords(self.index or "") != self.index)

    def run(self, *argv: str, nameless: bool = False) -> str:
        """Run uv; raises CommandError. It asks the index with its password, if it has one, unless ``nameless``."""
        env = {
            **self.env,
            **({} if nameless else indexes.environment(self.logins, self.addresses)),
            **UV_ENVIRONMENT,
            "UV_CACHE_DIR": str(self.workshop.cache),
            "UV_PYTHON_DOWNLOADS": "never",
        }
        if self.index:
            env["UV_DEFAULT_INDEX"] = without_passwords(self.index, "") if nameless else self.index
        if self.wheels and argv[0] == "pip":
            argv = (*argv, "--no-index", f"--find-links={self.wheels}")
        if self.refresh and argv[0] == "pip":
            argv = (*argv, "--refresh")
        try:
            return self.workshop.run([self.uv, *argv], env)
        except CommandError as error:
            if self.wheels and UNSOLVED in error.output:
                error.output += (
                    "\nNo index is asked but the folder asgi_host_wheels: add the wheels that it lacks."
                )
            raise

    def without_building(self, *argv: str) -> str:
        """Run uv so that it executes nothing of any package, where the index has a password; raises CommandError.

        In a unit in which nothing of a package has run.
        """
        self.workshop.must_be_clean()
        return self.run(*argv, "--no-build")

    def building(self, *argv: str) -> str:
        """Run uv so that it may build; the password is in it where it cannot be done without. Raises CommandError."""
        self.workshop.clean = False
        return self.run(*argv)

    def resolve(self, *argv: str) -> str:
        """Run uv's resolver. Raises CommandError."""
        if self.private:
            # What has wheels alone needs no build; whatever else is wrong is said by the second try.
            with contextlib.suppress(CommandError):
                return self.without_building(*argv)
        return self.building(*argv)

    def forget(self, app: App) -> None:
        """Empty the app's cache, whose content is not to be trusted any more."""
        if self.shop:
            self.shop.close()
        forget_builds(app)

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's environment: tokens, systemd's file format, and what stands for secrets in a digest."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._files import write_atomically
from .paths import App, Release

if TYPE_CHECKING:
    from .._contract.release import AppPrivate

# The variable that hands the worker its view key; it is taken away before the app is imported.
VIEW_KEY = "ASGI_HOST_VIEW_KEY"


def tokens(release: Release, domains: list[str]) -> dict[str, str]:
    """What the tokens stand for in this release."""
    return {
        "{data}": str(release.app.data),
        "{source}": str(release.source),
        "{venv}": str(release.venv),
        "{release}": str(release.folder),
        "{domain}": domains[0] if domains else "localhost",
    }


def fill(value: Any, known: Mapping[str, str]) -> Any:
    """``value`` with its tokens replaced, however deep; any other brace is left as it is."""
    if isinstance(value, str):
        for token, meaning in known.items():
            value = value.replace(token, meaning)
        return value
    if isinstance(value, Mapping):
        return {key: fill(part, known) for key, part in value.items()}
    if isinstance(value, list):
        return [fill(part, known) for part in value]
    return value


def environment_file(variables: Mapping[str, str]) -> str:
    """The text of a systemd EnvironmentFile.

    Within double quotes systemd takes a backslash before a double quote, backslash, backtick and dollar as an
    escape and all else as it stands, line breaks included (systemd.exec(5), EnvironmentFile=).
    """
    escapes = str.maketrans({special: f"\\{special}" for special in '\\"`$'})
    return "".join(f'{name}="{value.translate(escapes)}"\n' for name, value in sorted(variables.items()))


def wanted_files(release: Release, private: AppPrivate, domains: list[str], view: str) -> dict[str, str]:
    """The secret files of a release by their path below its secrets' folder; ``view`` is the app's view key."""
    known = tokens(release, domains)
    variables = fill({**private.get("env", {}), **private.get("secrets", {})}, known)
    files = {"environment": environment_file({**variables, VIEW_KEY: view})}
    for name, content in private.get("credentials", {}).items():
        files[f"credentials/{name}"] = content
    return files


def keyed_digest(app: App, values: Any) -> str:
    """A digest of secrets that says nothing about them to one who lacks the host's own key."""
    return hmac.new(_host_key(app), json.dumps(values, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def view_key(app: App) -> str:
    """The key by which the app's worker knows the self-test: the host's own, and the same for all releases."""
    return hmac.new(_host_key(app), b"the app's view, for the self-test", hashlib.sha256).hexdigest()


def _host_key(app: App) -> bytes:
    """The app's key that never leaves the host; made when it is first asked for."""
    key_file = app.secrets / "digest.key"
    if not key_file.exists():
        app.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(key_file, secrets.token_bytes(32), mode=0o600)
    return key_file.read_bytes()

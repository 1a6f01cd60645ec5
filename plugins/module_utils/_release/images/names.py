# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release's image and its container are called, and what the ledger notes of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..._process import CommandError, run
from .. import ledger
from ..paths import App, Release

if TYPE_CHECKING:
    from ..._contract.ledger import ImageEntry
    from ..._contract.release import ReleaseSpec

PODMAN = "/usr/bin/podman"
SKOPEO = "/usr/bin/skopeo"
LABEL = "asgi.host"


def is_image(spec: ReleaseSpec) -> bool:
    """Whether an app, as the module is told of it, runs in an image."""
    return bool(spec.get("container"))


def settings(spec: ReleaseSpec) -> list[dict[str, object]]:
    """What shapes a container beside what every app has; nothing for an app that runs in none."""
    container = spec.get("container")
    # How long its end may take is in the texts of its unit already.
    return [{key: value for key, value in container.items() if key != "stop_timeout"}] if container else []


def tag(release: Release) -> str:
    """The name that a release's image has on the host, and no other image."""
    return f"{repository(release.app)}:{release.id}"


def repository(app: App) -> str:
    return f"localhost/asgi-{app.name}"


def exists(release: Release) -> bool:
    """Whether the release's own image is on the host, and is the one that it was proved with."""
    try:
        found = run([PODMAN, "image", "inspect", "--format", "{{.Id}}", tag(release)]).strip()
    except CommandError:
        return False
    return bool(found) and found == facts(release).get("id")


def facts(release: Release) -> ImageEntry:
    return ledger.read(release).get("image") or {}


def scratch(app: App) -> Path:
    return Path(f"/run/asgi-host-{app.name}")


def container_name(release: Release) -> str:
    return f"asgi-{release.app.name}-{release.id}"

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What podman has of an app, removed."""

from __future__ import annotations

import datetime
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..._process import run, succeeds
from ..paths import App, Release
from .names import LABEL, PODMAN, repository, scratch, tag

# podman is asked to remove a container this many times, so many seconds after one another.
REMOVE_TRIES = 4
REMOVE_INTERVAL_S = 0.5


def discard(release: Release) -> None:
    """Remove a release's containers and its image; layers that another release shares stay."""
    if not Path(PODMAN).exists():
        return
    _remove_containers(f"{LABEL}.release={release.id}", release.app)
    if succeeds([PODMAN, "image", "exists", tag(release)]) and not succeeds([PODMAN, "rmi", tag(release)]):
        # Somebody has made a container of it, which is not ours to remove.
        succeeds([PODMAN, "untag", tag(release)])


def _remove_containers(label: str, app: App) -> None:
    found = run(
        [
            PODMAN,
            "ps",
            "--all",
            "--quiet",
            f"--filter=label={LABEL}.app={app.name}",
            f"--filter=label={label}",
        ]
    ).split()
    for name in found:
        # Of one that was killed together with its conmon the first try finds out, and the next one removes it.
        for left in reversed(range(REMOVE_TRIES)):
            if succeeds([PODMAN, "rm", "--force", "--ignore", "--volumes", "--time=0", name]) or not left:
                break
            time.sleep(REMOVE_INTERVAL_S)


def prune(app: App, *, until: str = "") -> None:
    """Remove what builds of this app left beside its images, with ``until`` only what is older than that time."""
    limit = [f"--filter=until={until}"] if until else []
    succeeds([PODMAN, "image", "prune", "--force", f"--filter=label={LABEL}.app={app.name}", *limit])


def clear_away(app: App, since: str) -> None:
    """Remove what a build of this app left that was killed; it began after ``since``, as the ledger writes a time.

    A layer that a power cut left empty would be built upon for ever, so none of the build's is kept.
    """
    shutil.rmtree(scratch(app), ignore_errors=True)
    if not Path(PODMAN).exists():
        return
    labelled = run(
        [PODMAN, "images", "--all", "--quiet", "--no-trunc", f"--filter=label={LABEL}.app={app.name}"]
    )
    found = json.loads(run([PODMAN, "ps", "--all", "--external", "--format=json"]))
    for identity in abandoned(found, {line.removeprefix("sha256:") for line in labelled.split()}, since):
        succeeds([PODMAN, "rm", "--force", identity])
    prune(app)


def abandoned(containers: Sequence[Mapping[str, Any]], layers: set[str], since: str) -> list[str]:
    """The working containers of a build that was killed: those upon ``layers``, and the one that came before the first.

    That one stands upon the base image, and nothing says whose it is but its time.
    """
    building = [each for each in containers if each["Command"] == ["buildah"]]
    own = [each for each in building if each["ImageID"] in layers]
    if since and own:
        begin = (
            datetime.datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC).timestamp()
        )
        first = min(each["Created"] for each in own)
        own += [each for each in building if each not in own and begin <= each["Created"] <= first]
    return [str(each["Id"]) for each in own]


def left_behind(app: App) -> list[str]:
    """The images of releases that are not on the host."""
    if not Path(PODMAN).exists():
        return []
    listed = run(
        [PODMAN, "images", "--format={{.Repository}}:{{.Tag}}", f"--filter=reference={repository(app)}"]
    )
    known = {tag(release) for release in app.all_releases()}
    return sorted({line for line in listed.split() if line.startswith(f"{repository(app)}:")} - known)


def remove_left_behind(app: App) -> None:
    """Remove the images of releases that are not on the host."""
    for name in left_behind(app):
        discard(app.release(name.rpartition(":")[2]))


def remove_all(app: App) -> None:
    """Remove everything of an app that podman has."""
    if not Path(PODMAN).exists():
        return
    _remove_containers(f"{LABEL}.app={app.name}", app)
    remove_left_behind(app)
    prune(app)

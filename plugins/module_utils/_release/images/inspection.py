# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an image is: whether it may run here, as whom, and the files of it that nginx serves."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..._process import run, succeeds
from .. import build, tree
from ..paths import Release
from .container import proposals
from .names import LABEL, PODMAN, container_name, tag

if TYPE_CHECKING:
    from ..._contract.ledger import ImageEntry
    from ..._contract.release import ReleaseSpec

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}


def inspected(release: Release, spec: ReleaseSpec) -> ImageEntry:
    """What the ledger notes of the image. Raises BuildError for one that must not or cannot run."""
    found = json.loads(run([PODMAN, "image", "inspect", tag(release)]))[0]
    config = found.get("Config") or {}
    machine = MACHINES.get(platform.machine())
    if machine and found.get("Architecture") not in (machine, None, ""):
        raise build.BuildError(
            f"source.image: the image is for {found['Architecture']} and the host is {machine}; build it for linux/{machine}"
        )
    if not (spec["command"] or config.get("Cmd") or config.get("Entrypoint")):
        raise build.BuildError(
            "source.image: the image has neither CMD nor ENTRYPOINT; add a CMD to the Dockerfile, or give command"
        )
    workdir = config.get("WorkingDir") or "/"
    with _files_of(release) as files:
        uid, gid = user_of(config.get("User") or "", files.text("/etc/passwd"), files.text("/etc/group"))
        for path in spec["container"]["static"]:
            inside = f"{workdir.rstrip('/')}/{path.removeprefix('{source}/')}"
            if not files.copy(inside, release.source / path.removeprefix("{source}/")):
                raise build.BuildError(
                    f"static: the image has no folder {inside}; name one below its WORKDIR, or one in the data folder "
                    "such as {data}/media"
                )
    tree.seal(release.source)
    check_links_inside(release.source)
    names = {entry.partition("=")[0] for entry in config.get("Env") or []}
    return {
        "id": found["Id"],
        "digest": found.get("Digest", ""),
        "user": config.get("User") or "",
        "uid": uid,
        "gid": gid,
        # What the image sets itself of that which the role only proposes.
        "sets": sorted(names & set(proposals(spec))),
    }


def user_of(user: str, passwd: str, group: str) -> tuple[int, int]:
    """The numbers of the user and the group that an image's USER means. Raises BuildError for root, and for nobody's."""
    name, _sign, group_name = user.partition(":")
    fix = "add a line such as USER 10001 before CMD in the Dockerfile"
    if not name:
        raise build.BuildError(f"source.image: the image has no USER, so its program would be root; {fix}")
    accounts = {row[0]: row for line in passwd.splitlines() if len(row := line.split(":")) > 3}
    groups = {row[0]: row for line in group.splitlines() if len(row := line.split(":")) > 2}
    own = (
        next((row for row in accounts.values() if row[2] == name), None)
        if name.isdigit()
        else accounts.get(name)
    )
    if own is None and not name.isdigit():
        raise build.BuildError(f"source.image: USER {name} is not in /etc/passwd of the image; {fix}")
    uid = int(own[2] if own else name)
    if group_name and not group_name.isdigit() and group_name not in groups:
        raise build.BuildError(
            f"source.image: the group of USER {user} is not in /etc/group of the image; {fix}"
        )
    gid = (
        int(group_name if group_name.isdigit() else groups[group_name][2])
        if group_name
        else int(own[3])
        if own
        else 0
    )
    if uid == 0:
        raise build.BuildError(f"source.image: USER {name} of the image is root; {fix}")
    return uid, gid


@dataclass(frozen=True)
class _Files:
    """The files of an image, seen through a container that never runs."""

    container: str

    def copy(self, inside: str, to: Path) -> bool:
        """Copy a folder out of the image; False where there is none."""
        to.mkdir(parents=True, exist_ok=True)
        return succeeds([PODMAN, "cp", f"{self.container}:{inside}/.", str(to)])

    def text(self, inside: str) -> str:
        """The text of a file; empty where there is none."""
        with tempfile.TemporaryDirectory(prefix="asgi-host-") as folder:
            copy = Path(folder) / "file"
            if not succeeds([PODMAN, "cp", f"{self.container}:{inside}", str(copy)]) or copy.is_symlink():
                return ""
            return copy.read_text(encoding="utf-8", errors="replace") if copy.is_file() else ""


@contextlib.contextmanager
def _files_of(release: Release) -> Iterator[_Files]:
    name = f"{container_name(release)}-files"
    labels = [f"--label={LABEL}.app={release.app.name}", f"--label={LABEL}.release={release.id}"]
    run([PODMAN, "create", "--quiet", "--replace", f"--name={name}", "--pull=never", "--network=none", *labels,
         tag(release), "true"])  # fmt: skip
    try:
        yield _Files(name)
    finally:
        succeeds([PODMAN, "rm", "--force", "--volumes", name])


def check_links_inside(folder: Path) -> None:
    """Links lead nginx elsewhere, and those of an image mean other files on the host."""
    root = folder.resolve()
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base) / name
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise build.BuildError(
                    f"static: {path.relative_to(folder)} in the image is a link that leads out of its folder; replace "
                    "it by the file"
                )

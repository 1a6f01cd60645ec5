# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a release's image comes from: built, loaded or pulled."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ... import _trees
from ..._process import CommandError, run
from .. import build, copies, ledger, units
from ..paths import App, Release
from ..uv import Tools
from .cleanup import discard, prune
from .inspection import inspected
from .names import LABEL, PODMAN, SKOPEO, facts, scratch, tag

if TYPE_CHECKING:
    from ..._contract.release import ImageSource, Login, ReleaseSpec

# Seconds that a build and the transfer of an image may take, and a registry to say what a tag stands for.
BUILD_TIMEOUT_S, COPY_TIMEOUT_S, ASK_TIMEOUT_S = 3600.0, 1800.0, 30.0
# Lines of a failed build that are shown.
MAX_LINES = 30
# What skopeo says beside the reason.
ASIDE = re.compile(r"level=(?:info|warning)")
# Variables of the play's user that the host's tools for images read.
KEPT = (
    "BUILDAH_ISOLATION", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REGISTRY_AUTH_FILE", "http_proxy", "https_proxy",
    "no_proxy",
)  # fmt: skip
# What of the role's certificates and index a build is shown; not a part of the image.
AUTHORITY = Path("/usr/local/share/ca-certificates/asgi-host.crt")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
IN_BUILD = "/run/asgi-host"


def resolved_digest(spec: ReleaseSpec, auth: Login | None, active: Release | None) -> str:
    """The digest that the tag of an image in a registry stands for now; empty where there is nothing to ask.

    With a registry that cannot be asked it is what it was for the ``active`` release.
    """
    wanted = spec["source"].get("image")
    if wanted is None or wanted["from"] != "registry" or wanted["pinned"]:
        return ""
    try:
        with authfile(wanted["name"], auth) as options:
            shown = run(
                [
                    SKOPEO,
                    "inspect",
                    "--no-tags",
                    *options,
                    "--format={{.Digest}}",
                    transport(wanted["name"]),
                ],
                timeout=ASK_TIMEOUT_S,
            )
    except CommandError:
        return str(facts(active).get("asked", "")) if active else ""
    return shown.strip().splitlines()[-1]


def transport(name: str) -> str:
    """A reference as skopeo takes it. It refuses a tag beside a digest, which says all."""
    if name.startswith("oci:"):
        return name
    name = name.removeprefix("docker://")
    return "docker://" + re.sub(r":[^:/@]+@", "@", name)


@contextlib.contextmanager
def authfile(name: str, auth: Login | None) -> Iterator[list[str]]:
    """The options of skopeo for a login, which is in a file that only root reads for as long as that takes."""
    if not auth:
        yield []
        return
    login = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()
    registry = name.removeprefix("docker://").partition("/")[0]
    with tempfile.TemporaryDirectory(prefix="asgi-host-", dir="/run") as folder:
        path = Path(folder) / "auth.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"auths": {registry: {"auth": login}}}), encoding="utf-8")
        yield [f"--authfile={path}"]


def make(
    release: Release,
    spec: ReleaseSpec,
    archive: Path | None,
    tools: Tools,
    auth: Login | None,
    asked_for: str,
) -> None:
    """Bring the release's image to the host, judge it, and note in the ledger what it is. Raises BuildError."""
    wanted = spec["source"]["image"]
    try:
        if wanted["from"] == "build" and archive:
            _build(release, wanted, archive, tools)
        elif wanted["from"] == "archive" and archive:
            _load(release, archive)
        else:
            pinned = (
                re.sub(r":[^:/@]+$", "", wanted["name"]) + f"@{asked_for}" if asked_for else wanted["name"]
            )
            if wanted["name"].startswith("oci:"):
                pinned = wanted["name"]
            with authfile(wanted["name"], auth) as options:
                _copy(transport(pinned), release, options)
        ledger.update(release, image={**inspected(release, spec), "asked": asked_for})
    except BaseException:
        discard(release)
        prune(release.app)
        raise


def _build(release: Release, wanted: ImageSource, archive: Path, tools: Tools) -> None:
    context = release.folder / "context"
    context.mkdir(mode=0o700)
    try:
        copies.unpack(archive, context)
        with _indexes(release.app, tools) as mounts:
            argv = [
                PODMAN, "build", f"--tag={tag(release)}", f"--file={context / wanted['dockerfile']}",
                # A newer base image is taken where the registry has one; one that is down is no trouble.
                "--pull=newer", "--network=host", "--force-rm", f"--layer-label={LABEL}.app={release.app.name}",
                *([f"--target={wanted['target']}"] if wanted["target"] else []),
                *(f"--build-arg={name}={value}" for name, value in sorted(wanted["build_args"].items())),
                *mounts, str(context),
            ]  # fmt: skip
            _work(release, argv, BUILD_TIMEOUT_S)
    except CommandError as error:
        said = "\n".join(error.words.splitlines()[-MAX_LINES:])
        raise build.BuildError(
            f"source.image: the image cannot be built from {wanted['dockerfile']}; correct that:\n{said}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            _trees.remove(context)
    releases = [other for other in release.app.all_releases() if other != release]
    if releases and (since := ledger.read(releases[0]).get("created")):
        prune(release.app, until=since)


@contextlib.contextmanager
def _indexes(app: App, tools: Tools) -> Iterator[list[str]]:
    """Mounts by which pip in a build asks the host's own index, and believes its authorities; none is in the image."""
    own = AUTHORITY.is_file()
    if not (own or tools.index or tools.wheels):
        yield []
        return
    lines = ["[global]", f"cert = {IN_BUILD}/ca.pem"]
    mounts = [f"--volume={BUNDLE}:{IN_BUILD}/ca.pem:ro"]
    if tools.index:
        lines.append(f"index-url = {tools.index}")
    if tools.wheels:
        lines += ["no-index = true", f"find-links = {IN_BUILD}/wheels"]
        mounts.append(f"--volume={tools.wheels}:{IN_BUILD}/wheels:ro")
    # Of the same name each time: a deploy that was killed has left its own, and only one of an app is at work.
    folder = scratch(app)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        path = folder / "pip.conf"
        # The folder is root's alone; in the build any user may read it, for pip may be anyone's.
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        path.chmod(0o644)
        yield [*mounts, f"--volume={path}:/etc/pip.conf:ro"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _work(release: Release, argv: Sequence[str], timeout: float) -> None:
    """Run what takes long in a unit of its own, which ends with a deploy that is ended, and is found if it does not."""
    units.run_in_sandbox(release, ["[Service]\nDelegate=yes"], argv, keep=KEPT, timeout=timeout)


def _load(release: Release, archive: Path) -> None:
    """Load an archive, from a place of root's: skopeo may give up the right to read what the play's user has sent."""
    own = release.folder / "image.tar"
    shutil.move(archive, own)
    try:
        os.chown(own, 0, 0)
        _copy(f"{kind_of(own)}:{own}", release)
    finally:
        own.unlink(missing_ok=True)


def kind_of(archive: Path) -> str:
    """How skopeo calls this kind of archive. Raises BuildError for one that holds no image."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.removeprefix("./") == "manifest.json":
                    return "docker-archive"
                if member.name.removeprefix("./") == "oci-layout":
                    return "oci-archive"
    except (tarfile.TarError, EOFError, OSError) as error:
        raise build.BuildError(f"source.image.archive: the file is no tar: {error}") from error
    raise build.BuildError(
        "source.image.archive: the file holds no image; give one that docker save or podman save has written"
    )


def _copy(source: str, release: Release, options: Sequence[str] = ()) -> None:
    """Bring an image under the release's own name, and under no other: an archive may name anything."""
    given = [option.replace("--authfile", "--src-authfile") for option in options]
    try:
        _work(
            release,
            [SKOPEO, "copy", "--quiet", *given, source, f"containers-storage:{tag(release)}"],
            COPY_TIMEOUT_S,
        )
    except CommandError as error:
        said = "\n".join(line for line in error.words.splitlines() if not ASIDE.search(line))
        raise build.BuildError(f"source.image: the image cannot be had: {said}") from error

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that is a container image: built, loaded or pulled, judged, and run by podman under the release's own unit.

podman is root's. The process in the container is the app's own system user to the host, whatever number it has inside,
and root of the container is nobody there.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import os
import platform
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _trees
from .._files import gid_of, uid_of
from .._host import listening
from .._process import CommandError, run, succeeds
from . import build, copies, environment, ledger, tree, units
from .gate import Gate, GateError
from .paths import App, Release

PODMAN = "/usr/bin/podman"
SKOPEO = "/usr/bin/skopeo"
# Seconds that a build and the transfer of an image may take, and a registry to say what a tag stands for.
BUILD_TIMEOUT, COPY_TIMEOUT, ASK_TIMEOUT = 3600.0, 1800.0, 30.0
# Lines of a failed build that are shown.
SHOWN_LINES = 30
REMOVE_TRIES = 4
# What skopeo says beside the reason.
ASIDE = re.compile(r"level=(?:info|warning)")
# Variables of the play's user that the host's tools for images read.
KEPT = (
    "BUILDAH_ISOLATION", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REGISTRY_AUTH_FILE", "http_proxy", "https_proxy",
    "no_proxy",
)  # fmt: skip
LABEL = "asgi.host"
# podman's account of what it does would stand between the app's own words in the journal of its unit.
QUIETLY = "--events-backend=none"
# The folder of credentials in the container.
CREDENTIALS = "/run/credentials"
# The numbers of users that a container has, and where on the host they begin: beyond those that are given to people for
# containers of their own (SUB_UID_MAX of login.defs), within those that systemd keeps for containers (systemd-nspawn(1)).
IDS = 65536
FIRST_ID = 1 << 30
FOLDERS = 8192
# What of the role's certificates and index a build is shown; not a part of the image.
AUTHORITY = Path("/usr/local/share/ca-certificates/asgi-host.crt")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
IN_BUILD = "/run/asgi-host"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
ASTRAY = (
    "\nThe program listens on port {port}, where nobody asks it. It must take the socket that systemd has passed to the "
    "container: gunicorn does so by itself, uvicorn with --fd 3 in place of --host and --port. It must be the container's "
    'first process, so give CMD as a list: CMD ["gunicorn", …]'
)


def is_one(spec: Mapping[str, Any]) -> bool:
    """Whether an app, as the module is told of it, runs in an image."""
    return bool(spec.get("container"))


def settings(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What shapes a container beside what every app has; nothing for an app that runs in none."""
    container = spec.get("container")
    # How long its end may take is in the texts of its unit already.
    return [{key: value for key, value in container.items() if key != "stop_timeout"}] if container else []


def tag(release: Release) -> str:
    """The name that a release's image has on the host, and no other image."""
    return f"{_repository(release.app)}:{release.id}"


def _repository(app: App) -> str:
    return f"localhost/asgi-{app.name}"


def exists(release: Release) -> bool:
    """Whether the release's own image is on the host, and is the one that it was proved with."""
    try:
        found = run([PODMAN, "image", "inspect", "--format", "{{.Id}}", tag(release)]).strip()
    except CommandError:
        return False
    return bool(found) and found == _facts(release).get("id")


def _facts(release: Release) -> dict[str, Any]:
    found: dict[str, Any] = ledger.read(release).get("image") or {}
    return found


# -- where it comes from ------------------------------------------------------------------------------------------


def asked(spec: Mapping[str, Any], auth: Mapping[str, str] | None, active: Release | None) -> str:
    """The digest that the tag of an image in a registry stands for now; empty where there is nothing to ask.

    With a registry that cannot be asked it is what it was for the ``active`` release.
    """
    wanted = spec["source"].get("image") or {}
    if wanted.get("from") != "registry" or wanted["pinned"]:
        return ""
    try:
        with _authfile(wanted["name"], auth) as options:
            shown = run(
                [
                    SKOPEO,
                    "inspect",
                    "--no-tags",
                    *options,
                    "--format={{.Digest}}",
                    _transport(wanted["name"]),
                ],
                timeout=ASK_TIMEOUT,
            )
    except CommandError:
        return str(_facts(active).get("asked", "")) if active else ""
    return shown.strip().splitlines()[-1]


def _transport(name: str) -> str:
    """A reference as skopeo takes it. It refuses a tag beside a digest, which says all."""
    if name.startswith("oci:"):
        return name
    name = name.removeprefix("docker://")
    return "docker://" + re.sub(r":[^:/@]+@", "@", name)


@contextlib.contextmanager
def _authfile(name: str, auth: Mapping[str, str] | None) -> Iterator[list[str]]:
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
    spec: Mapping[str, Any],
    archive: Path | None,
    tools: build.Tools,
    auth: Mapping[str, str] | None,
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
            with _authfile(wanted["name"], auth) as options:
                _copy(_transport(pinned), release, options)
        ledger.update(release, image={**_judged(release, spec), "asked": asked_for})
    except BaseException:
        discard(release)
        prune(release.app)
        raise


def _build(release: Release, wanted: Mapping[str, Any], archive: Path, tools: build.Tools) -> None:
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
            _work(release, argv, BUILD_TIMEOUT)
    except CommandError as error:
        said = "\n".join(error.words.splitlines()[-SHOWN_LINES:])
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
def _indexes(app: App, tools: build.Tools) -> Iterator[list[str]]:
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
    folder = _scratch(app)
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


def _scratch(app: App) -> Path:
    return Path(f"/run/asgi-host-{app.name}")


def _work(release: Release, argv: Sequence[str], timeout: float) -> None:
    """Run what takes long in a unit of its own, which ends with a deploy that is ended, and is found if it does not."""
    units.run_in_sandbox(release, ["[Service]\nDelegate=yes"], argv, keep=KEPT, timeout=timeout)


def _load(release: Release, archive: Path) -> None:
    """Load an archive, from a place of root's: skopeo may give up the right to read what the play's user has sent."""
    own = release.folder / "image.tar"
    shutil.move(archive, own)
    try:
        os.chown(own, 0, 0)
        _copy(f"{_kind_of(own)}:{own}", release)
    finally:
        own.unlink(missing_ok=True)


def _kind_of(archive: Path) -> str:
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
            COPY_TIMEOUT,
        )
    except CommandError as error:
        said = "\n".join(line for line in error.words.splitlines() if not ASIDE.search(line))
        raise build.BuildError(f"source.image: the image cannot be had: {said}") from error


# -- what it is -----------------------------------------------------------------------------------------------------


def _judged(release: Release, spec: Mapping[str, Any]) -> dict[str, Any]:
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
    _must_not_lead_out(release.source)
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
    name = f"{_container(release)}-files"
    labels = [f"--label={LABEL}.app={release.app.name}", f"--label={LABEL}.release={release.id}"]
    run([PODMAN, "create", "--quiet", "--replace", f"--name={name}", "--pull=never", "--network=none", *labels,
         tag(release), "true"])  # fmt: skip
    try:
        yield _Files(name)
    finally:
        succeeds([PODMAN, "rm", "--force", "--volumes", name])


def _must_not_lead_out(folder: Path) -> None:
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


# -- how it runs ------------------------------------------------------------------------------------------------------


def _container(release: Release) -> str:
    return f"asgi-{release.app.name}-{release.id}"


def mapping(inside: int, outside: int, first: int) -> list[str]:
    """Ranges of podman's --uidmap: ``inside`` is ``outside`` to the host, all others count from ``first``."""
    ranges = [
        (0, first, min(inside, IDS)),
        (inside, outside, 1),
        (inside + 1, first + inside + 1, IDS - inside - 1),
    ]
    return [f"{start}:{there}:{count}" for start, there, count in ranges if count > 0]


def first_id(name: str) -> int:
    """Where on the host the numbers of an app's container begin; each app has its own."""
    return FIRST_ID + int(hashlib.sha256(name.encode()).hexdigest(), 16) % FOLDERS * IDS


def proposals(spec: Mapping[str, Any]) -> dict[str, str]:
    """Variables by which servers keep idle connections longer than nginx does, unless the image sets them."""
    graceful, keepalive = (spec["container"][key] for key in ("graceful_timeout", "keepalive"))
    return {
        "GUNICORN_CMD_ARGS": f"--keep-alive={keepalive} --graceful-timeout={graceful}",
        "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": str(graceful),
        "UVICORN_TIMEOUT_KEEP_ALIVE": str(keepalive),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def variables(release: Release, spec: Mapping[str, Any], private: Mapping[str, Any]) -> dict[str, str]:
    """The environment of the container beside that of the image itself."""
    data = str(release.app.data)
    known = environment.tokens(release, spec["domains"])
    proposed = {
        name: value for name, value in proposals(spec).items() if name not in _facts(release).get("sets", [])
    }
    given: dict[str, str] = environment.fill({**private.get("env", {}), **private.get("secrets", {})}, known)
    return {
        **proposed,
        "WEB_CONCURRENCY": str(spec["container"]["workers"]),
        # The socket is nginx's alone, and nginx overwrites the headers.
        "FORWARDED_ALLOW_IPS": "*",
        **given,
        "HOME": data,
        "STATE_DIRECTORY": data,
        **({"CREDENTIALS_DIRECTORY": CREDENTIALS} if private.get("credentials") else {}),
    }


def _several_lines(values: Mapping[str, str]) -> dict[str, str]:
    """Those that podman's file of variables, which is a line for each, cannot hold. A carriage return would be lost."""
    return {name: value for name, value in values.items() if re.search(r"[\r\n]", value)}


def secret_files(release: Release, spec: Mapping[str, Any], private: Mapping[str, Any]) -> dict[str, str]:
    """The secret files of a release by their path below its secrets' folder.

    podman takes each line of container.env as it stands. Values of several lines reach it through systemd's file.
    """
    values = variables(release, spec, private)
    several = _several_lines(values)
    plain = "".join(f"{name}={value}\n" for name, value in sorted(values.items()) if name not in several)
    files = {"environment": environment.environment_file(several), "container.env": plain}
    for name, content in private.get("credentials", {}).items():
        files[f"credentials/{name}"] = content
    return files


def run_options(release: Release, spec: Mapping[str, Any], private: Mapping[str, Any]) -> list[str]:
    """What the app's process and its hooks have in common, as options of ``podman run``."""
    app, facts, container = release.app, _facts(release), spec["container"]
    first = first_id(app.name)
    uids = mapping(facts["uid"], uid_of(app.user), first)
    gids = mapping(facts["gid"], gid_of(app.user), first)
    mounts = [f"{app.data}:{app.data}", *(f"{path}:{path}" for path in container["writable_paths"])]
    if private.get("credentials"):
        mounts.append(f"{release.secrets}/credentials:{CREDENTIALS}:ro")
    return [
        "--rm", "--replace", "--pull=never", "--cgroups=split",
        f"--label={LABEL}.app={app.name}", f"--label={LABEL}.release={release.id}",
        *(f"--uidmap={each}" for each in uids), *(f"--gidmap={each}" for each in gids),
        "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--umask=0007",
        # The unit's own limits hold, and a place of the image that is declared as a volume would forget what it is told.
        "--pids-limit=0", "--ulimit=host", "--image-volume=ignore", "--no-healthcheck",
        f"--network={'none' if container['network'] == 'none' else 'host'}",
        *(f"--volume={mount}" for mount in mounts),
        f"--env-file={release.secrets}/container.env",
        *(f"--env={name}" for name in sorted(_several_lines(variables(release, spec, private)))),
    ]  # fmt: skip


def unit_text(release: Release, spec: Mapping[str, Any], private: Mapping[str, Any]) -> str:
    """The drop-in by which the release's unit runs its image: what Quadlet would write, on Debian 12 as well."""
    name, container = _container(release), spec["container"]
    command = environment.fill(spec["command"] or [], environment.tokens(release, spec["domains"]))
    start = [
        PODMAN, QUIETLY, "run", f"--name={name}", "--detach", "--sdnotify=conmon", "--log-driver=passthrough",
        f"--stop-timeout={container['stop_timeout'] - 5}", *run_options(release, spec, private),
        tag(release), *command,
    ]  # fmt: skip
    lines = [
        "# Written by asgi.host for this release alone, when its image was there.",
        "[Service]",
        "ExecStart=",
        "ExecStart=" + " ".join(map(quoted, start)),
        f"ExecStop={PODMAN} {QUIETLY} stop --ignore {name}",
        f"ExecStopPost=-{PODMAN} {QUIETLY} rm --force --ignore --volumes {name}",
    ]
    return "\n".join([*lines, ""])


def quoted(word: str) -> str:
    """A word of a command line in a unit, taken as it stands (systemd.service(5), Command lines)."""
    if re.fullmatch(r"[A-Za-z0-9_@:=./,-]+", word):
        return word
    escapes = {"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(letter, letter) for letter in word) + '"'


def run_hook(
    release: Release, spec: Mapping[str, Any], private: Mapping[str, Any], argv: Sequence[str], timeout: float
) -> str:
    """Run a command in the image, in place of its ENTRYPOINT and CMD. Raises CommandError."""
    command = [
        PODMAN, QUIETLY, "run", f"--name={_container(release)}-run", *run_options(release, spec, private),
        f"--entrypoint={json.dumps(list(argv))}", tag(release),
    ]  # fmt: skip
    try:
        return units.run_in_sandbox(release, [spec["texts"]["release.conf"]], command, timeout=timeout)
    except CommandError as error:
        raise CommandError(argv, error.status, error.output) from error


@dataclass(frozen=True)
class ContainerGate(Gate):
    """A gate that says why nobody answers when the program in the container listens elsewhere."""

    def passes(self, release: Release, limit: float | None = None) -> None:
        """As any gate. Raises GateError."""
        try:
            super().passes(release, limit)
        except GateError as error:
            port = astray(release)
            raise GateError(f"{error}{ASTRAY.format(port=port) if port else ''}") from error


def astray(release: Release) -> int | None:
    """A TCP port on which a process of the release's unit listens."""
    group = run(["systemctl", "show", "--property=ControlGroup", "--value", release.service]).strip()
    for folder in Path("/proc").glob("[0-9]*") if group else ():
        with contextlib.suppress(OSError):
            if f":{group}/" not in (folder / "cgroup").read_text(encoding="utf-8").replace("\n", "/\n"):
                continue
            own = {os.readlink(link) for link in (folder / "fd").iterdir()}
            for link, port in listening(folder / "net").items():
                if link in own:
                    return port
    return None


# -- house-keeping ------------------------------------------------------------------------------------------------------


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
            time.sleep(0.5)


def prune(app: App, *, until: str = "") -> None:
    """Remove what builds of this app left beside its images, with ``until`` only what is older than that time."""
    limit = [f"--filter=until={until}"] if until else []
    succeeds([PODMAN, "image", "prune", "--force", f"--filter=label={LABEL}.app={app.name}", *limit])


def clear_away(app: App, since: str) -> None:
    """Remove what a build of this app left that was killed; it began after ``since``, as the ledger writes a time.

    A layer that a power cut left empty would be built upon for ever, so none of the build's is kept.
    """
    shutil.rmtree(_scratch(app), ignore_errors=True)
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
        [PODMAN, "images", "--format={{.Repository}}:{{.Tag}}", f"--filter=reference={_repository(app)}"]
    )
    known = {tag(release) for release in app.all_releases()}
    return sorted({line for line in listed.split() if line.startswith(f"{_repository(app)}:")} - known)


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

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a release's image runs: the user, the environment and the unit of its container."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..._files import gid_of, uid_of
from ..._process import CommandError
from .. import environment, units
from ..paths import Release
from .names import LABEL, PODMAN, container_name, facts, tag

if TYPE_CHECKING:
    from ..._contract.release import AppPrivate, ReleaseSpec

# podman's account of what it does would stand between the app's own words in the journal of its unit.
QUIETLY = "--events-backend=none"
# The folder of credentials in the container.
CREDENTIALS = "/run/credentials"
# The numbers of users that a container has, and where on the host they begin: beyond those that are given to people for
# containers of their own (SUB_UID_MAX of login.defs), within those that systemd keeps for containers (systemd-nspawn(1)).
IDS = 65536
FIRST_ID = 1 << 30
FOLDERS = 8192


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


def proposals(spec: ReleaseSpec) -> dict[str, str]:
    """Variables by which servers keep idle connections longer than nginx does, unless the image sets them."""
    graceful, keepalive = (spec["container"][key] for key in ("graceful_timeout", "keepalive"))
    return {
        "GUNICORN_CMD_ARGS": f"--keep-alive={keepalive} --graceful-timeout={graceful}",
        "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": str(graceful),
        "UVICORN_TIMEOUT_KEEP_ALIVE": str(keepalive),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def variables(release: Release, spec: ReleaseSpec, private: AppPrivate) -> dict[str, str]:
    """The environment of the container beside that of the image itself."""
    data = str(release.app.data)
    known = environment.tokens(release, spec["domains"])
    proposed = {
        name: value for name, value in proposals(spec).items() if name not in facts(release).get("sets", [])
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


def secret_files(release: Release, spec: ReleaseSpec, private: AppPrivate) -> dict[str, str]:
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


def run_options(release: Release, spec: ReleaseSpec, private: AppPrivate) -> list[str]:
    """What the app's process and its hooks have in common, as options of ``podman run``."""
    app, known, container = release.app, facts(release), spec["container"]
    first = first_id(app.name)
    uids = mapping(known["uid"], uid_of(app.user), first)
    gids = mapping(known["gid"], gid_of(app.user), first)
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


def unit_text(release: Release, spec: ReleaseSpec, private: AppPrivate) -> str:
    """The drop-in by which the release's unit runs its image: what Quadlet would write, in the release's own unit."""
    name, container = container_name(release), spec["container"]
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
    release: Release, spec: ReleaseSpec, private: AppPrivate, argv: Sequence[str], timeout: float
) -> str:
    """Run a command in the image, in place of its ENTRYPOINT and CMD. Raises CommandError."""
    command = [
        PODMAN, QUIETLY, "run", f"--name={container_name(release)}-run", *run_options(release, spec, private),
        f"--entrypoint={json.dumps(list(argv))}", tag(release),
    ]  # fmt: skip
    try:
        return units.run_in_sandbox(release, [spec["texts"]["release.conf"]], command, timeout=timeout)
    except CommandError as error:
        raise CommandError(argv, error.status, error.output) from error

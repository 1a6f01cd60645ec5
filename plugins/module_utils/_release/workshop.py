# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a release is built: a transient unit of an unprivileged user of its own for each app.

Whatever an app or a dependency brings is executed, unpacked and parsed here, and root copies what comes out. Orders and
variables go in by the unit's standard input: what is in a command line or in a unit's ``Environment`` any user can read.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from .. import _trees
from .._process import CommandError, end_of, run, succeeds
from . import bench, copies
from .paths import App, Release

# Of systemd for dynamic users; nobody else passes through it.
PRIVATE = Path("/var/cache/private")
CACHES = "asgi-build"
# Seconds that one program may take, and that the unit has to start.
PROGRAM_LIMIT_S = 900.0
START_LIMIT_S = 60.0
# Seconds that it has for its end, once nothing is asked of it any more.
END_LIMIT_S = 5.0
# Bytes of an answer beyond which it is none.
ANSWER_MAX_BYTES = 64_000_000
# Variables of the play that a build gets: how the network is reached, and how uv uses it.
NETWORK = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
KEPT = (
    *NETWORK, *(name.upper() for name in NETWORK), "SOURCE_DATE_EPOCH", "UV_CONCURRENT_BUILDS",
    "UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_INSTALLS", "UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS",
)  # fmt: skip
# The sandbox of an app without MemoryDenyWriteExecute, for node and compilers, and with the network.
SANDBOX = (
    "DynamicUser=yes",
    "UMask=0022",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "SystemCallErrorNumber=EPERM",
    "InaccessiblePaths=-/etc/asgi",
    "InaccessiblePaths=-/var/lib/asgi",
    "InaccessiblePaths=-/etc/nginx/asgi",
    # Nor any other service's socket, but those by which names are resolved.
    "TemporaryFileSystem=/run:ro",
    "BindReadOnlyPaths=-/run/systemd/resolve -/run/resolvconf -/run/NetworkManager/resolv.conf -/run/nscd",
    "TemporaryFileSystem=/var/cache/asgi:ro",
    # Memory that is shared by name is seen by every process of the host.
    "TemporaryFileSystem=/dev/shm:mode=1777,nosuid,nodev",
    # What serves keeps a quarter of the host's memory; of a build that takes more, one process ends and says so.
    "MemoryMax=75%",
    "OOMPolicy=continue",
    "KillMode=control-group",
    "KillSignal=SIGKILL",
    "TimeoutStopSec=10",
)


def user_name(app: App) -> str:
    """The build user of an app. An app's own user has a hyphen where this has an underscore: it is never the same."""
    return f"asgi_build_{hashlib.sha256(app.name.encode()).hexdigest()[:16]}"


class Workshop:
    """The sandbox in which one release is built. Its unit starts with the first order, and again after close()."""

    def __init__(self, release: Release, python: str, *, readable: Sequence[str] = ()) -> None:
        self._release = release
        self._python = python
        self._readable = readable
        self._unit = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._home = place(release.app)
        self._waiting = False
        self.clean = True
        """Whether nothing of a package has run in the unit."""

    @property
    def cache(self) -> Path:
        """The cache of uv, of this app alone."""
        return self._home / "uv"

    @property
    def scratch(self) -> Path:
        """The folder for what is being made; nobody trusts what is in it."""
        return self._home / "work"

    @property
    def venv(self) -> Path:
        return self.scratch / "venv"

    def __enter__(self) -> Self:
        self._clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._clear()

    def _clear(self) -> None:
        # rm goes by descriptors, however deep, and follows no link. Nothing runs there now.
        if os.path.lexists(self.scratch):
            run(["rm", "--recursive", "--force", "--one-file-system", str(self.scratch)])

    def run(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        """Run a program and return its output. Raises CommandError as _process.run does."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        order = {"do": "run", "argv": list(argv), "env": {**kept, **(env or {})}}
        answer = self._ask(order, argv)
        if answer["status"] is None:
            raise CommandError(argv, "could not be started", answer["output"])
        if answer["status"]:
            raise CommandError(argv, end_of(answer["status"]), answer["output"])
        return str(answer["output"])

    def write(self, name: str, text: str) -> Path:
        """Write a file in the scratch folder; returns its path there."""
        path = self.scratch / name
        self._ask({"do": "write", "path": str(path), "text": text}, ["write", name])
        return path

    def read(self, name: str) -> str:
        """The text of a file in the scratch folder."""
        return str(self._ask({"do": "read", "path": str(self.scratch / name)}, ["read", name])["output"])

    def compile(self, folder: Path, name: str, *, as_of: Path, strict: bool = True) -> None:
        """Write the bytecode of a folder's modules into the scratch folder, for where they are ``as_of``.

        By the interpreter that the app runs on, which executes nothing of it. Raises CommandError, with ``strict`` also
        for a module that cannot be compiled.
        """
        order = {
            "do": "compile",
            "from": str(folder),
            "to": str(self.scratch / name),
            "as": str(as_of),
            "strict": strict,
        }
        answer = self._ask(order, ["compile"])
        if answer["status"]:
            raise CommandError(["compile"], "exit status 1", str(answer["output"]))

    def copy(self, source: Path, name: str, *, live: bool = False) -> Path:
        """Copy a source into the scratch folder; returns its path there."""
        path = self.scratch / name
        order = {"do": "copy", "from": str(source), "to": str(path), "live": live}
        self._ask(order, ["copy", str(source)])
        return path

    def say_otherwise(self, name: str, old: str, new: str) -> None:
        """Replace the path of a folder in what an editable installation has written into a virtualenv."""
        order = {"do": "say_otherwise", "venv": str(self.scratch / name), "old": old, "new": new}
        self._ask(order, ["say_otherwise", name])

    def take(self, name: str, target: Path) -> None:
        """Copy a folder of the scratch folder to ``target``, which becomes root's. Raises _trees.TreeError."""
        with _trees.opened(PRIVATE / CACHES, self._home.name, self.scratch.name, name) as folder:
            copies.take(folder, target)

    def take_bytecode(self, name: str, target: Path) -> None:
        """Copy the bytecode of a folder of the scratch folder to the sources that it is of."""
        with _trees.opened(PRIVATE / CACHES, self._home.name, self.scratch.name, name) as folder:
            copies.take_bytecode(folder, target)

    def forget_checkouts(self) -> None:
        """Remove what uv keeps of git repositories.

        A build can write to that cache, and git obeys the settings and hooks that it finds where it works: with the next
        one's logins in its environment.
        """
        for kept in self.cache.glob("git-v*"):
            run(["rm", "--recursive", "--force", "--one-file-system", str(kept)])

    def empty(self) -> None:
        """End the unit, and remove all that was left in its scratch folder and home."""
        self.close()
        self._clear()

    def close(self) -> None:
        """End the unit, with every process that is in it."""
        process, self._process = self._process, None
        self.clean = True
        if process is None:
            return
        try:
            # At the end of its input the program ends, and systemd kills all else that is in the unit.
            process.communicate(timeout=END_LIMIT_S)
        except subprocess.TimeoutExpired:
            succeeds(["systemctl", "stop", self._unit])
            process.kill()
            process.communicate()
            succeeds(["systemctl", "reset-failed", self._unit])

    def must_be_clean(self) -> None:
        """Have a unit in which nothing of a package has run."""
        if not self.clean:
            self.close()

    def begin(self) -> None:
        """Start the unit, and do not wait for it."""
        release = self._release
        self._unit = f"asgi-{release.app.name}-run-{os.getpid()}-{time.monotonic_ns()}.service"
        properties = [
            *SANDBOX,
            f"User={user_name(release.app)}",
            f"CacheDirectory={CACHES}/{release.app.name}",
            "CacheDirectoryMode=0700",
            # Other apps, and other releases, are not there.
            f"TemporaryFileSystem={release.app.root}:ro",
            *(f"BindReadOnlyPaths={path}" for path in (release.folder, *self._readable)),
        ]
        argv = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={self._unit}"]
        # By default it is the command line, which is a whole program.
        argv.append(f"--description=Build of {release.app.name}, release {release.id}")
        argv += ["--service-type=exec", *(f"--property={entry}" for entry in properties)]
        argv += ["--", self._python, "-I", "-S", "-c", inspect.getsource(bench)]
        # It is asked again and again while it runs, which run_command cannot do.
        self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self._waiting = True

    def _ask(self, order: Mapping[str, Any], argv: Sequence[str]) -> dict[str, Any]:
        if self._process is None:
            self.begin()
        if self._waiting:
            self._waiting = False
            # A home of its own that nothing is read from.
            env = {"HOME": str(self.scratch / "home"), "LC_ALL": "C.UTF-8"}
            self._exchange({"do": "set", "env": env}, ["systemd-run"], START_LIMIT_S)
        answer = self._exchange(order, argv, PROGRAM_LIMIT_S)
        if "error" in answer:
            raise CommandError(argv, "failed", str(answer["error"]))
        return answer

    def _exchange(self, order: Mapping[str, Any], argv: Sequence[str], limit: float) -> dict[str, Any]:
        """Send one order and wait for its answer; what is none is the end of the unit."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise CommandError(argv, "the build sandbox ended", "")
        said = b""
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            said = _line(process.stdout, limit)
            answer = json.loads(said)
        except TimeoutError:
            self.close()
            raise CommandError(argv, f"still ran after {limit:.0f} s and was ended", "") from None
        except (OSError, ValueError) as error:
            self.close()
            raise CommandError(
                argv, "the build sandbox ended", said[-4000:].decode("utf-8", "replace") or str(error)
            ) from error
        if not isinstance(answer, dict):
            self.close()
            raise CommandError(argv, "the build sandbox gave no answer", "")
        return answer


def place(app: App) -> Path:
    """The folder of an app's builds, which is its build user's."""
    return PRIVATE / CACHES / app.name


def forget(app: App) -> None:
    """Remove all that builds of an app have left; for who holds the app's lock."""
    run(["rm", "--recursive", "--force", "--one-file-system", str(place(app))])
    (Path("/var/cache") / CACHES / app.name).unlink(missing_ok=True)


def _line(stream: IO[bytes], limit: float) -> bytes:
    """One line, all that came where the stream ends before. Raises TimeoutError, ValueError for one without end."""
    until = time.monotonic() + limit
    said = b""
    parts = []
    size = 0
    while not said.endswith(b"\n"):
        if not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError
        said = os.read(stream.fileno(), 1 << 20)
        parts.append(said)
        size += len(said)
        if not said:
            break
        if size > ANSWER_MAX_BYTES:
            raise ValueError("an answer without end")
    return b"".join(parts)

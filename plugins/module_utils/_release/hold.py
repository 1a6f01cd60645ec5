# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Holding requests while no instance runs: for a host without memory for two (``strategy: restart``).

A socket of systemd's is moved over the serving release's by one rename. Requests wait in its backlog, and are
handed on by systemd-socket-proxyd to whichever release serves in the end: the new one once it has passed its
gate, else the old one. So a release that does not work gets no traffic here either.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import time
from pathlib import Path

from .._files import write_atomically
from .._nginx import account
from .._process import CommandError, run
from . import units
from .gate import wait_until_let_go
from .paths import Release

PROXY = "/usr/lib/systemd/systemd-socket-proxyd"
# Seconds without a connection after which it ends by itself.
IDLE = 2
BACKLOG = 4096


class Hold:
    """Requests for ``release`` wait from begin() on, until end() says who answers them."""

    def __init__(self, release: Release) -> None:
        self._release = release
        # Streams of an earlier deploy may still go through its proxy, so each has a name of its own.
        self._unit = f"asgi-{release.app.name}-hold-{os.getpid()}-{time.monotonic_ns()}"
        self._socket = release.folder / "hold.sock"
        self._kept = release.folder / "kept.sock"
        self._answer = release.folder / "hold.answer"
        self._script = release.folder / "hold.sh"

    def left_behind(self) -> bool:
        """Whether one that was not ended lies there."""
        return self._kept.exists() or self._answer.exists()

    def begin(self) -> None:
        """Take the place of the release's socket. Connections that it has stay with it. Raises CommandError."""
        self.clear()
        # An operator may have stopped it, and with it its name is gone.
        run(["systemctl", "start", self._release.socket])
        # A file: systemd of Debian 12 mangles a transient unit's command when it is told to reload.
        write_atomically(self._script, self._text().encode())
        settings = {
            "ListenStream": self._socket, "SocketMode": "0660", "SocketUser": "root", "SocketGroup": account().group,
            "Backlog": BACKLOG, "TriggerLimitIntervalSec": "0",
        }  # fmt: skip
        run(
            [
                "systemd-run", "--quiet", "--collect", f"--unit={self._unit}", "--service-type=exec",
                f"--description=Holds the requests of {self._release.app.name} during a deploy",
                *(f"--socket-property={name}={value}" for name, value in settings.items()),
                "/bin/sh", str(self._script),
            ]
        )  # fmt: skip
        # A second name for the release's own socket, so that one rename can put it back.
        os.link(self._release.socket_path, self._kept)
        os.replace(self._socket, self._release.socket_path)

    def give_back(self) -> None:
        """Put the release's own socket back in its place and start it again. Raises CommandError."""
        self._put_back()
        run(["systemctl", "start", "--no-block", self._release.service])

    def _put_back(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._kept, self._release.socket_path)

    def _text(self) -> str:
        """Wait for the answer's address, then proxy to it.

        The first request starts it. A deploy that died no longer holds the app's lock: then the old release is
        started again, so that its requests do not wait for an operator.
        """
        old = self._release
        answer, lock, sock, kept = (
            shlex.quote(str(path)) for path in (self._answer, old.app.lock, old.socket_path, self._kept)
        )
        proxy = f"exec {PROXY} --exit-idle-time={IDLE}s"
        return f"""# Written by asgi.host for the length of a deploy.
until [ -s {answer} ]; do
    if flock --nonblock {lock} true; then
        mv --force {kept} {sock}
        systemctl start --no-block {old.service}
        {proxy} {sock}
    fi
    sleep 0.05
done
{proxy} "$(cat {answer})"
"""

    def end(self, release: Release, limit: float) -> None:
        """Hand the requests that wait to ``release``, which takes up to ``limit`` seconds.

        Nobody asks by the old name any more, but a way back must find the old release's own socket there. Whoever is
        still connected after that, with a stream, stays so.
        """
        write_atomically(self._answer, str(release.socket_path).encode())
        self._put_back()
        wait_until_let_go(self._socket, limit)
        self.clear()

    def clear(self) -> None:
        """Take away what holds, and what an earlier one left; a proxy that still has streams ends by itself."""
        for socket, service in self._units():
            with contextlib.suppress(CommandError):
                run(["systemctl", "stop", socket])
                if not _proxies(service):
                    run(["systemctl", "stop", service])
        self._put_back()
        for path in (self._socket, self._answer, self._script):
            path.unlink(missing_ok=True)

    def _units(self) -> list[tuple[str, str]]:
        """The sockets of all holds of the app with their services."""
        stem = f"asgi-{self._release.app.name}-hold-"
        names = {name.rpartition(".")[0] for name in units.listed(f"{stem}*", "--all")}
        ours = sorted(name for name in names if re.fullmatch(re.escape(stem) + r"\d+-\d+", name))
        return [(f"{name}.socket", f"{name}.service") for name in ours]


def _proxies(service: str) -> bool:
    """Whether a hold has its answer and hands requests on."""
    main = run(["systemctl", "show", "--property=MainPID", "--value", service]).strip()
    try:
        # The kernel keeps 15 characters of a program's name.
        return Path(f"/proc/{main}/comm").read_text(encoding="utf-8").strip() == Path(PROXY).name[:15]
    except OSError:
        return False

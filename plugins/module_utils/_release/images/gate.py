# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate of a container, which knows the usual mistake."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..._host import listening
from ..._process import run
from ..gate import Gate, GateError
from ..paths import Release

WRONG_PORT = (
    "\nThe program listens on port {port}, where nobody asks it. It must take the socket that systemd has passed to the "
    "container: gunicorn does so by itself, uvicorn with --fd 3 in place of --host and --port. It must be the container's "
    'first process, so give CMD as a list: CMD ["gunicorn", …]'
)


@dataclass(frozen=True)
class ContainerGate(Gate):
    """A gate that says why nobody answers when the program in the container listens elsewhere."""

    def passes(self, release: Release, limit: float | None = None) -> None:
        """As any gate. Raises GateError."""
        try:
            super().passes(release, limit)
        except GateError as error:
            port = wrong_port(release)
            raise GateError(f"{error}{WRONG_PORT.format(port=port) if port else ''}") from error


def wrong_port(release: Release) -> int | None:
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

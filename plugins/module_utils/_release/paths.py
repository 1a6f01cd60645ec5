# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an app's things lie on the host."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

SYSTEMD = Path("/etc/systemd/system")
# Gone after a boot, so that what a deploy was trying is not tried on.
TRIALS = Path("/run")


class MisplacedError(OSError):
    """Something of somebody else's is where the app has a thing of its own; the message says what to do."""


@dataclass(frozen=True)
class App:
    """The places of one app; ``root`` is ``asgi_host_root``."""

    root: Path
    name: str
    user: str

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    @property
    def current(self) -> Path:
        """The one pointer: code and traffic follow it."""
        return self.folder / "current"

    @property
    def lock(self) -> Path:
        """The file that one deploy at a time holds. Only root can open it, or anybody could hold it."""
        return TRIALS / f"asgi-{self.name}.lock"

    @property
    def live(self) -> Path:
        """In development mode, the folder that the controller keeps up to date."""
        return self.folder / "live"

    @property
    def secrets(self) -> Path:
        return Path("/etc/asgi") / self.name

    @property
    def data(self) -> Path:
        return Path("/var/lib/asgi") / self.name

    def release(self, identity: str) -> Release:
        return Release(self, identity)

    def all_releases(self) -> list[Release]:
        """Every release on disk, the oldest first (an id begins with its time)."""
        if not self.releases.is_dir():
            return []
        return [Release(self, path.name) for path in sorted(self.releases.iterdir()) if path.is_dir()]

    def trials(self) -> list[Path]:
        """The marks of the releases whose background processes a deploy tries; of any but that one they are left over."""
        return sorted(TRIALS.glob(f"asgi-{self.name}@*.trial"))

    def active(self) -> Release | None:
        """The release that ``current`` points to; None before the first and when its folder is gone."""
        try:
            target = Path(os.readlink(self.current)).name
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise MisplacedError(
                f"{self.current} is no link, and has to be the link to the release that serves; somebody has put "
                "something else there: move it away, and run the play again"
            ) from error
        return Release(self, target) if (self.releases / target).is_dir() else None


@dataclass(frozen=True)
class Release:
    """The places and units of one release."""

    app: App
    id: str

    @property
    def folder(self) -> Path:
        return self.app.releases / self.id

    @property
    def source(self) -> Path:
        return self.folder / "src"

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def socket_path(self) -> Path:
        return self.folder / "app.sock"

    @property
    def ledger(self) -> Path:
        return self.folder / "release.json"

    @property
    def secrets(self) -> Path:
        return self.app.secrets / self.id

    @property
    def socket(self) -> str:
        return f"asgi-{self.app.name}@{self.id}.socket"

    @property
    def service(self) -> str:
        return f"asgi-{self.app.name}@{self.id}.service"

    def process(self, name: str) -> str:
        """The unit of a background process. A dot is in no app's name, so it is no other app's unit."""
        return f"asgi-{self.app.name}.{name}@{self.id}.service"

    def process_files(self) -> list[Path]:
        """The files of those units that are there."""
        return sorted(SYSTEMD.glob(self.process("*")))

    @property
    def trial(self) -> Path:
        """There while a deploy tries the release's background processes, before it serves."""
        return TRIALS / f"asgi-{self.app.name}@{self.id}.trial"

    @property
    def drop_in(self) -> Path:
        return SYSTEMD / f"{self.service}.d" / "release.conf"

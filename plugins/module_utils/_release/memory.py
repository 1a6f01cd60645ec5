# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory an instance's workers take, and how many of them fit: ``workers: auto`` counts what was measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
PROC = Path("/proc")


@dataclass(frozen=True)
class Measured:
    """What an instance takes, in MiB: proportional set sizes, so that what is shared counts once."""

    main: float
    workers: list[float]

    def fitting(self, limit: float) -> int:
        """How many workers of the largest one's size fit in ``limit`` MiB beside the main process; at least 1."""
        return max(1, int((limit - self.main) // max(self.workers)))


def of(main: int, proc: Path = PROC) -> Measured | None:
    """The instance whose main process this is; None where it has no workers, or the kernel does not say.

    uvicorn's manager has one more child, which keeps track of semaphores and is no worker.
    """
    children = [
        folder
        for folder in proc.glob("[0-9]*")
        if _parent(folder) == main and b"resource_tracker" not in _read(folder / "cmdline")
    ]
    sizes = [size for folder in children if (size := _pss(folder))]
    own = _pss(proc / str(main))
    return Measured(own, sizes) if own and sizes else None


def _parent(folder: Path) -> int:
    # The name of the program, in brackets, may hold anything.
    fields = _read(folder / "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _pss(folder: Path) -> float:
    found = PSS.search(_read(folder / "smaps_rollup").decode("ascii", "replace"))
    return int(found[1]) / 1024 if found else 0.0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

"""A background process: writes down again and again that it lives, and that it ended as it was told to."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from parcels import VERSION

DATA = Path(os.environ["STATE_DIRECTORY"])
PLACES = ("/etc", "/srv/asgi", "/run", "/usr", str(DATA))
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))


def note(what: str) -> None:
    """A line in a file that all releases share; a scheduler has one of its own."""
    with (DATA / ("plans" if "--plan" in sys.argv else "beats")).open("a") as stream:
        stream.write(f"{what} {VERSION} {os.getpid()} {time.time()}\n")


def can_write(folder: str) -> bool:
    """Whether a file can be made there."""
    try:
        probe = Path(folder) / ".probe"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


note("start")
if (DATA / "broken").exists():
    print("the file is broken", flush=True)
    raise SystemExit(3)
seen = {
    "credential": (Path(os.environ["CREDENTIALS_DIRECTORY"]) / "key").read_text()
    if "CREDENTIALS_DIRECTORY" in os.environ
    else None,
    "written": [folder for folder in PLACES if can_write(folder)],
}
(DATA / "worker.json").write_text(json.dumps(seen))
while not told:
    note("beat")
    time.sleep(0.1)
if (DATA / "slow").exists():
    time.sleep(3)
note("end")

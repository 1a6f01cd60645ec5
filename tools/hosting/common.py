"""What every part of the test hosts needs: files of the cache, locks, and programs that are run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "asgi-host"
LABEL = "asgi.host"
LOGIN = "admin"


class HostError(Exception):
    """What went wrong, in words for the person at the terminal."""


def say(text: str) -> None:
    """Tell progress, on standard error so that answers on standard output stay clean."""
    print(f"hosts: {text}", file=sys.stderr, flush=True)


def cache() -> Path:
    """Return the folder that holds everything made here."""
    chosen = os.environ.get("ASGI_HOST_CACHE")
    if chosen:
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "asgi-host"


def private_folder(path: Path) -> Path:
    """Make a folder that only this user reads, with its parents."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step."""
    private_folder(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(mode)
    fresh.replace(path)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Let one process at a time do what is shared between hosts."""
    path = private_folder(cache()) / f"{name}.lock"
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(
    argv: Sequence[str], *, stdin: str | None = None, check: bool = True, seconds: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed.

    Raises HostError with the command's own words if it fails, is missing, or takes too long.
    """
    try:
        done = subprocess.run(
            list(argv), input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )
    except FileNotFoundError as error:
        raise HostError(f"{argv[0]} is not installed: run `make setup`") from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"no end after {seconds:.0f} s: {shlex.join(argv)}") from error
    if check and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()) or f"exit {done.returncode}"
        raise HostError(f"{shlex.join(argv)}\n{words}")
    return done


def podman(*argv: str, **options: Any) -> str:
    """Run podman and return its standard output."""
    return run(["podman", *argv], **options).stdout.strip()


def podman_json(*argv: str) -> Any:
    """Run a podman command that prints JSON; None if it fails."""
    done = run(["podman", *argv], check=False)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


def command(main: Callable[[Sequence[str]], int], say: Callable[[str], None]) -> NoReturn:
    """Run ``main`` as a command of a shell; a HostError is said in one line."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        sys.exit(main(sys.argv[1:]))
    except HostError as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

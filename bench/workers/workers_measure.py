"""What each number of workers gives, for each kind of work that an app may do: requests per second, p99, memory.

The same app runs under gunicorn with 1, 2, 5 and 9 workers (on two cores) at once; each round loads one handler of one
of them through nginx with TLS. Writes what was found to a JSON file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ground import ADVICE, CONNECTIONS, Ground, arguments, busy, rotated, say
from pages import median

HANDLERS = ("waits", "computes", "blocks", "threads")


def numbers(cores: int) -> list[int]:
    """The numbers that people choose: one, one for each core, what `auto` takes, and far more."""
    return sorted({1, cores, 2 * cores + 1, 4 * cores + 1})


def main() -> int:
    """Measure all; returns the exit status."""
    asked = arguments(__doc__ or "")
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        apps = [{"name": f"w{number}", "workers": number} for number in numbers(cores)]
        ground = Ground(asked.host, Path(folder), apps)
        ground.provision()
        jobs = [(name, handler) for handler in HANDLERS for name in ground.names]
        found: dict[str, dict[str, Any]] = {
            name: {"workers": app["workers"], **{handler: [] for handler in HANDLERS}}
            for name, app in zip(ground.names, apps, strict=True)
        }
        for name in ground.names:
            ground.load(name, "/waits", 1)
        for number, (name, handler) in rotated(jobs, asked.rounds):
            found[name][handler].append(ground.load(name, f"/{handler}", asked.seconds))
            if (name, handler) == jobs[number - 1]:
                say(f"round {number + 1} of {asked.rounds}")
        for name, size in ground.memory().items():
            found[name]["memory"] = size
        for handler in HANDLERS:
            for result in found.values():
                rates = [each["rate"] for each in result[handler]]
                say(f"{handler}, workers {result['workers']}: {median(rates)} requests per second")
        rounds = [each for result in found.values() for handler in HANDLERS for each in result[handler]]
        say(f"others took {busy(rounds):.0f} % of the machine" + (f"; {ADVICE}" if busy(rounds) > 10 else ""))
        written = {
            "cores": cores,
            "connections": CONNECTIONS,
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "others": busy(rounds),
            "where": ground.where("gunicorn", "uvicorn", "uvicorn-worker", "starlette"),
            "runs": list(found.values()),
        }
    asked.output.write_text(json.dumps(written), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

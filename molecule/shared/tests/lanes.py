"""Run the tests that have a host for themselves: one pytest for each host, all at the same time.

``lanes.py REPORT HOST…`` writes ``REPORT-HOST.xml`` for each host, prints what each pytest said when the last has ended,
and exits with 1 if one of them failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent
SECONDS = 2400.0


def main(report: str, lanes: list[str]) -> int:
    """Start them all, and wait for them."""
    started = []
    for lane in lanes:
        said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - read below
        argv = [sys.executable, "-m", "pytest", str(TESTS), f"--junitxml={report}-{lane}.xml"]
        process = subprocess.Popen(
            argv,
            env={**os.environ, "ASGI_LANE": lane},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        started.append((lane, process, said))
    failed = 0
    try:
        for _lane, process, _said in started:
            failed |= process.wait(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        failed = 1
    finally:
        for lane, process, said in started:
            process.kill()
            said.seek(0)
            print(f"== {lane}\n{said.read()}")
            said.close()
    return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

"""Latency against time through a deploy: the collection's, a HUP, a restart, and uvicorn's own reload, one after another.

Each contender runs the same app in the same versions on the same host, under the same load, and gets a version
that works and one that does not import. Writes what every request met to a JSON file, in seconds from the moment
at which the deploy was asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from client import Door
from load import Load, Outcome

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
HOST = "bench"
# Seconds of load before a deploy is asked for, and after it has ended.
BEFORE, AFTER = 3.0, 6.0
# A deploy that is not there by then is called broken.
PATIENCE = 25.0


class Bench:
    """The host, and the source that is deployed on it."""

    def __init__(self, folder: Path) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "asgi-host"
        self.ssh_config = cache / "hosts" / HOST / "ssh_config"
        reach = json.loads((cache / "hosts" / HOST / "host.json").read_text(encoding="utf-8"))["reach"]
        self.door = Door(*(tuple(reach[scheme]) for scheme in ("http", "https")))
        self.source = folder / "app"
        shutil.copytree(HERE / "app", self.source, ignore=shutil.ignore_patterns("__pycache__"))
        self.number = 1

    def ssh(self, script: str) -> str:
        """Run a script as root on the host; a failing one is a result of its own."""
        argv = ["ssh", "-F", str(self.ssh_config), HOST, script]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout + done.stderr

    def play(self) -> bool:
        """Run the playbook that ships."""
        argv = ["ansible-playbook", "site.yml", "-i", str(HERE / "inventory")]
        env = {**os.environ, "BENCH_SOURCE": str(self.source)}
        done = subprocess.run(
            argv, cwd=ROOT, env=env, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said = done.stdout
        return done.returncode == 0

    def write(self, *, broken: bool) -> str:
        """Make a new version of the source; returns its name."""
        self.number += 1
        text = f'"""What a deploy changes."""\n\nVERSION = "{self.number}"\n'
        text += "import no_such_module\n" if broken else ""
        (self.source / "slow" / "version.py").write_text(text, encoding="utf-8")
        return str(self.number)

    def copy(self, name: str) -> None:
        """Bring the source to a contender's folder, as rsync would."""
        pack = subprocess.run(
            ["tar", "-C", str(self.source), "-c", "slow/version.py"], check=True, capture_output=True
        ).stdout
        argv = ["ssh", "-F", str(self.ssh_config), HOST, f"tar -C /srv/bench/{name} -x"]
        subprocess.run(argv, input=pack, check=True)

    def serves(self, domain: str) -> str:
        """The version that answers; what is wrong where none does."""
        try:
            answer = self.door.ask(domain, "/", timeout=2)
        except OSError as error:
            return type(error).__name__
        return answer.text if answer.status == 200 else f"status {answer.status}"


def contenders(bench: Bench) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Each contender's domain, and what deploys the source with it."""

    def by(name: str, command: str) -> tuple[str, Callable[[], Any]]:
        def deploy() -> None:
            bench.copy(name)
            bench.ssh(command)

        return f"{name}.test", deploy

    return {
        "asgi.host: flip of the pointer": ("flip.test", bench.play),
        "gunicorn: HUP": by("hup", "systemctl reload bench-hup"),
        "gunicorn: restart": by("restart", "systemctl restart bench-restart"),
        "uvicorn: HUP": by("uvicorn", "systemctl reload bench-uvicorn"),
    }


def run_one(bench: Bench, domain: str, deploy: Callable[[], Any], *, broken: bool) -> dict[str, Any]:
    """Load, deploy, and what the requests met."""
    before = bench.serves(domain)
    wanted = bench.write(broken=broken)
    gets, posts = Outcome(), Outcome()
    common: dict[str, Any] = {"door": bench.door, "domain": domain, "path": "/", "pause": 0.01, "clients": 2}
    with Load(**common).running(gets), Load(**common, method="POST", keep_alive=False).running(posts):
        time.sleep(BEFORE)
        asked = time.monotonic()
        worker = threading.Thread(target=deploy)
        worker.start()
        arrived = None
        while time.monotonic() < asked + PATIENCE and arrived is None:
            if not broken and bench.serves(domain) == wanted:
                arrived = time.monotonic()
            elif broken and not worker.is_alive() and time.monotonic() > asked + 8:
                break
            time.sleep(0.1)
        worker.join()
        ended = time.monotonic()
        time.sleep(AFTER)
    after = bench.serves(domain)
    whole = Outcome()
    whole.add(gets)
    whole.add(posts)
    requests = sorted(zip(whole.began, whole.waits, strict=True))
    return {
        "before": before,
        "wanted": wanted,
        "after": after,
        "ended": ended - asked,
        "arrived": arrived and arrived - asked,
        "sent": whole.sent,
        "lost": whole.lost_count,
        "kinds": dict(whole.lost),
        "requests": [[round(began - asked, 4), round(wait, 5)] for began, wait in requests],
        "lost_at": sorted(round(moment - asked, 4) for moment in whole.lost_at),
    }


def main() -> int:
    """Measure all; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        print("bench: provisioning the host", flush=True)
        if not bench.play():
            print(bench.said)
            return 1
        script = (HERE / "contenders.sh").read_text(encoding="utf-8")
        print(bench.ssh(f"bash -s <<'SCRIPT'\n{script}\nSCRIPT"), end="", flush=True)
        found: dict[str, Any] = {"runs": {}}
        for broken in (False, True):
            for name, (domain, deploy) in contenders(bench).items():
                kind = "broken" if broken else "good"
                result = run_one(bench, domain, deploy, broken=broken)
                found["runs"].setdefault(name, {})[kind] = result
                longest = max((wait for _start, wait in result["requests"]), default=0)
                print(
                    f"bench: {name}, {kind} code: {result['lost']} of {result['sent']} lost, longest wait "
                    f"{longest * 1000:.0f} ms; served {result['before']}, then {result['after']} {result['kinds'] or ''}",
                    flush=True,
                )
        versions = bench.ssh(
            "/srv/bench/venv/bin/python -m pip --version >/dev/null 2>&1; . /etc/os-release; echo $PRETTY_NAME; nginx -v 2>&1; "
            "cat /srv/asgi/slow/current/requirements.lock | grep -E '^(gunicorn|uvicorn|uvicorn-worker|starlette)=='"
        )
        found["versions"] = [line for line in versions.splitlines() if line]
        found["machine"] = f"{os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}"
    output.write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

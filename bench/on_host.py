"""What runs on the benchmark's host, so that no way to it is measured; its answer is JSON.

usage: on_host.py load APP PATH SECONDS CONNECTIONS     requests through nginx with TLS, and what they cost
       on_host.py cost URL SECONDS CONNECTIONS WHO=SERVICE...       requests to any URL, and what they cost each service
       on_host.py start SERVICE URL                     how long a stopped service needs to its first answer
       on_host.py memory APP...                         what each app takes while no other one runs
"""

from __future__ import annotations

import json
import os
import re
import resource
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")
SCRIPT = Path("/run/bench-wrk.lua")
# wrk's own words are rounded; this is all it knows (its SCRIPTING file names the fields; times are in microseconds).
LUA = """
done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format("\\nBENCH %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""
FOUND = re.compile(r"^BENCH (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)
# Longer than the longest queue: all connections, one request of 50 ms after another.
TIMEOUT = "10s"
# Seconds that an app may take to start.
PATIENCE = 60.0
# Seconds between two looks whether a service answers.
LOOK = 0.003


def said(*argv: str) -> str:
    """What a command prints. Raises CalledProcessError where it fails."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def unit(app: str) -> str:
    """The service of the release that serves."""
    return f"asgi-{app}@{Path(f'/srv/asgi/{app}/current').resolve().name}.service"


def cgroup(service: str) -> Path:
    """The folder of a service's cgroup."""
    return CGROUPS / said("systemctl", "show", "--property=ControlGroup", "--value", service).lstrip("/")


def cpu(folder: Path) -> float:
    """Seconds of processor time that a cgroup and those in it have used, ended processes included."""
    text = (folder / "cpu.stat").read_text(encoding="ascii")
    return int(text.split("usage_usec ")[1].split()[0]) / 1e6


def machine() -> float:
    """Seconds of processor time that everything on this machine has used, and what its own host took."""
    user, nice, system, _, _, interrupts, soft, steal, *_ = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")


def wrk(url: str, seconds: int, connections: int) -> dict[str, float]:
    """Requests over kept connections, each as soon as the one before it was answered."""
    SCRIPT.write_text(LUA, encoding="ascii")
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", TIMEOUT, "-s", str(SCRIPT)]
    text = said(*argv, url)
    found = FOUND.search(text)
    if not found:
        raise SystemExit(f"wrk said no more than: {text}")
    requests, duration, p99, errors = map(int, found.groups())
    return {"requests": requests, "duration": duration / 1e6, "p99": p99 / 1e6, "errors": errors}


def load(app: str, path: str, seconds: str, connections: str) -> dict[str, float]:
    """One round through nginx on an app of the collection; see ``cost``."""
    return cost(f"https://{app}.test{path}", seconds, connections, f"app={unit(app)}", "nginx=nginx.service")


def cost(url: str, seconds: str, connections: str, *services: str) -> dict[str, float]:
    """One round: requests per second, the wait that 99 of 100 do not exceed, and seconds of processor time by whom."""
    groups = {who: cgroup(service) for who, _, service in (each.partition("=") for each in services)}

    def spent() -> dict[str, float]:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            **{who: cpu(folder) for who, folder in groups.items()},
            "wrk": used.ru_utime + used.ru_stime, "all": machine(),
        }  # fmt: skip

    before, began = spent(), time.monotonic()
    found = wrk(url, int(seconds), int(connections))
    took = time.monotonic() - began
    used = {who: after - before[who] for who, after in spent().items()}
    everything = used.pop("all")
    used["others"] = max(0.0, everything - sum(used.values()))
    return {**found, "rate": found["requests"] / found["duration"], "took": took, **used}


def start(service: str, url: str) -> float:
    """Seconds from `systemctl start` of a stopped service to its first answer of 200."""
    said("systemctl", "stop", service)
    # A client that believes any certificate: those of the benchmarks are self-signed.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    began = time.monotonic()
    said("systemctl", "start", "--no-block", service)
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE, context=context):  # noqa: S310 -- http and https
                return time.monotonic() - began
        except (urllib.error.URLError, ConnectionError) as error:
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"{url} does not answer: {error}") from error
        time.sleep(LOOK)


def pss(folder: Path) -> list[float]:
    """MiB of each process of a cgroup; what some of them share counts once."""
    found = []
    for listed in folder.rglob("cgroup.procs"):
        for number in listed.read_text(encoding="ascii").split():
            text = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="ascii")
            found.append(int(text.split("\nPss:")[1].split()[0]) / 1024)
    return found


def answers(app: str) -> None:
    """Wait until an app answers."""
    end = time.monotonic() + PATIENCE
    while True:
        found = wrk(f"https://{app}.test/", 1, 1)
        if found["requests"] > found["errors"]:
            return
        if time.monotonic() > end:
            raise SystemExit(f"{app} does not answer")


def memory(*apps: str) -> dict[str, dict[str, float]]:
    """What each app takes after a second of load: the others would share its libraries, and are stopped."""
    services = {app: unit(app) for app in apps}
    said("systemctl", "stop", *services.values())
    found = {}
    for app, service in services.items():
        said("systemctl", "start", service)
        answers(app)
        wrk(f"https://{app}.test/", 1, 16)
        sizes = pss(cgroup(service))
        found[app] = {"pss": sum(sizes), "processes": len(sizes)}
        said("systemctl", "stop", service)
    said("systemctl", "start", *services.values())
    for app in apps:
        answers(app)
    return found


def main() -> None:
    """Do what the arguments say."""
    does: dict[str, Callable[..., Any]] = {"load": load, "cost": cost, "start": start, "memory": memory}
    print(json.dumps(does[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()

"""What runs on the benchmark's host, so that no way to it is measured; its answer is JSON.

usage: on_host.py load APP PATH SECONDS CONNECTIONS     requests through nginx with TLS, and what they cost
       on_host.py cost URL SECONDS CONNECTIONS WHO=SERVICE...       requests to any URL, and what they cost each service
       on_host.py start SERVICE URL                     how long a stopped service needs to its first answer
       on_host.py memory APP...                         what each app takes while no other one runs
"""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import signal
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
# Seconds of a turn, where contenders take turns.
SLICE = 0.1
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
    user, nice, system, _idle, _waiting, interrupts, soft, steal, *_guests = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")


def wrk_command(url: str, seconds: int, connections: int) -> list[str]:
    """The client: requests over kept connections, each as soon as the one before it was answered."""
    # Another client may just be reading it.
    if not SCRIPT.exists():
        SCRIPT.write_text(LUA, encoding="ascii")
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", TIMEOUT, "-s", str(SCRIPT)]
    return [*argv, url]


def wrk(url: str, seconds: int, connections: int) -> dict[str, float]:
    """One run of the client."""
    return understood(said(*wrk_command(url, seconds, connections)))


def understood(text: str) -> dict[str, float]:
    """What the client found, in seconds."""
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
    groups = {who: cgroup(service) for who, _sign, service in (each.partition("=") for each in services)}

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


def duel(seconds: str, connections: str, *sides: str) -> list[dict[str, float]]:
    """A round on several by turns, each given as ``URL,WHO=SERVICE,...``, with ``seconds`` for each in slices of 0.1 s.

    What else the machine does, and what its own host gives it, changes from one second to the next; in turns so short it
    is the same for all. A client is stopped while it is not its turn, so its ``p99`` and ``duration`` say nothing.
    """
    split = [side.split(",") for side in sides]
    groups = [
        {who: cgroup(unit) for who, _sign, unit in (each.partition("=") for each in rest)}
        for _url, *rest in split
    ]
    whole = int(seconds) * len(split)

    def spent() -> list[dict[str, float]]:
        return [{who: cpu(folder) for who, folder in each.items()} for each in groups]

    before = spent()
    clients = [
        subprocess.Popen(wrk_command(url, whole, int(connections)), stdout=subprocess.PIPE, text=True)
        for url, *_services in split
    ]
    for client in clients:
        client.send_signal(signal.SIGSTOP)
    end, active = time.monotonic() + whole, dict.fromkeys(range(len(clients)), 0.0)
    for number in itertools.cycle(active):
        began = time.monotonic()
        if began > end:
            break
        clients[number].send_signal(signal.SIGCONT)
        time.sleep(SLICE)
        clients[number].send_signal(signal.SIGSTOP)
        active[number] += time.monotonic() - began
    for client in clients:
        client.send_signal(signal.SIGCONT)
    found = [understood(client.communicate()[0]) for client in clients]
    return [
        {**each, "rate": each["requests"] / active[number], **{who: used[who] - old[who] for who in used}}
        for number, (each, used, old) in enumerate(zip(found, spent(), before, strict=True))
    ]


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
    does: dict[str, Callable[..., Any]] = {
        "load": load,
        "cost": cost,
        "duel": duel,
        "start": start,
        "memory": memory,
    }
    print(json.dumps(does[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()

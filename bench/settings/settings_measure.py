"""What each setting of nginx, the worker and the sandbox costs or brings: as shipped, against one alternative at a time.

Two copies of the app with an nginx each run on one host; they differ in the setting alone, and take turns of 0.1 s. Writes
what was found to a JSON file. Names at the end of the command choose settings.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ground import CONNECTIONS, HERE, Ground, parser, say
from pages import median

WORKERS = 2
# Ports of the two copies' nginx.
SHIPPED, OTHER = ("shipped", 9443), ("other", 9543)

Edit = tuple[str, str, str]


@dataclass(frozen=True)
class Setting:
    """One alternative; one more is one more entry below."""

    title: str
    shipped: str
    alternative: str
    edits: tuple[Edit, ...]
    """What makes the alternative of what is shipped: file, pattern, replacement; see settings_stack.py."""
    verdict: str
    """Whether it is kept, and why, where the numbers do not say it."""


def worker(pattern: str, replacement: str) -> tuple[Edit, ...]:
    """A change of gunicorn.conf.py."""
    return (("worker", pattern, replacement),)


def nginx(pattern: str, replacement: str) -> tuple[Edit, ...]:
    """A change of nginx's configuration."""
    return (("nginx", pattern, replacement),)


# Each of these makes systemd load a filter of system calls.
FILTERS = (
    "SystemCall|MemoryDeny|RestrictRealtime|RestrictNamespaces|RestrictSUID|RestrictAddress|LockPersonality|PrivateDevices|"
    "ProtectKernel|ProtectClock|ProtectHostname"
)
KEEPALIVE = r"    keepalive 64;\n(?: *#.*\n)*    keepalive_time .*\n    keepalive_timeout .*\n"
DEBIAN = "Debian's; the role leaves nginx.conf to its owner"

# One of the worker's settings, beside which others can be put.
PLACE = r'("ws_ping_interval": [\d.]+)'

SETTINGS = {
    "nothing": Setting("nothing", "the same", "the same", (), "how far chance goes"),
    "headers": Setting(
        "uvicorn's `ProxyHeadersMiddleware`", "on", "off", worker(PLACE, r'\1, "proxy_headers": False'), "kept: true client",
    ),
    "wrapper": Setting(
        "the worker's wrapper around the app", "on", "off", worker(r"_WholeScope\((_taking_three\(self\.wsgi\))\)", r"\1"),
        "kept: true client, and streams that end well",
    ),
    "h11": Setting(
        "HTTP parser", "httptools", "h11", worker(PLACE, r'\1, "http": "h11"'), "kept",
    ),
    "asyncio": Setting(
        "event loop", "uvloop", "asyncio", worker(PLACE, r'\1, "loop": "asyncio"'), "kept",
    ),
    "dates": Setting(
        "`Date` and `Server` of uvicorn", "on", "off",
        worker(PLACE, r'\1, "date_header": False, "server_header": False'),
        "kept: nothing to gain; clients get nginx's own",
    ),
    "sandbox": Setting(
        "filters of system calls, app", "31", "none", (("unit", f"^({FILTERS}).*$", ""),), "kept: security",
    ),
    "nginx sandbox": Setting(
        "filters of system calls, nginx", "on", "none", (("nginx unit", f"^({FILTERS}).*$", ""),), "kept: security",
    ),
    "processes": Setting(
        "`worker_processes`", "auto (2)", "1", nginx("worker_processes auto", "worker_processes 1"), DEBIAN,
    ),
    "connections": Setting(
        "`worker_connections`", "8192", "768", nginx("worker_connections 8192", "worker_connections 768"),
        "kept: Debian's 768 are used up by one client's WebSockets",
    ),
    "connection limit": Setting(
        "`connection_limit`", "auto", "none", nginx("^ *limit_conn .*$", ""), "kept: one client cannot take all connections",
    ),
    "accept": Setting("`multi_accept`", "off", "on", nginx("# multi_accept on", "multi_accept on"), DEBIAN),
    "sendfile": Setting("`sendfile`", "on", "off", nginx("sendfile on", "sendfile off"), DEBIAN),
    "reuseport": Setting(
        "`reuseport`", "off", "on", nginx(r"(listen .*ssl) default_server", r"\1 default_server reuseport"),
        "off: a reload that changes the number of workers loses connections",
    ),
    "no keepalive": Setting(
        "`keepalive` to the app", "64", "none", nginx(KEEPALIVE, ""), "kept",
    ),
    "keepalive 16": Setting("`keepalive` to the app", "64", "16", nginx("keepalive 64;", "keepalive 16;"), "kept"),
    "keepalive time": Setting(
        "`keepalive_time` to the app", "2s", "1h", nginx("keepalive_time 2s", "keepalive_time 1h"),
        "kept: it bounds how long nginx holds on to an old release",
    ),
    "log off": Setting(
        "access log", "buffer=64k", "off", nginx("access_log /var/log/nginx/asgi-shop.*;", "access_log off;"), "kept: wanted",
    ),
    "log unbuffered": Setting(
        "access log", "buffer=64k", "unbuffered", nginx("asgi buffer=64k flush=5s;", "asgi;"), "kept",
    ),
    "nodelay": Setting(
        "`tcp_nodelay`", "on", "off", nginx("^server_tokens off;", "server_tokens off; tcp_nodelay off;"), "kept",
    ),
    "ssl buffer": Setting(
        "`ssl_buffer_size`", "16k", "4k", nginx("^ssl_prefer", "ssl_buffer_size 4k;\nssl_prefer"), "kept",
    ),
    "buffering": Setting(
        "`proxy_buffering`", "on", "off", nginx("^proxy_redirect off;", "proxy_redirect off; proxy_buffering off;"),
        "kept: it is what protects workers from slow clients",
    ),
    "proxy buffer": Setting(
        "`proxy_buffer_size`", "64k", "4k",
        nginx("^proxy_buffer_size 64k;\nproxy_buffers 8 16k;\nproxy_busy_buffers_size 64k;", "proxy_buffer_size 4k;"),
        "kept: larger heads are a 502",
    ),
    "gzip": Setting("`gzip`", "on", "off", nginx("^gzip on;", "gzip off;"), "kept: answers of a page shrink"),
    "browser headers": Setting(
        "headers for browsers", "default", "none", nginx("^ *add_header .*$", ""), "kept: security",
    ),
    "blanked": Setting(
        "headers of clients that are dropped", "240", "none", nginx('^proxy_set_header (?!X-Forwarded-Prefix).* "";$', ""),
        "kept: nobody's identity can be forged",
    ),
}  # fmt: skip


def stack(ground: Ground, name: str, port: int, edits: tuple[Edit, ...]) -> None:
    """Make one of the two copies, and start it."""
    program = (HERE / "settings" / "settings_stack.py").read_text(encoding="utf-8")
    ground.ssh(f"python3 - {shlex.join([name, str(port), json.dumps(edits)])}", program)


def side(name: str, port: int) -> tuple[str, dict[str, str]]:
    """The URL of a copy, and whose processor time counts."""
    return f"https://shop.test:{port}/", {
        "app": f"bench-{name}.service",
        "nginx": f"bench-nginx-{name}.service",
    }


def per_request(run: dict[str, float]) -> float:
    """Processor time, in milliseconds, of app and nginx."""
    return 1000 * (run["app"] + run["nginx"]) / run["requests"]


def compare(ground: Ground, setting: Setting, rounds: int, seconds: int) -> list[dict[str, dict[str, float]]]:
    """Rounds of both copies."""
    stack(ground, *OTHER, setting.edits)
    sides = [side(*SHIPPED), side(*OTHER)]
    # Not counted: the first requests fill caches.
    ground.duel(1, *sides)
    found = []
    for number in range(rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        results = ground.duel(seconds, *(sides[place] for place in order))
        by_place = dict(zip(order, results, strict=True))
        found.append({"shipped": by_place[0], "other": by_place[1]})
    return found


def main() -> int:
    """Measure; returns the exit status."""
    options = parser(__doc__ or "")
    options.add_argument("settings", nargs="*", help="all")
    asked = options.parse_args()
    chosen = {name: SETTINGS[name] for name in asked.settings or SETTINGS}
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        app = {"name": "shop", "workers": WORKERS}
        ground = Ground(asked.host, Path(folder), [app], HERE / "shop", "shop")
        ground.provision()
        written = {
            "workers": WORKERS,
            "connections": CONNECTIONS,
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "where": ground.where("gunicorn", "uvicorn", "uvicorn-worker", "uvloop", "httptools"),
            "settings": found,
        }
        stack(ground, *SHIPPED, ())
        for name, setting in chosen.items():
            runs = compare(ground, setting, asked.rounds, asked.seconds)
            found[name] = {
                "title": setting.title,
                "shipped": setting.shipped,
                "alternative": setting.alternative,
                "verdict": setting.verdict,
                "runs": runs,
            }
            cpu = [per_request(each["other"]) / per_request(each["shipped"]) for each in runs]
            rate = [each["other"]["rate"] / each["shipped"]["rate"] for each in runs]
            say(f"{name}: CPU {median(cpu, '.3f')}, requests/s {median(rate, '.3f')}")
            # Whoever ends it has what was measured until then.
            asked.output.write_text(json.dumps(written), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a reload, an upgrade and a restart of nginx cost clients that have POSTs under way, by the settings that could help.

Each setting is tried in turn on the same host; its file is put back before the next. HTTP/2: one connection with many streams,
by a client that follows RFC 9113 and by one that repeats nothing (the same requests, counted twice). HTTP/1.1: kept connections,
by clients that send again on a new one what met a connection that was just closed, as browsers do, and by those that do not.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import tempfile
import time
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from ground import Ground, parser, rotated, say
from http2_client import Client, Tally
from load import Load, Outcome

STREAMS = 16
PAUSE_S = 0.01
RELOADS, BETWEEN_S = 4, 1.5
NGINX = "/etc/nginx/nginx.conf"
SHARED = "/etc/nginx/conf.d/asgi-00-shared.conf"
DROP_IN = "/etc/systemd/system/nginx.service.d/bench.conf"
SOCKETS = "/etc/systemd/system/bench-nginx.socket"

# nginx takes sockets over by the variable that an upgrade of its binary uses, and stays in the foreground then; systemd passes
# them from 3 on.
HELD = f"""
cat >{SOCKETS} <<'EOF'
[Socket]
ListenStream=0.0.0.0:80
ListenStream=[::]:80
ListenStream=0.0.0.0:443
ListenStream=[::]:443
BindIPv6Only=ipv6-only
Backlog=4096
Service=nginx.service
EOF
mkdir -p {Path(DROP_IN).parent}
cat >{DROP_IN} <<'EOF'
[Unit]
Requires=bench-nginx.socket
After=bench-nginx.socket
[Service]
Type=exec
Sockets=bench-nginx.socket
Environment=NGINX=3;4;5;6;
EOF
systemctl daemon-reload; systemctl stop nginx; systemctl start bench-nginx.socket nginx
"""
PUT_BACK = f"""
cp -p {NGINX}.bench {NGINX}; cp -p {SHARED}.bench {SHARED}
if test -e {SOCKETS}; then
    systemctl stop nginx bench-nginx.socket; rm -f {SOCKETS} {DROP_IN}; systemctl daemon-reload
fi
systemctl restart nginx
"""
SETTINGS = {
    "as the role makes it": "systemctl restart nginx",
    "reuseport": f"sed -i -E 's/listen (\\[::\\]:)?443 ssl default_server/& reuseport/' {SHARED}; systemctl restart nginx",
    "worker_shutdown_timeout 10s": f"sed -i '1i worker_shutdown_timeout 10s;' {NGINX}; systemctl restart nginx",
    "sockets held by systemd": HELD,
}
ACTS = {
    "reloads": (RELOADS, "systemctl reload nginx"),
    # What Debian's package does after an upgrade.
    "upgrade": (1, "apt-get -qq -y install --reinstall nginx >/dev/null 2>&1"),
    "restart": (1, "systemctl restart nginx"),
}


def http2(address: tuple[str, int], domain: str, over: Event, found: Any) -> None:
    """Ask by HTTP/2 until ``over`` is set, in a process of its own; send what became of it."""
    client = Client(address, domain, STREAMS, PAUSE_S)
    asyncio.run(client.run(over.is_set))
    found.send(client.tally)


def tried(ground: Ground, name: str) -> dict[str, Any]:
    """Load, an act, and what the clients met."""
    times, command = ACTS[name]
    fork = multiprocessing.get_context("fork")
    over, (ours, theirs) = fork.Event(), fork.Pipe(duplex=False)
    asking = fork.Process(target=http2, args=(ground.door.https, "flip.test", over, theirs), daemon=True)
    plain, browser = Outcome(), Outcome()
    common: dict[str, Any] = {
        "door": ground.door,
        "domain": "flip.test",
        "method": "POST",
        "clients": STREAMS // 2,
        "pause": PAUSE_S,
        "keep_alive": True,
    }
    asking.start()
    with ExitStack() as stack:
        stack.enter_context(Load(path="/", **common).running(plain))
        stack.enter_context(Load(path="/", repeat=True, **common).running(browser))
        time.sleep(1.0)
        for _time in range(times):
            ground.ssh(command)
            time.sleep(BETWEEN_S)
        time.sleep(2.0)
    over.set()
    tally: Tally = ours.recv()
    asking.join(30)
    return {
        "HTTP/2, repeats what was not processed": [tally.sent, tally.lost_by(repeats=True), dict(tally.lost)],
        "HTTP/2, repeats nothing": [tally.sent, tally.lost_by(repeats=False), dict(tally.lost)],
        "HTTP/1.1, repeats as browsers do": [browser.sent, browser.lost_count, dict(browser.lost)],
        "HTTP/1.1, repeats nothing": [plain.sent, plain.lost_count, dict(plain.lost)],
    }


def table(rounds: list[dict[str, Any]]) -> str:
    """The sums as a table of Markdown."""
    clients = list(rounds[0]["found"])
    lines = [f"| | | {' | '.join(clients)} |", "|---|---" + "|---" * len(clients) + "|"]
    for act in ACTS:
        for setting in SETTINGS:
            own = [each["found"] for each in rounds if (each["setting"], each["act"]) == (setting, act)]
            sums = [(sum(one[c][1] for one in own), sum(one[c][0] for one in own)) for c in clients]
            lines.append(
                f"| {act} | {setting} | {' | '.join(f'{lost} of {sent:,}' for lost, sent in sums)} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Try all settings, in turns."""
    options = parser(__doc__ or "").parse_args()
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(options.host, Path(folder), [{"name": "flip", "workers": 2}])
        ground.provision()
        ground.ssh(f"cp -p {NGINX} {NGINX}.bench; cp -p {SHARED} {SHARED}.bench")
        for number, setting in rotated(list(SETTINGS), options.rounds):
            try:
                ground.ssh(SETTINGS[setting])
                for name in ACTS:
                    found = tried(ground, name)
                    rounds.append({"setting": setting, "act": name, "found": found})
                    say(f"round {number + 1}, {setting}, {name}: {json.dumps(found)}")
            finally:
                ground.ssh(PUT_BACK)
        where = ground.where("uvicorn", "gunicorn")
    options.output.write_text(json.dumps({"where": where, "rounds": rounds}), encoding="utf-8")
    print(table(rounds), where, sep="\n\n")


if __name__ == "__main__":
    main()

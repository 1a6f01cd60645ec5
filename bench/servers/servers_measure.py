"""The same app by each server: what it costs, how long a restart and a deploy stall it, and what broken code does.

All contenders run on one host, behind the same nginx with TLS, with the same number of workers. What is measured of
one is measured of the next at once, and again in the next round. Writes what was found to a JSON file.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ground import ADVICE, CONNECTIONS, Ground, arguments, busy, rotated, say
from load import Load, Outcome, metronome
from pages import median

WORKERS = 2
FORGED = {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-Proto": "http"}
# Seconds of load before something is done, and after it is over.
BEFORE, AFTER = 0.5, 1.0
# A deploy takes half a minute, and makes nobody wait: the longest wait of a few says as much as a median.
DEPLOYS = 3


@dataclass(frozen=True)
class Contender:
    """A way to run the app; one more is one more entry below."""

    title: str
    settings: dict[str, Any]
    """Keys of its item of asgi_host_apps, beside those that all have in common (Ground's ``common``)."""
    must: str = "nothing"
    """What the app, or its command, must do to see the client's true address."""


CONTENDERS = {
    "gunicorn": Contender("`gunicorn`", {}),
    "uvicorn": Contender("`uvicorn`", {"server": "uvicorn"}),
    "passed": Contender(
        "`command`: uvicorn, passed socket",
        {"server": "command", "command": "uvicorn --fd 3 --no-access-log work.main:app"},
    ),
    "port": Contender(
        "`command`: uvicorn, `$PORT`",
        {"server": "command", "command": "uvicorn --port $PORT --no-access-log work.main:app"},
    ),
    "granian": Contender(
        "`command`: granian, `$PORT`",
        {
            "server": "command",
            "command": f"granian --interface asgi --port $PORT --workers {WORKERS} work.behind_a_proxy:app",
            "requirements": ["granian==2.8.7"],
        },
        "granian's wrapper around the app",
    ),
}


@contextmanager
def clients(ground: Ground, names: list[str], pause: float) -> Iterator[dict[str, Outcome]]:
    """Two clients for each app: GET over a kept connection, POST over new ones; complete when the block ends."""
    met = {name: Outcome() for name in names}
    with ExitStack() as stack:
        for name in names:
            for method, keep_alive in (("GET", True), ("POST", False)):
                own = Outcome()
                stack.callback(met[name].add, own)
                one = Load(
                    ground.door, f"{name}.test", "/", method, clients=1, keep_alive=keep_alive, pause=pause
                )
                stack.enter_context(one.running(own))
        time.sleep(BEFORE)
        yield met
        time.sleep(AFTER)


def under_load(
    ground: Ground, names: list[str], pause: float, act: Callable[[], Any]
) -> dict[str, dict[str, Any]]:
    """What the clients of each app met while something was done, and how long this machine kept them from running."""
    with metronome() as stalls:
        began = time.monotonic()
        with clients(ground, names, pause) as met:
            asked = time.monotonic()
            act()
            took = time.monotonic() - asked
            for name in names:
                ground.serves(name)
        ended = time.monotonic()
    own = stalls.longest(began, ended)
    return {
        name: {
            "sent": each.sent, "lost": each.lost_count, "kinds": dict(each.lost), "longest": each.worst, "took": took,
            "own": own,
        }
        for name, each in met.items()
    }  # fmt: skip


def restart(ground: Ground, name: str) -> dict[str, Any]:
    """`systemctl restart` under load."""
    script = f"systemctl restart asgi-{name}@$(basename $(readlink -f /srv/asgi/{name}/current)).service"
    return under_load(ground, [name], 0.01, lambda: ground.ssh(script))[name]


def deploy(ground: Ground) -> dict[str, dict[str, Any]]:
    """A new version of every app, in one play. Raises RuntimeError where one does not arrive."""
    wanted = ground.change()
    found = under_load(ground, ground.names, 0.05, lambda: check(ground.play().good, "a deploy failed"))
    for name in ground.names:
        check(ground.serves(name) == wanted, f"{name} serves {ground.serves(name)}, not {wanted}")
    return found


def break_it(ground: Ground, name: str) -> dict[str, Any]:
    """Code that does not import, for one app; what serves afterwards, and when the play has failed."""
    before = ground.serves(name)
    ground.change(broken=True)
    runs = []
    found = under_load(ground, [name], 0.02, lambda: runs.append(ground.play(name)))[name]
    check(not runs[0].good, f"the play of {name} did not fail")
    return {
        **found,
        "before": before,
        "after": ground.serves(name),
        "says": "serves as before" in runs[0].output,
    }


def seen(ground: Ground, name: str) -> dict[str, Any]:
    """Who the app takes for its client, while the client forges headers."""
    saw = ground.door.json(f"{name}.test", "/seen", headers=FORGED)
    true = {"client": ground.door.source_address(), "scheme": "https"}
    return {"true": saw == true, "saw": saw}


def check(good: object, text: str) -> None:
    """Stop where a measurement would be of something else."""
    if not good:
        raise RuntimeError(text)


def main() -> int:
    """Measure all; returns the exit status."""
    asked = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        apps = [{"name": name, "workers": WORKERS, **each.settings} for name, each in CONTENDERS.items()]
        ground = Ground(asked.host, Path(folder), apps)
        ground.provision()
        found: dict[str, dict[str, Any]] = {
            name: {
                "title": each.title,
                "must": each.must,
                "load": [],
                "restart": [],
                "deploy": [],
                "seen": seen(ground, name),
            }
            for name, each in CONTENDERS.items()
        }
        for name in ground.names:
            ground.load(name, "/", 1)
        for _round, name in rotated(ground.names, asked.rounds):
            found[name]["load"].append(ground.load(name, "/", asked.seconds))
        rounds = [each for result in found.values() for each in result["load"]]
        say(f"others took {busy(rounds):.0f} % of the machine" + (f"; {ADVICE}" if busy(rounds) > 10 else ""))
        for name, size in ground.memory().items():
            found[name]["memory"] = size
        for name, result in found.items():
            rates = [each["rate"] for each in result["load"]]
            say(f"{name}: {median(rates)} requests per second, {result['memory']['pss']:.0f} MiB")
        for _round, name in rotated(ground.names, asked.rounds):
            found[name]["restart"].append(restart(ground, name))
        tell(found, "restart")
        for _turn in range(min(DEPLOYS, asked.rounds)):
            for name, result in deploy(ground).items():
                found[name]["deploy"].append(result)
        tell(found, "deploy")
        for name in ground.names:
            found[name]["broken"] = [break_it(ground, name)]
        tell(found, "broken")
        written = {
            "workers": WORKERS,
            "connections": CONNECTIONS,
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "others": busy(rounds),
            "where": ground.where("gunicorn", "uvicorn", "uvicorn-worker", "granian", "starlette"),
            "runs": found,
        }
    asked.output.write_text(json.dumps(written), encoding="utf-8")
    return 0


def tell(found: dict[str, dict[str, Any]], step: str) -> None:
    """Say what the clients met in one step."""
    for name, result in found.items():
        lost = sum(each["lost"] for each in result[step])
        sent = sum(each["sent"] for each in result[step])
        longest = median([each["longest"] * 1000 for each in result[step]], unit=" ms")
        took = median([each["took"] for each in result[step]], ".1f", " s")
        kinds = [each["kinds"] for each in result[step] if each["kinds"]] or ""
        say(f"{step}, {name}: {lost} of {sent} lost, longest wait {longest}, took {took} {kinds}")


if __name__ == "__main__":
    sys.exit(main())

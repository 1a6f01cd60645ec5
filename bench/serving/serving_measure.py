"""What it costs to serve one small API of FastAPI, by this collection and by what people run otherwise.

All contenders run on one host, in the same versions, each in a unit of its own. What is measured of one is measured of the
next at once, and again in the next round. Writes what was found to a JSON file.
"""

from __future__ import annotations

import json
import shlex
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ground import ADVICE, CONNECTIONS, HERE, Ground, arguments, busy, rotated, say
from pages import median

WORKERS = 2
GRANIAN = "granian==2.8.7"
FORGED = "203.0.113.66"
# Seconds that the import of the second app takes, without work: a large app's, but for the noise.
LATE = 3.0
NGINX, STOCK = "nginx.service", "bench-nginx.service"
PYTHON = "/srv/bench/venv/bin/python"
# The same folder and bytecode as the contenders have.
IMPORT = "cd /srv/bench/src && exec {python} -c {code}"


@dataclass(frozen=True)
class Contender:
    """A way to run the app; one more is one more entry below, and a unit in contenders.sh."""

    title: str
    url: str
    workers: int = WORKERS
    unit: str = ""
    """The app's; empty for the collection's own, whose name has the release in it."""
    nginx: str = ""
    """The unit of the nginx before it, if there is one."""


CONTENDERS = {
    "ours": Contender("this collection", "https://shop.test/", nginx=NGINX),
    "uvicorn": Contender("uvicorn", "http://127.0.0.1:8101/", 1, "bench-uvicorn"),
    "uvicorn-log": Contender("uvicorn, its access log on", "http://127.0.0.1:8102/", 1, "bench-uvicorn-log"),
    "uvicorn-workers": Contender(
        f"uvicorn --workers {WORKERS}", "http://127.0.0.1:8103/", unit="bench-uvicorn-workers"
    ),
    "gunicorn": Contender("gunicorn, Uvicorn worker", "http://127.0.0.1:8104/", unit="bench-gunicorn"),
    "granian": Contender(
        "granian behind this nginx", "https://granian.test/", unit="bench-granian", nginx=NGINX
    ),
    "stock": Contender(
        "gunicorn behind a stock nginx", "https://stock.test:8443/", unit="bench-stock", nginx=STOCK
    ),
}


class Bench:
    """The host with all contenders on it."""

    def __init__(self, host: str, folder: Path) -> None:
        late = {"name": "late", "app": "late:app", "workers": WORKERS}
        shop = {"name": "shop", "workers": WORKERS, "requirements": [GRANIAN]}
        self.ground = Ground(host, folder, [shop, late], HERE / "shop", "shop")
        text = f'"""An app whose import takes long."""\n\nimport time\n\nfrom shop.main import app as app\n\ntime.sleep({LATE})\n'
        (self.ground.source / "late.py").write_text(text, encoding="utf-8")
        self.ground.provision()
        script = (HERE / "serving" / "contenders.sh").read_text(encoding="utf-8")
        self.ground.ssh(f"bash -s {WORKERS}", script)
        self.address = self.ground.ssh("hostname -I").split()[0]

    def release(self, app: str) -> str:
        """The unit of the collection's own app."""
        return self.ground.ssh(f"echo asgi-{app}@$(basename $(readlink -f /srv/asgi/{app}/current)).service")

    def units(self, name: str) -> dict[str, str]:
        """Whose processor time counts for a contender."""
        each = CONTENDERS[name]
        units = {"app": (each.unit and f"{each.unit}.service") or self.release("shop"), "nginx": each.nginx}
        return {who: unit for who, unit in units.items() if unit}

    def ask(self, name: str, path: str, *options: str) -> Any:
        """What a contender answers to a client that is not on loopback, where it has a door."""
        url = CONTENDERS[name].url
        if CONTENDERS[name].nginx:
            host, _sign, port = url.split("/")[2].partition(":")
            options = (*options, "--resolve", f"{host}:{port or 443}:{self.address}")
        return json.loads(self.ground.ssh(shlex.join(["curl", "-fsSk", *options, f"{url[:-1]}{path}"])))

    def check(self, name: str) -> dict[str, Any]:
        """The same page from everyone, and whom each takes for its client.

        Raises RuntimeError where the page is another: the work would be, too.
        """
        if self.ask(name, "/") != self.ask("ours", "/"):
            raise RuntimeError(f"{name} answers {self.ask(name, '/')}")
        door = CONTENDERS[name].nginx
        true = {"client": self.address if door else "127.0.0.1", "scheme": "https" if door else "http"}
        plain, forged = (
            self.ask(name, "/seen", *options) for options in ((), ("-H", f"X-Forwarded-For: {FORGED}"))
        )
        return {"true": plain == true, "saw": plain, "believes": forged["client"] == FORGED}

    def imports(self, module: str) -> float:
        """Seconds that the import of the app alone takes, Python's own start taken off."""
        script = """import subprocess, sys, time
def took(code):
    began = time.monotonic()
    subprocess.run([sys.argv[1], "-c", code], check=True, cwd="/srv/bench/src")
    return time.monotonic() - began
print(took("import " + sys.argv[2]) - took("pass"))"""
        return float(self.ground.ssh(f"python3 - {PYTHON} {module}", script))

    def start(self) -> dict[str, float]:
        """Seconds to the first answer, and of the import alone, one after another."""
        found = {}
        for kind, module, url in (
            ("shop", "shop.main", "http://127.0.0.1:8101/"),
            ("late", "late", "http://127.0.0.1:8105/"),
        ):
            bare = "bench-uvicorn" if kind == "shop" else "bench-uvicorn-late"
            found[f"{kind} import"] = self.imports(module)
            found[f"{kind} ours"] = self.ground.start(self.release(kind), f"https://{kind}.test/")
            found[f"{kind} uvicorn"] = self.ground.start(bare, url)
        return found


def per_request(run: dict[str, float]) -> float:
    """Processor time for one request, in seconds, of app and nginx."""
    return (run["app"] + run.get("nginx", 0.0)) / max(1, run["requests"])


def main() -> int:
    """Measure all; returns the exit status."""
    asked = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(asked.host, Path(folder))
        found: dict[str, dict[str, Any]] = {
            name: {
                "title": each.title, "workers": each.workers, "nginx": bool(each.nginx), "load": [],
                # Each takes turns with bare uvicorn: two cores may be two threads of one, and are slower when both work.
                "turns": [{"ratio": 1.0}] if name == "uvicorn" else [],
                "seen": bench.check(name),
            }
            for name, each in CONTENDERS.items()
        }  # fmt: skip
        units = {name: bench.units(name) for name in CONTENDERS}
        for name, each in CONTENDERS.items():
            bench.ground.cost(each.url, 1, units[name])
        for number, name in rotated(list(CONTENDERS), asked.rounds):
            found[name]["load"].append(bench.ground.cost(CONTENDERS[name].url, asked.seconds, units[name]))
            if name == "uvicorn":
                continue
            first, own = bench.ground.duel(
                asked.seconds,
                (CONTENDERS["uvicorn"].url, units["uvicorn"]),
                (CONTENDERS[name].url, units[name]),
            )
            found[name]["turns"].append({"ratio": per_request(own) / per_request(first)})
            if all(len(each["load"]) == number + 1 for each in found.values()):
                say(f"round {number + 1} of {asked.rounds}")
        rounds = [each for result in found.values() for each in result["load"]]
        say(f"others took {busy(rounds):.0f} % of the machine" + (f"; {ADVICE}" if busy(rounds) > 10 else ""))
        for name, result in found.items():
            cost = [1000 * per_request(each) for each in result["load"]]
            rates = [each["rate"] for each in result["load"]]
            say(
                f"{name}: {median(rates)} requests/s, {median(cost, '.3f')} CPU s per 1000, "
                f"{median([each['ratio'] for each in result['turns']], '.2f')} of bare uvicorn's by turns"
            )
        starts = [bench.start() for _turn in range(asked.rounds)]
        for key in starts[0]:
            say(f"start, {key}: {statistics.median(each[key] for each in starts):.3f} s")
        written = {
            "workers": WORKERS,
            "connections": CONNECTIONS,
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "others": busy(rounds),
            "where": bench.ground.where("gunicorn", "uvicorn", "uvicorn-worker", "granian", "fastapi"),
            "late": LATE,
            "runs": found,
            "starts": starts,
        }
    asked.output.write_text(json.dumps(written), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

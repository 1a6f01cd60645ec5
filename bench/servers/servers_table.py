"""Write what servers_measure.py found into the documentation.

usage: servers_table.py MEASURED.json DOCS      writes the tables in servers.md there
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pages import fill, median, table

MAKER = "bench/servers/servers_table.py"

Run = dict[str, Any]


def costs(runs: list[Run]) -> str:
    """Requests per second, processor time and memory. Ratios are of rounds that followed each other, to the first."""
    rows = []
    for run in runs:
        against = [
            own["rate"] / first["rate"]
            for own, first in zip(run["load"], runs[0]["load"], strict=True)
            if first["rate"]
        ]
        cpu = [1000 * each["app"] / max(1, each["requests"]) for each in run["load"]]
        rows.append(
            [
                run["title"],
                median([each["rate"] for each in run["load"]]),
                median(against, ".2f"),
                median([each["p99"] * 1000 for each in run["load"]], ".0f"),
                median(cpu, ".2f"),
                f"{run['memory']['pss']:.0f} MiB, {run['memory']['processes']}",
            ]
        )
    head = [
        "`server`",
        "requests/s",
        "against the first",
        "p99, ms",
        "CPU s per 1000 requests",
        "memory, processes",
    ]
    return table(head, rows)


def stalls(runs: list[Run]) -> str:
    """The longest wait and the losses of each step."""
    rows = []
    for run in runs:
        row = [run["title"]]
        for step in ("restart", "deploy", "broken"):
            row.append(median([each["longest"] * 1000 for each in run[step]], ".0f", " ms"))
            row.append(
                f"{sum(each['lost'] for each in run[step])} of {sum(each['sent'] for each in run[step])}"
            )
        rows.append(row)
    head = [
        "`server`",
        "restart: longest wait",
        "lost",
        "deploy: longest wait",
        "lost",
        "broken code: longest wait",
        "lost",
    ]
    return table(head, rows)


def behaviour(runs: list[Run]) -> str:
    """What broken code does, and who the app takes for its client."""
    rows = []
    for run in runs:
        (broken,) = run["broken"]
        kept = "the old one" if broken["after"] == broken["before"] else broken["after"]
        true = "yes" if run["seen"]["true"] else f"no: {run['seen']['saw']}"
        rows.append(
            [
                run["title"],
                kept,
                f"{broken['took']:.1f} s",
                "yes" if broken["says"] else "no",
                true,
                run["must"],
            ]
        )
    head = ["`server`", "broken code: serves afterwards", "the play has failed after", "and says so"]
    return table([*head, "true client address", "what the app must do for it"], rows, "---")


def limits(found: dict[str, Any]) -> str:
    """How it was measured, and who used the machine."""
    runs = list(found["runs"].values())
    rounds = [each for run in runs for each in run["load"]]
    errors = sum(each["errors"] for each in rounds)
    whole = sum(sum(each[who] for who in ("app", "nginx", "wrk", "others")) for each in rounds)
    parts = ", ".join(
        f"{who} {100 * sum(each[who] for each in rounds) / whole:.0f} %" for who in ("app", "nginx", "wrk")
    )
    own = max(each["own"] for run in runs for step in ("restart", "deploy", "broken") for each in run[step])
    return (
        f"{found['workers']} workers, {found['connections']} connections. Median of {found['rounds']} interleaved rounds "
        f"(least–most), of {found['seconds']} s under load, and of {len(runs[0]['deploy'])} deploys; memory and broken code "
        f"once. {errors} requests of the load failed. "
        f"Of the processor time that was used under load: {parts}, others {100 - sum_of(rounds) / whole * 100:.0f} %. The "
        f"machine kept the clients of the stalls from running for at most {own * 1000:.0f} ms at a time. {found['where']}"
    )


def sum_of(rounds: list[dict[str, float]]) -> float:
    """Seconds of processor time of those that took part."""
    return sum(each[who] for each in rounds for who in ("app", "nginx", "wrk"))


def main() -> None:
    """Write."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    runs = list(found["runs"].values())
    text = f"{costs(runs)}\n{stalls(runs)}\n{behaviour(runs)}\n{limits(found)}"
    fill(Path(sys.argv[2]) / "servers.md", MAKER, text)


if __name__ == "__main__":
    main()

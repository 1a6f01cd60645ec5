"""Draw what workers_measure.py wrote: requests per second and p99 of each handler, against the number of workers.

usage: workers_picture.py MEASURED.json DOCS      writes images/workers.svg, .png, and the tables in workers.md there
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from pages import fill, median, table
from pictures import save

MAKER = "bench/workers/workers_picture.py"
TITLES = {
    "waits": "async def with await",
    "computes": "async def that computes",
    "blocks": "async def with time.sleep",
    "threads": "def with time.sleep",
}
LINE, WAIT = "#2a6f97", "#bc6c25"
# A number of workers that gives less than this share of the best is too small.
ENOUGH = 0.95

Run = dict[str, Any]


def middle(run: Run, handler: str, key: str) -> float:
    """The median of the rounds."""
    return float(statistics.median(each[key] for each in run[handler]))


def panel(axes: Any, runs: list[Run], handler: str, key: str, scale: float, colour: str) -> None:
    """One handler: the median, with a bar from the least to the most."""
    workers = [run["workers"] for run in runs]
    values = [[each[key] * scale for each in run[handler]] for run in runs]
    middles = [statistics.median(each) for each in values]
    below = [high - min(each) for high, each in zip(middles, values, strict=True)]
    above = [max(each) - low for low, each in zip(middles, values, strict=True)]
    axes.errorbar(workers, middles, yerr=[below, above], color=colour, marker="o", markersize=4, capsize=3)
    axes.set_ylim(0, max(map(max, values)) * 1.12)
    axes.set_xticks(workers)
    axes.grid(visible=True, alpha=0.25)


def draw(found: dict[str, Any], images: Path) -> None:
    """The picture."""
    mpl.rcParams["svg.hashsalt"] = "asgi.host"
    figure, all_axes = plt.subplots(2, len(TITLES), figsize=(13, 6), sharex=True)
    rows = (("rate", 1, LINE, "requests per second"), ("p99", 1000, WAIT, "p99, ms"))
    for axes, (key, scale, colour, label) in zip(all_axes, rows, strict=True):
        for place, handler in zip(axes, TITLES, strict=True):
            panel(place, found["runs"], handler, key, scale, colour)
        axes[0].set_ylabel(label)
    for place, title in zip(all_axes[0], TITLES.values(), strict=True):
        place.set_title(title, fontsize=11)
    for place in all_axes[-1]:
        place.set_xlabel("workers")
    figure.text(
        0.5, 0.005,
        f"{found['cores']} cores, shared by the app, nginx with TLS and wrk; {found['connections']} connections. Median of "
        f"{found['rounds']} interleaved rounds, bars from the least to the most.",
        ha="center", fontsize=8,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    save(figure, images, "workers")


def choices(runs: list[Run]) -> str:
    """The least number of workers that gives nearly the most, for each handler."""
    rows = []
    for handler, title in TITLES.items():
        rates = {run["workers"]: middle(run, handler, "rate") for run in runs}
        best = max(rates.values())
        least = min(number for number, rate in rates.items() if rate >= ENOUGH * best)
        shown = [f"{rates[number]:.0f}" for number in (min(rates), least, max(rates))]
        rows.append([f"`{title}`", str(least), *shown])
    few, many = (str(runs[place]["workers"]) for place in (0, -1))
    head = ["handler", f"least number within {100 - 100 * ENOUGH:.0f} % of the best"]
    return table([*head, f"requests/s with {few}", "with that number", f"with {many}"], rows)


def numbers(runs: list[Run]) -> str:
    """All of it."""
    titles = [f"`{title}`" for title in TITLES.values()]
    rates, waits = [], []
    for run in runs:
        workers, memory = str(run["workers"]), f"{run['memory']['pss']:.0f} MiB"
        rates.append(
            [workers, *(median([each["rate"] for each in run[handler]]) for handler in TITLES), memory]
        )
        waits.append(
            [workers, *(median([each["p99"] * 1000 for each in run[handler]]) for handler in TITLES)]
        )
    return (
        f"Requests per second, and memory (PSS of all processes):\n\n{table(['workers', *titles, 'memory'], rates)}\n"
        f"p99 in ms:\n\n{table(['workers', *titles], waits)}"
    )


def limits(found: dict[str, Any]) -> str:
    """Who used the machine, so that a reader sees what bounds the numbers."""
    rounds = [each for run in found["runs"] for each in run["waits"]]
    took = found["cores"] * sum(each["took"] for each in rounds)
    shares = {who: 100 * sum(each[who] for each in rounds) / took for who in ("app", "nginx", "wrk")}
    parts = ", ".join(f"{who} {share:.0f} %" for who, share in shares.items())
    errors = sum(each["errors"] for run in found["runs"] for handler in TITLES for each in run[handler])
    return (
        f"Median of {found['rounds']} rounds of {found['seconds']} s (least–most); {errors} failed requests. Of the machine's "
        f"processor time in the rounds of `{TITLES['waits']}`: {parts}; others took {found['others']:.0f} % in all rounds. "
        f"{found['where']}"
    )


def main() -> None:
    """Draw, and write."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    draw(found, folder / "images")
    page = folder / "workers.md"
    fill(page, f"{MAKER}: choice", choices(found["runs"]))
    fill(page, f"{MAKER}: numbers", f"{numbers(found['runs'])}\n{limits(found)}")


if __name__ == "__main__":
    main()

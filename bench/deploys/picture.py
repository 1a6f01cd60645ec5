"""Draw what measure.py wrote: a panel for each contender and kind of code, latency against time, with what was lost.

usage: picture.py MEASURED.json DOCS      writes images/deploys.svg, .png, and the table in bench-deploys.md there
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

# Seconds of one point of the line: the longest wait of the requests that were sent in it.
BIN = 0.05
LINE, LOST = "#2a6f97", "#d00000"
START, END = "<!-- made by bench/deploys/picture.py -->", "<!-- end -->"
KINDS = {"good": "code that works", "broken": "code that does not import"}


def longest(requests: list[list[float]], start: float, end: float) -> tuple[list[float], list[float]]:
    """The longest wait in each bin, in milliseconds; a bin without a request has none."""
    bins: dict[int, float] = {}
    for began, wait in requests:
        place = int((began - start) / BIN)
        bins[place] = max(bins.get(place, 0.0), wait * 1000)
    places = sorted(place for place in bins if start + place * BIN <= end)
    return [start + place * BIN for place in places], [bins[place] for place in places]


def panel(axes: Any, result: dict[str, Any], start: float, end: float) -> None:
    """One contender with one kind of code."""
    times, waits = longest(result["requests"], start, end)
    axes.plot(times, waits, color=LINE, linewidth=1)
    # One mark for each bin with a loss: thousands on one spot would show no more.
    lost = sorted({round(moment / BIN) * BIN for moment in result["lost_at"] if moment <= end})
    axes.plot(lost, [2] * len(lost), "|", color=LOST, markersize=9, alpha=0.6)
    axes.axvline(0, color="#777777", linewidth=0.8, linestyle=":")
    if result["arrived"]:
        axes.axvline(result["arrived"], color="#2b9348", linewidth=0.8, linestyle="--")
    worst = max((wait for _, wait in result["requests"]), default=0) * 1000
    text = f"{result['lost']} of {result['sent']} lost, longest wait {worst:.0f} ms"
    axes.text(
        0.99, 0.93, text, transform=axes.transAxes, ha="right", va="top", fontsize=9,
        color=LOST if result["lost"] else "#1b4332", fontweight="bold",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(1, 30000)
    axes.set_xlim(start, end)
    axes.grid(visible=True, alpha=0.25)


def table(found: dict[str, Any]) -> str:
    """The same in numbers, in Markdown."""
    rows = [
        "| deploy | code | requests | lost | longest wait | new version answers after | serves afterwards |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for name, kinds in found["runs"].items():
        for kind, result in kinds.items():
            worst = max((wait for _, wait in result["requests"]), default=0) * 1000
            arrived = f"{result['arrived']:.1f} s" if result["arrived"] else "–"
            after = {result["before"]: "the old version", result["wanted"]: "the new version"}
            rows.append(
                f"| {name} | {KINDS[kind]} | {result['sent']} | {result['lost']} | {worst:.0f} ms | {arrived} | "
                f"{after.get(result['after'], result['after'])} |"
            )
    return "\n".join(rows) + "\n"


def main() -> None:
    """Draw."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    mpl.rcParams["svg.hashsalt"] = "asgi.host"
    runs = found["runs"]
    figure, all_axes = plt.subplots(len(runs), 2, figsize=(12, 9), sharex=True, sharey=True)
    end = max(result["ended"] for kinds in runs.values() for result in kinds.values()) + 4
    for row, (name, kinds) in zip(all_axes, runs.items(), strict=True):
        for axes, kind in zip(row, KINDS, strict=True):
            panel(axes, kinds[kind], -2, end)
        row[0].set_ylabel(f"{name}\n\nlongest wait, ms", fontsize=9)
    for axes, title in zip(all_axes[0], KINDS.values(), strict=True):
        axes.set_title(f"Deploy of {title}", fontsize=11)
    for axes in all_axes[-1]:
        axes.set_xlabel("seconds after the deploy was asked for")
    figure.text(
        0.5, 0.005,
        "dotted: the deploy is asked for; dashed green: the new version answers; red: lost requests. "
        "GET with keep-alive and POST on new connections, through nginx with TLS.",
        ha="center", fontsize=8,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(folder / "images" / "deploys.svg", metadata={"Date": None})
    figure.savefig(folder / "images" / "deploys.png", dpi=110, metadata={"Software": None})
    page = folder / "bench-deploys.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    where = f"{found['machine']}; {', '.join(found['versions'])}."
    page.write_text(f"{before}{START}\n\n{table(found)}\n{where}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

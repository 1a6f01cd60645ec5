"""Latency against time, as pictures of deploys show it."""

from __future__ import annotations

from math import ceil, floor, nan
from typing import Any

# Seconds of one step of the line.
BIN = 0.05
LINE, LOST, NEW = "#2a6f97", "#d00000", "#2b9348"


def longest(requests: list[list[float]], start: float, end: float) -> tuple[list[float], list[float]]:
    """For each bin the longest wait of the requests that were under way in it, in milliseconds.

    A stall is a step as long as it lasted. A bin in which nothing was under way is no number, which is a gap in a line: a
    line to the next one would tell of waits that nobody had.
    """
    bins: dict[int, float] = {}
    for began, wait in requests:
        for place in range(floor((began - start) / BIN), floor((began + wait - start) / BIN) + 1):
            bins[place] = max(bins.get(place, 0.0), wait * 1000)
    places = range(ceil((end - start) / BIN))
    return [start + place * BIN for place in places], [bins.get(place, nan) for place in places]


def panel(axes: Any, result: dict[str, Any], start: float, end: float) -> None:
    """One deploy: the line, what was lost, when it was asked for, and when the new version answered."""
    times, waits = longest(result["requests"], start, end)
    axes.plot(times, waits, color=LINE, linewidth=1, drawstyle="steps-post")
    # One mark for each bin with a loss: thousands on one spot would show no more.
    lost = sorted({round(moment / BIN) * BIN for moment in result["lost_at"] if moment <= end})
    axes.plot(lost, [2] * len(lost), "|", color=LOST, markersize=9, alpha=0.6)
    axes.axvline(0, color="#777777", linewidth=0.8, linestyle=":")
    if result["arrived"]:
        axes.axvline(result["arrived"], color=NEW, linewidth=0.8, linestyle="--")
    worst = max((wait for _start, wait in result["requests"]), default=0) * 1000
    text = f"{result['lost']} of {result['sent']} lost, longest wait {worst:.0f} ms"
    axes.text(
        0.99, 0.93, text, transform=axes.transAxes, ha="right", va="top", fontsize=9,
        color=LOST if result["lost"] else "#1b4332", fontweight="bold",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(1, 30000)
    axes.set_xlim(start, end)
    axes.grid(visible=True, alpha=0.25)

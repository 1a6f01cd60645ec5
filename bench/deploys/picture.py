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
from latency import panel
from pages import fill
from pictures import save

MAKER = "bench/deploys/picture.py"
# What each contender can and cannot do at all, whatever a run of it shows: by the beginning of its name.
CAN = {
    "asgi.host": "brings code, dependencies, Python and settings at once;\nrefuses what does not pass its health checks, and keeps the earlier version",
    "gunicorn: HUP": "brings code alone, and no dependency, Python or setting with it;\nrefuses nothing, and keeps no earlier version",
    "gunicorn: restart": "refuses nothing, and keeps no earlier version",
    "uvicorn: HUP": "brings code alone, and no dependency, Python or setting with it;\nrefuses no code that answers wrongly, and keeps no earlier version",
}
KINDS = {"good": "code that works", "broken": "code that does not import"}


def table(found: dict[str, Any]) -> str:
    """The same in numbers, in Markdown."""
    rows = [
        "| deploy | code | requests | lost | longest wait | new version answers after | serves afterwards |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for name, kinds in found["runs"].items():
        for kind, result in kinds.items():
            worst = max((wait for _start, wait in result["requests"]), default=0) * 1000
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
        words = next(words for beginning, words in CAN.items() if name.startswith(beginning))
        row[1].text(0.99, 0.8, words, transform=row[1].transAxes, ha="right", va="top", fontsize=8)
        row[0].set_ylabel(f"{name}\n\nlongest wait, ms", fontsize=9)
    for axes, title in zip(all_axes[0], KINDS.values(), strict=True):
        axes.set_title(f"Deploy of {title}", fontsize=11)
    for axes in all_axes[-1]:
        axes.set_xlabel("seconds after the deploy was asked for")
    figure.text(
        0.5, 0.005,
        "dotted: the deploy is asked for; dashed green: the new version answers; red: lost requests; a gap: nothing was answered. "
        "GET with keep-alive and POST on new connections, through nginx with TLS.",
        ha="center", fontsize=8,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    save(figure, folder / "images", "deploys")
    where = f"{found['machine']}; {', '.join(found['versions'])}."
    fill(folder / "bench-deploys.md", MAKER, f"{table(found)}\n{where}")


if __name__ == "__main__":
    main()

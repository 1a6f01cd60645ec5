"""Draw what converge_measure.py wrote, and say beside each goal whether it is met.

usage: converge_picture.py MEASURED.json DOCS
    writes images/converge.svg, images/redeploy.svg, the same as .png, and the tables in bench.md there
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from latency import panel
from pages import fill, median, table
from pictures import save

MAKER = "bench/converge/converge_picture.py"
# Titles of the rows of second runs, in the order of the table.
ROWS = {
    "1 near": "1 app",
    "5 near": "5 apps",
    "10 near": "10 apps",
    "1 far": "1 app, 30 ms",
    "5 far": "5 apps, 30 ms",
}
OWN, PEER = "#2a6f97", "#b0b7bd"
# A bar that is longer than this many times the longest of the others is cut, with its number beside it.
CUT = 1.5


@dataclass(frozen=True)
class Goal:
    """A ratio of two medians' rounds, and the most that it may be."""

    what: str
    over: tuple[str, str]
    """Row and contender that is divided."""
    under: tuple[str, str]
    most: float
    below: bool = False
    """Whether it must be less than that, and not as much."""


def second_run(row: str, peer: str, title: str, most: float, *, below: bool = False) -> Goal:
    """Of a run with nothing to change, against one of the peers."""
    return Goal(f"nothing to change, {ROWS[row]}: against {title}", (row, "ours"), (row, peer), most, below)


GOALS = (
    second_run("1 near", "pyinfra", "pyinfra", 1.0),
    second_run("1 near", "nodelay", "pyinfra with TCP_NODELAY", 1.5),
    second_run("1 near", "playbook", "the playbook", 0.2),
    second_run("1 far", "pyinfra", "pyinfra", 1.0, below=True),
    second_run("1 far", "nodelay", "pyinfra with TCP_NODELAY", 1.0, below=True),
    second_run("5 near", "pyinfra", "pyinfra", 1.0, below=True),
    second_run("5 near", "nodelay", "pyinfra with TCP_NODELAY", 1.0, below=True),
    second_run("5 near", "script", "the script", 2.0),
    second_run("5 far", "pyinfra", "pyinfra", 1.0, below=True),
    second_run("5 far", "nodelay", "pyinfra with TCP_NODELAY", 1.0, below=True),
    second_run("5 far", "script", "the script", 2.0),
    Goal("nothing to change: ten apps against one", ("10 near", "ours"), ("1 near", "ours"), 1.5),
    Goal("nothing to change: many hosts against one", ("fleet", "many"), ("fleet", "one"), 3.0),
    Goal(
        "redeploy, until the new version answers: against pyinfra",
        ("redeploy", "ours"),
        ("redeploy", "pyinfra"),
        1.2,
    ),
    Goal(
        "redeploy, until the new version answers: against pyinfra with TCP_NODELAY",
        ("redeploy", "ours"),
        ("redeploy", "nodelay"),
        1.2,
    ),
    Goal("first provision: against the script", ("fresh", "ours"), ("fresh", "script"), 1.2),
)
# Remote calls of modules in a run with nothing to change.
CALLS = 5


def series(found: dict[str, Any], row: str, who: str) -> list[float]:
    """The rounds of one, in seconds; empty where they were not measured."""
    if row == "redeploy":
        return [each["arrived"] for each in found.get("redeploy", {}).get(who, [])]
    rounds: list[float] = found["rows"].get(row, {}).get(who, [])
    return rounds


def seconds(found: dict[str, Any]) -> str:
    """Seconds of runs with nothing to change."""
    rows = [
        [title, *(median(values, ".2f") if (values := series(found, row, key)) else "–" for row in ROWS)]
        for key, title in found["titles"].items()
    ]
    return table(["nothing to change, in seconds", *ROWS.values()], rows)


def goals(found: dict[str, Any]) -> str:
    """Each goal, what was found, and whether it is met."""
    rows = []
    for goal in GOALS:
        what = goal.what.replace("many hosts", f"{found.get('fleet', 'many')} hosts")
        pairs = list(zip(series(found, *goal.over), series(found, *goal.under), strict=True))
        if not pairs:
            rows.append([what, "not measured", "", ""])
            continue
        ratios = [over / under for over, under in pairs]
        middle = statistics.median(ratios)
        met = middle < goal.most if goal.below else middle <= goal.most
        sign = "<" if goal.below else "≤"
        rows.append([what, median(ratios, ".2f"), f"{sign} {goal.most:g}", "yes" if met else "**no**"])
    for apps, each in found["calls"].items():
        count = sum(each["modules"].values())
        names = ", ".join(f"{name} {number}" for name, number in sorted(each["modules"].items()))
        rows.append(
            [
                f"nothing to change, {ROWS[f'{apps} near']}: remote calls of modules ({names})",
                str(count),
                f"≤ {CALLS}",
                "yes" if count <= CALLS else "**no**",
            ]
        )
    return table(["asgi.host", "ratio, or number", "goal", "met"], rows)


def redeploys(found: dict[str, Any]) -> str:
    """A new version of the code, by each."""
    rows = []
    for key, runs in found.get("redeploy", {}).items():
        rows.append(
            [
                found["titles"][key],
                median([each["arrived"] for each in runs], ".2f", " s"),
                median([each["ended"] for each in runs], ".2f", " s"),
                f"{sum(each['lost'] for each in runs)} of {sum(each['sent'] for each in runs)}",
                median([each["longest"] * 1000 for each in runs], ".0f", " ms"),
            ]
        )
    head = ["redeploy", "the new version answers after", "the command ends after", "lost", "longest wait"]
    return table(head, rows) if rows else "Redeploys were not measured.\n"


def others(found: dict[str, Any]) -> str:
    """First provisions, and a fleet."""
    rows = []
    titles = {
        "fresh": ("first provision", found["titles"]),
        "fleet": (
            "nothing to change",
            {"one": "asgi.host, one host", "many": f"asgi.host, {found.get('fleet')} hosts"},
        ),
    }
    for row, (what, names) in titles.items():
        rows += [
            [f"{what}: {names[key]}", median(values, ".1f", " s")]
            for key, values in found["rows"].get(row, {}).items()
        ]
    return table(["", "takes"], rows) if rows else ""


def limits(found: dict[str, Any]) -> str:
    """How it was measured, and who used the machine."""
    trips = found.get("round trips")
    way = f"The far host's round trip took {median(trips, '.1f')} ms. " if trips else ""
    skipped = f"No far host: {found['skipped']}. " if "skipped" in found else ""
    return (
        f"Median of {found['rounds']} interleaved rounds (least–most), of {len(series(found, 'fresh', 'ours'))} for the "
        f"first provision; a ratio is the median of the ratios of the rounds. {way}{skipped}Others took "
        f"{found['others']:.0f} % of the machine, the idle apps included. {found['where']}\n"
    )


def bars(axes: Any, row: dict[str, Sequence[float]], titles: dict[str, str]) -> None:
    """One panel: a bar for each contender, with a line from the least to the most."""
    middles = {key: statistics.median(values) for key, values in row.items()}
    most = max(row["ours"])
    for key in sorted(row, key=middles.__getitem__)[:-1]:
        most = max(most, *row[key])
    longest = max(max(values) for values in row.values())
    end = most * CUT if longest > most * CUT else longest * 1.15
    for place, (key, values) in enumerate(row.items()):
        low, middle, high = min(values), middles[key], max(values)
        axes.barh(place, min(middle, end), color=OWN if key == "ours" else PEER)
        if high <= end:
            spread = [[middle - low], [high - middle]]
            axes.errorbar(middle, place, xerr=spread, color="#333333", capsize=3, linewidth=1)
        cut = middle > end
        axes.text(
            end * 0.99 if cut else min(high, end),
            place,
            f"{middle:.1f} s →" if cut else f" {middle:.1f} s",
            ha="right" if cut else "left",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(row)), [titles[key] for key in row])
    axes.invert_yaxis()
    axes.set_xlim(0, end)
    axes.grid(visible=True, axis="x", alpha=0.25)


def draw_converges(found: dict[str, Any], images: Path) -> None:
    """Runs with nothing to change: a panel for each number of apps and each way to the host."""
    shown = [row for row in ("1 near", "5 near", "1 far", "5 far") if row in found["rows"]]
    if not shown:
        return
    figure, all_axes = plt.subplots(
        (len(shown) + 1) // 2, 2, figsize=(12, 1 + 2.4 * ((len(shown) + 1) // 2)), squeeze=False
    )
    for axes in all_axes.flat[len(shown) :]:
        axes.axis("off")
    for axes, row in zip(all_axes.flat, shown, strict=False):
        bars(axes, found["rows"][row], found["titles"])
        axes.set_title(ROWS[row] if "30 ms" in ROWS[row] else f"{ROWS[row]}, same machine", fontsize=11)
    for axes in all_axes[-1]:
        axes.set_xlabel("seconds of a run with nothing to change")
    text = f"Median of {found['rounds']} interleaved rounds; lines from the least to the most."
    figure.text(0.5, 0.005, text, ha="center", fontsize=8)
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    save(figure, images, "converge")


def draw_redeploys(found: dict[str, Any], images: Path) -> None:
    """Latency through a redeploy: a panel for each contender, of its first round."""
    firsts = {key: runs[0] for key, runs in found.get("redeploy", {}).items()}
    if not firsts:
        return
    end = max(each["ended"] for each in firsts.values()) + 1
    figure, all_axes = plt.subplots(len(firsts), 1, figsize=(10, 1.9 * len(firsts)), sharex=True, sharey=True)
    for axes, (key, result) in zip(all_axes, firsts.items(), strict=True):
        panel(axes, result, -1, end)
        axes.set_title(
            f"{found['titles'][key]}: new after {result['arrived']:.1f} s", fontsize=10, loc="left"
        )
        axes.set_ylabel("ms")
    all_axes[-1].set_xlabel("seconds after the command was started")
    text = (
        "Longest wait of each 50 ms. Dotted: the command starts; dashed green: the new version answers; red: lost "
        "requests.\nGET over a kept connection and over new ones, through nginx with TLS."
    )
    figure.text(0.5, 0.005, text, ha="center", fontsize=8)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    save(figure, images, "redeploy")


def main() -> None:
    """Draw and write."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    docs = Path(sys.argv[2])
    mpl.rcParams["svg.hashsalt"] = "asgi.host"
    draw_converges(found, docs / "images")
    draw_redeploys(found, docs / "images")
    page = docs / "bench.md"
    text = f"{goals(found)}\n{seconds(found)}\n{others(found)}"
    fill(page, f"{MAKER}: converges", f"{text}\n{limits(found)}")
    fill(page, f"{MAKER}: redeploys", redeploys(found))


if __name__ == "__main__":
    main()

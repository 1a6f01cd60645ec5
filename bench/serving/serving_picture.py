"""Draw what serving_measure.py wrote: requests per second, and processor time per request, by whom.

usage: serving_picture.py MEASURED.json DOCS      writes images/serving.svg, .png, and the tables in bench.md there
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

MAKER = "bench/serving/serving_picture.py"
APP, NGINX = "#2a6f97", "#bc6c25"
# What is aimed at: processor time per request against bare uvicorn, requests per second against bare gunicorn, and what a
# start may take beyond the app's own import.
DEAREST, SLOWEST, LONGEST = 1.5, 0.7, 0.10

Run = dict[str, Any]


def rates(run: Run) -> list[float]:
    """Requests per second, of each round."""
    return [each["rate"] for each in run["load"]]


def cost(run: Run, *who: str) -> list[float]:
    """Seconds of processor time for 1000 requests, of each round."""
    return [
        1000 * sum(each.get(name, 0.0) for name in who) / max(1, each["requests"]) for each in run["load"]
    ]


def against(values: list[float], others: list[float]) -> list[float]:
    """Ratios within each round."""
    return [own / other for own, other in zip(values, others, strict=True)]


def met(good: bool) -> str:
    """A goal's word."""
    return "met" if good else "not met"


def numbers(runs: dict[str, Run]) -> str:
    """Each contender."""
    rows = []
    for run in runs.values():
        whole = cost(run, "app", "nginx")
        rows.append(
            [
                run["title"],
                str(run["workers"]),
                median(rates(run)),
                median(against(rates(run), rates(runs["gunicorn"])), ".2f"),
                median([each["p99"] * 1000 for each in run["load"]], ".1f"),
                median(cost(run, "app"), ".3f"),
                median(cost(run, "nginx"), ".3f") if run["nginx"] else "–",
                median(whole, ".3f"),
                median(against(whole, cost(runs["uvicorn"], "app")), ".2f"),
                median([each["ratio"] for each in run["turns"]], ".2f"),
                str(int(sum(each["errors"] for each in run["load"]))),
            ]
        )
    head = [
        "",
        "workers",
        "requests/s",
        "of bare gunicorn's",
        "p99, ms",
        "CPU s per 1000 requests: app",
        "nginx",
    ]
    return table([*head, "both", "of bare uvicorn's", "the same, by turns", "lost"], rows)


def seen(runs: dict[str, Run]) -> str:
    """Whom each takes for its client."""
    rows = []
    for run in runs.values():
        found, saw = run["seen"], run["seen"]["saw"]
        rows.append(
            [
                run["title"],
                "HTTPS" if run["nginx"] else "HTTP",
                "the true one" if found["true"] else f"{saw['client'] or 'nobody'}, by `{saw['scheme']}`",
                "yes" if found["believes"] else "no",
            ]
        )
    return table(
        ["", "asked by", "client and scheme that the app sees", "believes a forged address"], rows, "---"
    )


def starts(found: dict[str, Any]) -> str:
    """Start to first answer, against the app's own import."""
    rows = []
    for kind, title in (("shop", "the app"), ("late", f"one whose import takes {found['late']:.0f} s more")):
        alone = [each[f"{kind} import"] for each in found["starts"]]
        row = [title, median(alone, ".2f", " s")]
        for who in ("uvicorn", "ours"):
            whole = [each[f"{kind} {who}"] for each in found["starts"]]
            more = [each - own for each, own in zip(whole, alone, strict=True)]
            row += [
                median(whole, ".2f", " s"),
                median(more, ".2f", " s"),
                median(against(whole, alone), ".2f"),
            ]
        rows.append(row)
    head = ["", "import alone"]
    for who in ("bare uvicorn", "this collection"):
        head += [f"{who}: first answer after", "more", "ratio"]
    return table(head, rows)


def goals(found: dict[str, Any]) -> str:
    """What was aimed at, and whether it was reached."""
    runs = found["runs"]
    ours = runs["ours"]
    dear = statistics.median(against(cost(ours, "app", "nginx"), cost(runs["uvicorn"], "app")))
    turns = statistics.median(each["ratio"] for each in ours["turns"])
    fast = statistics.median(against(rates(ours), rates(runs["gunicorn"])))
    late = statistics.median(each["late ours"] / each["late import"] for each in found["starts"])
    rows = [
        ["CPU per request, each alone", f"at most {DEAREST} × bare uvicorn", f"{dear:.2f}", met(dear <= DEAREST)],
        ["the same, by turns of 0.1 s", f"at most {DEAREST} × bare uvicorn", f"{turns:.2f}", met(turns <= DEAREST)],
        ["requests/s", f"at least {SLOWEST} × bare gunicorn", f"{fast:.2f}", met(fast >= SLOWEST)],
        [
            "start to first answer, slow import", f"at most {1 + LONGEST:.2f} × the import", f"{late:.2f}",
            met(late <= 1 + LONGEST),
        ],
    ]  # fmt: skip
    return table(["", "goal", "measured", ""], rows, "---")


def draw(found: dict[str, Any], images: Path) -> None:
    """The picture."""
    mpl.rcParams["svg.hashsalt"] = "asgi.host"
    runs = list(found["runs"].values())[::-1]
    places = list(range(len(runs)))
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), sharey=True)

    def spread(values: list[list[float]]) -> list[list[float]]:
        middles = [statistics.median(each) for each in values]
        return [
            [middle - min(each) for middle, each in zip(middles, values, strict=True)],
            [max(each) - middle for middle, each in zip(middles, values, strict=True)],
        ]

    fast = [rates(run) for run in runs]
    left.barh(
        places,
        [statistics.median(each) for each in fast],
        xerr=spread(fast),
        color=APP,
        capsize=3,
        height=0.6,
    )
    left.set_title("requests per second", fontsize=11)
    left.set_yticks(places, [run["title"] for run in runs])
    whole = [cost(run, "app", "nginx") for run in runs]
    apps = [statistics.median(cost(run, "app")) for run in runs]
    rest = [statistics.median(each) - app for each, app in zip(whole, apps, strict=True)]
    right.barh(places, apps, color=APP, height=0.6, label="app")
    right.barh(
        places, rest, left=apps, xerr=spread(whole), color=NGINX, capsize=3, height=0.6, label="nginx, TLS"
    )
    right.set_title("CPU seconds per 1000 requests", fontsize=11)
    right.legend(fontsize=9)
    for axes in (left, right):
        axes.grid(visible=True, axis="x", alpha=0.25)
    figure.text(
        0.5, 0.01,
        f"{found['connections']} connections; two cores, shared by app, nginx and wrk. Median of {found['rounds']} interleaved "
        "rounds, bars from the least to the most.",
        ha="center", fontsize=8,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.035, 1, 1))
    save(figure, images, "serving")


def limits(found: dict[str, Any]) -> str:
    """How it was measured, and who used the machine."""
    return (
        f"{found['connections']} connections, {found['rounds']} interleaved rounds of {found['seconds']} s: median "
        f"(least–most), ratios within each round. Others took {found['others']:.0f} % of the machine. {found['where']}"
    )


def main() -> None:
    """Draw, and write."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    draw(found, folder / "images")
    parts = (goals(found), numbers(found["runs"]), starts(found), seen(found["runs"]), limits(found))
    fill(folder / "bench.md", MAKER, "\n".join(parts))


if __name__ == "__main__":
    main()

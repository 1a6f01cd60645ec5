"""Write what settings_measure.py found into the documentation.

usage: settings_table.py MEASURED.json DOCS      writes the table in bench.md there
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pages import fill, median, table

MAKER = "bench/settings/settings_table.py"


def cost(run: dict[str, float]) -> float:
    """Processor time per request, of app and nginx."""
    return (run["app"] + run["nginx"]) / run["requests"]


def row(setting: dict[str, Any]) -> list[str]:
    """One setting."""
    runs = setting["runs"]
    return [
        setting["title"],
        setting["shipped"],
        setting["alternative"],
        median([cost(each["other"]) / cost(each["shipped"]) for each in runs], ".2f"),
        median([each["other"]["rate"] / each["shipped"]["rate"] for each in runs], ".2f"),
        setting["verdict"],
    ]


def main() -> None:
    """Write."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    settings = list(found["settings"].values())
    head = ["setting", "shipped", "alternative", "CPU per request", "requests/s", "kept?"]
    lost = sum(
        each[side]["errors"] for one in settings for each in one["runs"] for side in ("shipped", "other")
    )
    text = (
        f"{table(head, [row(each) for each in settings], '---')}\n"
        "Ratios of the alternative to what is shipped: median (least–most) of "
        f"{found['rounds']} rounds, in each of which both took turns of 0.1 s for {found['seconds']} s each. {found['workers']} workers, "
        f"{found['connections']} connections; {lost:.0f} requests were lost. {found['where']}"
    )
    fill(Path(sys.argv[2]) / "bench.md", MAKER, text)


if __name__ == "__main__":
    main()

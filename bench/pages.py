"""Numbers in the documentation: a median with its spread, and the place between two marks of a page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

END = "<!-- end -->"


def median(values: Sequence[float], form: str = ".0f", unit: str = "") -> str:
    """The median, and the least and the most in brackets."""
    low, middle, high = (format(each, form) for each in (min(values), statistics.median(values), max(values)))
    return f"{middle}{unit} ({low}–{high})" if low != high else f"{middle}{unit}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], rule: str = "---:") -> str:
    """A table in Markdown; all columns but the first are to the right, unless another ``rule`` is given."""
    lines = [head, ["---", *[rule] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fill(page: Path, maker: str, text: str) -> None:
    """Put what ``maker`` made between its mark and the next end; the rest of the page stays.

    Raises ValueError where the page has no such mark.
    """
    mark = f"<!-- made by {maker} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(mark)
    if not found or END not in rest:
        raise ValueError(f"{page} has no {mark} … {END}")
    after = rest.partition(END)[2]
    page.write_text(f"{before}{mark}\n\n{text.strip()}\n\n{END}{after}", encoding="utf-8")

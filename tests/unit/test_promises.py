# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every promise of docs/promises.md has a proof, and every proof that it names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ON_HOSTS = "molecule/shared/tests"
NAME = re.compile(r"`([^`]+)`")


def rows(page: str) -> Iterator[tuple[str, str]]:
    """The promises with their proofs."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("|") and not line.startswith(("|---", "| promise |")):
            yield cells[0], cells[1] if len(cells) == 2 else ""


def missing(page: str) -> Iterator[str]:
    """What a page names that is not there."""
    for promise, proof in rows(page):
        if not NAME.search(proof):
            yield f"no proof: {promise}"
        for part in proof.split(";"):
            names = NAME.findall(part)
            if not names:
                continue
            path = ROOT / (names[0] if "/" in names[0] else f"{ON_HOSTS}/{names[0]}")
            if not path.is_file():
                yield f"no file: {names[0]}"
                continue
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".py" and "def test_" not in text:
                yield f"no test in {names[0]}"
            yield from (
                f"no test {name} in {names[0]}"
                for name in names[1:]
                if not re.search(rf"^def {re.escape(name)}\(", text, re.MULTILINE)
            )


def test_every_promise_has_a_proof_that_exists() -> None:
    assert len(list(rows(PAGE))) > 50
    assert list(missing(PAGE)) == []


def test_what_is_missing_is_seen() -> None:
    page = (
        "| promise | proof |\n|---|---|\n"
        "| One. | `test_door.py`: `test_nowhere`; `test_gone.py` |\n"
        "| Two. | |\n"
        "| Three. | `tests/unit/conftest.py` |\n"
    )
    assert list(missing(page)) == [
        "no test test_nowhere in test_door.py",
        "no file: test_gone.py",
        "no proof: Two.",
        "no test in tests/unit/conftest.py",
    ]

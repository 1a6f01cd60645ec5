# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The word that is meant by one that is not known.

A share of common letters, as difflib counts it, takes ``enviroment`` for ``requirements``. People mistype a letter, or write
a word in full or cut short; so few changes are a typing error, and a common beginning is the same word.
"""

from __future__ import annotations

from collections.abc import Iterable

# The longest word that is compared; a longer one is no typing error.
LONGEST = 60
# One change is a typing error for each so many letters.
LETTERS_PER_CHANGE = 3
# The shortest beginning that two words share because they are the same, and its share of the shorter one.
BEGINNING, SHARE = 3, 0.75


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that is meant by ``word``; empty where none is near."""
    words = sorted(known)
    return mistyped(word, words) or _same_beginning(_plain(word), words)


def mistyped(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that few changes of letters make of ``word``; empty where none is so near."""
    given = _plain(word)
    if not given or len(given) > LONGEST:
        return ""
    near = []
    for each in sorted(known):
        allowed = max(1, max(len(given), len(each)) // LETTERS_PER_CHANGE)
        # What is left of the shorter one must be more than what is changed.
        if abs(len(given) - len(each)) <= allowed < min(len(given), len(each)):
            changes = _changes(given, each)
            if changes <= allowed:
                near.append((changes, each))
    return min(near)[1] if near else ""


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def _same_beginning(given: str, known: Iterable[str]) -> str:
    """The one with the longest beginning in common; of several the shortest."""
    found = []
    for each in known:
        common = 0
        for one, other in zip(given, each, strict=False):
            if one != other:
                break
            common += 1
        if common >= BEGINNING and common >= SHARE * min(len(given), len(each)):
            found.append((-common, len(each), each))
    return min(found)[2] if found else ""


def _changes(one: str, other: str) -> int:
    """How many letters are to be added, left out, replaced or exchanged with their neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        before, last, row = row, before, [number]
        for place, wanted in enumerate(other, 1):
            cost = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != wanted))
            if number > 1 and place > 1 and (letter, one[number - 2]) == (other[place - 2], wanted):
                cost = min(cost, last[place - 2] + 1)
            row.append(cost)
    return row[-1]

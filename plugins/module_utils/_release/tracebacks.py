# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What matters of the tracebacks in a text: each exception whole, the app's own frames, and the libraries' counted.

A modern traceback of a missing setting has 33 frames of gunicorn and importlib before the one that says what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# The first line of a traceback; a log may have put words before it, and a group of exceptions draws lines.
HEADER = re.compile(r"(?:.*[\s:])?(?:Exception Group )?Traceback \(most recent call last\):$")
FRAME = re.compile(r'(?P<drawn>[\s|]*)File "(?P<path>[^"]*)", line (?P<number>\d+)(?:, in (?P<name>.*))?$')
# What joins one traceback to the next (Lib/traceback.py); the journal has no empty lines around it.
JOINTS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
# The parts of a group of exceptions: `+-+---------------- 1 ----------------`, `+------------------------------------`.
# An app chooses what it writes: no part of these gives back what it took, for on a long line that would take hours.
DRAWN = re.compile(r"\s*+[|+][-+\s]*+(\d++|\.\.\.)?[-\s]*+$")
# Who speaks next: gunicorn, uvicorn and most formats of logging, and systemd of the unit.
LOGGED = re.compile(r"\[?\d{4}-\d\d-\d\d[ T]|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b[: ]")
UNIT = re.compile(r"(?:Starting|Started|Stopping|Stopped|Failed to start) \S+|\S+\.(?:service|socket): ")
# The release's own files that start the server.
LAUNCHERS = re.compile(r"/(?:gunicorn\.conf|serve|serving)\.py$")
STANDARD = re.compile(r"/lib/python3[^/]*/(?!(?:site|dist)-packages/)")
INSTALLED = re.compile(r"/(?:site|dist)-packages/(?P<package>[^/.]+)")
RELEASE = re.compile(r"(?<![\w./-])/[\w./-]*/releases/\d{8}T\d{6}-[0-9a-f]+/")
SERVERS = frozenset({"gunicorn", "uvicorn", "uvicorn_worker", "the launcher", "uvloop", "asyncio"})
IMPORTERS = frozenset({"importlib"})
# How the server itself says that a worker has failed, which is no cause.
NO_CAUSE = re.compile(r"(?:gunicorn\.errors\.)?(?:HaltServer|SystemExit)\b")
# Lines of one exception's message, frames of the app in a row, and lines of all together.
MESSAGE, OWN, MOST = 30, 10, 80


@dataclass
class Frame:
    """One frame with its source and marks below it."""

    path: str
    lines: list[str]
    located: bool
    """Whether it is the place of a SyntaxError, and no call."""

    @property
    def library(self) -> str:
        """The library that it belongs to; empty for the app's own code."""
        if installed := INSTALLED.search(self.path):
            return installed["package"]
        if self.path.startswith("<frozen importlib"):
            return "importlib"
        if self.path.startswith("<frozen ") or STANDARD.search(self.path):
            return re.split(r"[/.>\s]", STANDARD.split(self.path)[-1].removeprefix("<frozen "))[0]
        if LAUNCHERS.search(self.path) and RELEASE.match(self.path) and "/src/" not in self.path:
            return "the launcher"
        # What C and Cython name has no folder of this host: uvloop/loop.pyx.
        return self.path.split("/")[0] if self.path.endswith((".pyx", ".pxd")) else ""


@dataclass
class Traceback:
    """One traceback as it was written."""

    header: str
    frames: list[Frame] = field(default_factory=list)
    exception: list[str] = field(default_factory=list)

    def shown(self) -> Iterator[str]:
        """Its lines, with the frames of libraries folded."""
        yield self.header
        app = self._loaded()
        own = [not frame.library or frame.library == app or frame.located for frame in self.frames]
        if self.frames and not any(own):
            own[-1] = True  # nothing of the app is in it: the place at least
        folded: list[Frame] = []
        for run, mine in _runs(self.frames, own):
            if not mine:
                folded = run
                yield _fold(folded)
                continue
            kept = run if len(run) <= OWN else [*run[:2], *run[2 - OWN :]]
            for number, frame in enumerate(kept):
                if len(kept) < len(run) and number == 2:
                    yield f"{_drawn(frame)}… {len(run) - len(kept)} frames of the app"
                yield from (RELEASE.sub("", line) for line in frame.lines)
        yield from self.exception[:MESSAGE]
        if len(self.exception) > MESSAGE:
            yield f"… {len(self.exception) - MESSAGE} lines"

    def _loaded(self) -> str:
        """The package that the server was told to import, where it is installed: the app itself is no library."""
        seen = set[str]()
        for frame in self.frames:
            if frame.library not in IMPORTERS | SERVERS:
                return frame.library if seen & SERVERS and seen & IMPORTERS else ""
            seen.add(frame.library)
        return ""


def _runs(frames: Sequence[Frame], own: Sequence[bool]) -> Iterator[tuple[list[Frame], bool]]:
    """The frames in runs of the app's own and of others."""
    run: list[Frame] = []
    for number, frame in enumerate(frames):
        if run and own[number] != own[number - 1]:
            yield run, own[number - 1]
            run = []
        run.append(frame)
    if run:
        yield run, own[-1]


def _drawn(frame: Frame) -> str:
    found = FRAME.match(frame.lines[0])
    return found["drawn"] if found else "  "


def _fold(frames: Sequence[Frame]) -> str:
    names = dict.fromkeys(frame.library or "others" for frame in frames)
    return f"{_drawn(frames[0])}… {len(frames)} frame{'s' * (len(frames) > 1)} of {', '.join(names)}"


def found_in(text: str) -> bool:
    """Whether there is a traceback in the text."""
    return any(HEADER.match(line) for line in text.splitlines())


def excerpt(text: str) -> str:
    """The first chain of exceptions in the text and the last that is another, with libraries folded; empty without any."""
    lines = text.splitlines()
    chains = _chains(lines)
    causes = [chain for chain in chains if not NO_CAUSE.match("".join(chain[-1][1].exception[:1]))] or chains
    told = {"\n".join(chain[-1][1].exception): chain for chain in reversed(causes)}
    if not told:
        return ""
    distinct = list(reversed(told.values()))
    shown = [*_shown(distinct[0])]
    if len(distinct) > 2:
        shown.append(f"… {len(distinct) - 2} other error{'s' * (len(distinct) > 3)}")
    if len(distinct) > 1:
        shown += _shown(distinct[-1])
    if len(shown) > MOST:
        shown = [*shown[:10], f"… {len(shown) - MOST} lines", *shown[10 - MOST :]]
    return "\n".join(shown)


# A part of a chain: the words that join it to the one before, and the traceback.
Part = tuple[list[str], Traceback]


def _shown(chain: Sequence[Part]) -> list[str]:
    found: list[str] = []
    for joint, traceback in chain:
        found += [*joint, *traceback.shown()]
    return found


def _chains(lines: Sequence[str]) -> list[list[Part]]:
    """All tracebacks, those together that are of one chain or one group."""
    chains: list[list[Part]] = []
    place = 0
    end = -1
    while place < len(lines):
        if not HEADER.match(lines[place]):
            place += 1
            continue
        # The line of a log that says what was being done.
        between = list(lines[max(end, place - 3) if end >= 0 else max(0, place - 1) : place])
        joined = bool(chains) and any(_joins(line) for line in between) and place - end <= 3
        traceback, place = _read(lines, place)
        end = place
        if joined:
            chains[-1].append(([line for line in between if line.strip()], traceback))
        else:
            before = between[-1:] if between and LOGGED.match(between[-1]) else []
            chains.append([(before, traceback)])
    return chains


def _joins(line: str) -> bool:
    return any(joint in line for joint in JOINTS) or bool(DRAWN.match(line) and line.strip())


def _another_speaks(line: str) -> bool:
    return bool(LOGGED.match(line) or UNIT.match(line))


def _read(lines: Sequence[str], start: int) -> tuple[Traceback, int]:
    """The traceback that begins at a line, and the number of the line behind it."""
    found = Traceback(lines[start])
    place = start + 1
    drawn = ""
    while place < len(lines):
        line = lines[place]
        if frame := FRAME.match(line):
            drawn = frame["drawn"]
            found.frames.append(Frame(frame["path"], [line], frame["name"] is None))
        elif found.frames and (
            (line.startswith(f"{drawn} ") and line.strip(" |")) or "[Previous line repeated" in line
        ):
            found.frames[-1].lines.append(line)
        elif line.strip():
            break
        place += 1
    while place < len(lines):
        line = lines[place]
        if HEADER.match(line) or _joins(line) or (found.exception and _another_speaks(line)):
            break
        found.exception.append(line)
        place += 1
    found.exception = _once(found.exception)
    return found, place


def _once(message: list[str]) -> list[str]:
    """A message that is not said again: gunicorn writes the words of an exception below its traceback."""
    while message and not message[-1].strip():
        message.pop()
    if not message:
        return message
    words = [message[0].partition(": ")[2], *message[1:]]
    half = len(message) // 2
    return message[:half] if half and words[:half] == message[half:] else message

"""Run every check of this project: lint, unit tests and the Molecule scenarios.

Each part writes its whole output to a log of its own; the end of it is shown if the part fails. Parts that
leave half of a machine idle, and measure no time, run beside one another. The last line says how many tests
passed and failed: each linter and each scenario counts as one, beside the tests that pytest ran in it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import machines
from hosting.image import PREVIEW, SUITES

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CHECKS = ROOT / ".cache" / "checks" / "bin"  # as tools/setup makes it
LOGS = ROOT / ".cache" / "logs"
RESULTS = ROOT / ".cache" / "results"
COLLECTION = "collections/ansible_collections/asgi/host"
BASE = ".config/molecule/config.yml"  # Molecule itself finds it in a git work tree only
SCENARIOS = ("default", "full", "collection", "servers", "release", "door", "walls", "acme", "powercut")

PART_SECONDS, PART_OF_ALL_SECONDS = 40 * 60, 80 * 60
# With --all: nothing in turn, every cut of the power, every ansible-core of the tests.
EVERYTHING = {"ASGI_TURNS": "all", "ASGI_CUTS": "all", "ASGI_CORES": "all"}
# And these scenarios on one more release each, as parts of their own: the next Debian, and controllers of another Python.
MORE = {
    f"{scenario}-{suite}": (scenario, suite)
    for scenario, suite in (
        ("default", PREVIEW),
        ("door", PREVIEW),
        ("collection", PREVIEW),
        ("collection", "bookworm"),
    )
}
TAIL_LINES = 60
FAILURES_SHOWN = 12
REASON_LENGTH = 300
# The steps of a scenario, as Molecule announces them.
STEP = re.compile(r"\[?([\w-]+) > ([\w-]+)\]?:? (Executing|Completed|Executed)\b(.*)")


@dataclasses.dataclass(frozen=True)
class Part:
    """One command that passes or fails."""

    group: str
    name: str
    argv: tuple[str, ...]
    reports: tuple[str, ...] = ()
    """The JUnit files that it writes, by pattern, below the folder of results."""
    steps: bool = False
    """Whether its progress is worth showing."""
    counts: bool = True
    """Whether it is a test; what only prepares fails the scenario that needs it."""
    tools: str = ""
    """What tools/setup must have brought before it."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables of its own."""
    seconds: int = PART_SECONDS
    """How long it may take."""


@dataclasses.dataclass
class Count:
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        """Add another count to this one."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        """Return the closing line, in the form that every runner reads."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclasses.dataclass
class Times:
    """How long a part took."""

    name: str
    whole: float = 0.0
    """Seconds from its start to its end."""
    steps: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    """The steps of a scenario, each with its start in seconds from that of the part."""

    def __str__(self) -> str:
        """Return a row of the table of times; a step that comes twice is one sum."""
        sums: dict[str, float] = {}
        for (step, start), (_step, end) in itertools.pairwise([*self.steps, ("", self.whole)]):
            sums[step] = sums.get(step, 0.0) + end - start
        steps = ", ".join(f"{step} {seconds:.0f}" for step, seconds in sums.items())
        return f"| {self.name} | {self.whole:.0f} | {steps} |"


@dataclasses.dataclass
class Outcome:
    """What the parts that ran amount to."""

    total: Count = dataclasses.field(default_factory=Count)
    failed: list[str] = dataclasses.field(default_factory=list)
    """The lines that a log which is cut short must still say."""
    times: list[Times] = dataclasses.field(default_factory=list)


# Parts run in several threads: whole lines, and all of what belongs together, come out one after the other.
OUTPUT = threading.Lock()
RUNNING: set[subprocess.Popen[str]] = set()
INTERRUPTED = threading.Event()


def say(*lines: str) -> None:
    """Print lines that belong together."""
    with OUTPUT:
        print(*lines, sep="\n", flush=True)


def parts() -> list[Part]:
    """Return every part, cheapest first."""
    tool = {
        name: str(BIN / name) for name in ("ansible-lint", "yamllint", "ruff", "mypy", "pytest", "molecule")
    }
    typed = [f"{COLLECTION}/plugins", "tools", "tests/unit"]
    typed += [
        name
        for name in ("molecule/shared/tests", "molecule/powercut/tests", "bench", "tests/integration")
        if any((ROOT / name).glob("*.py"))
    ]
    answer = [
        Part("lint", "ruff", (tool["ruff"], "check", ".")),
        Part("lint", "ruff format", (tool["ruff"], "format", "--check", ".")),
        Part("lint", "yamllint", (tool["yamllint"], "--strict", ".")),
        Part("lint", "mypy", (tool["mypy"], *typed)),
        Part("lint", "ansible-lint", (tool["ansible-lint"], "--strict", "--offline")),
        Part("unit", "unit", (tool["pytest"], f"--junitxml={RESULTS}/unit.xml"), ("unit.xml",)),
        Part("lint", "codespell", (str(CHECKS / "codespell"),), tools="checks"),
        *(
            Part("lint", name, (str(CHECKS / "python"), "tools/checks.py", check), tools="checks")
            for name, check in (
                ("antsibull-docs", "docs"),
                ("galaxy-importer", "importer"),
                ("ansible-test sanity", "sanity"),
            )
        ),
    ]
    for scenario in SCENARIOS:
        argv = (tool["molecule"], "--base-config", BASE, "test", "-s", scenario, "--no-command-borders")
        tools = "door" if scenario == "door" else ""
        answer.append(
            Part(scenario, f"molecule {scenario}", argv, (f"{scenario}-*.xml",), steps=True, tools=tools)
        )
    return answer


def whole(wanted: Sequence[str]) -> list[Part]:
    """Return the wanted parts of --all, the scenarios without turns, each of which can be started alone."""
    both = tuple(EVERYTHING.items())
    answer = [
        dataclasses.replace(part, env=both, seconds=PART_OF_ALL_SECONDS)
        for part in parts()
        if part.group in wanted
    ]
    of = {part.group: part for part in parts()}
    for name in (name for name in MORE if name in wanted):
        scenario, suite = MORE[name]
        env = (
            *both,
            ("MOLECULE_SUITE", suite),
            # Beside the results of the same scenario on other releases.
            ("ASGI_RESULTS", str(RESULTS / suite)),
        )
        reports = tuple(f"{suite}/{pattern}" for pattern in of[scenario].reports)
        answer.append(
            dataclasses.replace(
                of[scenario], name=f"molecule {name}", reports=reports, env=env, seconds=PART_OF_ALL_SECONDS
            )
        )
    return answer


def preparations(wanted: Sequence[str]) -> list[Part]:
    """Return what the wanted scenarios would otherwise wait for."""
    answer = []
    suites = set(SUITES) if set(wanted) & (set(SCENARIOS) - {"powercut"}) else set()
    for name in set(wanted) & set(MORE):
        # The client is always of the newest release.
        suites |= {SUITES[-1], MORE[name][1]}
    for suite in sorted(suites):
        argv = (sys.executable, str(ROOT / "tools" / "hosts.py"), "image", suite, "--prepared")
        answer.append(Part("images", f"image {suite}", argv, counts=False))
    if {"door", f"door-{PREVIEW}"} & set(wanted):
        answer.append(Part("images", "scanners", (str(ROOT / "tools" / "setup"), "door"), counts=False))
    return answer


def stages(wanted: Sequence[str], *, everything: bool = False) -> list[list[list[Part]]]:
    """Return the wanted parts in the order in which they run: stages, and in each the rows that run side by side."""
    if everything:
        # One after the other: how long each takes is its own.
        return [[row] for row in (preparations(wanted), *([part] for part in whole(wanted))) if row]
    chosen = [part for part in parts() if part.group in wanted]
    of: dict[str, list[Part]] = {}
    for part in chosen:
        of.setdefault("checks" if part.tools == "checks" else part.group, []).append(part)

    def row(*groups: str) -> list[Part]:
        return [part for group in groups for part in of.get(group, [])]

    rows = [
        [row("lint", "unit"), preparations(wanted)],
        # It asks one host after the other in part, and leaves half of the machine idle then.
        [row("default"), row("checks")],
        # These keep all of it at work: two of them beside one another take as long as one after the other.
        [row("full")],
        [row("door")],
        [row("walls")],
        [row("servers")],
        # What the longest wait is cannot be told beside others.
        [row("release")],
        # Most of acme is waiting for certificates, and most of collection is one host's work; the virtual machines of powercut
        # have one processor each, and take as long as both.
        [row("acme", "collection"), row("powercut")],
    ]
    return [[row for row in stage if row] for stage in rows if any(stage)]


def environment() -> dict[str, str]:
    """Return the environment of every part."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_HOME": os.environ.get("ANSIBLE_HOME", str(ROOT / ".cache" / "ansible")),
        "ASGI_RESULTS": str(RESULTS),
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        # Compiled once, not by each process of Ansible, and nowhere in the tree.
        "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "pycache"),
        "NO_COLOR": "1",
        "COLUMNS": "160",
        "TERM": "dumb",
    }


def counted(part: Part, passed: bool) -> Count:
    """Return what a part's JUnit files and its own exit status amount to."""
    count = Count()
    if not part.counts:
        return count
    for pattern in part.reports:
        for path in sorted(RESULTS.glob(pattern)):
            for suite in ET.parse(path).iter("testsuite"):  # noqa: S314 - pytest wrote it a moment ago
                ran, bad = int(suite.get("tests", 0)), 0
                bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                skipped = int(suite.get("skipped", 0))
                count.add(Count(ran - bad - skipped, bad, skipped))
    if part.group != "unit" or (not passed and count.failed == 0):
        count.add(Count(passed=int(passed), failed=int(not passed)))
    return count


def failures(part: Part) -> list[str]:
    """Return one line for each test that failed in a part: what a log that is cut short must still say."""
    found = []
    for pattern in part.reports:
        for path in sorted(RESULTS.glob(pattern)):
            for case in ET.parse(path).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
                for bad in [*case.iter("failure"), *case.iter("error")]:
                    reason = " ".join((bad.get("message") or "no reason given").split())[:REASON_LENGTH]
                    found.append(f"  {case.get('name')}: {reason}")
    if len(found) > FAILURES_SHOWN:
        found[FAILURES_SHOWN:] = [f"  and {len(found) - FAILURES_SHOWN} more"]
    return [f"{part.name} failed:", *found]


def follow(process: subprocess.Popen[str], log: Path, part: Part, times: Times, started: float) -> None:
    """Copy a part's output to its log, and show and note the steps in it."""
    with log.open("w", encoding="utf-8") as output:
        for line in process.stdout or ():
            output.write(line)
            output.flush()
            found = STEP.search(line) if part.steps else None
            if found and found[3] == "Executing":
                times.steps.append((found[2], time.monotonic() - started))
                say(f"       {times.steps[-1][1]:5.0f} s  {part.group} {found[2]}")


def stop(process: subprocess.Popen[str]) -> None:
    """End a part and everything that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
        return


def execute(part: Part, times: Times) -> Count:
    """Run one part; say how it went, and note how long it took."""
    log = LOGS / f"{part.name.replace(' ', '-')}.log"
    for pattern in part.reports:
        for old in RESULTS.glob(pattern):
            old.unlink()
    say(f"----   {part.name}")
    started = time.monotonic()
    process = subprocess.Popen(
        part.argv,
        cwd=ROOT,
        env={**environment(), **dict(part.env)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    RUNNING.add(process)
    reader = threading.Thread(target=follow, args=(process, log, part, times, started), daemon=True)
    reader.start()
    try:
        status = process.wait(timeout=part.seconds)
    except subprocess.TimeoutExpired:
        stop(process)
        status = -1
    finally:
        RUNNING.discard(process)
    reader.join(timeout=10)
    if INTERRUPTED.is_set():
        return Count()
    times.whole = time.monotonic() - started
    count = counted(part, status == 0)
    shown = []
    if status != 0:
        shown = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        why = f"no end after {part.seconds} s" if status == -1 else f"exit {status}"
        shown.append(f"FAILED {part.name}: {why}; the whole log is {log.relative_to(ROOT)}")
    detail = f" ({count})" if part.reports else ""
    say(*shown, f"{'ok    ' if status == 0 else 'FAILED'} {part.name}{detail} after {times.whole:.0f} s")
    return count


def perform(row: Sequence[Part], outcome: Outcome) -> None:
    """Run the parts of one row, one after the other."""
    for part in row:
        if INTERRUPTED.is_set():
            return
        if part.group == "powercut" and (why := machines.unsupported()):
            say(f"SKIPPED {part.name}: {why}")
            count, lines = Count(skipped=1), []
        elif part.tools and not bring(part.tools):
            count, lines = Count(failed=1), [f"{part.name} failed: its tools could not be installed"]
        else:
            times = Times(part.name)
            outcome.times.append(times)
            count = execute(part, times)
            lines = failures(part) if count.failed else []
        with OUTPUT:
            outcome.total.add(count)
            outcome.failed += lines


def run_side_by_side(rows: Sequence[Sequence[Part]], outcome: Outcome) -> None:
    """Run rows of parts at the same time; an interrupt ends all of them."""
    with ThreadPoolExecutor(max_workers=len(rows)) as pool:
        working = [pool.submit(perform, row, outcome) for row in rows]
        try:
            for each in working:
                each.result()
        except BaseException:
            INTERRUPTED.set()
            for process in list(RUNNING):
                stop(process)
            raise


def bring(tools: str) -> bool:
    """Install what a part judges with, unless it is there; return whether it is."""
    say(f"       bringing the tools of {tools}")
    log = LOGS / f"setup-{tools}.log"
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [str(ROOT / "tools" / "setup"), tools],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        say(f"FAILED tools/setup {tools}; its log is {log.relative_to(ROOT)}")
    return done.returncode == 0


def clean_up(groups: Sequence[str]) -> None:
    """Remove hosts that a failed or interrupted scenario left behind."""
    names = [f"{group}-{end}" for group in groups if group in SCENARIOS for end in (*SUITES, "client")]
    for name in (name for name in groups if name in MORE):
        names += [name, f"{MORE[name][0]}-client"]
    if names:
        subprocess.run([sys.executable, str(ROOT / "tools" / "hosts.py"), "down", *names], check=False)
    if "powercut" in groups and not machines.unsupported():
        machines.down(*(name for name in machines.known() if name.startswith("powercut-")))


def main(argv: Sequence[str]) -> int:
    """Run the parts that were asked for; return 0 if all passed."""
    parser = argparse.ArgumentParser(prog="tools/test.py", description=(__doc__ or "").splitlines()[0])
    groups: tuple[str, ...] = ("lint", "unit", *SCENARIOS)
    more = f"with --all also {', '.join(MORE)}"
    parser.add_argument(
        "groups",
        nargs="*",
        metavar="GROUP",
        help=f"some of {', '.join(groups)}; {more}; without, all of them",
    )
    parser.add_argument(
        "--all", action="store_true", help="everything on both Debians, the next one, and all controllers"
    )
    parser.add_argument("--keep", action="store_true", help="keep the hosts of a scenario that failed")
    chosen = parser.parse_args(argv)
    if chosen.all:
        groups = (*groups, *MORE)
    if unknown := set(chosen.groups) - set(groups):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(groups)}")
    wanted = chosen.groups or groups
    for folder in (LOGS, RESULTS):
        folder.mkdir(parents=True, exist_ok=True)
    began, outcome = time.monotonic(), Outcome()
    try:
        for stage in stages(wanted, everything=chosen.all):
            run_side_by_side(stage, outcome)
    finally:
        if not chosen.keep:
            clean_up(wanted)
    head = ["| part | seconds | of these, by step |", "|---|---|---|"]
    rows = "\n".join([*head, *map(str, outcome.times), f"| all | {time.monotonic() - began:.0f} | |"])
    (RESULTS / "times.md").write_text(f"{rows}\n", encoding="utf-8")
    say(*outcome.failed, str(outcome.total))
    return 0 if outcome.total.failed == 0 and outcome.total.passed > 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

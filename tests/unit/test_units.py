"""What is read of systemd and its journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import paths, units
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App

RELEASE = App(Path("/srv/asgi"), "shop", "asgi-shop").release("r")
NOW = 1_700_000_000.25


class Journal:
    """A stand-in for journalctl: lines with their times, which are there once they are synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lines: tuple[float, str]) -> None:
        self.lines = lines
        self.synced = False
        monkeypatch.setattr(units, "run", self.run)

    def run(self, argv: list[str], timeout: float) -> str:
        assert timeout < 60, "an app that floods the journal holds nobody up"
        assert argv[0] == "journalctl"
        if argv[1:] == ["--sync"]:
            self.synced = True
            return ""
        assert RELEASE.service in argv
        since = next((float(each.partition("@")[2]) for each in argv if each.startswith("--since")), 0.0)
        lines = [line for when, line in self.lines if when >= since and self.synced]
        return "".join(f"{json.dumps({'MESSAGE': line, '_PID': '7'})}\n" for line in lines)


def test_first_error_of_this_attempt_is_shown_not_an_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(NOW + 3 + number / 1e4, f"Traceback (again, {number})") for number in range(5000)]
    Journal(
        monkeypatch,
        (NOW - 2_600_000, "[ERROR] of last month"),
        (NOW - 0.1, "[ERROR] of the release before"),
        (NOW + 1, "starting"),
        (NOW + 2, "[ERROR] the cause"),
        *many,
    )
    shown = units.journal(RELEASE.service, NOW).splitlines()
    assert shown[:2] == ["starting", "[ERROR] the cause"]
    assert len(shown) == units.JOURNAL_LINES + 1


def test_one_that_was_silent_shows_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(monkeypatch, (NOW - 100, "slow query"))
    assert units.journal(RELEASE.service, NOW) == "slow query"


def test_what_processes_say_at_once_is_told_apart() -> None:
    said = [("1", "Traceback"), ("2", "Traceback"), ("1", "first"), ("2", [27, 91, 50, 74]), ("1", None)]
    lines = "\n".join(json.dumps({"_PID": process, "MESSAGE": message}) for process, message in said)
    assert units.by_process(lines) == ["Traceback", "first", "Traceback", "\x1b[2J"]


def test_journal_is_shown_safe_and_with_the_command_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(monkeypatch, (NOW + 1, "\x1b[2Jgone \x9b31m"))
    shown = units.with_journal(ValueError("why"), RELEASE.service, NOW)
    assert "\\x1b[2Jgone \\x9b31m\n" in shown
    assert "\x1b" not in shown
    assert f"journalctl --unit {RELEASE.service} --since '2023-11-" in shown


def test_journal_that_cannot_be_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(argv: list[str], timeout: float) -> str:
        raise CommandError(argv, "could not be started", "no such file")

    monkeypatch.setattr(units, "run", fails)
    assert units.journal(RELEASE.service, NOW).startswith("(no journal: no such file")


def test_journal_without_end_is_shown_as_far_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that floods it kept `journalctl --sync` waiting for 15 minutes, and the play with all its apps."""
    cut = json.dumps({"MESSAGE": "Traceback (most", "_PID": "1"}) + '\n{"MESSAGE": [27, 9'

    def still_runs(argv: list[str], timeout: float) -> str:
        raise CommandError(argv, f"still ran after {timeout:.0f} s and was ended", cut)

    monkeypatch.setattr(units, "run", still_runs)
    assert units.journal(RELEASE.service, NOW) == "Traceback (most"
    cut = ""
    assert (
        units.journal(RELEASE.service, NOW) == "(no journal: journalctl still ran after 20 s and was ended)"
    )


@pytest.mark.parametrize(("text", "limit"), [("TimeoutStopSec=3615\n", 3630.0), ("", 105.0)])
def test_a_graceful_stop_has_systemd_s_limit_and_is_killed_beyond_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, limit: float
) -> None:
    """Less would end a drain that the inventory allows. A process of an older unit may have asked systemd for more."""
    calls: list[tuple[str, float | None]] = []
    monkeypatch.setattr(paths, "SYSTEMD", tmp_path)
    RELEASE.drop_in.parent.mkdir()
    RELEASE.drop_in.write_text(f"[Service]\n{text}")
    stubborn = True

    def run(argv: list[str], *, timeout: float | None = 900.0) -> str:
        nonlocal stubborn
        calls.append((argv[1], timeout))
        if argv[1] == "kill":
            stubborn = False
        elif argv[1] == "stop" and stubborn:
            raise CommandError(argv, "still ran", "")
        return ""

    monkeypatch.setattr(units, "run", run)
    monkeypatch.setattr(units, "state", lambda unit: units.UnitState("deactivating", False, 0, 1))
    units.pause(RELEASE)
    units.stop(RELEASE)
    assert [verb for verb, _names in calls] == ["stop", "kill", "stop", "disable", "stop"]
    assert (calls[0][1], calls[4][1]) == (limit, limit)


@pytest.mark.parametrize("separator", ["\x85", "\u2028", "\x0b", "\x1c"])
def test_directive_ends_where_systemd_ends_it(tmp_path: Path, separator: str) -> None:
    """A line of Python ends at more characters: what follows one of them would be a directive of a hook's sandbox."""
    release = App(tmp_path, "shop", "shop").release("r1")
    text = f"[Service]\nWorkingDirectory=/srv/x{separator}PrivateUsers=no\nPrivateTmp=yes\n"
    found = units.sandbox([text], release)
    assert found == [f"WorkingDirectory=/srv/x{separator}PrivateUsers=no", "PrivateTmp=yes"]


def test_what_starts_at_boot_is_read_from_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """systemd tells what it knew at its last reload, which a deploy has only once, at its end."""
    wants = tmp_path / "multi-user.target.wants"
    wants.mkdir()
    monkeypatch.setattr(paths, "SYSTEMD", tmp_path)
    said = {
        "asgi-shop@new.service": "disabled",
        "asgi-shop@old.service": "enabled",
        "asgi-shop@masked.service": "masked",
    }
    text = "\n\n".join(
        f"Id={unit}\nActiveState=active\nUnitFileState={state}" for unit, state in said.items()
    )
    monkeypatch.setattr(units, "run", lambda argv: text)
    for name in ("new", "masked"):
        (wants / f"asgi-shop@{name}.service").symlink_to("../asgi-shop@.service")
    enabled = [unit for unit, state in units.states_now(list(said)).items() if state.enabled]
    assert enabled == ["asgi-shop@new.service"]


@pytest.mark.parametrize("already", [False, True])
def test_enabling_and_disabling_reload_nothing(monkeypatch: pytest.MonkeyPatch, *, already: bool) -> None:
    calls: list[list[str]] = []

    def run(argv: list[str], **_: object) -> str:
        calls.append(argv)
        return ""

    monkeypatch.setattr(units, "run", run)
    seen = units.UnitState("inactive", already, 0, 0)
    monkeypatch.setattr(units, "states_now", lambda names: dict.fromkeys(names, seen))
    units.start(RELEASE)
    units.stop(RELEASE)
    verbs = ["enable", "start", "start", "disable", "stop"]
    assert [argv[1] for argv in calls] == verbs[1 if already else 0 :]
    assert all("--no-reload" in argv for argv in calls if argv[1] in ("enable", "disable"))

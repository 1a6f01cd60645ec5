"""Words of others: safe for a terminal, and of a length that one reads."""

from __future__ import annotations

import syslog

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _words


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("bell\x07", "bell\\x07"),
        ("over\rwritten", "over\\x0dwritten"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("right\u202eto left", "right\\u202eto left"),
        ("back\x08space\x7f", "back\\x08space\\x7f"),
        ("line\nand\ttab stay, so do é, 漢 and 😀", "line\nand\ttab stay, so do é, 漢 and 😀"),
    ],
)
def test_what_steers_a_terminal_is_shown_by_number(given: str, shown: str) -> None:
    assert _words.safe(given) == shown
    assert _words.safe_all({"a": [given, 1, None]}) == {"a": [shown, 1, None]}


def test_long_text_is_its_beginning_and_its_end() -> None:
    lines = [f"line {number}" for number in range(3531)]
    shown = _words.end_of("\n".join(lines)).splitlines()
    assert shown[-1] == "line 3530"
    assert shown[0] == "… 3491 lines"
    assert len(shown) == _words.LAST + 1
    assert _words.end_of("a\nb") == "a\nb"


def test_output_of_a_command_is_its_end_and_the_whole_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda level, line: kept.append(line))
    long = "\n".join(f"line {number} \x1b[m" for number in range(3531))
    shown = _words.of_command(long, long)
    assert shown.splitlines()[-1] == "All of it, on the host: journalctl -t asgi-host _UID=0"
    assert "line 3530 \\x1b[m" in shown
    assert len(shown.splitlines()) == _words.LAST + 2
    assert kept[-1] == "line 3530 \\x1b[m"
    assert _words.of_command("short\n", "short\n") == "short\n"


def test_traceback_of_a_command_is_its_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_words, "keep", lambda text: "journalctl")
    frames = "".join(
        f'  File "/v/lib/python3.13/site-packages/x/m{each}.py", line 1, in f\n    f()\n'
        for each in range(30)
    )
    text = f'Traceback (most recent call last):\n  File "/srv/manage.py", line 3, in main\n    f()\n{frames}x.Error: no such column\n'
    shown = _words.of_command(text, text)
    assert "… 30 frames of x\nx.Error: no such column" in shown


def test_unforeseen_exception_is_one_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda level, line: kept.append(line))
    try:
        raise KeyError("hush-hush\x1b[2J\nand more")
    except KeyError as error:
        said = _words.unexpected("shop", error, {"A": "hush-hush"})
    assert said.startswith("shop: unexpected KeyError: ")
    assert "\n" not in said
    assert "hush-hush" not in said + "".join(kept)
    assert any("Traceback (most recent call last)" in line for line in kept)
    assert said.endswith("journalctl -t asgi-host _UID=0")

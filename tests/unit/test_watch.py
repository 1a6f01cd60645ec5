"""The look at nginx's log after a switch."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import watch

LINE = (
    '192.0.2.1 - - [24/Nov/2026:04:00:00 +0000] "GET /a\\x22b HTTP/2.0" {0} 12 "-" "a" host=h time=0.1 '
    "upstream={0} wait=0.100\n"
)


def test_only_what_came_since_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(LINE.format(500) * 9)
    log = watch.AccessLog(path)
    with path.open("a") as stream:
        stream.write(LINE.format(200) * 15 + LINE.format(502) * 5)
    log.read_on()
    assert (log.total, log.errors, log.share()) == (20, 5, 25.0)
    with pytest.raises(watch.WentBadError, match=r"5 of 20 answers were 5xx, 25 %"):
        watch._judge(log, 24)
    watch._judge(log, 25)


def test_rotated_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(LINE.format(200) * 9)
    log = watch.AccessLog(path)
    path.write_text(LINE.format(500) * 2)
    log.read_on()
    assert (log.total, log.errors) == (2, 2)
    assert log.share() == 0, "two errors alone say nothing"


def test_missing_log_is_no_trouble(tmp_path: Path) -> None:
    log = watch.AccessLog(tmp_path / "none.log")
    log.read_on()
    assert log.total == 0


@pytest.mark.parametrize(
    ("status", "upstream", "counted"),
    [
        ("501", "-", None),
        ("503", "-", None),
        ("503", "502", True),
        ("503", "502, 502, 502", True),
        ("200", "502, 200", False),
        ("200", "200 : 200", False),
        ("499", "-", None),
        ("404", "404", False),
    ],
)
def test_only_what_the_app_answered_is_counted(
    tmp_path: Path, status: str, upstream: str, counted: bool | None
) -> None:
    path = tmp_path / "access.log"
    path.touch()
    log = watch.AccessLog(path)
    line = LINE.format(status).replace(f"upstream={status}", f"upstream={upstream}")
    waits = ", ".join("0.001" for _turn in upstream.split(","))
    path.write_text(line.replace("wait=0.100", f"wait={waits}"))
    log.read_on()
    assert (log.total, log.errors) == ((0, 0) if counted is None else (1, int(counted)))


def test_client_cannot_pretend_an_answer_of_the_app(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.touch()
    log = watch.AccessLog(path)
    claim = "upstream=500 wait=0.1"
    path.write_text(
        f'192.0.2.1 - - [t] "GET /{claim} HTTP/1.1" 200 12 "{claim}" "{claim}" host={claim.replace(" ", "")} '
        "time=0.1 upstream=200 wait=0.1\n"
    )
    log.read_on()
    assert (log.total, log.errors) == (1, 0)


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.touch()
    log = watch.AccessLog(path)
    line = LINE.format(500)
    path.write_text(line[:-20])
    log.read_on()
    assert log.total == 0
    path.write_text(line)
    log.read_on()
    assert (log.total, log.errors) == (1, 1)

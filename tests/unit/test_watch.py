"""The look at nginx's log after a switch."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import watch

LINE = '192.0.2.1 - - [24/Nov/2026:04:00:00 +0000] "GET /a\\x22b HTTP/2.0" {} 12 "-" "a" host=h time=0.1\n'


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

"""Files that are replaced whole."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _files


def write(path: Path, text: str) -> None:
    _files.write_atomically(path, text.encode(), uid=os.getuid(), gid=os.getgid())


def test_what_a_power_cut_left_of_a_write_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "release.json"
    (tmp_path / f".release.json{_files.NEW}").write_text("half of something longer")
    write(path, "whole")
    assert path.read_text() == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["release.json"]


def test_two_writers_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    texts = [letter * 100_000 for letter in "abcdefgh"]
    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(lambda text: write(path, text), texts * 5))
    assert path.read_text() in texts
    assert [each.name for each in tmp_path.iterdir()] == ["shared"]


def test_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shared"
    write(path, "before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, "after")
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["shared"]

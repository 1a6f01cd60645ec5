"""A folder as a source: the same digest for the same files, and nothing from outside."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "main.py").write_text("app = 1\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def digest(folder: Path) -> str:
    return _sources.digest(_sources.entries(folder))


def test_digest_follows_content_name_and_mode(folder: Path) -> None:
    before = digest(folder)
    assert before == digest(folder)
    (folder / "run.sh").chmod(0o644)
    after = digest(folder)
    assert after != before
    (folder / "shop" / "main.py").write_text("app = 2\n")
    assert digest(folder) not in (before, after)


def test_what_tools_leave_behind_is_no_source(folder: Path) -> None:
    before = digest(folder)
    for left in (".git", "__pycache__", ".venv"):
        (folder / left).mkdir()
        (folder / left / "x").write_text("x")
    (folder / "shop" / "main.pyc").write_text("x")
    assert digest(folder) == before


def test_link_inside_is_kept_and_link_outside_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "again.py").symlink_to("shop/main.py")
    assert "again.py" in dict(_sources.entries(folder))
    (tmp_path / "elsewhere").write_text("x")
    (folder / "out").symlink_to("../elsewhere")
    with pytest.raises(_sources.SourceError, match=r"out leads out of the source"):
        digest(folder)


def test_archive_is_roots(folder: Path, tmp_path: Path) -> None:
    _sources.pack(_sources.entries(folder), tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        members = {member.name: member for member in tar}
    assert set(members) == {"shop/main.py", "run.sh"}
    assert all(member.uid == 0 and not member.mode & 0o022 for member in members.values())
    assert members["run.sh"].mode == 0o755


def test_places_that_were_tried_are_named(tmp_path: Path) -> None:
    with pytest.raises(_sources.SourceError, match=f"{tmp_path}/one/gone, {tmp_path}/two/gone"):
        _sources.locate("gone", [str(tmp_path / "one"), str(tmp_path / "two")])


def test_name_that_is_no_text_is_said_with_the_fix(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    for use in (digest, lambda each: _sources.pack(_sources.entries(each), each.parent / "a.tar.gz")):
        with pytest.raises(_sources.SourceError, match=r"caf\\xe9\.txt is not UTF-8; rename it"):
            use(folder)


def test_what_cannot_be_read_is_said_with_the_fix(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        _sources.SourceError, match=r"main\.py|run\.sh cannot be read \(Permission denied\); let whoever"
    ):
        digest(folder)


def test_unforeseen_is_one_line() -> None:
    assert str(_sources.unexpected(KeyError("a\nb"))).count("\n") == 0

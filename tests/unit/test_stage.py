"""A stage brings files about in one call, and takes them back when a step fails."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._stage import Stage, StageError

OWNER = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


def file(path: Path, content: str, **more: Any) -> dict[str, Any]:
    return {"file": str(path), "content": content, **OWNER, **more}


def test_file_is_written_once(tmp_path: Path) -> None:
    step = file(tmp_path / "a.conf", "# asgi.host\n", mode="0640")
    assert Stage(dry=False).carry_out([step]).changed == [str(tmp_path / "a.conf")]
    assert (tmp_path / "a.conf").stat().st_mode & 0o777 == 0o640
    assert Stage(dry=False).carry_out([step]).changed == []


def test_mode_that_drifted_is_repaired(tmp_path: Path) -> None:
    step = file(tmp_path / "a.conf", "x\n")
    Stage(dry=False).carry_out([step])
    (tmp_path / "a.conf").chmod(0o666)
    assert Stage(dry=False).carry_out([step]).changed
    assert (tmp_path / "a.conf").stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif("www-data" not in {each.pw_name for each in pwd.getpwall()}, reason="of Debian")
def test_folder_of_an_earlier_version_is_shut_for_others_and_passable_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir(mode=0o755)
    step = {"folder": str(tmp_path / "shop"), "mode": "0750", "passable_for": "www-data", **OWNER}
    assert Stage(dry=True).carry_out([step]).changed
    assert Stage(dry=False).carry_out([step]).changed
    assert (tmp_path / "shop").stat().st_mode & 0o777 == 0o750
    assert Stage(dry=False).carry_out([step]).changed == []
    (tmp_path / "shop").chmod(0o755)
    assert Stage(dry=False).carry_out([step]).changed

    def none(*_: object) -> bytes:
        raise OSError(errno.ENOTSUP, "no ACLs")

    monkeypatch.setattr(os, "getxattr", none)
    monkeypatch.setattr(os, "setxattr", none)
    assert Stage(dry=False).carry_out([step]).changed
    assert (tmp_path / "shop").stat().st_mode & 0o777 == 0o755
    assert Stage(dry=False).carry_out([step]).changed == []


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    steps = [file(tmp_path / "a", "x\n"), {"folder": str(tmp_path / "b"), **OWNER}]
    outcome = Stage(dry=True).carry_out(steps)
    assert len(outcome.changed) == 2
    assert list(tmp_path.iterdir()) == []


def test_failed_check_puts_every_file_back(tmp_path: Path) -> None:
    old = tmp_path / "old.conf"
    old.write_text("# asgi.host: before\n")
    steps = [
        file(old, "# asgi.host: after\n"),
        file(tmp_path / "new.conf", "x\n"),
        {"command": ["false"], "when": [str(tmp_path)], "check": True, "name": "the check"},
    ]
    with pytest.raises(StageError, match=r"the check: .*back as it was"):
        Stage(dry=False).carry_out(steps)
    assert old.read_text() == "# asgi.host: before\n"
    assert not (tmp_path / "new.conf").exists()


def test_command_that_may_fail_undoes_nothing_and_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    fails = {"command": ["sh", "-c", "echo why; exit 1"], "unless": ["false"], "may_fail": True, "name": "it"}
    outcome = Stage(dry=False).carry_out([file(path, "# asgi.host\n"), fails])
    assert outcome.failures == ["why"]
    assert outcome.changed == [str(path)]
    assert path.exists()
    outcome = Stage(dry=False).carry_out([{**fails, "command": ["true"]}])
    assert (outcome.failures, outcome.changed) == ([], ["it"])
    assert Stage(dry=True).carry_out([fails]).changed == ["it"]


def test_file_of_ours_without_a_mark_leaves_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("the old key\n")
    outcome = Stage(dry=False).carry_out([file(path, "the new key\n", ours=True)])
    assert outcome.backups == []
    assert [each.name for each in tmp_path.iterdir()] == ["key.pem"]


def test_foreign_file_is_kept_as_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "site.conf"
    path.write_text("somebody's own\n")
    outcome = Stage(dry=False).carry_out([file(path, "# Written by asgi.host\n")])
    assert [Path(backup).read_text() for backup in outcome.backups] == ["somebody's own\n"]


def test_secret_content_is_in_no_diff(tmp_path: Path) -> None:
    step = {"file": str(tmp_path / "key"), "private": "key", **OWNER}
    outcome = Stage(dry=False, private={"key": "hush-hush"}).carry_out([step])
    assert (tmp_path / "key").read_text() == "hush-hush"
    assert "hush" not in str(outcome.diff)


def test_command_runs_when_due_and_not_else(tmp_path: Path) -> None:
    made = tmp_path / "made"
    step = {"command": ["touch", str(made)], "creates": str(made)}
    assert Stage(dry=False).carry_out([step]).changed == [str(made)]
    assert Stage(dry=False).carry_out([step]).changed == []
    held = {"command": ["false"], "unless": ["true"]}
    assert Stage(dry=False).carry_out([held]).changed == []


def test_unknown_owner_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no-such-user"):
        Stage(dry=False).carry_out([{"folder": str(tmp_path / "a"), "owner": "no-such-user"}])


def test_folder_that_holds_something_stays_if_it_must_be_empty(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "kept").mkdir(parents=True)
    step = {"absent": str(folder), "if_empty": True}
    assert Stage(dry=False).carry_out([step]).changed == []
    (folder / "kept").rmdir()
    assert Stage(dry=False).carry_out([step]).changed == [str(folder)]
    assert not folder.exists()


def test_link_only_where_a_file_says_so(tmp_path: Path) -> None:
    step = {"link": str(tmp_path / "link"), "target": "/nowhere", "where": str(tmp_path / "mark")}
    assert Stage(dry=False).carry_out([step]).changed == []
    (tmp_path / "mark").touch()
    assert Stage(dry=False).carry_out([step]).changed == [str(tmp_path / "link")]

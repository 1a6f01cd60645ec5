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
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx

OWNER = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


def file(path: Path, content: str, **more: Any) -> Any:
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
    step: Any = {"folder": str(tmp_path / "shop"), "mode": "0750", "passable_for": "www-data", **OWNER}
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
    steps: Any = [file(tmp_path / "a", "x\n"), {"folder": str(tmp_path / "b"), **OWNER}]
    outcome = Stage(dry=True).carry_out(steps)
    assert len(outcome.changed) == 2
    assert list(tmp_path.iterdir()) == []


def test_failed_check_puts_every_file_back(tmp_path: Path) -> None:
    old = tmp_path / "old.conf"
    old.write_text("# asgi.host: before\n")
    steps: Any = [
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
    fails: Any = {
        "command": ["sh", "-c", "echo why; exit 1"],
        "unless": ["false"],
        "may_fail": True,
        "name": "it",
    }
    outcome = Stage(dry=False).carry_out([file(path, "# asgi.host\n"), fails])
    assert outcome.failures == ["why"]
    assert outcome.changed == [str(path)]
    assert path.exists()
    passes: Any = {**fails, "command": ["true"]}
    outcome = Stage(dry=False).carry_out([passes])
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
    step: Any = {"file": str(tmp_path / "key"), "private": "key", **OWNER}
    outcome = Stage(dry=False, private={"key": "hush-hush"}).carry_out([step])
    assert (tmp_path / "key").read_text() == "hush-hush"
    assert "hush" not in str(outcome.diff)


def test_command_runs_when_due_and_not_else(tmp_path: Path) -> None:
    made = tmp_path / "made"
    step: Any = {"command": ["touch", str(made)], "creates": str(made)}
    assert Stage(dry=False).carry_out([step]).changed == [str(made)]
    assert Stage(dry=False).carry_out([step]).changed == []
    held: Any = {"command": ["false"], "unless": ["true"]}
    assert Stage(dry=False).carry_out([held]).changed == []


def test_unknown_owner_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no-such-user"):
        Stage(dry=False).carry_out([{"folder": str(tmp_path / "a"), "owner": "no-such-user"}])


def test_folder_that_holds_something_stays_if_it_must_be_empty(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "kept").mkdir(parents=True)
    step: Any = {"absent": str(folder), "if_empty": True}
    assert Stage(dry=False).carry_out([step]).changed == []
    (folder / "kept").rmdir()
    assert Stage(dry=False).carry_out([step]).changed == [str(folder)]
    assert not folder.exists()


def test_link_only_where_a_file_says_so(tmp_path: Path) -> None:
    step: Any = {"link": str(tmp_path / "link"), "target": "/nowhere", "where": str(tmp_path / "mark")}
    assert Stage(dry=False).carry_out([step]).changed == []
    (tmp_path / "mark").touch()
    assert Stage(dry=False).carry_out([step]).changed == [str(tmp_path / "link")]


def parted(folder: Path, *names: str, refused: str) -> Any:
    """A file for each app, and a check that finds lines of ``refused`` (a script that has the folder as $1)."""
    steps: Any = [
        file(folder / f"asgi-app-{name}.conf", f"# asgi.host {name} new\n", part=[name]) for name in names
    ]
    check: Any = {"command": ["sh", "-c", refused, "sh", str(folder)], "when": [str(folder)], "check": True}
    return [file(folder / "shared.conf", "# asgi.host\n"), *steps, {**check, "name": "the check"}]


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        ("! grep -l 'b new' $1/*", ["b"]),
        ("! grep -l '[ac] new' $1/*", ["a", "c"]),
        # No word of whose it is.
        ("! grep -q 'b new' $1/*", ["b"]),
        # One needs another: d is refused without a.
        ("! grep -q 'b new' $1/* && { ! grep -q 'd new' $1/* || grep -q 'a new' $1/*; }", ["b"]),
        ("true", []),
    ],
)
def test_part_that_the_check_refuses_is_left_and_the_others_are_brought(
    tmp_path: Path, refused: str, left: list[str]
) -> None:
    names = ("d", "b", "a", "c")
    for name in ("a", "b"):
        (tmp_path / f"asgi-app-{name}.conf").write_text(f"# asgi.host {name} old\n")
    after: Any = {"file": str(tmp_path / "after"), "content": "x", **OWNER, "part": ["b"]}
    outcome = Stage(dry=False).carry_out([*parted(tmp_path, *names, refused=refused), after])
    assert sorted(name for part in outcome.left for name in part) == left
    for name in names:
        path = tmp_path / f"asgi-app-{name}.conf"
        old = f"# asgi.host {name} old\n" if name in "ab" else None
        wanted = old if name in left else f"# asgi.host {name} new\n"
        assert (path.read_text() if path.exists() else None) == wanted
        assert (str(path) in outcome.changed) is (name not in left)
    assert (tmp_path / "after").exists() is ("b" not in left), (
        "what follows for a part that was left is left as well"
    )
    assert len({each["after_header"] for each in outcome.diff}) == len(outcome.diff)


def test_check_that_no_part_is_to_blame_for_puts_everything_back(tmp_path: Path) -> None:
    (tmp_path / "asgi-app-a.conf").write_text("# asgi.host a old\n")
    with pytest.raises(StageError, match="as it was"):
        Stage(dry=False).carry_out(parted(tmp_path, "a", "b", refused="false"))
    assert [path.name for path in tmp_path.iterdir()] == ["asgi-app-a.conf"]
    assert (tmp_path / "asgi-app-a.conf").read_text() == "# asgi.host a old\n"


def test_step_that_fails_for_a_part_keeps_none_of_it_and_all_others(tmp_path: Path) -> None:
    fails: Any = {
        "command": ["sh", "-c", "echo why; exit 1"],
        "unless": ["false"],
        "name": "it",
        "part": ["a"],
    }
    steps: Any = [file(tmp_path / "a1", "x", part=["a"]), fails, file(tmp_path / "a2", "x", part=["a"])]
    outcome = Stage(dry=False).carry_out([*steps, file(tmp_path / "b", "x", part=["b"])])
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert outcome.left == {("a",): "it: why"}


def test_line_of_somebody_elses_file_is_changed_and_put_back(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    theirs = "user www-data;\nevents {\n\tworker_connections 768;\n}\n"
    path.write_text(theirs)
    there: Any = {**nginx.CONNECTIONS, "line": str(path)}
    back: Any = {**nginx.CONNECTIONS_BACK, "line": str(path)}
    assert Stage(dry=True).carry_out([there]).changed == [str(path)]
    assert Stage(dry=False).carry_out([there]).changed == [str(path)]
    assert "\tworker_connections 8192; # asgi.host, in place of 768\n" in path.read_text()
    assert Stage(dry=False).carry_out([there]).changed == []
    assert Stage(dry=False).carry_out([back]).changed == [str(path)]
    assert path.read_text() == theirs
    own = theirs.replace("768", "4096")
    path.write_text(own)
    assert Stage(dry=False).carry_out([there, back]).changed == []
    path.write_text(theirs)
    with pytest.raises(StageError):
        Stage(dry=False).carry_out([there, {"command": ["false"], "unless": ["false"]}])
    assert path.read_text() == theirs
    assert [each.name for each in tmp_path.iterdir()] == ["nginx.conf"]

"""What is told of a program that ended badly, and what it means."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _process
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError, run
from ansible_collections.asgi.host.plugins.module_utils._release import hints, units
from ansible_collections.asgi.host.plugins.module_utils._release.build import BuildError
from ansible_collections.asgi.host.plugins.module_utils._release.candidate import RefusedError
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App
from ansible_collections.asgi.host.plugins.module_utils._release.uv import Tools
from near_workshop import NearWorkshop


def ended(*argv: str, timeout: float = 60.0) -> str:
    with pytest.raises(CommandError) as caught:
        run(argv, timeout=timeout)
    return caught.value.words


def test_own_words_are_enough() -> None:
    assert ended("sh", "-c", "echo no; exit 3") == "no"


def test_silent_one_says_how_it_ended() -> None:
    assert ended("false") == "false: exit status 1 and said nothing"
    assert "exit status 1" in ended(sys.executable, "-c", "raise SystemExit(1)")


def test_killed_one_is_out_of_memory() -> None:
    killed = ended("sh", "-c", "kill -KILL $$")
    assert killed == f"sh: {_process.KILLED} and said nothing"
    assert ended("sh", "-c", "echo half; kill -KILL $$") == f"half\nsh: {_process.KILLED}"
    assert ended("sh", "-c", "kill -TERM $$") == "sh: was ended by signal 15 and said nothing"
    assert "too little memory" in hints.of(BuildError(killed), killed, App(Path("/"), "shop", ""))


def test_one_that_ran_over_its_time_says_what_it_had_said_and_how_long() -> None:
    words = ended("sh", "-c", "echo für; exec sleep 20", timeout=0.5)
    assert words == "für\nsh: still ran after 0 s and was ended"


def test_output_without_end_does_not_take_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that writes for its half hour had all of it in the memory of root's process."""
    monkeypatch.setattr(_process, "MOST", 10_000)
    assert len(ended("sh", "-c", "yes", timeout=1.0)) < 30_000
    said = run(["sh", "-c", "yes | head -c 1000000; echo; echo end"])
    assert len(said) < 30_000
    assert said.endswith("\nend\n")


def test_killed_build_is_never_silent(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nkill -KILL $$\n")
    uv.chmod(0o755)
    shop = NearWorkshop(App(tmp_path, "shop", "asgi-shop").release("r"), tmp_path, runs=True)
    with pytest.raises(CommandError) as caught:
        Tools(uv=str(uv), index=None, shop=shop).run("venv")
    assert caught.value.words == f"uv: {_process.KILLED} and said nothing"


@pytest.mark.parametrize(
    "words", ["connect to db:5432: Connection refused", "Temporary failure in name resolution"]
)
def test_only_uv_speaks_of_the_index(words: str) -> None:
    app = App(Path("/"), "shop", "")
    assert "package index" in hints.of(BuildError(words), words, app)
    for error in (RefusedError(words), CommandError(["migrate"], "exit status 1", words), OSError(words)):
        assert hints.of(error, words, app) == ""


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("Result=oom-kill\nExecMainCode=2\nExecMainStatus=9\n", _process.KILLED),
        ("Result=timeout\n", "still ran after 1800 s and was ended"),
        ("Result=exit-code\nExecMainCode=1\nExecMainStatus=4\n", "exit status 4"),
    ],
)
def test_hook_is_never_silent(monkeypatch: pytest.MonkeyPatch, result: str, expected: str) -> None:
    def fake(argv: list[str], **_: object) -> str:
        if argv[0] == "systemd-run":
            raise CommandError(argv, "exit status 4", "")
        return result

    monkeypatch.setattr(units, "run", fake)
    monkeypatch.setattr(units, "succeeds", lambda argv: True)
    release = App(Path("/srv/asgi"), "shop", "asgi-shop").release("r")
    with pytest.raises(CommandError) as caught:
        units.run_in_sandbox(release, [], ["./migrate"], timeout=1800.0)
    assert caught.value.words == f"migrate: {expected} and said nothing"


def test_variables_of_a_proxy_are_in_no_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def run(argv: list[str], **_: object) -> str:
        path = next(word.partition("EnvironmentFile=")[2] for word in argv if "EnvironmentFile=" in word)
        assert Path(path).stat().st_mode & 0o777 == 0o600
        given.extend([" ".join(argv), Path(path).read_text()])
        return ""

    monkeypatch.setattr(units, "run", run)
    monkeypatch.setattr(units, "RUN", tmp_path)
    monkeypatch.setenv("https_proxy", "http://user:word@proxy")
    release = App(Path("/srv/asgi"), "shop", "asgi-shop").release("r")
    units.run_in_sandbox(release, [], ["podman"], keep=["https_proxy", "no_proxy"], timeout=1.0)
    command, text = given
    assert "user:word" not in command
    assert text == 'https_proxy="http://user:word@proxy"\n'
    assert list(tmp_path.iterdir()) == []

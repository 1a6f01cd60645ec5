"""What a play says of a host: the notes of a call, who looks at them while it runs, and the words."""

from __future__ import annotations

import stat
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.asgi.host.plugins.action import release
from ansible_collections.asgi.host.plugins.module_utils import _progress as notes
from ansible_collections.asgi.host.plugins.module_utils._stage import Stage, StageError
from ansible_collections.asgi.host.plugins.plugin_utils import _fleet, _outcome, _progress
from ansible_collections.asgi.host.plugins.plugin_utils._progress import Follower

ESC = chr(27)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /run."""
    monkeypatch.setattr(notes, "RUN", tmp_path)
    monkeypatch.setattr(_progress, "RUN", tmp_path)
    monkeypatch.setattr(_progress, "BETWEEN", 0.1)
    return tmp_path


class Play:
    """What Ansible shows, and when; it is written to by the thread that looks on as well."""

    verbosity = 0

    def __init__(self) -> None:
        self.said: list[tuple[float, str]] = []

    def display(self, text: str) -> None:
        self.said.append((time.monotonic(), text))

    @property
    def lines(self) -> list[str]:
        return [text for _when, text in self.said]


class Connection:
    """A connection by which the commands of an action are run here."""

    def __init__(self, transport: str, ssh_args: str = "") -> None:
        self.transport, self.ssh_args = transport, ssh_args
        self.become: Any = SimpleNamespace(of=self)
        self._shell = SimpleNamespace(tmpdir=None)

    def set_become_plugin(self, become: Any) -> None:
        self.become = become

    def get_option(self, name: str) -> str | None:
        return self.ssh_args if name == "ssh_args" else None

    def is_pipelining_enabled(self) -> bool:
        return True


class Action:
    """An action plugin, and the commands that it was asked to run beside the call."""

    def __init__(self, transport: str = "local", ssh_args: str = "") -> None:
        self._display = Play()
        self._connection = Connection(transport, ssh_args)
        self.looks: list[Connection] = []
        self.broken = False

    def _low_level_execute_command(self, command: str, in_data: bytes | None) -> dict[str, Any]:
        assert in_data, "with pipelining there is no terminal"
        self.looks.append(self._connection)
        if self.broken:
            raise OSError("the connection is gone")
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        # What a shell of a login may print is no step.
        return {"rc": done.returncode, "stdout": f"Welcome\r\n{done.stdout}".replace("\n", "\r\n")}


def call(action: Action, *steps: str, lasts: float, wanted: bool = True) -> Follower:
    """A call whose steps last so many seconds each."""
    with Follower(action, "web1", wanted=wanted) as follower, notes.noted(follower.token) as taken:
        for step in steps:
            notes.step(step, "001-ab", app="shop")
            time.sleep(lasts)
    follower.conclude(taken.taken)
    return follower


def lines(*words: str) -> list[str]:
    return [f"    [web1] shop: {each}" for each in words]


def test_step_is_said_while_it_runs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    action = Action()
    call(action, "build", "install", "migrate", lasts=1.0)
    assert action._display.lines == lines(
        "build release 001-ab", "install the dependencies", "run hooks.migrate"
    )
    when = [moment for moment, _text in action._display.said]
    # Each about when it began, not all in the end.
    assert when[1] - when[0] > 0.4
    assert when[2] - when[1] > 0.4
    assert not list(run.iterdir())


def test_look_is_by_a_connection_of_its_own(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    action = Action("ssh", "-C -o ControlMaster=auto -o ControlPersist=60s")
    call(action, "build", lasts=0.6)
    assert action.looks
    for own in action.looks:
        assert own is not action._connection
        assert own.become is not action._connection.become


def test_short_call_is_not_looked_at_and_its_steps_are_said(run: Path) -> None:
    action = Action()
    call(action, "build", "switch", lasts=0.0)
    assert action.looks == []
    assert action._display.lines == lines("build release 001-ab", "switch the traffic to release 001-ab")


@pytest.mark.parametrize(
    ("transport", "ssh_args", "wanted"),
    [
        ("paramiko", "", True),
        ("community.general.jail", "", True),
        # Each look would be a login of its own.
        ("ssh", "-o ControlPersist=no", True),
        ("ssh", "-C", True),
        ("local", "", False),
    ],
)
def test_silent_where_nobody_can_or_shall_look(
    run: Path, monkeypatch: pytest.MonkeyPatch, transport: str, ssh_args: str, wanted: bool
) -> None:
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    action = Action(transport, ssh_args)
    follower = call(action, "build", lasts=0.3, wanted=wanted)
    assert follower.token is None
    assert (action.looks, action._display.lines) == ([], [])


def test_connection_of_ansible_s_can_be_copied(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Ansible's own plugins: a look while another command of the same connection runs."""
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    make: Any = release.ActionModule
    action = make(
        task=SimpleNamespace(async_val=0, args={}),
        connection=connection_loader.get("local", PlayContext()),
        play_context=PlayContext(),
        loader=DataLoader(),
        templar=None,
        shared_loader_obj=None,
    )
    shown = Play()
    monkeypatch.setattr(action, "_display", shown)
    with Follower(action, "web1", wanted=True) as follower, notes.noted(follower.token) as taken:
        notes.step("build", "1", app="shop")
        answer = action._low_level_execute_command("sleep 1.5; echo done")
        assert shown.lines == lines("build release 1")
    follower.conclude(taken.taken)
    assert answer["stdout"] == "done\n"
    assert shown.lines == lines("build release 1")


def test_look_that_fails_is_no_error(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    action = Action()
    action.broken = True
    call(action, "build", "switch", lasts=0.3)
    assert len(action.looks) == 1
    assert len(action._display.lines) == 2


def test_call_that_fails_is_looked_at_no_more(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    action = Action()
    with pytest.raises(RuntimeError), Follower(action, "web1", wanted=True) as follower:
        raise RuntimeError("unreachable")
    follower._thread.join(10)
    assert not follower._thread.is_alive()


def test_call_that_begins_late_is_met(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module may take long to get to the host."""
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    monkeypatch.setattr(_progress, "FIRST_LOOKS", 1)
    monkeypatch.setattr(_progress, "RETRY", 0.1)
    action = Action()
    with Follower(action, "web1", wanted=True) as follower:
        time.sleep(1.0)
        with notes.noted(follower.token):
            notes.step("build", "001-ab", app="shop")
            time.sleep(1.0)
            assert action._display.lines == lines("build release 001-ab")


def test_nobody_looks_for_ever(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the host has no notes, for the user may not read them."""
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    monkeypatch.setattr(_progress, "FIRST_LOOKS", 0)
    monkeypatch.setattr(_progress, "RETRY", 0.01)
    action = Action()
    with Follower(action, "web1", wanted=True) as follower:
        follower._thread.join(10)
        assert not follower._thread.is_alive()
    assert len(action.looks) == _progress.FAILURES


def test_step_that_lasts_is_named_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    monkeypatch.setattr(_progress, "LOOKS", 1)
    monkeypatch.setattr(_progress, "STILL", 1.0)
    action = Action()
    call(action, "migrate", lasts=2.0)
    assert action._display.lines[:2] == lines("run hooks.migrate", "run hooks.migrate (for 1 s)")


def test_thread_writes_nothing_after_the_call(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of Ansible's may be gone by then, and would leave the queue of all of them locked."""
    monkeypatch.setattr(_progress, "FIRST_AFTER", 0.0)
    action = Action()
    reached, go = threading.Event(), threading.Event()

    def look(*_: object, **__: object) -> dict[str, Any]:
        reached.set()
        go.wait(10)
        return {"rc": 0, "stdout": '{"step": "build", "about": "1", "app": "shop"}\n'}

    action._low_level_execute_command = look  # type: ignore[method-assign]
    with Follower(action, "web1", wanted=True) as follower:
        assert reached.wait(10)
    follower.conclude([])
    go.set()
    follower._thread.join(10)
    assert action._display.lines == []


def test_host_that_waits_for_its_turn_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fleet, "run_folder", lambda: tmp_path)
    spec = {"name": "shop", "source": {"digest": ""}, "requirements": [], "hooks": {"migrate": ["m"]}}
    waits = threading.Event()
    second = threading.Thread(target=lambda: _fleet.turn(spec, "web2", waits.set).__enter__())
    with _fleet.turn(spec, "web1", lambda: pytest.fail("nobody is before it")):
        second.start()
        assert waits.wait(10)
    second.join(10)
    assert not second.is_alive()


def test_answer_of_a_strange_host_is_no_error(run: Path) -> None:
    action = Action()
    follower = call(action, lasts=0.0)
    strange: Any = [{"step": "?"}, 1, {"step": "build", "about": ["x"], "app": "shop"}]
    follower.conclude(strange)
    assert action._display.lines == lines("build release ['x']")


def test_notes_are_root_s_alone_and_gone_with_the_call(run: Path) -> None:
    with notes.noted("abc") as taken:
        (path,) = run.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        notes.step("build", "1", app="shop")
        assert path.read_text().count("\n") == len(taken.taken) == 1
    assert not list(run.iterdir())
    with pytest.raises(RuntimeError), notes.noted("abc"):
        raise RuntimeError
    assert not list(run.iterdir())
    # Nothing is noted outside of a call.
    notes.step("build")


def test_notes_have_a_place_of_their_own(run: Path) -> None:
    """No name leads elsewhere, and no file or link that is there is written to."""
    with notes.noted("../../etc/passwd"):
        assert not list(run.iterdir())
    (run / "theirs").touch()
    (run / f"{notes.PREFIX}abc").symlink_to(run / "theirs")
    with notes.noted("abc") as taken:
        notes.step("build")
    assert len(taken.taken) == 1
    assert (run / "theirs").read_text() == ""


def test_notes_of_a_killed_call_are_cleared_away_and_those_of_one_that_goes_on_stay(
    run: Path,
) -> None:
    left = run / f"{notes.PREFIX}dead"
    left.touch()
    with notes.noted("abc"):
        assert not left.exists()
        with notes.noted("def"):
            assert {path.name for path in run.iterdir()} == {f"{notes.PREFIX}abc", f"{notes.PREFIX}def"}
    assert not list(run.iterdir())


def test_line_names_host_and_app_and_steers_no_terminal() -> None:
    assert _progress.line("web1", "install uv") == "    [web1] install uv"
    assert _progress.line("web1", "reload nginx", check=True) == "    [web1] (check) reload nginx"
    assert _progress.line("web1", f"repair\n{ESC}[2J", "shop") == "    [web1] shop: repair \\x1b[2J"
    assert len(_progress.line("web1", "x" * 9999)) < 400


@pytest.mark.parametrize("step", list(notes.WORDS))
def test_step_has_words(step: str) -> None:
    said = _progress.words({"step": step, "about": "{about}"})
    assert said
    assert ("{about}" in said) == ("{}" in notes.WORDS[step])


def stage(folder: Path, *, dry: bool, told: bool = True) -> list[str]:
    """What a stage says of files and a command."""
    steps: Any = [
        {"folder": str(folder / "made"), "owner": "root", "group": "root"},
        *({"link": str(folder / f"link{number}"), "target": "/nowhere"} for number in range(6)),
        {"command": ["true"], "when": [str(folder)], "check": True, "do": "check it"},
        {"command": ["true"], "unless": ["false"], "do": "start it"},
        {"command": ["true"], "unless": ["false"], "name": "of no interest"},
    ]
    with notes.noted(None) as taken:
        Stage(dry=dry, told=told).carry_out(steps)
    return [note["about"] for note in taken.taken]


@pytest.mark.usefixtures("own_files")
def test_stage_says_the_same_dry_and_done(tmp_path: Path) -> None:
    made = f"make {tmp_path}/made"
    links = [f"{tmp_path}/link{number}" for number in range(6)]
    assert stage(tmp_path, dry=True) == [made, f"write {', '.join(links)}", "start it"]
    assert stage(tmp_path, dry=True, told=False) == []
    assert stage(tmp_path, dry=False) == [made, f"write {links[0]} and 5 more", "check it", "start it"]


def test_what_was_taken_back_is_not_said(tmp_path: Path) -> None:
    steps: Any = [
        {"link": str(tmp_path / "link"), "target": "/nowhere", "part": ["shop"]},
        {"command": ["false"], "unless": ["false"], "part": ["shop"], "name": "refused"},
    ]
    with notes.noted(None) as taken:
        Stage(dry=False, told=True).carry_out(steps)
    assert taken.taken == []
    whole: Any = {**steps[1], "part": []}
    with pytest.raises(StageError):
        Stage(dry=False, told=True).carry_out([whole])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"reasons": ["no release serves yet"]}, "new release (no release serves yet)"),
        (
            {"reasons": ["source changed", "python changed"], "wanted": "abcdef", "previous": "1-aaaaaa"},
            "new release *-abcdef (source changed; python changed), in place of 1-aaaaaa",
        ),
        (
            {"reasons": ["source changed"], "wanted": "abcdef", "again": "0-abcdef", "previous": "1-aaaaaa"},
            "release 0-abcdef again (source changed), in place of 1-aaaaaa",
        ),
    ],
)
def test_release_that_is_due_has_its_reason(found: dict[str, Any], words: str) -> None:
    assert _outcome.due(found) == words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("current", ""),
        ("needed", ""),
        ("deployed", "release 1-ab serves at https://a.test/"),
        ("rolled back", "rolled back, release 1-ab serves at https://a.test/"),
        ("repaired", "repaired (it hung), release 1-ab serves at https://a.test/"),
        ("synced", "its live folder has what changed, release 1-ab serves at https://a.test/"),
        ("removed", "removed (it hung)"),
    ],
)
def test_end_of_an_app_that_changed(status: str, words: str) -> None:
    result = {"status": status, "release": {"id": "1-ab"}, "reasons": ["it hung"]}
    assert _outcome.done(result, "at https://a.test/") == words


@pytest.mark.parametrize(
    ("change", "port", "where"),
    [
        ({}, 443, "at https://www.a.test/shop/"),
        ({}, 8443, "at https://www.a.test:8443/shop/"),
        ({"tls": {"mode": "none"}}, 8443, "at http://www.a.test/shop/"),
        ({"maintenance": True}, 443, "at https://www.a.test/shop/ (in maintenance)"),
        ({"domains": []}, 443, "on /srv/asgi/shop/current/app.sock"),
        ({"state": "absent"}, 443, ""),
    ],
)
def test_place_of_an_app(change: dict[str, Any], port: int, where: str) -> None:
    app: dict[str, Any] = {
        "name": "shop",
        "state": "present",
        "domains": ["*.a.test"],
        "tls": {"mode": "acme"},
        "root_path": "/shop",
        "maintenance": False,
    }
    found = _outcome.place({**app, **change}, proxy=True, https_port=port, root="/srv/asgi")
    assert found == where

"""Development mode: a change of the code is answered within seconds, by the same release, and never in production."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from load import Load, Outcome
from playbook import ROLLBACK, Run, changed_inventory, play
from targets import APPS, ROOT, Target, wait_for

pytestmark = [pytest.mark.scenario("servers"), pytest.mark.lane, pytest.mark.in_turn(0)]

DOMAIN = "live.test"
# Seconds in which a change must be answered, on a busy machine.
SOON = 15.0
HOME = "/home/dev/live"
# A project whose modules are installed, so that only an editable one follows its source.
PROJECT = """\
[build-system]
requires = ["hatchling>=1.24"]
build-backend = "hatchling.build"

[project]
name = "live"
version = "1.0.0"
"""
BROKEN = "def broken(:\n"


class Live:
    """An app in development mode on one host, with a source of its own on the controller."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        self.source = folder / "live"
        shutil.copytree(APPS / "needs" / "live", self.source)
        # The keys that the host was last converged with, beside those of every test.
        self.keys: dict[str, Any] | None = None

    def write(self, version: str) -> None:
        """Change the code on the controller."""
        (self.source / "live" / "__init__.py").write_text(f'VERSION = "{version}"\n')

    def type(self, text: str, folder: str = "/srv/asgi/live/live") -> None:
        """Change the code on the host, as an editor or a shared folder does."""
        self.target.run(f"cat > {folder}/live/__init__.py", stdin=text)

    def play(self, *options: str, playbook: Path | None = None, **keys: Any) -> Run:
        app = {
            "name": "live",
            "app": "live.main:app",
            "source": {"path": str(self.source)},
            "domains": [DOMAIN],
            "reload": True,
            "proxy": {"stream_paths": ["/events"]},
        }
        inventory = changed_inventory(self.folder, [self.target], add=[{**app, **keys}])
        more = {"playbook": playbook} if playbook else {}
        return play(*options, inventory=inventory, targets=[self.target], **more)

    def converge(self, *options: str, changed: bool = True, **keys: Any) -> Run:
        run = self.play(*options, **keys)
        assert run.status == 0, run.output[-5000:]
        assert bool(run.changed(self.target.name)) is changed, run.output[-5000:]
        if "--check" not in options:
            self.keys = keys
        return run

    def ask(self, path: str = "/") -> Any:
        return self.target.door.json(DOMAIN, path)

    def answers(self, version: str, seconds: float = SOON) -> None:
        """Wait until the code of this version answers."""
        began = time.monotonic()

        def new() -> bool:
            # The one before may have been one that does not load.
            answer = self.target.door.ask(DOMAIN)
            return answer.status == 200 and answer.json()["version"] == version

        wait_for(new, seconds, pause=0.1)
        print(f"\n{self.target.name}: version {version} answered after {time.monotonic() - began:.1f} s")

    def identity(self) -> tuple[str, str]:
        """The release and the main process of its unit, neither of which changes with the code."""
        unit = self.target.service("live")
        return unit, self.target.run(f"systemctl show -P MainPID {unit}").strip()

    def journal(self) -> str:
        return self.target.run("journalctl --sync; journalctl -u 'asgi-live@*' -n 60 --no-pager -o cat")

    @contextmanager
    def loaded(self) -> Iterator[Outcome]:
        """GETs and POSTs during the block, none of which may be lost."""
        found = Outcome()
        with ExitStack() as stack:
            for method in ("GET", "POST"):
                load = Load(self.target.door, DOMAIN, "/", method, clients=2, pause=0.01, timeout=SOON)
                stack.enter_context(load.running(found))
            yield found
        print(f"\n{self.target.name}: {found}")
        assert found.sent > 100
        assert found.lost_count == 0, found


@pytest.fixture(scope="module")
def live(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The app as it is deployed first; gone when the module ends."""
    made = Live(target, tmp_path_factory.mktemp(target.name))
    yield made
    made.converge(state="absent", purge=True)
    target.run("rm -rf /home/dev")
    assert target.run("ls -d /srv/asgi/live /var/lib/asgi/live /etc/asgi/live 2>/dev/null; true") == ""


@pytest.fixture
def app(live: Live) -> Live:
    """The app in development mode, with whatever code an earlier test left."""
    if live.keys != {}:
        live.converge()
    return live


def test_refused_in_production(live: Live) -> None:
    """By the variable, and by the name of a group; nothing of the app comes to the host."""
    by_variable = live.play("-e", "asgi_host_environment=production")
    hosts = json.loads((live.folder / "hosts.json").read_text())
    hosts["production"] = {"hosts": {live.target.name: None}}
    inventory = live.folder / "production.json"
    inventory.write_text(json.dumps(hosts))
    by_group = play(inventory=inventory, targets=[live.target])
    for run in (by_variable, by_group):
        assert run.status != 0
        assert run.changed(live.target.name) == 0
        message = run.messages(live.target.name)
        assert "(live): reload: true is the development mode" in message
        assert "set reload: false" in message
    assert live.target.run("ls -d /srv/asgi/live /etc/asgi/live 2>/dev/null; true") == ""


def test_serves_as_in_production_and_says_that_it_is_not(live: Live) -> None:
    """Client, scheme and port are true; one process of uvicorn serves; play, unit and ledger say what it is."""
    run = live.converge()
    assert run.output.count("live runs in development mode (reload: true)") == 1
    found = live.ask()
    assert found["client"] == live.target.door.source_address()
    assert (found["scheme"], found["server"]) == ("https", [DOMAIN, 443])
    assert found["code"] == "/srv/asgi/live/live/live/main.py"
    unit, main = live.identity()
    assert "DEVELOPMENT" in live.target.run(f"systemctl show -P Description {unit}")
    commands = live.target.run(f"ps -o args= --ppid {main}").splitlines()
    assert len([line for line in commands if "multiprocessing.spawn" in line]) == 1, commands
    assert live.target.release("live")["mode"] == "development"
    table = play(
        inventory=live.folder / "hosts.json",
        targets=[live.target],
        playbook=ROOT / "playbooks" / "releases.yml",
    )
    assert "serves (development)" in table.output


def test_second_converge_changes_nothing(app: Live) -> None:
    """Not in a dry run either."""
    before = app.identity(), app.ask()["pid"]
    again = app.converge(changed=False)
    assert again.output.count("live runs in development mode (reload: true)") == 1
    assert (app.identity(), app.ask()["pid"]) == before


def test_change_on_the_host_is_seen_and_loses_nothing(app: Live) -> None:
    """Same release, same unit, same main process."""
    before = app.identity()
    with app.loaded():
        app.type('VERSION = "typed"\n')
        app.answers("typed")
        app.type('VERSION = "typed again"\n')
        app.answers("typed again")
    assert app.identity() == before


def test_open_stream_does_not_hold_a_change_up(app: Live) -> None:
    """uvicorn alone would wait for its client to leave."""
    connection = app.target.door.open(DOMAIN)
    try:
        connection.request("GET", "/events", headers={"Host": DOMAIN})
        answer = connection.getresponse()
        assert answer.read(9) == b"data: x\n\n"
        app.type('VERSION = "beside a stream"\n')
        app.answers("beside a stream")
        # It ends as a complete answer, so that a browser asks again.
        answer.read()
    finally:
        connection.close()


def test_change_on_the_controller_is_sent_and_makes_no_release(app: Live) -> None:
    """What is gone there is removed, what others made stays, and a dry run sends nothing."""
    before = app.identity()
    (app.source / "live" / "spare.py").write_text("SPARE = 1\n")
    app.converge()
    app.target.run("echo mine > /srv/asgi/live/live/notes.txt")
    app.write("sent")
    (app.source / "live" / "spare.py").unlink()
    old = app.ask()["version"]
    app.converge("--check")
    assert app.ask()["version"] == old
    app.converge()
    app.answers("sent")
    there = app.target.run("cd /srv/asgi/live/live && find . -type f -name '*.*' | sort").split()
    assert there == ["./live/__init__.py", "./live/main.py", "./notes.txt", "./requirements.txt"]
    assert app.identity() == before
    assert app.target.run("ls /srv/asgi/live/releases").split() == [app.target.release("live")["id"]]
    app.converge(changed=False)


def test_broken_code_waits_for_the_next_change(app: Live) -> None:
    """A client is told so at once, the journal has the traceback, and a converge warns and does nothing."""
    before = app.identity()
    app.type(BROKEN)
    wait_for(lambda: app.target.door.ask(DOMAIN).status == 503, SOON, pause=0.1)
    assert "the code does not load" in app.target.door.ask(DOMAIN).text
    assert "SyntaxError" in app.journal()
    run = app.converge(changed=False)
    assert "does not pass the health check" in run.output
    assert app.identity() == before
    app.type('VERSION = "mended"\n')
    app.answers("mended")
    # The same, sent by a converge: it says that it was sent, and does not fail.
    (app.source / "live" / "__init__.py").write_text(BROKEN)
    app.converge()
    wait_for(lambda: app.target.door.ask(DOMAIN).status == 503, SOON, pause=0.1)
    app.write("mended there")
    app.converge()
    app.answers("mended there")
    assert app.identity() == before


def test_process_that_dies_comes_back(app: Live) -> None:
    """Of itself, for what killed it may not be its code."""
    before = app.identity()
    dead = app.ask()["pid"]
    app.target.run(f"kill -9 {dead}")
    wait_for(lambda: app.ask()["pid"] != dead, 30, pause=0.1)
    assert app.identity() == before


def test_change_of_dependencies_makes_a_release(app: Live) -> None:
    """And the earlier one is nothing to go back to, so it goes."""
    before = app.identity()
    assert app.ask()["humanize"] is False
    requirements = app.source / "requirements.txt"
    try:
        requirements.write_text("humanize\n")
        app.converge()
        assert app.ask()["humanize"] is True
        assert app.identity() != before
        assert app.target.run("ls /srv/asgi/live/releases").split() == [app.target.release("live")["id"]]
        app.converge(changed=False)
    finally:
        requirements.write_text("")
    app.converge()


def test_new_release_with_broken_code_fails_with_its_traceback(app: Live) -> None:
    """A release that is made is proved, whatever its mode; the one before it goes on with the same folder."""
    before = app.identity()
    (app.source / "live" / "__init__.py").write_text(BROKEN)
    run = app.play(env={"COLOUR": "blue"})
    assert run.failed(app.target.name) == 1
    message = run.messages(app.target.name)
    assert "is not good enough to serve" in message
    assert "SyntaxError" in message
    assert app.identity() == before
    app.write("good enough")
    app.converge(env={"COLOUR": "blue"})
    app.answers("good enough")


def test_rollback_is_refused(app: Live) -> None:
    before = app.identity()
    run = app.play("-e", "app=live", playbook=ROLLBACK)
    assert run.failed(app.target.name) == 1
    message = run.messages(app.target.name)
    assert "it runs in development mode (reload: true)" in message
    assert "set reload: false" in message
    assert app.identity() == before


def test_to_production_and_back(app: Live) -> None:
    """No request is lost, the data stays, and nothing is left of the live folder or of its releases."""
    target = app.target
    app.write("both")
    target.run("echo kept > /var/lib/asgi/live/data.txt")
    with app.loaded():
        app.converge(reload=False)
    release = target.release("live")
    assert "mode" not in release
    assert app.ask()["code"].startswith(f"/srv/asgi/live/releases/{release['id']}/src/")
    assert target.run("ls -A /srv/asgi/live").split() == ["current", "releases"]
    assert target.run("ls /srv/asgi/live/releases").split() == [release["id"]]
    app.converge(reload=False, changed=False)
    with app.loaded():
        app.converge()
    app.type('VERSION = "typed in between"\n')
    app.answers("typed in between")
    app.converge(changed=False)
    # Back to the release that is there still, with nothing built.
    with app.loaded():
        app.converge(reload=False)
    assert target.release("live")["id"] == release["id"]
    assert app.ask()["version"] == "both"
    assert target.run("ls /srv/asgi/live/releases").split() == [release["id"]]
    app.converge(reload=False, changed=False)
    assert target.run("cat /var/lib/asgi/live/data.txt") == "kept\n"


def test_installed_project_follows_its_source(app: Live) -> None:
    """With a layout where the app is imported from what is installed."""
    source = app.folder / "project"
    shutil.copytree(app.source / "live", source / "src" / "live")
    (source / "pyproject.toml").write_text(PROJECT)
    app.converge(source={"path": str(source)})
    assert app.ask()["code"] == "/srv/asgi/live/live/src/live/main.py"
    app.target.run("echo 'VERSION = \"typed\"' > /srv/asgi/live/live/src/live/__init__.py")
    app.answers("typed")
    app.converge(source={"path": str(source)}, changed=False)


def test_folder_of_the_host_below_a_home(app: Live) -> None:
    """It is read where it lies, by a process that sees nothing else of the homes, and nothing is sent to it."""
    target = app.target
    target.run(
        f"mkdir -p {HOME}/live && chmod 700 /home/dev && echo private > /home/dev/diary && "
        f"cp /srv/asgi/live/live/live/*.py {HOME}/live/ && chmod -R o+rX {HOME}"
    )
    mount = {"mount": HOME}
    # The same app: its live folder goes, as nothing is sent any more.
    app.converge(source=mount)
    found = app.ask()
    assert found["code"] == f"{HOME}/live/main.py"
    assert found["homes"] == ["dev"]
    assert found["readable"] == {"/home/dev/diary": False, "/etc/asgi": False}
    assert target.run("ls -A /srv/asgi/live").split() == ["current", "releases"]
    before = app.identity()
    app.type('VERSION = "mounted"\n', HOME)
    app.answers("mounted")
    app.converge(source=mount, changed=False)
    # Its dependencies are found out on the host.
    target.run(f"echo humanize > {HOME}/requirements.txt")
    app.converge(source=mount)
    assert app.ask()["humanize"] is True
    assert app.identity() != before
    # A folder that is not there, and one that nobody else may read.
    run = app.play(source={"mount": "/home/dev/other"})
    assert run.changed(target.name) == 0
    assert "source.mount: the host has no folder /home/dev/other" in run.messages(target.name)
    target.run("mkdir -m 700 /home/dev/closed")
    message = app.play(source={"mount": "/home/dev/closed"}).messages(target.name)
    assert "cannot read /home/dev/closed" in message
    assert app.ask()["code"] == f"{HOME}/live/main.py"
    assert target.run(f"stat -c %U:%a {HOME}/live/main.py") == "root:644\n"

"""What cannot work is refused before anything is changed, with the variable's name and the fix."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playbook import Run, absolute, changed_inventory, play, write_inventory
from targets import APPS, ROOT, App, Target

sys.path.insert(0, str(ROOT))
from tests.integration.bad_input import CASES

# Nothing of it depends on the apps that are there.
pytestmark = pytest.mark.scenario("default")

# The table's cases of one app each fit into one inventory, and so into one run.
SINGLE = [(case, apps[0], words) for case, apps, words in CASES if isinstance(apps, list) and len(apps) == 1]
SINGLE = [(case, app, words) for case, app, words in SINGLE if isinstance(app, dict)]


def refused(run: Run, target: Target) -> str:
    """The messages of a run that must have failed on a host without a change to it."""
    assert run.status != 0
    assert run.changed(target.name) == 0
    assert run.failed(target.name) == 1
    return run.messages(target.name)


@pytest.fixture(scope="module")
def pids_before(all_targets: list[Target]) -> dict[str, dict[str, list[int]]]:
    """The processes before."""
    return {target.name: target.pids() for target in all_targets}


@pytest.fixture(scope="module")
def table(all_targets: list[Target], pids_before: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One play with every case of the table that is a single app."""
    apps = [copy.deepcopy(app) for _case, app, _words in SINGLE]
    folder = tmp_path_factory.mktemp("table")
    return play(inventory=write_inventory(folder, all_targets, {target.name: apps for target in all_targets}))


def test_table_is_long_enough() -> None:
    """At least 40 cases, most of them in the one run."""
    assert len(CASES) >= 40
    assert len(SINGLE) >= 40


def test_each_case_is_refused(target: Target, table: Run) -> None:
    """All problems at once, each with its words."""
    text = refused(table, target)
    missing = [
        f"{case}: {word!r}"
        for number, (case, _app, words) in enumerate(SINGLE)
        for word in words
        if word.replace("asgi_host_apps[0]", f"asgi_host_apps[{number}]") not in text
    ]
    assert not missing, "\n".join([*missing, text])


@pytest.fixture(scope="module")
def files(all_targets: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One play with apps whose files on the controller are not there, or not what they must be."""
    folder = tmp_path_factory.mktemp("files")
    source = folder / "leads-out"
    source.mkdir()
    (source / "main.py").write_text("app = None\n", encoding="utf-8")
    (source / "etc").symlink_to("/etc")
    (folder / "key.pem").write_text("no key\n", encoding="utf-8")

    def bad(name: str, **keys: Any) -> App:
        path = {"path": str(APPS / "needs" / "port")}
        return {"name": name, "app": "port.main:app", "source": path, "domains": [f"{name}.test"], **keys}

    missing = {"mode": "files", "files": {"certificate": "no/such.crt", "key": "no/such.key"}}
    no_key = {
        "mode": "files",
        "files": {"certificate": str(folder / "key.pem"), "key": str(folder / "key.pem")},
    }
    add = [
        bad("no-source", source={"path": "no/such/folder"}),
        bad("no-certificate", tls=missing),
        bad("bad-certificate", tls=no_key),
        bad("leads-out", source={"path": str(source)}),
        bad("no-folder", app_dir="no/such"),
        bad("no-requirements", source={"path": str(APPS / "needs" / "port"), "requirements": "other.txt"}),
        bad("no-credential", credentials={"token": {"file": "no/such/token"}}),
    ]
    return play(inventory=changed_inventory(folder, all_targets, add=add))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-source", ("source.path", "no/such/folder is not on the controller")),
        ("no-certificate", ("certificate", "no/such.crt is not on the controller")),
        ("no-certificate", ("key", "no/such.key is not on the controller")),
        ("bad-certificate", ("tls", "certificate")),
        ("leads-out", ("source.path", "the link etc leads out of the source")),
        ("no-folder", ("app_dir", "has no folder no/such")),
        ("no-requirements", ("source.requirements", "has no file other.txt")),
        ("no-credential", ("credentials.token", "no/such/token is not on the controller")),
    ],
)
def test_files_on_the_controller(target: Target, files: Run, name: str, words: tuple[str, ...]) -> None:
    """Named with the app, the key and the path that was looked for."""
    lines = [line for line in refused(files, target).splitlines() if f"({name})" in line]
    assert any(all(word in line for word in words) for line in lines), files.messages(target.name)


@pytest.mark.scenario("full")
def test_key_that_does_not_match(all_targets: list[Target], tmp_path: Path) -> None:
    """The certificate is good, and so is the key, but not for each other."""
    other = tmp_path / "other.key"
    subprocess.run(
        ["openssl", "ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", str(other)],
        check=True,
        capture_output=True,
    )
    tls = absolute(all_targets[0].app("wiki"))["tls"]
    tls["files"]["key"] = str(other)
    run = play(inventory=changed_inventory(tmp_path, all_targets, change={"wiki": {"tls": tls}}))
    for target in all_targets:
        text = refused(run, target)
        assert "(wiki): tls" in text
        assert "match" in text or "belong" in text, text


@pytest.fixture
def squatter(all_targets: list[Target]) -> Iterator[None]:
    """Another program on port 80, as on a host that had another web server."""
    try:
        for target in all_targets:
            target.run(
                "systemctl stop nginx && systemd-run --quiet --unit=squatter python3 -m http.server 80 && "
                "for i in $(seq 50); do ss -ltn | grep -q ':80 ' && exit 0; sleep 0.1; done; exit 1"
            )
        yield
    finally:
        for target in all_targets:
            target.run("systemctl stop squatter; systemctl start nginx")


def test_port_that_another_program_has(all_targets: list[Target], squatter: None) -> None:
    """The message names the port, the program and the ways out."""
    run = play(targets=all_targets)
    for target in all_targets:
        text = refused(run, target)
        assert "port 80 of the host is taken by python3" in text
        assert "asgi_host_proxy: false" in text


FOREIGN_PORT = 2222


@pytest.fixture
def without_systemd(all_targets: list[Target]) -> Iterator[None]:
    """A second way in to each host, by an SSH server that is PID 1 to all that it starts, as in a container."""
    # The host's own /run/systemd/system is seen there as well.
    server = f"/usr/sbin/sshd -D -p {FOREIGN_PORT} -o UsePAM=no"
    try:
        for target in all_targets:
            target.run(
                "systemd-run --quiet --collect --unit=foreign "
                f"unshare --fork --pid --mount-proc --kill-child {server} && "
                f"for i in $(seq 50); do ss -ltn | grep -q ':{FOREIGN_PORT} ' && exit 0; sleep 0.1; done; exit 1"
            )
        yield
    finally:
        for target in all_targets:
            target.run("systemctl stop foreign")


def test_host_without_systemd(all_targets: list[Target], without_systemd: None, tmp_path: Path) -> None:
    """It is refused before packages, users and folders are there; the message names what PID 1 is."""
    new = {"name": "never", "app": "port.main:app", "source": {"path": str(APPS / "needs" / "port")}}
    inventory = changed_inventory(tmp_path, all_targets, add=[new])
    listed = json.loads(inventory.read_text(encoding="utf-8"))
    hosts = listed["asgi_hosts"]["hosts"]
    if any(variables["ansible_port"] != 22 for variables in hosts.values()):
        pytest.skip("hosts are reached by published ports alone on this machine")
    for variables in hosts.values():
        # A server without PAM lets no account in that has no password, but for root.
        variables.update(ansible_port=FOREIGN_PORT, ansible_user="root")
    inventory.write_text(json.dumps(listed), encoding="utf-8")
    run = play(inventory=inventory)
    for target in all_targets:
        assert "PID 1 of the host is sshd, not systemd" in refused(run, target)
        target.run("! id asgi-never && test ! -e /srv/asgi/never")


def test_refused_input_changed_nothing(
    target: Target, pids_before: dict[str, dict[str, list[int]]], table: Run, files: Run
) -> None:
    """The apps go on, in the same processes."""
    assert target.pids() == pids_before[target.name]
    assert target.door.ask(target.domain("probe")).status == 200

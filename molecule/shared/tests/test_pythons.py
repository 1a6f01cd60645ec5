"""An interpreter that the host lacks, brought by uv from a mirror.

uv's own builds are not at hand where the tests run. A stand-in in their layout is made of the Python of another host, and
a list that has it alone is given to uv; all else is as it would be with a true mirror.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playbook import ROLLBACK, Run, play, write_inventory
from targets import APPS, Target
from test_origins import served

pytestmark = [pytest.mark.scenario("default"), pytest.mark.phase("converged")]

FOLDER = "/usr/local/lib/asgi-host/python"
BUILDS = "https://github.com/astral-sh/python-build-standalone/releases/download"
PASSWORD = "s3cr3t-of-the-mirror"
APP: dict[str, Any] = {
    "name": "older",
    "app": "probe.main:app",
    "source": {"path": str(APPS / "probe")},
    "domains": ["older.test"],
    "workers": 1,
    "python": "3.11",
}
# Debian's Python finds its library beside itself. uv takes no link that leads out of the archive.
PACK = """
set -e; folder=$(mktemp -d); mkdir -p "$folder/python/bin" "$folder/python/lib"
cp /usr/bin/python3.11 "$folder/python/bin/"; ln -s python3.11 "$folder/python/bin/python3"
cp -a /usr/lib/python3.11 "$folder/python/lib/"
tar -C "$folder" -czhf - --exclude='config-*' --exclude=test python | base64 -w0; rm -rf "$folder"
"""


@dataclass(frozen=True)
class Mirror:
    """A folder with the stand-in and the list that names it."""

    folder: Path
    version: str


@pytest.fixture(scope="module")
def mirror(all_targets: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """Made on a host with Debian 12, for hosts with Debian 13: an older program runs with newer libraries."""
    maker = next((target for target in all_targets if target.suite == "bookworm"), None)
    if maker is None:
        pytest.skip(
            "the stand-in for uv's builds is made of a Debian 12 host's Python, and there is no such host"
        )
    version = maker.run("python3 -c 'import platform; print(platform.python_version())'").strip()
    content = base64.b64decode(maker.run(PACK))
    machine = maker.run("uname -m").strip()
    name = f"cpython-{version}+1-{machine}-unknown-linux-gnu-install_only.tar.gz"
    folder = tmp_path_factory.mktemp("mirror")
    (folder / "1").mkdir()
    (folder / "1" / name).write_bytes(content)
    major, minor, patch = map(int, version.split("."))
    entry = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{BUILDS}/1/{name.replace('+', '%2B')}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "variant": None,
        "build": "1",
    }
    (folder / "list.json").write_text(json.dumps({f"cpython-{version}-linux-{machine}-gnu": entry}))
    return Mirror(folder, version)


def deploy(target: Target, folder: Path, *options: str, **keys: Any) -> Run:
    """A play for the app alone; those that it does not name go on as they are."""
    inventory = write_inventory(folder, [target], {target.name: [{**APP, **keys}]})
    return play("-e", "asgi_host_self_test=false", *options, inventory=inventory, targets=[target])


def addresses(address: str) -> list[str]:
    """The two variables, for a mirror at this address."""
    return [
        "-e",
        f"asgi_host_python_mirror=http://bot:{PASSWORD}@{address}",
        "-e",
        f"asgi_host_python_downloads=http://bot:{PASSWORD}@{address}/list.json",
    ]


def program(target: Target) -> str:
    """The program that the app's workers run."""
    unit = target.service("older")
    return target.run(f"readlink /proc/$(systemctl show -P MainPID {unit})/exe").strip()


@pytest.fixture(scope="module")
def newer(all_targets: list[Target]) -> Target:
    """A host with Debian 13, which has no Python 3.11."""
    target = next((target for target in all_targets if target.suite == "trixie"), None)
    if target is None:
        pytest.skip("the stand-in for uv's builds runs on Debian 13, and there is no such host")
    return target


@pytest.fixture(scope="module")
def brought(newer: Target, mirror: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Run]]:
    """What was said without a mirror, by a dry run with it, and by a deploy with it; and then the mirror is down."""
    folder = tmp_path_factory.mktemp("pythons")
    refused = deploy(newer, folder)
    with served(mirror.folder, PASSWORD, "0.0.0.0") as port:
        options = addresses(f"{newer.door.source_address()}:{port}")
        dry = deploy(newer, folder, *options, "--check", "--diff")
        written = newer.run(f"ls {FOLDER} 2>/dev/null || true")
        assert not written, f"--check has made {written}"
        real = deploy(newer, folder, *options, "-vvv")
    assert real.status == 0, real.output[-6000:]
    yield [refused, dry, real]
    gone = deploy(newer, folder, state="absent", purge=True)
    assert gone.status == 0, gone.output[-3000:]


def test_without_a_mirror_it_is_refused(newer: Target, brought: list[Run]) -> None:
    """And the way out is named."""
    assert brought[0].status != 0
    message = brought[0].messages(newer.name)
    assert "python: the host has no Python for 3.11" in message
    assert "asgi_host_python_mirror" in message


def test_dry_run_says_that_it_would_be_brought(newer: Target, brought: list[Run]) -> None:
    """Without a word about a host that cannot have the app."""
    assert brought[1].status == 0, brought[1].output[-3000:]
    assert brought[1].changed(newer.name) >= 2


def test_app_runs_on_what_was_brought(newer: Target, brought: list[Run], mirror: Mirror) -> None:
    """In its sandbox, and that very version, which is in the release's ledger."""
    seen = newer.door.json("older.test", "/process")
    assert seen["python"] == mirror.version
    path = f"{FOLDER}/cpython-{mirror.version}-linux-{newer.run('uname -m').strip()}-gnu"
    assert program(newer).startswith(f"{path}/bin/python3")
    config = newer.run("cat /srv/asgi/older/current/venv/pyvenv.cfg")
    assert f"home = {path}/bin" in config


def test_interpreter_is_roots(newer: Target, brought: list[Run]) -> None:
    """Readable for every app, and writable for none; with its bytecode, which no app could write."""
    assert newer.run(f"find {FOLDER} ! -user root -o ! -type l -perm /022 | head -5").strip() == ""
    app = "setpriv --reuid=asgi-older --regid=asgi-older --clear-groups"
    newer.run(f"cd /; {app} {program(newer)} -I -c 'import ssl, sqlite3, zoneinfo'")
    assert "ssl.cpython-311.pyc" in newer.run(f"find {FOLDER} -name 'ssl.*.pyc'")


def test_password_of_the_mirror_is_not_shown(brought: list[Run]) -> None:
    """But for the command line of the tests, which Ansible does not print."""
    assert PASSWORD not in brought[2].output


def test_second_converge_asks_no_mirror(newer: Target, brought: list[Run], tmp_path: Path) -> None:
    """It is down; and the version that is there stays the one, whatever a later list would have."""
    again = deploy(newer, tmp_path, *addresses("127.0.0.1:9"))
    assert again.status == 0, again.output[-3000:]
    assert again.changed(newer.name) == 0, again.output[-3000:]


def test_mirror_that_is_down_is_said_and_what_serves_goes_on(
    newer: Target, brought: list[Run], tmp_path: Path
) -> None:
    """For a version that neither the host nor uv's folder has."""
    before = newer.release("older")["id"]
    failed = deploy(newer, tmp_path, *addresses("127.0.0.1:9"), python="3.12")
    assert failed.status != 0
    message = failed.messages(newer.name)
    assert "Python 3.12 by uv" in message
    assert "asgi_host_python_mirror" in message
    assert "127.0.0.1:9" in message
    assert PASSWORD not in failed.output
    assert newer.release("older")["id"] == before
    assert newer.door.json("older.test", "/process")["pid"]


def test_kept_release_keeps_its_interpreter(newer: Target, brought: list[Run], tmp_path: Path) -> None:
    """The app goes on to the host's own Python; the release before it can be gone back to."""
    before = newer.release("older")["id"]
    changed = deploy(newer, tmp_path, python=None)
    assert changed.status == 0, changed.output[-3000:]
    assert program(newer).startswith("/usr/bin/python3")
    inventory = write_inventory(tmp_path, [newer], {newer.name: [{**APP, "python": None}]})
    back = play("-e", "app=older", inventory=inventory, targets=[newer], playbook=ROLLBACK)
    assert back.status == 0, back.output[-3000:]
    assert newer.release("older")["id"] == before
    assert program(newer).startswith(FOLDER)

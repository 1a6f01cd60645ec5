# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What docs, examples and messages tell a reader to type or to write, as far as it can be judged without a host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils import _sources
from ansible_collections.asgi.host.plugins.plugin_utils._render import render

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "inventories", "playbooks", "plugins", "roles", "tools")
TEXTS = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *(each for folder in FOLDERS for each in (ROOT / folder).rglob("*"))]
    if path.suffix in (".md", ".yml", ".py", ".j2")
}
EXAMPLE = ROOT / "inventories" / "example"
NAMED = re.compile(
    r"\b(?:certificate|key|client_ca|key_file|asgi_host_ca_file): ([\w./-]+\.(?:pem|key|crt)|\S+-key)\b"
)


def test_no_command_follows_only_the_releases_that_are_there() -> None:
    """`-u` with a pattern and `-f` never shows a release that comes later."""
    found = [
        f"{path}: {command}"
        for path, text in TEXTS.items()
        for command in re.findall(r"^journalctl[^#\n]*", text, re.MULTILINE)
        if re.search(r"\s-f\b|--follow", command) and "*" in command
    ]
    assert not found


def test_followed_names_are_those_that_the_units_write() -> None:
    app = _apps.normalize([{"name": "shop", "app": "shop:app", "source": {"path": "shop"}}])[0]
    unit = render("systemd/asgi-app@.service.j2", app=app, root="/srv/asgi")
    assert "\nSyslogIdentifier=asgi-shop\n" in unit
    shown = {
        name
        for text in TEXTS.values()
        for command in re.findall(r"journalctl((?: -t asgi-shop[\w.]*)+)", text)
        for name in re.findall(r"asgi-shop[\w.]*", command)
    }
    assert shown == {"asgi-shop", "asgi-shop.worker"}


def test_files_of_the_controller_are_shown_beside_the_playbook() -> None:
    """Ansible takes what lies in an inventory's folder for an inventory, and warns of it."""
    shown = {
        (str(path), name)
        for path, text in TEXTS.items()
        for name in NAMED.findall(text)
        if path.suffix != ".py"
    }
    assert len(shown) >= 6
    assert not {each for each in shown if not each[1].startswith("files/")}


def listed(project: Path, *, config: Path) -> str:
    """What Ansible says while it reads the inventory that was copied from the example, as a command would."""
    run = subprocess.run(
        [Path(sys.executable).parent / "ansible-inventory", "-i", "inventories/mine", "--list"],
        cwd=project,
        env={**os.environ, "ANSIBLE_CONFIG": str(config), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "web1.example.com" in run.stdout
    return run.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a playbook, and the example copied."""
    shutil.copytree(EXAMPLE, tmp_path / "inventories" / "mine")
    (tmp_path / "empty.cfg").touch()
    return tmp_path


def put(folder: Path) -> None:
    """The files that the example names, as certificates look."""
    named = yaml.safe_load((EXAMPLE / "group_vars/asgi_hosts/main.yml").read_text(encoding="utf-8"))
    for name in named["asgi_host_app_defaults"]["tls"]["files"].values():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("-----BEGIN CERTIFICATE-----\nMIIB 1=\n-----END CERTIFICATE-----\n")


def test_example_says_nothing_without_a_configuration(project: Path) -> None:
    put(project)
    assert listed(project, config=project / "empty.cfg") == ""
    # Where the role looks: the inventory's folder, the playbook's, where the command was started.
    bases = [str(project / "inventories" / "mine"), str(project), "."]
    assert _sources.locate("files/example.com.pem", bases) == project / "files" / "example.com.pem"


def test_certificates_in_an_inventory_are_passed_over_by_this_project(project: Path) -> None:
    put(project / "inventories" / "mine")
    assert "Failed to parse inventory" in listed(project, config=project / "empty.cfg")
    assert listed(project, config=ROOT / "ansible.cfg") == ""

"""The installed collection: its playbooks by the names that the README gives, in a folder that is nobody's clone."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from playbook import SECONDS, Run, changed_inventory
from targets import INVENTORY, Target, tool

pytestmark = [pytest.mark.scenario("collection"), pytest.mark.phase("converged")]

WORK = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "")) / "collection"
NAME = "probe"


def installed(playbook: str, *options: str, inventory: Path = INVENTORY) -> Run:
    """Run a playbook of the installed collection, which must succeed."""
    done = subprocess.run(
        [tool("ansible-playbook"), f"asgi.host.{playbook}", "-i", str(inventory), *options],
        cwd=WORK,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(WORK / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(WORK / "home" / ".ansible" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return Run(done.returncode, done.stdout)


def release(target: Target) -> str:
    """The release that serves."""
    return target.run(f"readlink /srv/asgi/{NAME}/current").strip().rpartition("/")[2]


def test_site_changes_nothing_more(target: Target) -> None:
    assert installed("site").changed(target.name) == 0


def test_releases_shows_what_serves(target: Target) -> None:
    shown = installed("releases").output
    assert re.search(rf"{NAME} +{target.name} +{release(target)} +serves", shown), shown


def test_rollback_brings_the_earlier_release(target: Target, tmp_path: Path) -> None:
    first = release(target)
    installed("site", inventory=changed_inventory(tmp_path, [target], change={NAME: {"env": {"NEW": "1"}}}))
    second = release(target)
    assert second != first
    installed("rollback", "-e", f"app={NAME}")
    assert release(target) == first
    # Which is the one that the inventory asks for.
    assert installed("site").changed(target.name) == 0

"""A host as a controller: the built collection, under the ansible-cores that people have, manages the host itself.

By default the newest ansible-core; with ``ASGI_CORES=all`` each one of ``requirements/cores`` that the host's Python runs.
No line of a deprecation or a warning may come of the collection.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playbook import Run
from targets import APPS, HOSTS, ROOT, Target, hostvars

pytestmark = [pytest.mark.scenario("collection"), pytest.mark.phase("converged")]

LOCKS = ROOT / "requirements" / "cores"
CORES = {"bookworm": ("newest-3.11", "oldest-3.11")}
NEWER = ("newest", "oldest", "next")
# Only the first of each where not all are asked for.
CHOSEN = [
    (target, core)
    for target in HOSTS
    for core in CORES.get(target.suite, NEWER)[: None if os.environ.get("ASGI_CORES") == "all" else 1]
]
FOLDER = "/root/controller"
UV = "$(ls -d /usr/local/lib/asgi-host/uv-*/bin/uv)"
APP: dict[str, Any] = {
    "name": "own",
    "app": "probe.main:app",
    "source": {"path": f"{FOLDER}/probe"},
    "domains": ["own.test"],
    "workers": 1,
}
SAID = re.compile(
    r"^\[(?:DEPRECATION|WARNING)[^\n]*(?:\n(?!\n|TASK|PLAY|ok:|changed:|skipping:)[^\n]+)*", re.MULTILINE
)
# What Ansible says of itself, and what the role says of a system that is not released.
OTHERS = re.compile(r"You are running a development version|^\[WARNING\]: preview: ")


@dataclass
class Controller:
    """One ansible-core on a host, which is its own and only host."""

    target: Target
    core: str

    def run(self, playbook: str, *options: str) -> Run:
        """A play of the installed collection, with deprecation warnings on; whatever was said, it ended well."""
        words = " ".join((playbook, *options))
        output = self.target.run(
            f"cd {FOLDER}/{self.core} && PATH=$PWD/venv/bin:$PATH ANSIBLE_HOME=$PWD/home ANSIBLE_NOCOLOR=1 "
            "ANSIBLE_DEPRECATION_WARNINGS=1 ANSIBLE_COLLECTIONS_PATH=$PWD/collections "
            f"ansible-playbook -i ../inventory.json {words} 2>&1; echo status $?"
        )
        said, _words, status = output.rpartition("status ")
        run = Run(int(status), said)
        assert run.status == 0, said[-6000:]
        found = [line for line in SAID.findall(said) if not OTHERS.search(line)]
        assert not found, "\n".join(found)
        return run

    def inventory(self, **keys: Any) -> None:
        """Write it, with other values for keys of the app."""
        own = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "/usr/bin/python3",
            "asgi_host_apps": [{**APP, **keys}],
        }
        if index := hostvars()[self.target.name].get("asgi_host_package_index"):
            own["asgi_host_package_index"] = index
        text = json.dumps({"asgi_hosts": {"hosts": {"here": own}}})
        self.target.run(f"umask 077; cat > {FOLDER}/inventory.json", stdin=text)

    def change_source(self) -> None:
        """Make what is deployed next a new release."""
        self.target.run(f"echo '# {time.monotonic_ns()}' >> {FOLDER}/probe/probe/main.py")

    def serves(self) -> str:
        """The id of the release that serves."""
        return str(self.target.release("own")["id"])


def send(target: Target, core: str) -> None:
    """Copy the tarball, the locks and the source of the app to the host."""
    # Molecule's own folder of the scenario.
    (tarball,) = Path(os.environ["ASGI_HOSTS_JSON"]).parent.glob("collection/clone/asgi-host-*.tar.gz")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tarball, f"{core}/collection.tar.gz")
        for name in (core, "dependencies"):
            archive.add(LOCKS / f"{name}.txt", f"{core}/{name}.txt")
        archive.add(
            APPS / "probe", "probe", filter=lambda entry: None if "__pycache__" in entry.name else entry
        )
    target.run(
        f"rm -rf {FOLDER}/{core} {FOLDER}/probe; mkdir -p {FOLDER}; base64 -d | tar -C {FOLDER} --no-same-owner -xz",
        stdin=base64.b64encode(packed.getvalue()).decode(),
    )


@pytest.fixture(scope="module", params=CHOSEN, ids=lambda chosen: f"{chosen[0].name}-{chosen[1]}")
def controller(request: pytest.FixtureRequest) -> Iterator[Controller]:
    """The ansible-core of a lock in a virtualenv, the tarball installed beside it, and the source of an app."""
    target, core = request.param
    own = Controller(target, core)
    place, index = f"{FOLDER}/{core}", hostvars()[target.name].get("asgi_host_package_index", "")
    send(target, core)
    environment = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" + (
        f" UV_DEFAULT_INDEX={index}" if index else ""
    )
    target.run(
        f"cd {place} && export {environment} && {UV} venv --quiet --no-config --python /usr/bin/python3 venv && "
        f"{UV} pip install --quiet --no-config --require-hashes --python venv/bin/python -r {core}.txt -r dependencies.txt && "
        "ANSIBLE_HOME=$PWD/home ANSIBLE_COLLECTIONS_PATH=$PWD/collections venv/bin/ansible-galaxy collection install "
        "--offline -p collections collection.tar.gz"
    )
    own.inventory()
    print(f"\n{target.name}: {target.run(f'{place}/venv/bin/ansible --version').splitlines()[0]}")
    yield own
    own.inventory(state="absent", purge=True)
    own.run("asgi.host.site")


def test_a_controller_of_this_ansible_says_nothing_but_what_it_did(controller: Controller) -> None:
    """First converge, second, a dry run and a deploy of a new release, a rollback, and the table of releases."""
    first = controller.run("asgi.host.site")
    assert first.changed("here") > 0
    before = controller.serves()
    assert controller.run("asgi.host.site").changed("here") == 0
    controller.change_source()
    dry = controller.run("asgi.host.site", "--check", "--diff")
    assert dry.changed("here") > 0
    assert controller.serves() == before
    controller.run("asgi.host.site", "--diff")
    after = controller.serves()
    assert after != before
    controller.run("asgi.host.rollback", "-e app=own")
    assert controller.serves() == before
    table = controller.run("asgi.host.releases").output
    assert all(each in table for each in (before, after))
    # The inventory still wants the later one.
    assert controller.run("asgi.host.site", "--check", "--diff").changed("here") > 0

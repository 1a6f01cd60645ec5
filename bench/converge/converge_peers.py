"""What the collection is compared with: the same work by pyinfra, by a script over ssh, and by a playbook of many tasks.

All of them bring the same files, from the templates in ``peer``, to the same places: they can take turns on one host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hosting.common
import hosting.record
from ground import HERE, ROOT, Command, Ground
from jinja2 import Environment, FileSystemLoader, StrictUndefined

PEER = HERE / "converge" / "peer"
PYINFRA = ROOT / ".cache" / "bench" / "bin" / "pyinfra"
# What the collection installs by itself (`packages` in plugins/plugin_utils/_plan/system.py).
PACKAGES = (
    "build-essential",
    "ca-certificates",
    "nginx",
    "openssl",
    "python3",
    "python3-dev",
    "python3-venv",
)
WORKERS = 1
CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN={domain} "
    "-addext subjectAltName=DNS:{domain} -keyout /etc/nginx/peer/tls/{name}.key -out /etc/nginx/peer/tls/{name}.pem"
)


def domain(name: str) -> str:
    """Where the peers' app answers; the collection's is NAME.test."""
    return f"{name}.peer.test"


@dataclass(frozen=True)
class Contender:
    """One way to do the work."""

    title: str
    command: Callable[[], Command]
    changed: Callable[[str], int | None]
    """How many changes it says that it made, from its output; None where it says nothing."""
    name: Callable[[str], str] = domain
    """The domain of an app."""


def by_ansible(output: str) -> int | None:
    """Changed tasks of all hosts."""
    found = re.findall(r"^\S+\s+: ok=\d+\s+changed=(\d+)", output, re.MULTILINE)
    return sum(map(int, found)) if found else None


def by_pyinfra(output: str) -> int | None:
    """Operations that did something, in pyinfra's table of results."""
    found = re.search(r"Grand total\s+\d+\s+(\d+|-)\s", output)
    return int(found.group(1).replace("-", "0")) if found else None


def by_script(output: str) -> int | None:
    """What the script counts."""
    found = re.search(r"^changed (\d+)$", output, re.MULTILINE)
    return int(found.group(1)) if found else None


class Peers:
    """The work for one host: the apps of a ground, under other names."""

    def __init__(self, ground: Ground, requirements: Sequence[str]) -> None:
        self.ground, self.requirements = ground, requirements
        found = hosting.record.load(ground.host)
        if found is None:
            raise RuntimeError(f"{ground.host} is not up")
        self.host = found
        self.folder = ground.folder / "peers"
        self.folder.mkdir(exist_ok=True)
        self.work = self.folder / "work.json"
        self.environment = Environment(
            loader=FileSystemLoader(PEER),
            undefined=StrictUndefined,
            trim_blocks=True,
            # The usual one begins the length of an array in bash.
            comment_start_string="{##",
            comment_end_string="##}",
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - these are no web pages
        )
        uv = (ROOT / "roles" / "asgi_host" / "files" / "uv.txt").read_text(encoding="utf-8")
        self.uv = uv.split("==", 1)[1].split()[0]

    def describe(self) -> dict[str, Any]:
        """Write down what is wanted, for pyinfra and the playbook; return it."""
        address, port = self.host.reach["ssh"]
        known = self.folder / "known_hosts"
        kind, key = (self.host.folder / "known_hosts").read_text(encoding="utf-8").split()[1:3]
        known.write_text(
            f"{address if port == 22 else f'[{address}]:{port}'} {kind} {key}\n", encoding="utf-8"
        )
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        settings = {"SSL_CERT_FILE": bundle, "PIP_CERT": bundle}
        if index := self.host.settings.get("asgi_host_package_index"):
            settings |= {"UV_DEFAULT_INDEX": index, "PIP_INDEX_URL": index}
        names = self.ground.names
        work = {
            "way": {
                "ssh_hostname": address,
                "ssh_port": port,
                "ssh_user": hosting.common.LOGIN,
                "ssh_key": str(hosting.record.key_file()),
                "ssh_known_hosts_file": str(known),
                "ssh_strict_host_key_checking": "yes",
            },
            "packages": list(PACKAGES),
            "uv": self.uv,
            "environment_of_peers": settings,
            "requirements": list(self.requirements),
            "source": str(self.ground.source),
            "files": sorted(self._source()),
            "apps": [
                {
                    "name": name,
                    "domain": domain(name),
                    "workers": WORKERS,
                    "certificate": CERTIFICATE.format(name=name, domain=domain(name)),
                }
                for name in names
            ],
        }
        self.work.write_text(json.dumps(work, indent=1), encoding="utf-8")
        return work

    def _source(self) -> dict[str, str]:
        """The app's files by their relative paths."""
        root = self.ground.source
        return {
            str(path.relative_to(root)): path.read_text(encoding="utf-8")
            for path in sorted(root.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def pyinfra(self, *, nodelay: bool) -> Command:
        """The command line for runs that nobody watches: ``-y`` looks at each thing once, when its turn has come."""
        self.describe()
        env = {"PEER_WORK": str(self.work), "PEER_NODELAY": "1" if nodelay else ""}
        return Command([str(PYINFRA), "-y", "inventory.py", "deploy.py"], env, PEER)

    def script(self) -> Command:
        """The script on the standard input of a shell on the host."""
        work, source = self.describe(), self._source()
        folders = {str(parent) for path in source for parent in Path(path).parents if str(parent) != "."}
        answers = (PEER / "answers.py").read_text(encoding="utf-8")

        def rendered(name: str, app: Mapping[str, Any] | None) -> str:
            template = self.environment.get_template(f"templates/{name}")
            return template.render(app=app, requirements=self.requirements)

        text = self.environment.get_template("converge.sh.j2").render(
            {
                **work,
                "files": source,
                "folders": ["", *sorted(folders)],
                "answers": answers,
                "rendered": rendered,
            }
        )
        way = ["ssh", "-F", str(self.ground.ssh_config), "-l", hosting.common.LOGIN, self.ground.host]
        return Command([*way, "sudo -n bash -s"], stdin=text)

    def playbook(self) -> Command:
        """Through Ansible's own command, with a configuration and an inventory like the collection's."""
        self.describe()
        argv = ["ansible-playbook", "playbook.yml", "-i", str(HERE / "inventory"), "-e", f"@{self.work}"]
        env = {"BENCH_HOST": self.ground.host, "ANSIBLE_CONFIG": str(PEER / "ansible.cfg")}
        return Command(argv, env, PEER)


def resolved(ground: Ground) -> list[str]:
    """The versions that the collection has chosen for the first app: the peers install the same."""
    lock = ground.ssh(f"cat /srv/asgi/{ground.names[0]}/current/requirements.lock")
    return [line for line in lock.splitlines() if "==" in line]


def ours(ground: Ground) -> Contender:
    """The collection, as it ships."""
    return Contender("asgi.host", ground.command, by_ansible, lambda name: f"{name}.test")


def contenders(peers: Peers) -> dict[str, Contender]:
    """All of them, the collection first."""
    return {
        "ours": ours(peers.ground),
        "pyinfra": Contender("pyinfra", partial(peers.pyinfra, nodelay=False), by_pyinfra),
        "nodelay": Contender("pyinfra with TCP_NODELAY", partial(peers.pyinfra, nodelay=True), by_pyinfra),
        "script": Contender("script over ssh", peers.script, by_script),
        "playbook": Contender("playbook of many tasks", peers.playbook, by_ansible),
    }

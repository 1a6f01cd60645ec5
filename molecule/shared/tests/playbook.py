"""``ansible-playbook`` on the hosts under test, with their inventory or one that is made from it."""

from __future__ import annotations

import copy
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forked_plays import Plays
from targets import INVENTORY, ROOT, App, Target, hostvars, tool

PLAYBOOK = Path(os.environ.get("ASGI_PLAYBOOK", ROOT / "site.yml"))
ROLLBACK = ROOT / "playbooks" / "rollback.yml"
SECONDS = 600
PLAYS = Plays()
RECAP = re.compile(r"^(\S+)\s*: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
# With pipelining a module is a script on the standard input of the last command of a line.
EXEC = re.compile(r"^<([^>]+)> SSH: EXEC ssh (.*)$", re.MULTILINE)
# In the command by which a play looks at what a long call is at.
LOOK = "asgi-host.progress-"
FAILED = re.compile(r"^(?:fatal|failed): \[([^\]]+)\](?: \(item=.*?\))?: FAILED! => ", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What one run of ansible-playbook said."""

    status: int
    output: str

    def _recap(self, host: str) -> tuple[int, int]:
        for name, _ok, changed, unreachable, failed in RECAP.findall(self.output):
            if name == host:
                return int(changed), int(unreachable) + int(failed)
        raise AssertionError(f"{host} is not in the recap:\n{self.output[-3000:]}")

    def changed(self, host: str) -> int:
        """How many tasks changed something on a host."""
        return self._recap(host)[0]

    def failed(self, host: str) -> int:
        """How many tasks failed on a host."""
        return self._recap(host)[1]

    def messages(self, host: str) -> str:
        """The messages of the tasks that failed on a host."""
        found = []
        for match in FAILED.finditer(self.output):
            if match.group(1) == host:
                result, _end = json.JSONDecoder().raw_decode(self.output, match.end())
                message = result.get("msg", "")
                found.append("\n".join(map(str, message)) if isinstance(message, list) else str(message))
        return "\n".join(found)

    def remote_calls(self, address: str) -> int:
        """How often Ansible ran something on a host, each module call included; needs the output at -vvv.

        Looks at what a call is at, while that lasts, are none.
        """
        return sum(where == address and LOOK not in what for where, what in EXEC.findall(self.output))

    def modules(self) -> Counter[str]:
        """The modules that ran on all hosts, with how often each ran; needs the output at -vvv."""
        return Counter(re.findall(r"^Using module file \S*/(\w+)\.py", self.output, re.MULTILINE))


def play(
    *options: str,
    inventory: Path = INVENTORY,
    targets: Sequence[Target] = (),
    playbook: Path = PLAYBOOK,
) -> Run:
    """Run the playbook that ships, or another, limited to ``targets`` if any are given."""
    limit = ["--limit", ",".join(target.name for target in targets)] if targets else []
    status, output = PLAYS.run(
        [tool("ansible-playbook"), str(playbook), "-i", str(inventory), *limit, *options],
        folder=ROOT,
        environment={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        },
        seconds=SECONDS,
    )
    return Run(status, output)


def converge(targets: Sequence[Target], *options: str, inventory: Path = INVENTORY) -> Run:
    """Run the playbook, which must succeed."""
    run = play(*options, inventory=inventory, targets=targets)
    assert run.status == 0, run.output[-6000:]
    return run


def absolute(app: App) -> App:
    """The app, or the defaults of all, with the controller's paths made absolute: it means the same from another folder."""
    app = copy.deepcopy(app)
    base = INVENTORY if INVENTORY.is_dir() else INVENTORY.parent
    if "path" in app.get("source", {}):
        app["source"]["path"] = str((base / app["source"]["path"]).resolve())
    files = app.get("tls", {}).get("files", {})
    for part, path in files.items():
        files[part] = str((base / path).resolve())
    return app


def write_inventory(folder: Path, targets: Sequence[Target], apps: dict[str, list[App]]) -> Path:
    """An inventory of the same hosts and settings with other apps, by host."""
    hosts: dict[str, Any] = {}
    for target in targets:
        variables = dict(hostvars()[target.name])
        if "asgi_host_app_defaults" in variables:
            variables["asgi_host_app_defaults"] = absolute(variables["asgi_host_app_defaults"])
        variables["asgi_host_apps"] = apps[target.name]
        hosts[target.name] = variables
    path = folder / "hosts.json"
    path.write_text(json.dumps({"asgi_hosts": {"hosts": hosts}}), encoding="utf-8")
    path.chmod(0o600)
    return path


def changed_inventory(
    folder: Path,
    targets: Sequence[Target],
    *,
    add: Sequence[App] | Mapping[str, Sequence[App]] = (),
    change: dict[str, dict[str, Any]] | None = None,
) -> Path:
    """The inventory under test with further apps, which can differ by host, and with other values for keys of its own.

    A mapping is merged into the one that is there; but for the source, for an app has one of its kinds.
    """
    apps = {}
    for target in targets:
        own = [absolute(app) for app in target.apps.values()]
        for app in own:
            for key, value in (change or {}).get(app["name"], {}).items():
                both = key != "source" and isinstance(value, dict) and isinstance(app.get(key), dict)
                app[key] = {**app[key], **value} if both else value
        more = add[target.name] if isinstance(add, Mapping) else add
        apps[target.name] = [*own, *copy.deepcopy(list(more))]
    return write_inventory(folder, targets, apps)

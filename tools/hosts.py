#!/usr/bin/env python3
"""Real Debian hosts on this machine: each one a podman container booted with its own systemd.

A host is made from a root filesystem that mmdebstrap builds from this machine's own apt mirrors, so
no container registry is needed. It is reached by ssh, as any other host of an inventory is.

Everything made here lives in one folder (``ASGI_HOST_CACHE``, else ``asgi-host`` in the user's cache
folder) and in podman objects that carry the label ``asgi.host``. ``clean`` removes both.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from hosting.common import HostError, command, say
from hosting.image import PREVIEW, SUITES, build_image
from hosting.lifecycle import clean, down, reboot, up_together
from hosting.prepared import build_prepared
from hosting.record import container, known_hosts, load

SUITE_NAME = re.compile(r"[a-z][a-z0-9.]*(?:-[a-z0-9.]+)*")


def of_scenario(scenario: str) -> list[str]:
    """Return the names of a Molecule scenario's hosts: one per supported release, or the one of MOLECULE_SUITE."""
    chosen = os.environ.get("MOLECULE_SUITE")
    return [f"{scenario}-{suite}" for suite in ([suite_name(chosen)] if chosen else SUITES)]


def suite_name(text: str) -> str:
    """Check the name of a suite, which becomes part of the names of images and hosts. Raises HostError."""
    if not SUITE_NAME.fullmatch(text):
        raise HostError(f"{text!r} is no suite; give its name, such as {', '.join((*SUITES, PREVIEW))}")
    return text


def inventory(names: Sequence[str], group: str) -> dict[str, Any]:
    """Return the hosts as Ansible's inventory scripts print them; one that is not up has no variables."""
    found = {name: load(name) for name in names}
    return {
        group: {"hosts": list(names)},
        "_meta": {"hostvars": {name: host.variables() if host else {} for name, host in found.items()}},
    }


def facts(names: Sequence[str], client: str | None) -> dict[str, Any]:
    """Return what the tests read: the hosts under test, and the one that sends them requests."""
    answer: dict[str, Any] = {"hosts": {}}
    for name in [*names, *([client] if client else [])]:
        host = load(name)
        if host is None:
            raise HostError(f"{name} is not up: run `tools/hosts.py up {name} --suite {SUITES[-1]}`")
        if name == client:
            answer["client"] = host.facts()
        else:
            answer["hosts"][name] = host.facts()
    return answer


def execute(name: str, command: Sequence[str]) -> int:
    """Run a command, or a shell, as root inside a host; return its exit status."""
    terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    argv = ["podman", "exec", "--interactive", *terminal, container(name), *(command or ["bash", "-l"])]
    return subprocess.run(argv, check=False).returncode


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line; ``run`` of what it parses does what was asked."""
    parser = argparse.ArgumentParser(prog="tools/hosts.py", description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, text: str, act: Callable[[argparse.Namespace], object]) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=act)
        return added

    mirror: Any = {
        "default": "",
        "metavar": "'URL [COMPONENT ...]'",
        "help": "where it comes from; else this machine's own mirrors, or ASGI_HOST_MIRROR for what is not Debian's",
    }
    added = verb(
        "image",
        "build the image of a release",
        lambda it: print((build_prepared if it.prepared else build_image)(suite_name(it.suite), it.mirror)),
    )
    added.add_argument("suite", help=f"such as {', '.join((*SUITES, PREVIEW))}")
    added.add_argument("--mirror", **mirror)
    added.add_argument("--prepared", action="store_true", help="and the layer on it that the tests use")
    added = verb(
        "up",
        "bring hosts up, and wait until they have booted",
        lambda it: up_together(
            it.names, suite_name(it.suite) if it.suite else None, prepared=it.prepared, mirror=it.mirror
        ),
    )
    added.add_argument("names", nargs="+", metavar="NAME")
    added.add_argument(
        "--suite",
        help=f"any that mmdebstrap knows; else the one that a host's name ends in, or {SUITES[-1]}",
    )
    added.add_argument("--mirror", **mirror)
    added.add_argument("--prepared", action="store_true", help="with the packages and tools of the tests")
    added = verb("down", "remove hosts", lambda it: down(*it.names))
    added.add_argument("names", nargs="+", metavar="NAME")
    added = verb(
        "reboot", "shut hosts down and boot them again", lambda it: [reboot(name) for name in it.names]
    )
    added.add_argument("names", nargs="+", metavar="NAME")
    added = verb(
        "exec", "run a command, or a shell, as root in a host", lambda it: execute(it.name, it.command)
    )
    added.add_argument("name", metavar="NAME")
    added.add_argument("command", nargs="*")
    added = verb(
        "inventory",
        "print hosts as an Ansible inventory script does",
        lambda it: show(
            inventory(of_scenario(it.scenario) if it.scenario else it.names or known_hosts(), it.group)
        ),
    )
    added.add_argument("names", nargs="*", metavar="NAME")
    added.add_argument("--scenario", help="name the hosts of a Molecule scenario")
    added.add_argument("--group", default="asgi_hosts")
    added.add_argument("--list", action="store_true", help="accepted, as Ansible asks with it")
    added = verb(
        "facts",
        "print, as JSON, how hosts are reached",
        lambda it: show(facts(it.names or known_hosts(), it.client)),
    )
    added.add_argument("names", nargs="*", metavar="NAME")
    added.add_argument("--client", help="a host that sends requests to the others")
    verb("list", "list the hosts that are there", lambda _: show_hosts())
    verb("clean", "remove every host, image and file that was made here", lambda _: clean())
    return parser


def show(answer: dict[str, Any]) -> None:
    """Print an answer as JSON."""
    print(json.dumps(answer, indent=2))


def show_hosts() -> None:
    """Print one line for each host that is there."""
    for host in filter(None, map(load, known_hosts())):
        print(f"{host.name}\t{host.suite}\t{host.address}")


def main(argv: Sequence[str]) -> int:
    """Do what the command line asks; return the exit status."""
    chosen = arguments().parse_args(argv)
    answer = chosen.run(chosen)
    return answer if isinstance(answer, int) else 0


if __name__ == "__main__":
    command(main, say)

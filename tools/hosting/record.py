"""A booted host, as the controller reaches it, and the files that say so."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

from .common import LABEL, LOGIN, HostError, cache, lock, podman, podman_json, private_folder, run, write
from .image import BUNDLE, local_certificates
from .machine import rootless

PUBLISHED = {"ssh": 22, "http": 80, "https": 443}


@dataclasses.dataclass(frozen=True)
class Host:
    """One booted host, as the controller reaches it."""

    name: str
    suite: str
    address: str
    """Its address on the hosts' network; from a rootless controller only other hosts reach it."""
    reach: dict[str, list[Any]]
    """``ssh``, ``http`` and ``https``: the [address, port] that the controller connects to."""
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    """What the role must be told on this machine, and nowhere else."""
    reboots: int = 0

    @property
    def folder(self) -> Path:
        """Return where this host's own files are kept."""
        return host_folder(self.name)

    def facts(self) -> dict[str, Any]:
        """Return what tests need to reach this host, as plain data."""
        return {
            "name": self.name,
            "suite": self.suite,
            "address": self.address,
            "container": container(self.name),
            "ssh_config": str(self.folder / "ssh_config"),
            "reach": self.reach,
            "reboots": self.reboots,
        }

    def variables(self) -> dict[str, Any]:
        """Return the connection variables that an Ansible inventory needs."""
        address, port = self.reach["ssh"]
        options = f"-o UserKnownHostsFile={self.folder}/known_hosts -o HostKeyAlias={self.name}"
        return {
            "ansible_host": address,
            "ansible_port": port,
            "ansible_user": LOGIN,
            "ansible_ssh_private_key_file": str(key_file()),
            "ansible_ssh_common_args": f"{options} -o IdentitiesOnly=yes",
            "ansible_control_path_dir": str(self.folder / "cp"),
            **self.settings,
        }


def container(name: str) -> str:
    """Return the name of a host's container."""
    return f"asgi-host-{name}"


def host_folder(name: str) -> Path:
    """Return the folder of one host's files."""
    return cache() / "hosts" / name


def key_file() -> Path:
    """Return the controller's private key for the hosts."""
    return cache() / "ssh" / "id_ed25519"


def ensure_key() -> str:
    """Make the controller's key pair if it is missing; return the public key."""
    with lock("key"):
        if not key_file().exists():
            private_folder(key_file().parent)
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "asgi-host", "-f", str(key_file())])
    return key_file().with_suffix(".pub").read_text(encoding="utf-8")


def load(name: str) -> Host | None:
    """Return a host that was brought up, from its file; None if there is none."""
    try:
        return Host(**json.loads((host_folder(name) / "host.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def known_hosts() -> list[str]:
    """Return the names of the hosts that were brought up."""
    return sorted(path.parent.name for path in (cache() / "hosts").glob("*/host.json"))


def inspect(name: str) -> dict[str, Any] | None:
    """Return podman's account of a host's container; None if it does not exist."""
    found = podman_json("container", "inspect", container(name))
    return dict(found[0]) if found else None


@functools.cache
def machine_settings() -> dict[str, str]:
    """Return the role's variables for a machine behind a proxy with authorities or a mirror of its own."""
    settings = {}
    if local_certificates():
        settings["asgi_host_ca_file"] = BUNDLE
    asked = run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], check=False)
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
    if index.startswith(("http://", "https://")):
        settings["asgi_host_package_index"] = index
    return settings


def record(name: str, suite: str, reboots: int = 0) -> Host:
    """Write down how a running host is reached: for ssh, for inventories, for tests."""
    found = inspect(name)
    if not found:
        raise HostError(f"there is no host {name}")
    address = found["Config"]["Labels"][f"{LABEL}.address"]
    reach: dict[str, list[Any]] = {}
    for use, port in PUBLISHED.items():
        reach[use] = [address, port]
        if rootless():
            published = podman("port", container(name), f"{port}/tcp").splitlines()[0]
            reach[use] = [published.rpartition(":")[0], int(published.rpartition(":")[2])]
    host = Host(name, suite, address, reach, machine_settings(), reboots)
    folder = private_folder(host.folder)
    private_folder(folder / "cp")
    key = podman("exec", container(name), "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()
    write(folder / "known_hosts", f"{name} {key[0]} {key[1]}\n")
    settings = {
        "HostName": reach["ssh"][0],
        "Port": reach["ssh"][1],
        "User": "root",
        "IdentityFile": key_file(),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": folder / "known_hosts",
        "HostKeyAlias": name,
        "HostKeyAlgorithms": "ssh-ed25519",
        "StrictHostKeyChecking": "yes",
        "LogLevel": "ERROR",
    }
    lines = [f"Host {name}", *(f"  {key} {value}" for key, value in settings.items())]
    write(folder / "ssh_config", "\n".join(lines) + "\n")
    write(folder / "host.json", json.dumps(dataclasses.asdict(host), indent=2) + "\n")
    return host

"""The host for pyinfra; with PEER_NODELAY its connection sends small packets at once, which paramiko by itself does not."""

import json
import os
import socket
from pathlib import Path
from typing import Any

from paramiko import Transport

WAY = json.loads(Path(os.environ["PEER_WORK"]).read_text(encoding="utf-8"))["way"]


def prompt(sock: socket.socket, **options: Any) -> Transport:
    """A transport without Nagle's algorithm (TCP_NODELAY)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Transport(sock, **options)


if os.environ.get("PEER_NODELAY"):
    WAY["ssh_paramiko_connect_kwargs"] = {"transport_factory": prompt}

hosts = [(WAY["ssh_hostname"], WAY)]

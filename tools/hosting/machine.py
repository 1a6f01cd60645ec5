"""What this machine lets a container have: cgroups, limits, network namespaces."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from .common import HostError, podman, run

PLAIN_CGROUP2 = Path("/sys/fs/cgroup/cgroup.controllers")
HYBRID_CGROUP2 = Path("/sys/fs/cgroup/unified")
HOST_CGROUPS = HYBRID_CGROUP2 / "asgi-host"
NETWORK_NAMESPACES = Path("/run/netns")  # where podman, as root, mounts them
CAP_SYS_RESOURCE = 24  # the bit in linux/capability.h
CGROUP_SECONDS = 5.0


def rootless() -> bool:
    """Whether podman runs without root, so that hosts are reached by published ports only."""
    return os.geteuid() != 0


def hybrid_cgroups() -> bool:
    """Whether this machine has the hybrid v1/v2 tree, where podman needs a cgroup2 view of its own.

    Raises HostError on a machine that has no cgroup2 tree at all, or no right to use the hybrid one.
    """
    if PLAIN_CGROUP2.exists():
        return False
    if not (HYBRID_CGROUP2 / "cgroup.procs").exists():
        raise HostError("this machine has no cgroup v2 tree, which systemd in a container needs")
    if rootless():
        raise HostError("this machine has the hybrid cgroup tree: hosts can be booted by root only")
    return True


def may_raise_limits() -> bool:
    """Whether this process has CAP_SYS_RESOURCE, which podman's own default limits need."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return False


def limit_options() -> list[str]:
    """Return the podman options that keep to this machine's own limits where they cannot be raised."""
    if rootless() or may_raise_limits():
        return []
    options = []
    for name, kind, wanted in (
        ("nofile", resource.RLIMIT_NOFILE, 20000),
        ("nproc", resource.RLIMIT_NPROC, 4096),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        options += ["--ulimit", f"{name}={limit}:{limit}"]
    return options


def cgroup_of(name: str) -> Path:
    """Return the cgroup that holds one host on a machine with the hybrid tree."""
    return HOST_CGROUPS / name


def share_network_namespaces() -> None:
    """Let podman outside a host's mount namespace see, and later remove, the network made inside it."""
    NETWORK_NAMESPACES.mkdir(exist_ok=True)
    mounted = run(
        ["findmnt", "--noheadings", "--output=PROPAGATION", str(NETWORK_NAMESPACES)], check=False
    ).stdout.split()
    if "shared" in mounted:
        return
    if not mounted:
        run(["mount", "--bind", str(NETWORK_NAMESPACES), str(NETWORK_NAMESPACES)])
    run(["mount", "--make-shared", str(NETWORK_NAMESPACES)])


def boot(name: str, argv: Sequence[str]) -> None:
    """Run the podman command that starts a host's systemd.

    On the hybrid tree podman starts in a mount and cgroup namespace whose /sys/fs/cgroup is the host's
    own cgroup2 tree. Without it podman refuses, and two hosts would stop each other's services.
    """
    if not hybrid_cgroups():
        podman(*argv)
        return
    share_network_namespaces()
    group = cgroup_of(name)
    group.mkdir(parents=True, exist_ok=True)
    inside = shlex.join(["podman", "--cgroup-manager=cgroupfs", *argv])
    view = "mount --make-private /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup"
    script = f"{view} && exec {inside}"
    namespaces = "unshare --mount --cgroup --propagation unchanged"
    run(["sh", "-c", f"echo $$ > {group}/cgroup.procs && exec {namespaces} sh -c {shlex.quote(script)}"])


def remove_cgroup(group: Path) -> None:
    """Remove a host's cgroup, deepest folder first, as soon as its last process has ended."""
    until = time.monotonic() + CGROUP_SECONDS
    while group.is_dir() and time.monotonic() < until:
        for folder, _names, _names in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        if group.is_dir():
            time.sleep(0.1)

"""The container of a host: its network, its start, its end."""

from __future__ import annotations

import ipaddress
import shlex
import time
from collections.abc import Sequence

from .common import (
    LABEL,
    LOGIN,
    NETWORK,
    HostError,
    cache,
    lock,
    podman,
    podman_json,
    run,
    say,
    write,
)
from .machine import HOST_CGROUPS, PLAIN_CGROUP2, boot, cgroup_of, limit_options, remove_cgroup, rootless
from .record import PUBLISHED, container, ensure_key, host_folder, known_hosts, load

BOOT_SECONDS = 60.0
STOP_SECONDS = 60
FIRST_ADDRESS = 10  # the addresses below it stay free for the gateway
# A nested mount namespace of a unit (LoadCredential=) needs a shared root mount.
INIT = ("sh", "-c", "mount --make-rshared / && exec /sbin/init")


def ensure_network() -> ipaddress.IPv4Network:
    """Make the hosts' own network if it is missing; return its subnet."""
    found = podman_json("network", "inspect", NETWORK)
    if not found:
        podman("network", "create", "--disable-dns", f"--label={LABEL}=1", NETWORK)
        found = podman_json("network", "inspect", NETWORK)
    return ipaddress.IPv4Network(found[0]["subnets"][0]["subnet"])


def pin_bridge() -> None:
    """Keep the bridge's hardware address as it is now.

    A bridge takes the lowest address of its ports: one that joins or leaves would change it, and freeze
    the traffic of all the others for up to 30 s.
    """
    found = podman_json("network", "inspect", NETWORK)
    bridge = shlex.quote(found[0]["network_interface"])
    script = f"ip link set {bridge} address $(cat /sys/class/net/{bridge}/address)"
    prefix = ["podman", "unshare", "--rootless-netns"] if rootless() else []
    run([*prefix, "sh", "-c", script], check=False)


def free_address(subnet: ipaddress.IPv4Network) -> str:
    """Take the next free address of the subnet; the one given last is the last to come again.

    Call it with the network's lock held.
    """
    counter = cache() / "last-address"
    last = int(counter.read_text(encoding="utf-8")) if counter.exists() else FIRST_ADDRESS - 1
    span = subnet.num_addresses - 1 - FIRST_ADDRESS
    used = {host.address for host in map(load, known_hosts()) if host}
    for step in range(1, span + 1):
        number = FIRST_ADDRESS + (last - FIRST_ADDRESS + step) % span
        if str(subnet[number]) not in used:
            write(counter, str(number))
            return str(subnet[number])
    raise HostError(f"no free address in {subnet}: run `make clean`")


def create(name: str, image: str, command: Sequence[str] = INIT) -> None:
    """Start a new host from an image, or another command in its place; on failure nothing of it stays behind."""
    argv = [
        "run",
        "--detach",
        f"--name={container(name)}",
        f"--hostname={name}",
        f"--label={LABEL}=1",
        "--systemd=always",
        f"--stop-timeout={STOP_SECONDS}",
        "--cap-add=SYS_ADMIN,NET_ADMIN,SYS_PTRACE,AUDIT_WRITE",
        "--security-opt=seccomp=unconfined",
        "--security-opt=unmask=ALL",
        "--security-opt=label=disable",
        "--tmpfs=/tmp:rw,exec,suid,dev,mode=1777",
        # Images of the host's own need a filesystem that is no overlay, and are there after a reboot.
        "--mount=type=volume,destination=/var/lib/containers,dev=true,suid=true,exec=true",
        *limit_options(),
    ]
    if not PLAIN_CGROUP2.exists():
        argv.append("--cgroups=disabled")
    with lock("network"):
        address = free_address(ensure_network())
        argv += [
            f"--network={NETWORK}",
            "--no-hosts",
            f"--ip={address}",
            f"--label={LABEL}.address={address}",
        ]
        if rootless():
            argv += [f"--publish=127.0.0.1::{port}" for port in PUBLISHED.values()]
        try:
            boot(name, [*argv, image, *command])
        except HostError:
            remove(name)
            raise
        pin_bridge()


def wait_until_booted(name: str) -> None:
    """Wait until systemd has finished booting.

    Raises HostError with the units that failed or are still starting if it takes too long.
    """
    until = time.monotonic() + BOOT_SECONDS
    state = "not started"
    while time.monotonic() < until:
        asked = run(["podman", "exec", container(name), "systemctl", "is-system-running"], check=False)
        state = asked.stdout.strip() or asked.stderr.strip()
        if state == "running":
            return
        if state == "degraded":
            units = podman("exec", container(name), "systemctl", "--failed", "--no-legend", "--plain")
            say(f"{name} is up, but some units failed:\n{units}")
            return
        time.sleep(0.2)
    jobs = run(["podman", "exec", container(name), "systemctl", "list-jobs"], check=False).stdout
    failed = run(["podman", "exec", container(name), "systemctl", "--failed"], check=False).stdout
    logs = run(["podman", "logs", "--tail=20", container(name)], check=False).stdout
    raise HostError(
        f"{name} did not boot within {BOOT_SECONDS:.0f} s (systemd says: {state})\n{jobs}\n{failed}\n{logs}"
    )


def enter(name: str) -> None:
    """Let the host know its own name, and the controller's key in: for root, and the login with sudo."""
    script = (
        f"printf '127.0.0.1\\tlocalhost\\n127.0.1.1\\t{name}\\n::1\\tlocalhost\\n' > /etc/hosts\n"
        "umask 077; key=$(cat)\n"
        f"for user in root {LOGIN}; do home=$(getent passwd $user | cut -d: -f6)\n"
        "  mkdir -p $home/.ssh; echo $key > $home/.ssh/authorized_keys; chown -R $user: $home/.ssh; done"
    )
    podman("exec", "--interactive", container(name), "sh", "-c", script, stdin=ensure_key())


def start(name: str) -> None:
    """Start a host that exists and is stopped."""
    with lock("network"):
        boot(name, ["start", container(name)])
        pin_bridge()


def close_connections(name: str) -> None:
    """End ssh connections that Ansible keeps open to a host: they would outlive it and then hang."""
    for socket in (host_folder(name) / "cp").glob("*"):
        run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", name], check=False, seconds=10)
        socket.unlink(missing_ok=True)


def remove(name: str) -> None:
    """Remove a host's container and cgroup, if they are there."""
    run(["podman", "rm", "--force", "--time=5", "--volumes", container(name)], check=False)
    if HOST_CGROUPS.is_dir():
        remove_cgroup(cgroup_of(name))

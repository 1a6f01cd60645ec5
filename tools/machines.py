#!/usr/bin/env python3
"""Virtual machines with a kernel of their own on this machine, for tests that cut their power.

Each one is a user-mode-linux process group whose disk is a sparse file. What its kernel has not synced is
really lost when the group is killed, and the limits of its control groups are enforced. It is reached by
ssh, as the hosts of ``tools/hosts.py`` are, with whose key, mirrors and authorities it is made.

A machine's disk is a copy of its Debian release's image; or, with ``--like``, only what differs from the
disk of another machine that is off, so that many can start from the same state at once.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import ipaddress
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hosting.common
import hosting.image
import hosting.record
import hosts
from hosting.common import LOGIN, HostError, run
from hosting.image import SUITES

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
# What a machine needs beside what a container does; and what the role would install, here at full speed: in
# a machine a system call costs sixty times as much.
PACKAGES = ("kmod", "udev", "netbase", "nginx", "openssl", "python3-apt", "python3-venv", "libpq5", "procps")
# A machine has no devices to wait for.
MASKED = (
    "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket", "e2scrub_reap.service",
)  # fmt: skip
DISK = "4G"
MEMORY = "1G"

# Each machine has a link of its own, with two addresses of this network.
NETWORK = ipaddress.IPv4Network("172.31.213.0/24")
LINKS = 64
MASQUERADE = (
    "POSTROUTING", "--source", str(NETWORK), "!", "--destination", str(NETWORK),
    "--match", "comment", "--comment", "asgi-host-machines", "--jump", "MASQUERADE",
)  # fmt: skip

BOOT_SECONDS = 120.0
HALT_SECONDS = 90.0
# Nothing reaches the disk but what was synced: no commit of the journal by its clock, no write-back by age.
UNSYNCED = "rootflags=commit=300"

ADDRESS_UNIT = """\
[Unit]
Description=The address that the kernel's command line gives
DefaultDependencies=no
Before=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -e /usr/local/lib/asgi-address

[Install]
WantedBy=sysinit.target
"""
ADDRESS_SCRIPT = """\
for word in $(cat /proc/cmdline); do
    case $word in asgi.link=*) link=${word#*=} ;; esac
done
ip link set lo up
ip address add "${link#*,}" dev vec0
ip link set vec0 up
ip route add default via "${link%%,*}"
"""
SYSCTL = """\
# A power cut shall lose all that was not synced, however long ago it was written.
vm.dirty_writeback_centisecs = 0
vm.dirty_expire_centisecs = 360000
"""


def say(text: str) -> None:
    """Tell progress, on standard error so that answers on standard output stay clean."""
    print(f"machines: {text}", file=sys.stderr, flush=True)


def unsupported() -> str:
    """Why no machine can run here, in words; empty where one can."""
    system = platform.freedesktop_os_release().get("ID")
    if system != "debian":
        return f"user-mode-linux is a package of Debian, and this is {system}"
    if platform.machine() != "x86_64":
        return f"Debian has no user-mode-linux for {platform.machine()}"
    if os.geteuid() != 0:
        return "only root can make the tap device that a user-mode-linux machine needs"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun for the tap device that a user-mode-linux machine needs"
    return ""


# The image


def images() -> Path:
    """Return the folder of the images."""
    return hosting.common.private_folder(hosting.common.cache() / "machines" / "images")


def modules_version() -> str:
    """Return the version of the modules that belong to the kernel. Raises HostError when there is none."""
    found = [path.parent.name for path in MODULES.glob("*/modules.dep")]
    if not found or not shutil.which(KERNEL):
        raise HostError("user-mode-linux is not installed: run `tools/setup machines`")
    return max(found)


def additions() -> dict[str, str]:
    """Return the files that make a root filesystem fit for a machine, by path."""
    return {
        "etc/systemd/system/asgi-address.service": ADDRESS_UNIT,
        "usr/local/lib/asgi-address": ADDRESS_SCRIPT,
        "etc/sysctl.d/90-asgi-host.conf": SYSCTL,
        "etc/modules-load.d/asgi-host.conf": "ipv6\n",
        "etc/resolv.conf": Path("/etc/resolv.conf").read_text(encoding="utf-8"),
        "etc/fstab": "",
        "root/.ssh/authorized_keys": hosting.record.ensure_key(),
        f"home/{LOGIN}/.ssh/authorized_keys": hosting.record.ensure_key(),
    }


def image_recipe(suite: str, staged: Path, output: Path) -> list[str]:
    """Return the mmdebstrap command for a suite; ``staged`` holds the files of additions()."""
    hooks = [
        f"sync-in {staged} /",
        "copy-in /usr/lib/uml/modules /lib",
        f'chroot "$1" depmod {modules_version()}',
        f'chroot "$1" chown -R {LOGIN}: /home/{LOGIN}',
        'chroot "$1" systemctl enable asgi-address.service',
        f'chroot "$1" systemctl mask {" ".join(MASKED)}',
    ]
    more = [f"--include={','.join(PACKAGES)}", *(f"--customize-hook={hook}" for hook in hooks)]
    return hosting.image.image_recipe(suite, *more, output=str(output))


def build_image(suite: str) -> Path:
    """Build a suite's disk unless the same one is there; return its path.

    It is built again when its packages, the kernel, the controller's key, or this machine's mirrors,
    authorities or name servers change.
    """
    recipe = image_recipe(suite, Path("staged"), Path("output"))
    certificates = [path.read_text(encoding="utf-8") for path in hosting.image.local_certificates()]
    whole = json.dumps([recipe, additions(), certificates, DISK])
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    image = images() / f"{suite}-{digest}.img"
    with hosting.common.lock(f"machine-image-{suite}"):
        if image.exists():
            return image
        log = hosting.common.private_folder(hosting.common.cache() / "logs") / f"machine-image-{suite}.log"
        say(f"building the disk of Debian {suite}, once, in about a minute (log: {log})")
        started = time.monotonic()
        scratch = images() / f".{suite}"
        shutil.rmtree(scratch, ignore_errors=True)
        for name, text in additions().items():
            # sshd refuses a key in a folder that others may write to.
            path = scratch / "staged" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        with log.open("wb") as output:
            made = subprocess.run(
                image_recipe(suite, scratch / "staged", scratch / "root"),
                stdout=output,
                stderr=output,
                check=False,
            )
        if made.returncode:
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
            raise HostError(f"the disk of Debian {suite} could not be built; the end of {log}:\n{tail}")
        fresh = scratch / "disk.img"
        run(["truncate", f"--size={DISK}", str(fresh)])
        run(["mke2fs", "-qF", "-t", "ext4", "-d", str(scratch / "root"), str(fresh)])
        for old in images().glob(f"{suite}-*.img"):
            old.unlink()
        fresh.rename(image)
        shutil.rmtree(scratch)
        say(f"the disk of Debian {suite} is ready after {time.monotonic() - started:.0f} s")
    return image


def preload() -> dict[str, str]:
    """Return what the kernel needs in its environment on this processor. Raises HostError."""
    if "amx_tile" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        return {}
    source = Path(__file__).with_name("wide_registers.c")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = images() / f"wide_registers-{digest}.so"
    if not library.exists():
        run(["cc", "-shared", "-fPIC", "-O2", "-o", f"{library}.{os.getpid()}", str(source)])
        Path(f"{library}.{os.getpid()}").rename(library)
    return {"LD_PRELOAD": str(library)}


# The machines


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine, on or off, as the controller reaches it."""

    name: str
    suite: str
    link: int
    """The number of its link; tap device and addresses follow from it."""
    like: str = ""
    """The machine whose disk stands behind this one's; empty where the disk is a whole one."""

    @property
    def folder(self) -> Path:
        """Return where its own files are kept."""
        return machine_folder(self.name)

    @property
    def disk(self) -> Path:
        """Return its disk: a whole one, or what differs from that of another machine."""
        return self.folder / ("differs.cow" if self.like else "disk.img")

    @property
    def tap(self) -> str:
        """Return the name of its tap device."""
        return f"asgi-uml{self.link}"

    @property
    def gateway(self) -> str:
        """Return the controller's address on its link."""
        return str(NETWORK[4 * self.link + 1])

    @property
    def address(self) -> str:
        """Return its own address."""
        return str(NETWORK[4 * self.link + 2])

    @property
    def console(self) -> Path:
        """Return the file that its console is written to."""
        return self.folder / "console.log"

    @property
    def ssh_config(self) -> Path:
        """Return a configuration with which ``ssh NAME`` reaches it as root."""
        return self.folder / "ssh_config"

    def variables(self) -> dict[str, Any]:
        """Return the connection variables that an Ansible inventory needs."""
        options = f"-o UserKnownHostsFile={self.folder}/known_hosts -o HostKeyAlias={self.name}"
        return {
            "ansible_host": self.address,
            "ansible_port": 22,
            "ansible_user": LOGIN,
            "ansible_ssh_private_key_file": str(hosting.record.key_file()),
            "ansible_ssh_common_args": f"{options} -o IdentitiesOnly=yes",
            "ansible_control_path_dir": str(self.folder / "cp"),
            **hosting.record.machine_settings(),
        }

    def ssh(self, script: str, *, check: bool = True, seconds: float = 60) -> str:
        """Run a shell script as root in it and return its output. Raises HostError."""
        argv = ["ssh", "-F", str(self.ssh_config), self.name, script]
        return run(argv, check=check, seconds=seconds).stdout


def machine_folder(name: str) -> Path:
    """Return the folder of one machine's files."""
    return hosting.common.cache() / "machines" / "hosts" / name


def load(name: str) -> Machine:
    """Return a machine from its file. Raises HostError if there is none."""
    try:
        return Machine(**json.loads((machine_folder(name) / "machine.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise HostError(f"there is no machine {name}: run `tools/machines.py up {name}`") from None


def known() -> list[str]:
    """Return the names of the machines that were made."""
    return sorted(path.parent.name for path in machine_folder("").glob("*/machine.json"))


def leader(name: str) -> int | None:
    """Return the process group of a machine that is on; None when it is off."""
    path = machine_folder(name) / "uml" / name / "pid"
    try:
        number = int(path.read_text(encoding="utf-8"))
        command = Path(f"/proc/{number}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    # A number of a machine that was killed may be another process's by now.
    return number if f"umid={name}\0".encode() in command else None


def free_link() -> int:
    """Return the lowest link that no machine has. Raises HostError when all are taken."""
    used = {load(name).link for name in known()}
    for number in range(LINKS):
        if number not in used:
            return number
    raise HostError(f"all {LINKS} links are taken: take machines down first")


def make(name: str, suite: str, like: str = "") -> Machine:
    """Make a machine that is off: its files and its link. Its disk comes when it is switched on first."""
    with hosting.common.lock("machines"):
        machine = Machine(name, suite, free_link(), like)
        hosting.common.write(machine.folder / "machine.json", json.dumps(dataclasses.asdict(machine)) + "\n")
    hosting.common.private_folder(machine.folder / "cp")
    if like:
        shutil.copy2(load(like).folder / "host_key.pub", machine.folder / "host_key.pub")
    else:
        image = build_image(suite)
        run(["cp", "--sparse=always", str(image), str(machine.disk)])
        key = run(["debugfs", "-R", "cat /etc/ssh/ssh_host_ed25519_key.pub", str(image)]).stdout
        hosting.common.write(machine.folder / "host_key.pub", key)
    kind, key = (machine.folder / "host_key.pub").read_text(encoding="utf-8").split()[:2]
    hosting.common.write(machine.folder / "known_hosts", f"{name} {kind} {key}\n")
    settings = {
        "HostName": machine.address,
        "User": "root",
        "IdentityFile": hosting.record.key_file(),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": machine.folder / "known_hosts",
        "HostKeyAlias": name,
        "HostKeyAlgorithms": "ssh-ed25519",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": 5,
        "LogLevel": "ERROR",
    }
    lines = [f"Host {name}", *(f"  {key} {value}" for key, value in settings.items())]
    hosting.common.write(machine.ssh_config, "\n".join(lines) + "\n")
    return machine


def connect(machine: Machine) -> None:
    """Make a machine's tap device, and let its traffic out."""
    with hosting.common.lock("machines"):
        if not Path("/sys/class/net", machine.tap).exists():
            run(["ip", "tuntap", "add", "dev", machine.tap, "mode", "tap"])
            run(["ip", "address", "add", f"{machine.gateway}/30", "dev", machine.tap])
            run(["ip", "link", "set", machine.tap, "up"])
        if run(["iptables", "-t", "nat", "--check", *MASQUERADE], check=False).returncode:
            run(["iptables", "-t", "nat", "--append", *MASQUERADE])
        forward = Path("/proc/sys/net/ipv4/ip_forward")
        if forward.read_text(encoding="utf-8").strip() != "1":
            forward.write_text("1\n", encoding="utf-8")


def disconnect(machine: Machine) -> None:
    """Remove a machine's tap device, and with the last machine the rule that let traffic out."""
    with hosting.common.lock("machines"):
        run(["ip", "link", "delete", machine.tap], check=False)
        if not known():
            run(["iptables", "-t", "nat", "--delete", *MASQUERADE], check=False)


def power_on(machine: Machine) -> None:
    """Start a machine that is off; it boots by itself."""
    if leader(machine.name):
        return
    connect(machine)
    disk = f"{machine.disk},{load(machine.like).disk}" if machine.like else str(machine.disk)
    argv = [
        KERNEL, f"mem={MEMORY}", f"ubd0={disk}", "root=/dev/ubda", "rw", UNSYNCED,
        "con=null", "ssl=null", "con0=null,fd:1",
        f"umid={machine.name}", f"uml_dir={hosting.common.private_folder(machine.folder / 'uml')}/", "noreboot",
        f"vec0:transport=tap,ifname={machine.tap},depth=64,gro=1",
        f"systemd.hostname={machine.name}", f"asgi.link={machine.gateway},{machine.address}/30",
        "quiet",
    ]  # fmt: skip
    with machine.console.open("ab") as console:
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "TMPDIR": "/dev/shm", **preload()},  # noqa: S108 - its memory is a file there
        )


def wait_until_booted(machine: Machine) -> None:
    """Wait until systemd has finished booting. Raises HostError with the end of the console."""
    until = time.monotonic() + BOOT_SECONDS
    said = ""
    while time.monotonic() < until:
        # It answers when all that the boot starts has been started, or has failed.
        said = machine.ssh("systemctl is-system-running --wait", check=False, seconds=BOOT_SECONDS).strip()
        if said in ("running", "degraded"):
            return
        time.sleep(0.5)
    tail = "\n".join(machine.console.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
    raise HostError(f"{machine.name} did not boot within {BOOT_SECONDS:.0f} s ({said}); its console:\n{tail}")


def boot(name: str) -> Machine:
    """Switch a machine on and wait until it has booted."""
    machine = load(name)
    started = time.monotonic()
    close_connections(machine)
    power_on(machine)
    wait_until_booted(machine)
    say(
        f"{name} (Debian {machine.suite}) is up at {machine.address} after {time.monotonic() - started:.0f} s"
    )
    return machine


def up(name: str, suite: str, like: str = "") -> Machine:
    """Bring a machine up; one that is on already is left as it is."""
    if name not in known():
        make(name, suite, like)
    return boot(name)


def close_connections(machine: Machine) -> None:
    """End ssh connections that Ansible keeps open to a machine: they would outlive it and then hang."""
    for socket in (machine.folder / "cp").glob("*"):
        run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", machine.name], check=False, seconds=10)
        socket.unlink(missing_ok=True)


def cut(name: str) -> None:
    """Cut a machine's power: what it has not synced is lost. Nothing happens to one that is off."""
    group = leader(name)
    if group is None:
        return
    os.killpg(group, signal.SIGKILL)
    until = time.monotonic() + 10
    while Path(f"/proc/{group}").exists() and time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(group, os.WNOHANG)
        time.sleep(0.02)
    close_connections(load(name))


def halt(name: str) -> None:
    """Shut a machine down in order. Raises HostError when it does not end."""
    group = leader(name)
    if group is None:
        return
    machine = load(name)
    close_connections(machine)
    machine.ssh("systemctl poweroff", check=False)
    until = time.monotonic() + HALT_SECONDS
    while leader(name):
        if time.monotonic() > until:
            raise HostError(f"{name} did not shut down within {HALT_SECONDS:.0f} s")
        with contextlib.suppress(ChildProcessError):
            os.waitpid(group, os.WNOHANG)
        time.sleep(0.2)


@contextlib.contextmanager
def frozen(name: str) -> Iterator[None]:
    """Stand the kernel of a machine that is on still, so that its disk does not change meanwhile.

    Its processes are traced by it: a signal that stops one of them would be taken for theirs.
    """
    kernel = leader(name)
    if kernel is None:
        raise HostError(f"{name} is off")
    os.kill(kernel, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kernel, signal.SIGCONT)


def copy_disk(name: str, path: Path) -> None:
    """Copy what a power cut at this moment would leave on a machine's disk.

    A write of the machine's kernel is in the file as soon as that kernel has sent it, and what the kernel
    holds back is nowhere but in its memory: that is what a cut loses.
    """
    with frozen(name):
        run(["cp", "--sparse=always", str(load(name).disk), str(path)])


def down(*names: str) -> None:
    """Remove machines and their files; nothing happens for one that is not there."""
    for name in names:
        if name in known():
            machine = load(name)
            cut(name)
            close_connections(machine)
            shutil.rmtree(machine.folder, ignore_errors=True)
            disconnect(machine)


# What Ansible and the tests read


def of_scenario(scenario: str) -> list[str]:
    """Return the name of a Molecule scenario's machine: of the newest release, or that of MOLECULE_SUITE."""
    suite = os.environ.get("MOLECULE_SUITE") or SUITES[-1]
    if suite not in SUITES:
        raise HostError(f"MOLECULE_SUITE is {suite!r}: choose one of {', '.join(SUITES)}")
    return [f"{scenario}-{suite}"]


def inventory(names: Sequence[str], group: str) -> dict[str, Any]:
    """Return the machines as Ansible's inventory scripts print them; one that is not up has no variables."""
    made = known()
    variables = {name: load(name).variables() if name in made else {} for name in names}
    return {group: {"hosts": list(names)}, "_meta": {"hostvars": variables}}


def show_machines() -> None:
    """Print one line for each machine that is there."""
    for name in known():
        machine = load(name)
        print(f"{name}\t{machine.suite}\t{machine.address}\t{'on' if leader(name) else 'off'}")


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line; ``run`` of what it parses does what was asked."""
    parser = argparse.ArgumentParser(prog="tools/machines.py", description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(
        name: str, text: str, act: Callable[[argparse.Namespace], object], names: str | None = "+"
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=act)
        if names:
            added.add_argument("names", nargs=names, metavar="NAME")
        return added

    def each(act: Callable[[str], object]) -> Callable[[argparse.Namespace], object]:
        return lambda it: [act(name) for name in it.names]

    added = verb("image", "build the disk of a Debian release", lambda it: print(build_image(it.suite)), None)
    added.add_argument("suite", choices=SUITES)
    added = verb("up", "bring machines up", lambda it: [up(name, it.suite, it.like) for name in it.names])
    added.add_argument("--suite", choices=SUITES, default=SUITES[-1], help="Debian release (%(default)s)")
    added.add_argument("--like", default="", metavar="NAME", help="start from the disk of one that is off")
    verb("cut", "cut the power of machines", each(cut))
    verb("boot", "switch machines on, and wait until they have booted", each(boot))
    verb("halt", "shut machines down in order", each(halt))
    added = verb(
        "down",
        "remove machines",
        lambda it: down(*it.names, *(name for name in known() if name.startswith(f"{it.scenario}-"))),
        "*",
    )
    added.add_argument("--scenario", default="?", help="remove those of a Molecule scenario")
    added = verb(
        "inventory",
        "print machines as an Ansible inventory script does",
        lambda it: hosts.show(
            inventory(of_scenario(it.scenario) if it.scenario else it.names or known(), it.group)
        ),
        "*",
    )
    added.add_argument("--scenario", help="name the machine of a Molecule scenario")
    added.add_argument("--group", default="asgi_hosts")
    added.add_argument("--list", action="store_true", help="accepted, as Ansible asks with it")
    verb("list", "list the machines that are there", lambda _: show_machines(), None)
    verb("clean", "remove every machine", lambda _: down(*known()), None).set_defaults(anywhere=True)
    return parser


def main(argv: Sequence[str]) -> int:
    """Do what the command line asks; return the exit status."""
    chosen = arguments().parse_args(argv)
    if not getattr(chosen, "anywhere", False) and (why := unsupported()):
        raise HostError(why)
    chosen.run(chosen)
    return 0


if __name__ == "__main__":
    hosting.common.command(main, say)

#!/usr/bin/env python3
"""Real Debian hosts on this machine: each one a podman container booted with its own systemd.

A host is made from a root filesystem that mmdebstrap builds from this machine's own apt mirrors, so
no container registry is needed. It is reached by ssh, as any other host of an inventory is.

Everything made here lives in one folder (``ASGI_HOST_CACHE``, else ``asgi-host`` in the user's cache
folder) and in podman objects that carry the label ``asgi.host``. ``clean`` removes both.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import ipaddress
import json
import os
import platform
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
SUITES = ("bookworm", "trixie")  # the releases of Debian that the role supports: every scenario runs on them
PREVIEW = "forky"  # its next one, on which some of them run
NETWORK = "asgi-host"
LABEL = "asgi.host"
LOGIN = "admin"

# What a minimal Debian server has. Everything else is the role's to install.
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "iproute2",
    "ca-certificates",
    "procps",
    "openssh-server",
    "sudo",
)
# A prepared host also has what the role would install on it in nearly every scenario, and the tests' own tools.
PREPARED_PACKAGES = (
    *("acl", "build-essential", "nginx", "openssl", "python3-dev", "python3-venv"),
    *("bsdextrautils", "curl", "git", "pebble", "slowhttptest", "testssl.sh"),
)
# What an app asks for is the role's to install there as well, but comes from apt's cache.
FETCHED_PACKAGES = (
    *("crun", "lego", "libnginx-mod-http-brotli-filter", "libnginx-mod-http-brotli-static", "podman"),
    *("skopeo", "tree"),
)
UV_REQUIREMENTS = ROOT / "roles" / "asgi_host" / "files" / "uv.txt"
TOOLS = "/usr/local/lib/asgi-host"  # of the role, on a host
LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PLAIN_CGROUP2 = Path("/sys/fs/cgroup/cgroup.controllers")
HYBRID_CGROUP2 = Path("/sys/fs/cgroup/unified")
HOST_CGROUPS = HYBRID_CGROUP2 / "asgi-host"
NETWORK_NAMESPACES = Path("/run/netns")  # where podman, as root, mounts them
CAP_SYS_RESOURCE = 24  # the bit in linux/capability.h

SUITE_NAME = re.compile(r"[a-z][a-z0-9.]*(?:-[a-z0-9.]+)*")

BOOT_SECONDS = 60.0
STOP_SECONDS = 60
CGROUP_SECONDS = 5.0
PREPARE_SECONDS = 900.0
FIRST_ADDRESS = 10  # the addresses below it stay free for the gateway
PUBLISHED = {"ssh": 22, "http": 80, "https": 443}

# A nested mount namespace of a unit (LoadCredential=) needs a shared root mount.
INIT = ("sh", "-c", "mount --make-rshared / && exec /sbin/init")


class HostError(Exception):
    """What went wrong, in words for the person at the terminal."""


def say(text: str) -> None:
    """Tell progress, on standard error so that answers on standard output stay clean."""
    print(f"hosts: {text}", file=sys.stderr, flush=True)


# Files


def cache() -> Path:
    """Return the folder that holds everything made here."""
    chosen = os.environ.get("ASGI_HOST_CACHE")
    if chosen:
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "asgi-host"


def private_folder(path: Path) -> Path:
    """Make a folder that only this user reads, with its parents."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step."""
    private_folder(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(mode)
    fresh.replace(path)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Let one process at a time do what is shared between hosts."""
    path = private_folder(cache()) / f"{name}.lock"
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# Commands


def run(
    argv: Sequence[str], *, stdin: str | None = None, check: bool = True, seconds: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed.

    Raises HostError with the command's own words if it fails, is missing, or takes too long.
    """
    try:
        done = subprocess.run(
            list(argv), input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )
    except FileNotFoundError as error:
        raise HostError(f"{argv[0]} is not installed: run `make setup`") from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"no end after {seconds:.0f} s: {shlex.join(argv)}") from error
    if check and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()) or f"exit {done.returncode}"
        raise HostError(f"{shlex.join(argv)}\n{words}")
    return done


def podman(*argv: str, **options: Any) -> str:
    """Run podman and return its standard output."""
    return run(["podman", *argv], **options).stdout.strip()


def podman_json(*argv: str) -> Any:
    """Run a podman command that prints JSON; None if it fails."""
    done = run(["podman", *argv], check=False)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


# The machine


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


# The image


@functools.cache
def apt_targets() -> str:
    """Return the package lists that this machine's apt is set up for, one a line."""
    shown = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
    return run(["apt-get", "indextargets", "--format", shown, "Created-By: Packages"]).stdout


def apt_sources(suite: str, mirror: str = "") -> list[str]:
    """Return one-line apt sources for a suite, on the mirrors that this machine itself uses, or on another ``mirror``.

    An empty list on a machine that is not Debian: mmdebstrap then uses its own default.
    """
    if suite not in (*SUITES, PREVIEW):
        mirror = mirror or os.environ.get("ASGI_HOST_MIRROR", "")
    if mirror:
        address, *components = mirror.split()
        return [f"deb {address} {suite} {' '.join(components) or 'main'}"]
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if platform.freedesktop_os_release().get("ID") != "debian" or not codename:
        return []
    lines = []
    # Lists of a release to come are valid for a week, and a mirror may be older.
    option = "" if suite in SUITES else "[check-valid-until=no] "
    for row in apt_targets().splitlines():
        uri, release, component, origin = row.split("|")
        pocket = release.removeprefix(codename)
        if pocket in ("", "-updates", "-security") and component == "main" and origin in ("Debian", ""):
            lines.append(f"deb {option}{uri} {suite}{pocket} main")
    return sorted(set(lines), key=lambda line: (f"{suite}-" in line, line))


def apt_options() -> list[str]:
    """Return this machine's proxy settings for apt, in apt's own syntax."""
    shown = run(["apt-config", "dump"], check=False) if shutil.which("apt-config") else None
    wanted = ("Acquire::http::Proxy ", "Acquire::https::Proxy ")
    lines = [line for line in (shown.stdout if shown else "").splitlines() if line.startswith(wanted)]
    return [line for line in lines if '""' not in line]


def local_certificates() -> list[Path]:
    """Return the certificate authorities that were added to this machine."""
    return sorted(LOCAL_CERTIFICATES.glob("*.crt"))


def image_recipe(suite: str, *more: str, output: str = "-", mirror: str = "") -> list[str]:
    """Return the mmdebstrap command that writes a suite's root filesystem to ``output``.

    ``more`` are further options; their hooks run after those that every image needs.
    """
    sources = apt_sources(suite, mirror)
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    argv += [f"--aptopt={option}" for option in apt_options()]
    for certificate in local_certificates():
        argv.append(f"--customize-hook=upload {certificate} {LOCAL_CERTIFICATES / certificate.name}")
    argv += [
        '--customize-hook=chroot "$1" update-ca-certificates',
        f'--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash {LOGIN}',
        f'--customize-hook=echo "{LOGIN} ALL=(ALL) NOPASSWD: ALL" > "$1/etc/sudoers.d/{LOGIN}"',
        # There is no console, and a getty would change the mode of what stands in for it.
        '--customize-hook=chroot "$1" systemctl mask console-getty.service getty.target',
        # A nightly upgrade in the middle of a test would hold apt's lock.
        '--customize-hook=chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer',
        # Empty, not missing: each host then gets an identity of its own, with no first-boot questions.
        '--customize-hook=: > "$1/etc/machine-id"',
        *more,
        suite,
        output,
    ]
    return [*argv, *sources]


def image_digest(image: str) -> str:
    """Return the digest of the recipe that an image was made by; empty if there is no such image."""
    shown = f'{{{{ index .Labels "{LABEL}" }}}}'
    return run(["podman", "image", "inspect", "--format", shown, image], check=False).stdout.strip()


def build_image(suite: str, mirror: str = "") -> str:
    """Build a suite's image unless the same one is there; return its name.

    The image is built again when its packages, the machine's mirrors or its authorities change.
    """
    image = f"localhost/asgi-host-{suite}:latest"
    recipe = image_recipe(suite, mirror=mirror)
    certificates = [path.read_text(encoding="utf-8") for path in local_certificates()]
    digest = hashlib.sha256(json.dumps([recipe, certificates]).encode()).hexdigest()[:16]
    with lock(f"image-{suite}"):
        if image_digest(image) == digest:
            return image
        log = private_folder(cache() / "logs") / f"image-{suite}.log"
        say(f"building the {suite} image, once, in about a minute (log: {log})")
        started = time.monotonic()
        with log.open("wb") as output:
            maker = subprocess.Popen(recipe, stdout=subprocess.PIPE, stderr=output)
            taker = subprocess.run(
                ["podman", "import", "--change", f"LABEL {LABEL}={digest}", "-", image],
                stdin=maker.stdout,
                stdout=output,
                stderr=output,
                check=False,
            )
            failed = maker.wait() or taker.returncode
        if failed:
            run(["podman", "rmi", "--force", image], check=False)
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
            raise HostError(f"the {suite} image could not be built; the end of {log}:\n{tail}")
        podman("image", "prune", "--force", "--filter", f"label={LABEL}")
        say(f"the {suite} image is ready after {time.monotonic() - started:.0f} s")
    return image


def preparation() -> str:
    """Return the shell script that makes a prepared host of a bare one; uv is where the role looks for it."""
    digest = hashlib.sha256(UV_REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = f"{TOOLS}/uv-{digest}"
    install = "apt-get -q -y --no-install-recommends"
    pip = f"{folder}/bin/python -m pip --disable-pip-version-check --quiet install --no-cache-dir"
    return "\n".join(
        [
            "set -e; export DEBIAN_FRONTEND=noninteractive",
            "apt-get -q update",
            f"{install} install {' '.join(PREPARED_PACKAGES)}",
            f"{install} --download-only install {' '.join(FETCHED_PACKAGES)}",
            f"mkdir -p {TOOLS}; cat > /tmp/uv.txt <<'END'\n{UV_REQUIREMENTS.read_text(encoding='utf-8')}END",
            f"python3 -m venv --without-pip {folder}",
            "export PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl)",
            f"export PIP_CERT={BUNDLE}",
            f"{pip} --require-hashes --requirement=/tmp/uv.txt",
            f"touch {folder}/complete",
        ]
    )


def build_prepared(suite: str, mirror: str = "") -> str:
    """Build a suite's image of a prepared host, a layer on the bare one, unless the same one is there; return its name.

    The layer is built again when the bare image, the packages or the role's uv change.
    """
    bare = build_image(suite, mirror)
    image = f"localhost/asgi-host-{suite}:prepared"
    script = preparation()
    with lock(f"prepared-{suite}"):
        below = podman("image", "inspect", "--format", "{{ .Id }}", bare)
        digest = hashlib.sha256(json.dumps([below, script]).encode()).hexdigest()[:16]
        if image_digest(image) == digest:
            return image
        name = f"prepared-{suite}"
        log = private_folder(cache() / "logs") / f"{name}.log"
        say(f"preparing the {suite} image for tests, once, in about a minute (log: {log})")
        started = time.monotonic()
        remove(name)
        index = machine_settings().get("asgi_host_package_index")
        create(name, bare, ["env", *([f"PIP_INDEX_URL={index}"] if index else []), "sh", "-c", script])
        try:
            status = podman("wait", container(name), seconds=PREPARE_SECONDS)
            said = run(["podman", "logs", container(name)], check=False)
            write(log, said.stdout + said.stderr)
            if status != "0":
                tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
                raise HostError(f"the {suite} image could not be prepared; the end of {log}:\n{tail}")
            podman(
                *("commit", "--quiet", "--change", f"LABEL {LABEL}={digest}", container(name), image),
                seconds=PREPARE_SECONDS,
            )
        finally:
            remove(name)
        podman("image", "prune", "--force", "--filter", f"label={LABEL}")
        say(f"the prepared {suite} image is ready after {time.monotonic() - started:.0f} s")
    return image


# The network


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


# The hosts


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


def close_connections(name: str) -> None:
    """End ssh connections that Ansible keeps open to a host: they would outlive it and then hang."""
    for socket in (host_folder(name) / "cp").glob("*"):
        run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", name], check=False, seconds=10)
        socket.unlink(missing_ok=True)


def start(name: str) -> None:
    """Start a host that exists and is stopped."""
    with lock("network"):
        boot(name, ["start", container(name)])
        pin_bridge()


def up(name: str, suite: str, *, prepared: bool = False, mirror: str = "") -> Host:
    """Bring a host up, bare or prepared for the tests; one that is up already is left as it is."""
    image = (build_prepared if prepared else build_image)(suite, mirror)
    started = time.monotonic()
    found = inspect(name)
    before = load(name)
    if found and (before is None or before.suite != suite):
        say(f"{name} is there with another release, or half made: it is made anew")
        down(name)
        found = None
    if found is None:
        create(name, image)
    elif not found["State"]["Running"]:
        close_connections(name)
        start(name)
    try:
        wait_until_booted(name)
        enter(name)
        host = record(name, suite, before.reboots if found and before else 0)
    except HostError:
        if found is None:
            remove(name)
        raise
    if found is None:
        say(f"{name} ({suite}) is up at {host.address} after {time.monotonic() - started:.0f} s")
    return host


def suite_of(name: str) -> str:
    """Return the release that a host's name ends in; Debian's newest if it names none."""
    known = (*SUITES, PREVIEW, os.environ.get("MOLECULE_SUITE") or SUITES[-1])
    return next((suite for suite in known if name.endswith(f"-{suite}")), SUITES[-1])


def up_together(names: Sequence[str], suite: str | None, *, prepared: bool = False, mirror: str = "") -> None:
    """Bring hosts up beside one another, for a boot is mostly waiting. Raises HostError when one does not come up."""
    # What is then known to all.
    machine_settings()
    apt_sources(suite or SUITES[-1])
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        booting = [
            pool.submit(up, name, suite or suite_of(name), prepared=prepared, mirror=mirror) for name in names
        ]
    for each in booting:
        each.result()


def remove(name: str) -> None:
    """Remove a host's container and cgroup, if they are there."""
    run(["podman", "rm", "--force", "--time=5", "--volumes", container(name)], check=False)
    if HOST_CGROUPS.is_dir():
        remove_cgroup(cgroup_of(name))


def down(*names: str) -> None:
    """Remove hosts and their files; nothing happens for one that is not there."""
    for name in names:
        close_connections(name)
        remove(name)
        shutil.rmtree(host_folder(name), ignore_errors=True)


def reboot(name: str) -> Host:
    """Shut a host down in order, boot it again, and wait until it is up."""
    before = load(name)
    if before is None:
        raise HostError(f"there is no host {name}")
    started = time.monotonic()
    close_connections(name)
    podman("stop", container(name), seconds=STOP_SECONDS + 30)
    if hybrid_cgroups():
        remove_cgroup(cgroup_of(name))
    start(name)
    wait_until_booted(name)
    host = record(name, before.suite, before.reboots + 1)
    say(f"{name} was rebooted in {time.monotonic() - started:.0f} s")
    return host


def clean() -> None:
    """Remove every host, the network, the images and the files that were made here."""
    with contextlib.suppress(HostError):
        listed = podman("ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}}").split()
        names = {item.removeprefix("asgi-host-") for item in listed}
        for name in sorted(names | set(known_hosts())):
            say(f"removing {name}")
            down(name)
        if podman_json("network", "inspect", NETWORK):
            podman("network", "rm", "--force", NETWORK)
        for image in podman("images", "--filter", f"label={LABEL}", "--format", "{{.Id}}").split():
            say(f"removing image {image}")
            run(["podman", "rmi", "--force", image], check=False)
    if HOST_CGROUPS.is_dir():
        remove_cgroup(HOST_CGROUPS)
    shutil.rmtree(cache(), ignore_errors=True)


# What Ansible and the tests read


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


def command(main: Callable[[Sequence[str]], int], say: Callable[[str], None]) -> NoReturn:
    """Run ``main`` as a command of a shell; a HostError is said in one line."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        sys.exit(main(sys.argv[1:]))
    except HostError as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    command(main, say)

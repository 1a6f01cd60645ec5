# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts about a host that the role uses, and no others: Ansible's own set-up takes 1.2 s, this 0.1 s."""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _groups
from ._nginx import account
from ._process import CommandError, run
from ._release import footprint
from ._systems import TESTED

# Where uv puts the interpreters that it brings, and what marks one that is whole.
PYTHONS = "/usr/local/lib/asgi-host/python"
COMPLETE = ".complete"
# The TCP state LISTEN in /proc/net/tcp (include/net/tcp_states.h of Linux).
LISTEN = "0A"
NAMES_HASH = re.compile(r"^\s*server_names_hash_(bucket_size|max_size)\s", re.MULTILINE)
# The arguments of a module that gathers facts, by which facts() is asked.
ARGUMENTS = {
    "packages": {"type": "list", "elements": "str", "default": []},
    "interpreters": {"type": "list", "elements": "str", "default": []},
    "wheels": {"type": "path"},
    "folders": {"type": "list", "elements": "str", "default": []},
    "groups": {"type": "list", "elements": "str", "default": []},
    "root": {"type": "path"},
    "names": {"type": "list", "elements": "str", "default": []},
}


def facts(
    packages: Sequence[str],
    interpreters: Sequence[str] = (),
    wheels: str | None = None,
    folders: Sequence[str] = (),
    groups: Sequence[str] = (),
    root: str | None = None,
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything in one mapping; ``packages`` are the Debian packages whose presence is asked for.

    ``interpreters`` are paths of Pythons to be tried beside those in the usual places; ``wheels`` is a folder whose
    files are named with their digests. Of ``folders`` those that are there are named, of ``groups`` those that are not.
    ``root`` is where the releases of the apps with these ``names`` are to be: what is there and not the role's is named.
    """
    system = os_release(Path("/etc/os-release").read_text(encoding="utf-8"))
    there = installed(Path("/var/lib/dpkg/status"))
    return {
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "distribution": system.get("ID", ""),
        "release": system.get("VERSION_ID", ""),
        "codename": system.get("VERSION_CODENAME", ""),
        "versions": versions(there),
        "init": init(Path("/proc/1/comm"), Path("/run/systemd/system")),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": memory_mb(Path("/proc/meminfo").read_text(encoding="utf-8")),
        "python": {"path": "/usr/bin/python3", "version": version_of("/usr/bin/python3")},
        "pythons": pythons(interpreters),
        "missing_packages": sorted(set(packages) - there.keys()),
        "missing_groups": _groups.lacking(groups),
        "users": sorted(entry.pw_name for entry in pwd.getpwall()),
        "listeners": [{"port": port, "process": name} for port, name in sorted(set(listeners()))],
        "ipv6": has_ipv6(),
        "nginx": nginx(
            Path("/etc/nginx"), asked="nginx" in packages and system.get("VERSION_ID") not in TESTED
        ),
        "acme": acme(Path("/etc/asgi"), Path("/etc/systemd/system/asgi-acme.timer")),
        "wheels": digests(Path(wheels)) if wheels else {},
        "folders": [path for path in folders if Path(path).is_dir()],
        "roots": footprint.roots(),
        "strangers": footprint.strangers(Path(root), names) if root else [],
        "unsafe_root": footprint.unsafe(Path(root)) if root else "",
        "apps": sorted(
            found.group(1)
            for unit in Path("/etc/systemd/system").glob("asgi-*@.service")
            if (found := re.fullmatch(r"asgi-(.+)@\.service", unit.name))
        ),
    }


def os_release(text: str) -> dict[str, str]:
    """The fields of an os-release file."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, value in pairs}


def init(first: Path, booted: Path) -> str:
    """The name of PID 1, which is ``systemd`` only where systemd manages the host: then ``booted`` is there, by sd_booted(3).

    That folder alone may be another machine's, seen in a container or a chroot.
    """
    name = first.read_text(encoding="utf-8", errors="replace").strip()
    return name if name != "systemd" or booted.is_dir() else "another's systemd"


def memory_mb(meminfo: str) -> int:
    """The host's memory in MiB."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found.group(1)) // 1024 if found else 0


def version_of(interpreter: str) -> str | None:
    """The version of a Python, ``3.11.2``; None where it does not run."""
    if Path(interpreter).resolve() == Path("/proc/self/exe").resolve():
        return platform.python_version()
    try:
        return run([interpreter, "-c", "import platform; print(platform.python_version())"]).strip()
    except CommandError:
        return None


def pythons(more: Sequence[str]) -> list[dict[str, str]]:
    """The interpreters in the usual places, those that uv has brought, and those of ``more`` that run."""
    found = sorted(
        path
        for folder in ("/usr/bin", "/usr/local/bin")
        for path in Path(folder).glob("python3.*")
        if re.fullmatch(r"python3\.\d+", path.name)
    )
    paths = [*map(str, found), *brought(Path(PYTHONS)), *more]
    return [{"path": path, "version": version} for path in paths if (version := version_of(path))]


def brought(folder: Path) -> list[str]:
    """The interpreters that uv has brought whole; not the links by which a minor version leads to its newest patch."""
    return sorted(
        str(path)
        for each in folder.glob("cpython-*")
        if not each.is_symlink() and (each / COMPLETE).exists()
        for path in (each / "bin").glob("python3.*")
        if re.fullmatch(r"python3\.\d+", path.name)
    )


def installed(status: Path) -> dict[str, str]:
    """The version of all that apt can be asked for and that is installed, by dpkg's own list; empty without dpkg.

    By name, and by name with architecture, with version, and with both. A virtual package has no version.
    """
    if not status.exists():
        return {}
    names: dict[str, str] = {}
    virtual: set[str] = set()
    for entry in status.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        if "\nStatus: install ok installed\n" not in entry:
            continue
        name = entry.partition("\n")[0].removeprefix("Package: ")
        version = _field(entry, "Version")
        for each in (name, f"{name}:{_field(entry, 'Architecture')}"):
            names |= {each: version, f"{each}={version}": version}
        # A virtual package is there where another stands for it.
        virtual |= {each.partition("(")[0].strip() for each in _field(entry, "Provides").split(",")}
    return dict.fromkeys(virtual, "") | names


def versions(there: Mapping[str, str]) -> dict[str, str | None]:
    """The versions of what the role builds upon, by the packages that are ``there``; None for what is not.

    OpenSSL is the library, which every Python needs; the program may come later.
    """
    libraries = [version for name, version in there.items() if re.fullmatch(r"libssl[\d.]+(?:t64)?", name)]
    found = {
        "apt": there.get("apt"),
        "systemd": there.get("systemd"),
        "OpenSSL": max(libraries, default=None, key=_order),
    }
    return {name: _upstream(version) if version else None for name, version in found.items()}


def _upstream(version: str) -> str:
    """The numbers of a Debian version, without its epoch and all that follows them."""
    found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)
    return found[1] if found else version


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in _upstream(version).split(".") if part.isdecimal())


def _field(entry: str, name: str) -> str:
    """A field of a package's entry that fits into one line; empty where it has none."""
    return entry.partition(f"\n{name}: ")[2].partition("\n")[0]


def listening(net: Path) -> dict[str, int]:
    """The port of each socket that accepts TCP, by what a process's descriptor of it links to; ``net`` is of proc(5)."""
    found = {}
    for table in (net / "tcp", net / "tcp6"):
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            columns = line.split()
            if columns[3] == LISTEN:
                found[f"socket:[{columns[9]}]"] = int(columns[1].rpartition(":")[2], 16)
    return found


def listeners() -> Iterator[tuple[int, str]]:
    """Each port on which something accepts TCP, with the name of the process."""
    wanted = {link: port for link, port in listening(Path("/proc/net")).items() if port in (80, 443)}
    if not wanted:
        return
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = [os.readlink(link) for link in (process / "fd").iterdir()]
            name = (process / "comm").read_text(encoding="utf-8").strip()
        except OSError:
            continue
        for link in links:
            port = wanted.get(link)
            if port is not None:
                yield port, name


def has_ipv6() -> bool:
    """Whether a program can have an IPv6 socket: not where the kernel was told ``ipv6.disable=1``.

    nginx with one ``listen [::]`` does not start there. Without any address of IPv6 (``disable_ipv6`` of sysctl) it does.
    """
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return False
    return True


def candidate(package: str) -> str | None:
    """The version of a package that apt would install; None where it knows of none. Nothing of the host is changed."""
    if shutil.which("apt-cache") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        # Even a question makes apt write its cache.
        elsewhere = [f"-oDir::Cache={folder}"]
        try:
            said = run(["apt-cache", *elsewhere, "policy", package])
            if "Candidate: " not in said:
                # A bare host has no lists yet. apt fetches them as a user of its own.
                os.chmod(folder, 0o755)  # noqa: S103 - as apt's own
                elsewhere.append(f"-oDir::State::Lists={folder}")
                run(["apt-get", *elsewhere, "-qq", "update"])
                said = run(["apt-cache", *elsewhere, "policy", package])
        except CommandError:
            return None
    found = re.search(r"Candidate: (\d\S*)", said)
    return _upstream(found[1]) if found else None


def nginx(folder: Path, *, asked: bool = False) -> dict[str, Any]:
    """What the proxy's configuration must fit: nginx's version, and the sites of others.

    With ``asked``, apt is asked for the version of an nginx that is not there yet.
    """
    try:
        version = re.findall(r"nginx/([\d.]+)", run(["/usr/sbin/nginx", "-v"]))[0]
    except (CommandError, IndexError):
        version = None
    others = [
        path
        for pattern in ("conf.d/*.conf", "sites-enabled/*")
        for path in sorted(folder.glob(pattern))
        if not path.name.startswith("asgi-") and not packaged_default(path)
    ]
    return {
        "version": version,
        "candidate": candidate("nginx") if asked and version is None else None,
        "user": account(folder / "nginx.conf").user,
        "names_hash": sorted(
            {
                found
                for path in (folder / "nginx.conf", *others)
                if path.exists()
                for found in NAMES_HASH.findall(path.read_text(encoding="utf-8", errors="replace"))
            }
        ),
        "packaged_default": any(packaged_default(path) for path in folder.glob("sites-enabled/*")),
        "foreign_sites": sorted(
            str(path) for path in others if on_our_ports(path.read_text(encoding="utf-8", errors="replace"))
        ),
        "foreign_files": [str(path) for path in others],
        "sites": sites(folder / "conf.d"),
        "foreign_default_servers": sorted(
            str(path)
            for path in others
            if re.search(
                r"^\s*listen\s[^;#]*default_server",
                path.read_text(encoding="utf-8", errors="replace"),
                re.MULTILINE,
            )
        ),
    }


def sites(folder: Path) -> dict[str, dict[str, list[str]]]:
    """By name the sites that the role has made: the ``apps`` and the ``domains`` of each."""
    found = {}
    for path in sorted(folder.glob("asgi-app-*.conf")):
        text = path.read_text(encoding="utf-8", errors="replace")
        names = re.findall(r"^\s*server_name\s+([^;]+);", text, re.MULTILINE)
        found[path.name.removeprefix("asgi-app-").removesuffix(".conf")] = {
            "apps": [
                name.replace("_", "-") for name in re.findall(r"^upstream asgi_(\w+) \{", text, re.MULTILINE)
            ],
            "domains": sorted({name for each in names for name in each.split()}),
        }
    return found


def on_our_ports(text: str) -> bool:
    """Whether a site shares a port of ours on all addresses, and does not speak the PROXY protocol there by itself.

    An address without a port is on port 80, and so is a server without any ``listen`` (nginx's ngx_http_core_module).
    """
    text = re.sub(r"#.*", "", text)
    lines = re.findall(r"\blisten\s+([^;]+);", text)
    if not lines:
        return bool(re.search(r"\bserver\s*\{", text))
    for address, *parameters in map(str.split, lines):
        found = re.fullmatch(r"(?:(?:\*|0\.0\.0\.0|\[::\]):)?(\d+)|\*|0\.0\.0\.0|\[::\]", address)
        if found and (found[1] or "80") in ("80", "443") and "proxy_protocol" not in parameters:
            return True
    return False


def acme(entries: Path, timer: Path) -> dict[str, Any]:
    """The sites that have their certificate by ACME, whichever inventory named them, and whether anything is set up."""
    return {
        "sites": sorted(path.parent.name for path in entries.glob("*/acme.json")),
        "set_up": timer.exists(),
    }


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file in a folder, by name; empty where there is no such folder."""
    found = {}
    for path in sorted(folder.glob("*")):
        if not path.is_file():
            continue
        with path.open("rb") as stream:
            found[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def packaged_default(path: Path) -> bool:
    """Whether ``path`` is the link to Debian's own placeholder site, with nobody's changes in it."""
    if (
        path.name != "default"
        or not path.is_symlink()
        or path.resolve() != Path("/etc/nginx/sites-available/default")
    ):
        return False
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    directives = [
        line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    return directives == [
        "server {",
        "listen 80 default_server;",
        "listen [::]:80 default_server;",
        "root /var/www/html;",
        "index index.html index.htm index.nginx-debian.html;",
        "server_name _;",
        "location / {",
        "try_files $uri $uri/ =404;",
        "}",
        "}",
    ]

"""The process: whose it is, what it may do, and which server runs it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from targets import SCENARIO, Target
from testinfra.host import Host

pytestmark = pytest.mark.lane

# The worst exposure of a unit with the whole sandbox, by `systemd-analyze security`.
EXPOSURE = 1.2
LOOSE = ("memory_deny_write_execute", "proc_subset", "allow_resources", "writable_paths")
NO_CAPABILITY = "0" * 16
# Places that are not the app's own.
FOREIGN = (
    "/etc/mark",
    "/usr/mark",
    "/var/mark",
    "/var/lib/mark",
    "/var/lib/asgi/mark",
    "/srv/mark",
    "/srv/asgi/mark",
    "/srv/asgi/probe/mark",
    "/srv/asgi/probe/current/mark",
    "/srv/asgi/probe/current/src/mark",
    "/srv/asgi/probe/current/venv/mark",
    "/home/mark",
    "/root/mark",
    "/run/mark",
    "/run/lock/mark",
    "/proc/sys/kernel/domainname",
    "/sys/fs/cgroup/mark",
)
UNREADABLE = ("/etc/shadow", "/etc/asgi", "/etc/asgi/probe", "/root", "/home")


def process(target: Target) -> dict[str, Any]:
    """The process that answers, as it sees itself."""
    found: dict[str, Any] = target.door.json(target.domain("probe"), "/process")
    return found


def written(target: Target, path: str) -> str:
    """What became of the app's attempt to write a file: ``ok``, or the name of an error."""
    answer = target.door.ask(
        target.domain("probe"),
        "/write",
        method="POST",
        body=json.dumps({"path": path}).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status == 200, answer.text
    return str(answer.json()["result"])


def test_user_has_no_login_and_no_home(host: Host) -> None:
    """A system account whose only place is the app's data."""
    user = host.user("asgi-probe")
    assert user.exists
    assert user.uid < 1000
    assert user.shell == "/usr/sbin/nologin"
    assert not host.file("/home/asgi-probe").exists
    assert user.home == "/" or user.home.startswith("/var/lib/asgi/") or user.home == "/nonexistent"


def test_workers_run_as_the_apps_user_without_privileges(target: Target, host: Host) -> None:
    """No capability, no new privileges, a filter of system calls."""
    seen = process(target)
    assert seen["uid"] == host.user("asgi-probe").uid
    assert seen["gid"] == host.user("asgi-probe").gid
    assert set(seen["caps"].values()) == {NO_CAPABILITY}
    assert seen["no_new_privs"] is True
    assert seen["seccomp"] == 2
    assert seen["umask"] == "0007"


def test_every_process_of_every_app_runs_as_its_user(target: Target) -> None:
    """Masters as well, by the host's own account."""
    for unit, pids in target.pids().items():
        # A background process has the name of its app before a dot.
        name = unit.removeprefix("asgi-").partition("@")[0].partition(".")[0]
        users = target.run(f"ps -o user:32= -p {','.join(map(str, pids))}").split()
        assert set(users) == {f"asgi-{name}"}, unit


@pytest.mark.parametrize("path", FOREIGN)
def test_cannot_write_outside_its_places(target: Target, path: str) -> None:
    """Tried from inside."""
    assert written(target, path) in ("EACCES", "EROFS", "EPERM", "ENOENT", "EEXIST"), path


def test_writes_in_its_own_places(target: Target) -> None:
    """Its data folder, and temporary files that nobody else sees."""
    for path in ("/var/lib/asgi/probe/mark", "/tmp/mark", "/var/tmp/mark"):
        assert written(target, path) == "ok", path


@pytest.mark.parametrize("path", UNREADABLE)
def test_cannot_read_what_is_not_its_own(target: Target, path: str) -> None:
    """Other people's secrets, its own on disk, and homes."""
    seen = target.door.json(target.domain("probe"), f"/read?path={path}")
    assert seen["result"] in ("EACCES", "EPERM", "ENOENT") or seen.get("names") == [], seen


def test_cannot_write_as_seen_from_the_host(host: Host) -> None:
    """A release is root's, and nobody else writes there."""
    found = host.run(
        "find /srv/asgi/*/releases -xdev ! -type l ! -type s \\( ! -user root -o -perm /022 \\) | head -5"
    )
    assert found.stdout == ""


def test_exposure(target: Target) -> None:
    """Of every unit whose sandbox was not loosened by its inventory."""
    for name, app in target.apps.items():
        if any(key in app.get("sandbox", {}) for key in LOOSE):
            continue
        unit = target.service(name)
        text = target.run(f"systemd-analyze security --no-pager {unit}")
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
        assert found, text
        assert float(found.group(1)) <= EXPOSURE, f"{unit}: {found.group(0)}"


def test_server(target: Target) -> None:
    """The maintained worker, on uvloop and httptools, with settings that end streams."""
    seen = process(target)
    assert "uvicorn_worker._workers.UvicornWorker" in seen["server"]["worker_bases"] or any(
        base.startswith("uvicorn_worker.") for base in seen["server"]["worker_bases"]
    ), seen["server"]
    assert seen["loop"] == "uvloop.Loop"
    assert "httptools" in seen["server"]["http_protocol"]
    assert seen["server"]["ws_protocol"]
    assert seen["server"]["timeout_keep_alive"] >= 75


def test_places(target: Target) -> None:
    """A release of its own, compiled; a home in the data folder."""
    seen = process(target)
    release = target.run("readlink -f /srv/asgi/probe/current").strip()
    assert seen["prefix"] == f"{release}/venv"
    assert seen["cwd"] == f"{release}/src"
    assert seen["compiled"] is True
    assert seen["home"] == seen["state_directory"] == "/var/lib/asgi/probe"


def test_groups_of_the_host(target: Target) -> None:
    """What a group may read, the app reads where the inventory puts it into that group, and nowhere else."""
    mark = "/srv/mark-of-games"
    target.run(f"install --owner root --group games --mode 0640 /dev/null {mark}")
    try:
        seen = target.door.json(target.domain("probe"), f"/read?path={mark}")
    finally:
        target.run(f"rm {mark}")
    assert (seen["result"] == "ok") == ("games" in target.app("probe").get("groups", [])), seen


def test_interfaces_of_the_host(target: Target) -> None:
    """The kernel tells of them where the inventory says so."""
    seen = process(target)["interfaces"]
    assert (seen is not None) == target.app("probe").get("sandbox", {}).get("netlink", False), seen


def test_number_of_workers(target: Target) -> None:
    """As asked: a number, the cores, or twice the cores and one where memory has room for them."""
    cores = int(target.run("nproc"))
    memory = int(target.run("awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    default = "auto" if SCENARIO != "full" else 1
    running = target.pids()
    for name, app in target.apps.items():
        asked = app.get("workers", default)
        wanted = {"auto": max(1, min(2 * cores + 1, memory // 100)), "cores": cores}.get(asked, asked)
        assert len(running[target.service(name)]) - 1 == wanted, name


def test_timeouts(target: Target) -> None:
    """The configuration of the release holds what was asked; who ends a worker by force waits longer than it drains."""
    app = target.app("probe")
    text = target.run("cat /srv/asgi/probe/current/gunicorn.conf.py")
    assert f"\ntimeout = {app.get('timeout', 120)}\n" in text
    graceful = app.get("graceful_timeout", 30)
    assert f"\nGRACEFUL = {graceful}\n" in text
    killed = re.search(r"^graceful_timeout = (\d+)$", text, re.MULTILINE)
    assert killed, text
    stop = target.run(f"systemctl show -P TimeoutStopUSec {target.service('probe')}").strip()
    minutes, seconds = (re.search(rf"(\d+){unit}", stop) for unit in ("min", "s"))
    total = (int(minutes.group(1)) * 60 if minutes else 0) + (int(seconds.group(1)) if seconds else 0)
    assert graceful < int(killed[1]) < total, stop


def test_enabled_at_boot(target: Target, host: Host) -> None:
    """The release that serves, its socket, and nginx; no earlier release beside them."""
    assert host.service("nginx").is_enabled
    wanted = {unit for name in target.apps for unit in both(target.service(name))}
    enabled = "find /etc/systemd/system/*.wants -name 'asgi-*' -printf '%f\\n'"
    assert set(target.run(enabled).split()) == wanted
    states = target.run(f"systemctl is-enabled {' '.join(sorted(wanted))}")
    assert set(states.split()) == {"enabled"}


def both(service: str) -> tuple[str, str]:
    """A release's service and its socket."""
    return service, service.replace(".service", ".socket")


def test_nothing_failed(host: Host) -> None:
    """No unit of the host is in a failed state."""
    assert host.run("systemctl --failed --plain --no-legend").stdout == ""


@pytest.mark.scenario("full")
def test_sandbox_switches(target: Target) -> None:
    """What the inventory loosened is loose, what it tightened is tight."""
    shown = dict(
        line.split("=", 1)
        for line in target.run(
            f"systemctl show {target.service('probe')} -p MemoryDenyWriteExecute -p ProcSubset -p ReadWritePaths "
            "-p MemoryMax -p IPAddressDeny -p SystemCallFilter -p CPUWeight -p TasksMax"
        ).splitlines()
    )
    assert shown["MemoryDenyWriteExecute"] == "no"
    assert shown["ProcSubset"] == "all"
    assert "/var/local" in shown["ReadWritePaths"]
    assert shown["MemoryMax"] == str(1024**3)
    assert (shown["CPUWeight"], shown["TasksMax"]) == ("50", "300")
    assert "0.0.0.0/0" in shown["IPAddressDeny"]
    assert "sched_setaffinity" in shown["SystemCallFilter"]
    assert target.door.json(target.domain("probe"), "/read?path=/proc/meminfo")["result"] == "ok"


@pytest.mark.scenario("full")
def test_environment(target: Target) -> None:
    """Variables, secrets and credentials reach the app."""
    domain = target.domain("probe")
    assert target.door.json(domain)["marker"] == "from the inventory"
    assert (
        target.door.json(domain, "/env/PROBE_SECRET")["value"]
        == target.app("probe")["secrets"]["PROBE_SECRET"]
    )
    assert (
        target.door.json(domain, "/credential/token")["value"] == target.app("probe")["credentials"]["token"]
    )
    message = target.door.json(target.domain("shop"))["message"]
    assert message == 'A "message" of the inventory: 100 % $HOME, {braces} and shop.test'


@pytest.mark.scenario("full")
def test_debian_packages_of_an_app(host: Host) -> None:
    """Installed for it."""
    assert host.package("tree").is_installed

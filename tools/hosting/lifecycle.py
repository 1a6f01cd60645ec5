"""Hosts brought up, rebooted, and taken down."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .common import LABEL, NETWORK, HostError, cache, podman, podman_json, run, say
from .container import STOP_SECONDS, close_connections, create, enter, remove, start, wait_until_booted
from .image import PREVIEW, SUITES, apt_sources, build_image
from .machine import HOST_CGROUPS, cgroup_of, hybrid_cgroups, remove_cgroup
from .prepared import build_prepared
from .record import Host, container, host_folder, inspect, known_hosts, load, machine_settings, record


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

"""The image of a bare host: a root filesystem that mmdebstrap builds from this machine's own apt mirrors."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

from .common import LABEL, LOGIN, HostError, cache, lock, podman, private_folder, run, say

SUITES = ("bookworm", "trixie")  # the releases of Debian that the role supports: every scenario runs on them
PREVIEW = "forky"  # its next one, on which some of them run
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
LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


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

"""A base image for the test hosts, where no container registry is reached: a stand-in for ``python:3.13-slim``.

It is Debian with Debian's Python, made by mmdebstrap from this machine's apt mirrors once and kept in the cache, and
imported into a host under the full name that the short one has there: a Dockerfile needs not know that it is none.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hosting import common, image, record
from hosting.common import HostError

SUITE = "trixie"
NAME = "python:3.13-slim"
PACKAGES = ("python3", "python3-pip", "python3-venv", "ca-certificates")
# How podman runs in a host that is itself a container: with the limits that it has, and no cgroups of its own for builds.
NESTED = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
pids_limit = 0
[engine]
# A registry that is not there shall say so at once.
retry = 0
"""
NESTED_FILE = "/etc/containers/containers.conf.d/asgi-test-host.conf"
# A build in a host that is itself a container may not mount a /proc of its own.
ISOLATION = "BUILDAH_ISOLATION=chroot"
# Prints the full name of an image, by the aliases that Debian's podman brings along.
FULL_NAME = """\
import pathlib, re, sys
name, _, tag = sys.argv[1].partition(":")
text = pathlib.Path("/etc/containers/registries.conf.d/shortnames.conf").read_text()
print(re.search(rf'^\\s*"{name}"\\s*=\\s*"(.+)"', text, re.M).group(1) + ":" + tag)
"""


def recipe(output: Path) -> list[str]:
    """Return the mmdebstrap command that writes the image's root filesystem to ``output``."""
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    argv += [f"--aptopt={option}" for option in image.apt_options()]
    argv += [
        '--customize-hook=ln -s python3 "$1/usr/bin/python"',
        '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
        '--customize-hook=rm -rf "$1"/usr/share/doc "$1"/usr/share/locale',
        # A host that is itself a container may not make those of an image.
        "--skip=output/dev",
        SUITE,
        str(output),
    ]
    return [*argv, *image.apt_sources(SUITE)]


def archive() -> Path:
    """Return the image's root filesystem, a tar in the cache; made once, in about a minute."""
    digest = hashlib.sha256(json.dumps(recipe(Path("x.tar"))).encode()).hexdigest()[:16]
    folder = common.private_folder(common.cache() / "base-image")
    path = folder / f"{digest}.tar"
    with common.lock("base-image"):
        if not path.is_file():
            common.say("building the stand-in for a Python base image, once, in about a minute")
            started = time.monotonic()
            unfinished = folder / "unfinished.tar"
            common.run(recipe(unfinished), seconds=900)
            for old in folder.glob("*.tar"):
                if old != unfinished:
                    old.unlink()
            unfinished.replace(path)
            common.say(f"it is ready after {time.monotonic() - started:.0f} s")
    return path


def prepare(name: str) -> str:
    """Let a host, on which podman need not be installed yet, build from the stand-in; return the image's full name.

    Raises HostError.
    """
    inside = ["podman", "exec", "--interactive", record.container(name)]
    setup = (
        "command -v podman >/dev/null || { apt-get -q update && "
        "DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends podman crun; }\n"
        f"mkdir -p {Path(NESTED_FILE).parent}; cat > {NESTED_FILE}\n"
        f"grep -qs {ISOLATION} /etc/environment || echo {ISOLATION} >> /etc/environment\n"
        "echo 'Defaults env_file=/etc/environment' > /etc/sudoers.d/asgi-test-host\n"
    )
    common.run([*inside, "sh", "-ec", setup], stdin=NESTED, seconds=600)
    full = common.run([*inside, "python3", "-c", FULL_NAME, NAME]).stdout.strip()
    if common.run([*inside, "podman", "image", "exists", full], check=False).returncode == 0:
        return full
    with archive().open("rb") as stream:
        done = subprocess.run(
            [*inside, "podman", "import", "--quiet", "--change", 'CMD ["python3"]', "-", full],
            stdin=stream,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise HostError(f"{name}: the base image could not be imported:\n{done.stderr.strip()}")
    return full


def main(argv: Sequence[str]) -> int:
    """Prepare the hosts that the command line names."""
    parser = argparse.ArgumentParser(prog="tools/base_image.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME", help="a host of tools/hosts.py that is up")
    for name in parser.parse_args(argv).names:
        print(f"{name}: {prepare(name)}")
    return 0


if __name__ == "__main__":
    common.command(main, common.say)

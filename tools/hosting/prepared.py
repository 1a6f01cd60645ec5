"""The image of a prepared host, a layer on the bare one."""

from __future__ import annotations

import hashlib
import json
import time

from .common import LABEL, ROOT, HostError, cache, lock, podman, private_folder, run, say, write
from .container import create, remove
from .image import BUNDLE, build_image, image_digest
from .record import container, machine_settings

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
PREPARE_SECONDS = 900.0


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

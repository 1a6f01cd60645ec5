# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all apps of a host need: packages, accounts, folders, units and uv."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _nginx
from ansible_collections.asgi.host.plugins.plugin_utils._plan.places import (
    AUTHORITY,
    SHARED_CACHE,
    TOOLS,
    UNITS,
    WHEELS,
    present,
)
from ansible_collections.asgi.host.plugins.plugin_utils._render import render, static_folder
from ansible_collections.asgi.host.plugins.plugin_utils._settings import in_data

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
PIP = "/usr/share/python-wheels/pip-*.whl"
# By apt itself: Ansible's module needs python3-apt, which a bare host lacks, and begins anew when it has brought it. Lists of
# the last hour serve, unless a mirror has moved on since.
INSTALL = """\
install() {
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\
        --no-install-recommends install -- "$@"
}
if [ -n "$(find /var/lib/apt/lists -maxdepth 0 -mmin -60)" ] && install "$@"; then exit; fi
apt-get -qq -o DPkg::Lock::Timeout=300 update && install "$@" && exit
echo "Correct an app's packages or asgi_host_build_packages, or the sources of the host's apt."
exit 1
"""
NOT_STARTED = """\
systemctl mask --runtime --quiet nginx.service
trap 'systemctl unmask --runtime --quiet nginx.service' EXIT
"""


def packages(apps: list[dict[str, Any]], build: list[str], *, proxy: bool) -> list[str]:
    """The Debian packages that the host needs."""
    wanted = {"python3", "python3-venv", "ca-certificates", "openssl", *build}
    if proxy:
        wanted.add("nginx")
        if any(app["proxy"]["compression"] == "brotli" for app in present(apps)):
            wanted |= {"libnginx-mod-http-brotli-filter", "libnginx-mod-http-brotli-static"}
        if any(app["tls"]["mode"] == "acme" and app["domains"] for app in present(apps)):
            wanted.add("lego")
    for app in present(apps):
        wanted.update(app["packages"], app["build"]["packages"])
        if image := app["source"].get("image"):
            wanted |= {"podman", "crun"} if image["path"] else {"podman", "crun", "skopeo"}
        if any(in_data(item["path"]) for item in app["static"]):
            wanted.add("acl")
    return sorted(wanted)


def uv_path(requirements: str) -> str:
    """Where the uv of these hashed requirements is installed: another pin is another folder."""
    return f"{TOOLS}/uv-{hashlib.sha256(requirements.encode()).hexdigest()[:12]}/bin/uv"


def base(
    apps: list[dict[str, Any]],
    *,
    host: Mapping[str, Any],
    root: str,
    uv_requirements: str,
    authority: str,
    wheels: str,
) -> list[dict[str, Any]]:
    """Packages, accounts, folders, units and uv. ``wheels`` is the folder that is installed from, empty for an index."""
    wanted = present(apps)
    uv = uv_path(uv_requirements)
    folder = uv.removesuffix("/bin/uv")
    # Made when all else is on disk: after a power cut any other file may be there and empty.
    complete = f"{folder}/complete"
    pip = [
        "sh",
        "-c",
        # From the wheel that Debian's python3-venv brings: to copy pip into the virtualenv takes as long as to use it.
        f'PYTHONPATH=$(echo {PIP}) exec "$@"',
        "sh",
        "env",
        "PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
        f"{folder}/bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--require-hashes",
    ]
    steps: list[dict[str, Any]] = []
    if missing := host["missing_packages"]:
        # Debian's nginx would be started as soon as it is there, with its placeholder site on [::]:80, and the
        # installation would fail with it.
        script = INSTALL if host.get("ipv6", True) or "nginx" not in missing else NOT_STARTED + INSTALL
        steps.append(
            {
                "command": ["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", script, "sh", *missing],
                "unless": ["false"],
                "name": f"Debian packages: {', '.join(missing)}",
                "do": f"install Debian packages: {', '.join(missing)}",
            }
        )
    if authority:
        content = Path(authority).read_text(encoding="utf-8")
        steps += [
            {"file": AUTHORITY, "content": content},
            {
                "command": ["update-ca-certificates"],
                "when": [AUTHORITY],
                "name": "certificate authorities",
                "do": "have the host believe asgi_host_ca_file",
            },
        ]
    steps += [
        {"folder": TOOLS},
        {"folder": "/var/cache/asgi", "mode": "0700"},
        {"absent": SHARED_CACHE},
        *([] if wheels else [{"absent": WHEELS}]),
        {"file": f"{TOOLS}/uv-requirements.txt", "content": uv_requirements},
        {"folder": folder},
        {
            "command": ["python3", "-m", "venv", "--clear", "--without-pip", folder],
            "creates": complete,
            # As who builds: a session with a umask of 077 may have made it for root alone.
            "unless": [*AS_NOBODY, "sh", "-c", 'test -s "$0" && test -x "$0"', uv],
            "name": "uv's virtualenv",
            "do": "make the virtualenv of uv",
        },
        {
            "command": [*pip, f"--requirement={TOOLS}/uv-requirements.txt"],
            "when": [complete],
            "private_env": "index",
            "name": "uv",
            "do": "install uv",
        },
        {
            "command": ["sh", "-c", f"sync --file-system {folder} && touch {complete}"],
            "when": [complete],
            "name": "uv on disk",
        },
    ]
    for app in wanted:
        account = f'u {app["user"]} - "ASGI app {app["name"]}" / /usr/sbin/nologin\n'
        steps.append(
            {"file": f"/etc/sysusers.d/{app['user']}.conf", "content": f"# Written by asgi.host.\n{account}"}
        )
    if wanted:
        lacking = any(app["user"] not in host["users"] for app in wanted)
        always: dict[str, Any] = {"unless": ["false"]} if lacking else {}
        steps.append(
            {
                "command": ["systemd-sysusers"],
                "when": ["/etc/sysusers.d/asgi-"],
                "name": "system users",
                "do": "make the users of the apps",
                **always,
            }
        )
    steps += [{"folder": root}, {"folder": "/etc/asgi", "mode": "0700"}, {"folder": "/var/lib/asgi"}]
    for app in wanted:
        steps += _places(app, root)
        for kind in ("socket", "service"):
            steps.append(
                {
                    "file": f"{UNITS}/asgi-{app['name']}@.{kind}",
                    "content": render(f"systemd/asgi-app@.{kind}.j2", app=app, root=root),
                }
            )
    steps.append(
        {"command": ["systemctl", "daemon-reload"], "when": [f"{UNITS}/"], "name": "systemd's configuration"}
    )
    return steps


def _places(app: dict[str, Any], root: str) -> list[dict[str, Any]]:
    owner = {"owner": app["user"], "group": app["user"], "mode": "0750"}
    data = f"/var/lib/asgi/{app['name']}"
    steps: list[dict[str, Any]] = [
        # Readable for the app, passable for nginx, and shut for all others: so is all that lies in it.
        {
            "folder": f"{root}/{app['name']}",
            "group": app["user"],
            "mode": "0750",
            "passable_for": _nginx.USER,
        },
        {"folder": f"{root}/{app['name']}/releases"},
        {"folder": f"/etc/asgi/{app['name']}", "mode": "0700"},
        # What was restored from a backup has the numbers of another host.
        {"owned": data, "owner": app["user"]},
        {"folder": data, **owner},
    ]
    for item in app["static"]:
        if in_data(item["path"]):
            steps += _readable_by_nginx(app["user"], data, static_folder(item["path"], app, root))
    return steps


def _readable_by_nginx(user: str, data: str, media: str) -> list[dict[str, Any]]:
    """Let nginx pass through the data folder and read one folder in it, whatever modes the app gives its files.

    A group would not do: an app that sets 0750 on a folder takes an inherited group away again. All of it is done as
    the app's user: what lies there is the app's, which may have put a link to something of root's in the way.
    """
    entry = f"u:{_nginx.USER}"
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return [
        {
            "name": media,
            "do": f"make {media}",
            "command": [*as_user, "mkdir", "-p", "-m", "0750", media],
            "unless": ["test", "-d", media],
        },
        {
            "name": f"{data} passable for nginx",
            "do": f"let nginx pass through {data}",
            "command": [*as_user, "setfacl", "-m", f"{entry}:x", data],
            "unless": ["sh", "-c", f"getfacl -pc {data} | grep -q '^user:{_nginx.USER}:--x'"],
        },
        {
            "name": f"{media} readable for nginx",
            "do": f"let nginx read {media}",
            "command": [*as_user, "setfacl", "-R", "-P", "-m", f"{entry}:rX,d:{entry}:rX", media],
            "unless": ["sh", "-c", f"getfacl -pc {media} | grep -q '^default:user:{_nginx.USER}:r-x'"],
        },
    ]

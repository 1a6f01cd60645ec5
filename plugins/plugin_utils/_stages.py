# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stages of a host as lists of steps for the module stage."""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _acme, _nginx, _systems, _turns
from ansible_collections.asgi.host.plugins.module_utils._apps import site_keys
from ansible_collections.asgi.host.plugins.module_utils._apps.identity import dropped
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _by_address,
    _error_pages,
    _handover,
    _passwords,
    _redirects,
    _sources,
    _underscores,
)
from ansible_collections.asgi.host.plugins.plugin_utils._render import render, static_folder
from ansible_collections.asgi.host.plugins.plugin_utils._settings import (
    WORKER_CONNECTIONS,
    hash_of_names,
    http2_directive,
    in_data,
    rotating_tickets,
)

TOOLS = "/usr/local/lib/asgi-host"
UNITS = "/etc/systemd/system"
NGINX = "/etc/nginx"
# Of an earlier version, for the builds of all apps by root.
SHARED_CACHE = "/var/cache/asgi/uv"
BUILD_CACHES = ("/var/cache/asgi-build", "/var/cache/private/asgi-build")
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
PIP = "/usr/share/python-wheels/pip-*.whl"
WHEELS = "/var/cache/asgi/wheels"
AUTHORITY = "/usr/local/share/ca-certificates/asgi-host.crt"
DEFAULT_SITE = f"{NGINX}/sites-enabled/default"
DEFAULT_WAS_THERE = f"{NGINX}/asgi/default-site"
PLACEHOLDER = "# Written by asgi.host: Debian's placeholder site was enabled, and comes back with the end of the last app.\n"
NGINX_DROP_IN = f"{UNITS}/nginx.service.d/asgi-host.conf"
RESTART_DUE = (
    "nginx's sandbox takes effect when nginx starts the next time; requests that are under way would not survive a "
    "restart now, so choose the moment: systemctl restart nginx"
)
# Where a sandbox would hide files of a site from nginx.
HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - named, not used
ACME_PROGRAM = f"{TOOLS}/acme.py"
ACME = _acme.Places()
CHECK: dict[str, Any] = {
    # The check makes the log files that are not there yet, and what is asked of an app is not for everyone to read.
    "command": ["sh", "-c", "umask 027; exec nginx -t -q"],
    "when": [f"{NGINX}/"],
    "check": True,
    "name": "nginx's configuration",
    "do": "check nginx's configuration",
}
# The block events is written once, and is the owner's: the one line is changed where it holds what packages bring (Debian's
# 768, nginx.org's 1024, nginx's own 512), and says what it was, so that it can be put back. Another number is somebody's own.
NGINX_CONF = f"{NGINX}/nginx.conf"
CONNECTIONS: dict[str, Any] = {
    "line": NGINX_CONF,
    "pattern": r"^([ \t]*)worker_connections[ \t]+(512|768|1024);[ \t]*$",
    "to": rf"\1worker_connections {WORKER_CONNECTIONS}; # asgi.host, in place of \2",
}
CONNECTIONS_BACK: dict[str, Any] = {
    "line": NGINX_CONF,
    "pattern": r"^([ \t]*)worker_connections[ \t]+\d+; # asgi\.host, in place of (\d+)$",
    "to": r"\1worker_connections \2;",
}
OPEN_FILES = """\
pid=$(systemctl show --property=MainPID --value nginx)
hard=$(prlimit --pid "$pid" --nofile --output=HARD --noheadings --raw)
soft=$(prlimit --pid "$pid" --nofile --output=SOFT --noheadings --raw)
[ "$hard" != unlimited ] && [ "$hard" -lt 65536 ] || wanted=65536
: "${wanted:=$hard}"
[ "$soft" = unlimited ] || [ "$soft" -ge "$wanted" ] || prlimit --pid "$pid" --nofile="$wanted:$hard"
"""
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
# A self-signed certificate is a placeholder for a real one; ten years, in days, so that it never is the trouble.
SELF_SIGNED_DAYS = "3650"


def present(apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The apps that are wanted."""
    return [app for app in apps if app["state"] == "present"]


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


def leaving(apps: list[dict[str, Any]], host: Mapping[str, Any]) -> bool:
    """Whether the last app is to go, and with it what all apps share. A host that lists no app is kept ready."""
    return bool(apps) and not present(apps) and set(host["apps"]) <= {app["name"] for app in apps}


def leave(
    apps: list[dict[str, Any]], *, host: Mapping[str, Any], root: str, proxy: bool
) -> list[dict[str, Any]]:
    """Take away what all apps shared, when the last one is gone; what holds data of an app stays."""
    steps: list[dict[str, Any]] = []
    if proxy and host["nginx"]["version"]:
        ours = ["asgi-00-shared", *(f"asgi-app-{app['name']}" for app in apps)]
        steps += [{"absent": f"{NGINX}/conf.d/{name}.conf"} for name in ours]
        if not host["nginx"]["foreign_default_servers"]:
            target = f"{NGINX}/sites-available/default"
            steps.append({"link": DEFAULT_SITE, "target": target, "where": DEFAULT_WAS_THERE})
        steps += [
            CONNECTIONS_BACK,
            CHECK,
            {
                "command": ["systemctl", "try-reload-or-restart", "nginx"],
                "when": [f"{NGINX}/"],
                "name": "nginx reloaded",
                "do": "reload nginx",
            },
            {"absent": f"{NGINX}/asgi"},
            {"absent": NGINX_DROP_IN},
            {"absent": str(Path(NGINX_DROP_IN).parent), "if_empty": True},
            {
                "command": ["systemctl", "daemon-reload"],
                "when": [NGINX_DROP_IN],
                "name": "systemd's configuration",
            },
        ]
    return [
        *steps,
        *_acme_leaves(),
        {"absent": TOOLS},
        *({"absent": str(_turns.lock(what))} for what in _turns.TURNS),
        *({"absent": path} for path in ("/var/cache/asgi", *BUILD_CACHES)),
        # systemd's, made for the builds.
        {"absent": "/var/cache/private", "if_empty": True},
        {"absent": AUTHORITY},
        {
            "command": ["update-ca-certificates", "--fresh"],
            "when": [AUTHORITY],
            "name": "certificate authorities",
            "do": "have the host believe asgi_host_ca_file no more",
        },
        *({"absent": folder, "if_empty": True} for folder in ("/etc/asgi", "/var/lib/asgi", root)),
    ]


def sites(apps: list[dict[str, Any]], bases: list[str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The public sites, apps of the same domains together, and the secret contents of their certificates."""
    grouped: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for app in present(apps):
        if app["domains"]:
            grouped.setdefault(tuple(sorted(app["domains"])), []).append(app)
    found, private = [], {}
    for domains, members in grouped.items():
        first = members[0]
        every = " ".join([*domains, *sorted(_redirects.names(members))])
        names = hashlib.sha256(every.encode()).hexdigest()[:12]
        folder = f"{NGINX}/asgi/tls/{first['name']}"
        site = {
            "name": first["name"],
            "domains": first["domains"],
            "redirects": _redirects.of_site(members),
            "names": [*first["domains"], *_redirects.names(members)],
            "server_keys": site_keys.server_keys(members),
            "apps": sorted(members, key=lambda app: -len(app["root_path"])),
            "trusted_proxies": sorted(
                {proxy for app in members for proxy in app["proxy"]["trusted_proxies"]}
            ),
            "mode": first["tls"]["mode"],
            "client_ca": f"{folder}/client-ca.pem" if first["tls"]["client_ca"] else "",
            "client_certificate": first["tls"]["client_certificate"],
            "http3": any(app["proxy"]["http3"] for app in members),
            "folder": folder,
            "webroot": str(ACME.webroot),
        }
        if site["client_ca"]:
            private[f"{first['name']} client_ca"] = _sources.locate(
                first["tls"]["client_ca"], bases
            ).read_text(encoding="utf-8")
        if first["tls"]["mode"] == "files":
            site.update(certificate=f"{folder}/certificate.pem", key=f"{folder}/key.pem")
            for part in ("certificate", "key"):
                path = _sources.locate(first["tls"]["files"][part], bases)
                private[f"{first['name']} {part}"] = path.read_text(encoding="utf-8")
        elif first["tls"]["mode"] == "acme":
            serving = f"{folder}/acme/serving"
            site.update(certificate=f"{serving}/certificate.pem", key=f"{serving}/key.pem")
            private[f"{first['name']} acme"] = _acme_entry(site, first["tls"]["acme"])
        elif first["tls"]["mode"] == "self_signed":
            site.update(
                certificate=f"{folder}/{names}.self-signed.pem", key=f"{folder}/{names}.self-signed.key"
            )
        found.append(site)
    return found, private


def proxy(
    apps: list[dict[str, Any]],
    *,
    host: dict[str, Any],
    root: str,
    failed: list[str],
    bases: list[str],
    tls_policy: str,
    proxy_protocol: list[str],
    https_port: int = 443,
    early: bool = False,
    templates: str = "",
) -> dict[str, Any]:
    """nginx: what all sites share, each site with its certificate, the check, and the reload.

    The sites of the apps in ``failed`` are left as they are, and so is each that serves a domain which one of those is to
    have. ``proxy_protocol`` names the load balancers that speak it, ``https_port`` is where clients find port 443.
    ``templates`` is a folder of the inventory's own. ``early`` leaves out what may take minutes, and can wait until all apps are there: the orders of certificates. Returns
    steps, private contents, and the names of the sites that ``stay``.
    """
    http2 = http2_directive(host)
    checked = _by_address.checks(apps)
    wanted, private = sites(apps, bases)
    parts = {app["name"]: [each["name"] for each in site["apps"]] for site in wanted for app in site["apps"]}
    values: dict[str, Any] = {
        "host": host,
        "http2_directive": http2,
        "http3": any(site["http3"] for site in wanted),
        "policy": tls_policy,
        "proxy_protocol": proxy_protocol,
        "https_port": https_port,
        "checked": checked,
        "by_address": _by_address.FOLDER,
        "names": hash_of_names([site["names"] for site in wanted], apps, host),
        "rotating_tickets": rotating_tickets(host),
        "post_quantum": _systems.post_quantum(host),
    }
    own_text = functools.partial(render, templates=templates)
    included = {
        "tls": own_text("nginx/tls.conf.j2", **values),
        "proxy": own_text("nginx/proxy.conf.j2", dropped=dropped(present(apps))),
        "server": own_text("nginx/server.conf.j2", keys=site_keys.SERVER_KEYS),
        **{
            each: own_text("nginx/compression.conf.j2", brotli=each == "brotli")
            for each in sorted({app["proxy"]["compression"] for app in present(apps)} - {"none"})
        },
    }
    if any(site["server_keys"].get("underscores_in_headers") for site in wanted):
        included["underscores"] = _underscores.text(dropped(present(apps)))
    pair = _by_address.certificate(checked)
    steps: list[dict[str, Any]] = [
        *(step for step in pair if "absent" not in step),
        *({"file": f"{NGINX}/asgi/{name}.conf", "content": text} for name, text in included.items()),
        {
            "file": f"{NGINX}/conf.d/asgi-00-shared.conf",
            "content": own_text("nginx/asgi-00-shared.conf.j2", **values),
        },
    ]
    steps.append(CONNECTIONS)
    if host["nginx"]["packaged_default"] or host["nginx"]["version"] is None:
        # Debian's placeholder answers for every unknown name; the file itself stays in sites-available.
        steps += [{"file": DEFAULT_WAS_THERE, "content": PLACEHOLDER}, {"absent": DEFAULT_SITE}]
    ordering = {site["name"] for site in wanted if site["mode"] == "acme"}
    if ordering:
        steps += [{"folder": str(ACME.state)}, {"folder": str(ACME.webroot)}]
    plan = _handover.plan(wanted, apps, host, failed)
    for site in plan.write:
        content = own_text("nginx/asgi-app.conf.j2", site=site, root=root, **values)
        secret_steps = [_passwords.steps(app) for app in site["apps"]]
        for _steps, contents in secret_steps:
            private.update(contents)
        own = [
            *_certificate(site),
            *(step for made, _contents in secret_steps for step in made),
            *(step for app in site["apps"] for step in _error_pages.steps(app, bases)),
            {"file": f"{NGINX}/conf.d/asgi-app-{site['name']}.conf", "content": content},
        ]
        # What nginx refuses of one site is no reason to leave the others as they are.
        steps += [{**step, "part": parts[site["name"]]} for step in own]
    kept = {site["name"] for site in wanted} | plan.stay
    gone = [app for app in apps if app["name"] not in kept and app["name"] not in failed]
    # A site that another one takes the place of stays where nginx refuses that.
    heirs = _handover.heirs(plan.write, host)
    part_of = {
        app["name"]: {"part": parts[heir]}
        for app in gone
        if (heir := app["name"] if app["name"] in parts else heirs.get(app["name"], ""))
    }
    for app in gone:
        own_part = part_of.get(app["name"], {})
        steps.append({"absent": f"{NGINX}/conf.d/asgi-app-{app['name']}.conf", **own_part})
    steps += [
        CHECK,
        *_nginx_unit(present(apps), host),
        {
            "command": ["systemctl", "enable", "--quiet", "nginx"],
            "unless": ["systemctl", "is-enabled", "--quiet", "nginx"],
            "name": "nginx enabled at boot",
            "do": "have nginx started at boot",
        },
        {
            "command": ["systemctl", "start", "nginx"],
            "unless": ["systemctl", "is-active", "--quiet", "nginx"],
            "name": "nginx started",
            "do": "start nginx",
        },
        {
            # Workers have the limit of the master that starts them, which a drop-in gives to the next one.
            "command": ["sh", "-c", OPEN_FILES],
            "when": [NGINX_DROP_IN, NGINX_CONF],
            "name": "nginx's open files",
        },
        {
            "command": ["systemctl", "reload", "nginx"],
            "when": [f"{NGINX}/"],
            "name": "nginx reloaded",
            "do": "reload nginx",
        },
        # nginx has let go of it by now.
        *(step for step in pair if "absent" in step),
        *(
            {**step, **({"part": parts[name]} if name in parts else part_of.get(name, {}))}
            for name, step in _pages_and_passwords_of_before(apps, plan, failed)
        ),
        *({"absent": folder, "if_empty": True} for folder in (_error_pages.FOLDER, _passwords.FOLDER)),
        *(
            {"absent": f"{NGINX}/asgi/tls/{app['name']}", **part_of.get(app["name"], {})}
            for app in gone
            if app["state"] == "absent"
        ),
    ]
    if early:
        return {"steps": steps, "private": private, "stay": plan.stay}
    for app in apps:
        if app["name"] not in ordering and app["name"] not in failed and app["name"] not in plan.stay:
            # nginx has let go of the certificate by now.
            part = {"part": parts[app["name"]]} if app["name"] in parts else {}
            old = [_entry(app["name"]), f"{NGINX}/asgi/tls/{app['name']}/acme"]
            steps += [{"absent": path, **part} for path in old]
    if ordering:
        steps += _acme_runs()
    elif host["acme"]["set_up"] and set(host["acme"]["sites"]) <= {app["name"] for app in apps}:
        steps += _acme_leaves()
    return {"steps": steps, "private": private, "stay": plan.stay}


def _pages_and_passwords_of_before(
    apps: list[dict[str, Any]], plan: _handover.Plan, failed: list[str]
) -> list[tuple[str, dict[str, Any]]]:
    """The steps that take away what nginx has read for an app and reads no more, each with the app's name."""
    left = {app["name"] for site in plan.write for app in site["apps"]}
    paged = _error_pages.wanted([app for app in present(apps) if app["domains"]])
    steps: list[tuple[str, dict[str, Any]]] = []
    for app in apps:
        if app["name"] in failed or (
            app["state"] == "present" and app["domains"] and app["name"] not in left
        ):
            continue
        if app["state"] == "absent" or not (app["domains"] and app["proxy"]["basic_auth"]):
            steps.append((app["name"], _passwords.leaves(app)))
        if app["name"] not in paged:
            steps.append((app["name"], _error_pages.leaves(app)))
    return steps


def _nginx_unit(apps: list[dict[str, Any]], host: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sandbox of nginx. A start gives it; where nginx serves somebody already, that is the next one.

    A restart would cost the requests of that moment.
    """
    foreign = bool(host["nginx"]["foreign_files"])
    hidden = any(_on_disk(item["path"], app).startswith(HIDDEN) for app in apps for item in app["static"])
    steps: list[dict[str, Any]] = [
        {
            "file": NGINX_DROP_IN,
            "content": render("systemd/nginx.service.d/asgi-host.conf.j2", open_files=foreign or hidden),
        },
        {
            "command": ["systemctl", "daemon-reload"],
            "when": [NGINX_DROP_IN],
            "name": "systemd's configuration",
        },
    ]
    if host["apps"] or foreign:
        steps.append({"notice": RESTART_DUE, "when": [NGINX_DROP_IN]})
    else:
        steps.append(
            {
                "command": ["systemctl", "restart", "nginx"],
                "when": [NGINX_DROP_IN],
                "name": "nginx restarted",
                "do": "restart nginx, which serves nobody yet",
            }
        )
    return steps


def _on_disk(path: str, app: Mapping[str, Any]) -> str:
    """A static path as nginx finds it, where it lies in a folder of the host's own; else as it is."""
    mount = app["source"].get("mount")
    inside = mount and not path.startswith(("/", "{data}"))
    return f"{mount}/{path.removeprefix('{source}/')}" if inside else path


def _entry(name: str) -> str:
    """Where the host keeps what is to be ordered: among the secrets of the app, with which it goes."""
    return f"/etc/asgi/{name}/acme.json"


def _acme_entry(site: dict[str, Any], acme: dict[str, Any]) -> str:
    """The order, as _acme.Site reads it; secret, for it holds what the DNS provider asks for."""
    order = {"": "Written by asgi.host.", "name": site["name"], "domains": site["names"]}
    return json.dumps({**order, **acme, "folder": f"{site['folder']}/acme"}, indent=1) + "\n"


def _acme_runs() -> list[dict[str, Any]]:
    """The program, its timer, and a run where something is due. One that fails leaves what serves."""
    units = f"{UNITS}/asgi-acme."
    timer = "asgi-acme.timer"
    runs = f"systemctl is-enabled --quiet {timer} && systemctl is-active --quiet {timer}"
    places = {"program": ACME_PROGRAM, "state": str(ACME.state), "nginx": NGINX}
    return [
        {"file": ACME_PROGRAM, "content": Path(_acme.__file__).read_text(encoding="utf-8")},
        {"file": f"{units}service", "content": render("systemd/asgi-acme.service.j2", **places)},
        {"file": f"{units}timer", "content": render("systemd/asgi-acme.timer.j2")},
        {"command": ["systemctl", "daemon-reload"], "when": [units], "name": "systemd's configuration"},
        {
            "command": ["systemctl", "enable", "--now", "--quiet", timer],
            "unless": ["sh", "-c", runs],
            "name": "the timer of certificates",
            "do": "start the timer that renews certificates",
        },
        {
            "command": ["python3", ACME_PROGRAM, "start"],
            "unless": ["python3", ACME_PROGRAM, "due"],
            "may_fail": True,
            "name": "certificates by ACME",
            "do": "order certificates by ACME",
        },
    ]


def _acme_leaves() -> list[dict[str, Any]]:
    """Take ACME away with the last site that used it: the account as well, which a new one replaces at any time."""
    units = f"{UNITS}/asgi-acme."
    return [
        {
            "command": ["systemctl", "disable", "--now", "--quiet", "asgi-acme.timer"],
            "unless": ["test", "!", "-e", f"{units}timer"],
            "name": "the timer of certificates",
            "do": "stop the timer that renews certificates",
        },
        {"absent": f"{units}timer"},
        {"absent": f"{units}service"},
        {"command": ["systemctl", "daemon-reload"], "when": [units], "name": "systemd's configuration"},
        {"absent": ACME_PROGRAM},
        {"absent": str(ACME.state)},
        {"absent": "/var/lib/systemd/timers/stamp-asgi-acme.timer"},
    ]


def _certificate(site: dict[str, Any]) -> list[dict[str, Any]]:
    """The site's own, and the authorities of its clients'."""
    own = _own_certificate(site)
    if site["client_ca"]:
        own.append({"file": site["client_ca"], "private": f"{site['name']} client_ca", "ours": True})
    return own


def _own_certificate(site: dict[str, Any]) -> list[dict[str, Any]]:
    if site["mode"] == "none":
        return []
    if site["mode"] == "files":
        return [
            {"folder": site["folder"], "mode": "0700"},
            # An old key is not kept: a backup of it would be one more place that it can leak from.
            {"file": site["certificate"], "private": f"{site['name']} certificate", "ours": True},
            {"file": site["key"], "private": f"{site['name']} key", "mode": "0600", "ours": True},
        ]
    if site["mode"] == "acme":
        return [
            {"folder": site["folder"], "mode": "0700"},
            {"folder": f"{site['folder']}/acme", "mode": "0700"},
            {
                "name": f"first certificate of {site['name']}",
                "do": f"make the first certificate of {site['name']}, until the authority gives one",
                "command": ["sh", "-c", _first_certificate(site)],
                "unless": ["test", "-e", site["certificate"]],
            },
            {"file": _entry(site["name"]), "private": f"{site['name']} acme", "mode": "0600"},
        ]
    return [
        {"folder": site["folder"], "mode": "0700"},
        {
            "name": f"self-signed certificate of {site['name']}",
            "do": f"make a self-signed certificate for {site['name']}",
            "command": _self_signed(site, key=site["key"], certificate=site["certificate"]),
            "creates": site["certificate"],
        },
    ]


def _self_signed(site: dict[str, Any], *, key: str, certificate: str) -> list[str]:
    names = ",".join(f"DNS:{domain}" for domain in site["names"])
    return [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", SELF_SIGNED_DAYS, "-subj", "/CN=asgi.host self-signed", "-addext", f"subjectAltName={names}",
        "-keyout", key, "-out", certificate,
    ]  # fmt: skip


def _first_certificate(site: dict[str, Any]) -> str:
    """What nginx starts with, for the authority asks through nginx: the files of before, or a self-signed pair."""
    self_signed = shlex.join(_self_signed(site, key="first/key.pem", certificate="first/certificate.pem"))
    return (
        f"set -e; umask 077; cd {site['folder']}/acme; rm -rf first; mkdir first; "
        "if [ -s ../certificate.pem ] && [ -s ../key.pem ]; then cp ../certificate.pem ../key.pem first; "
        f"else {self_signed}; fi; ln -sfn first serving"
    )

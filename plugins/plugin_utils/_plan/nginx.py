# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx: what all sites share, each site, its check and its reload."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _systems
from ansible_collections.asgi.host.plugins.module_utils._apps import site_keys
from ansible_collections.asgi.host.plugins.module_utils._apps.identity import dropped
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _by_address,
    _error_pages,
    _handover,
    _passwords,
    _underscores,
)
from ansible_collections.asgi.host.plugins.plugin_utils._plan import acme
from ansible_collections.asgi.host.plugins.plugin_utils._plan.certificates import certificate
from ansible_collections.asgi.host.plugins.plugin_utils._plan.places import (
    DEFAULT_SITE,
    DEFAULT_WAS_THERE,
    NGINX,
    NGINX_CONF,
    NGINX_DROP_IN,
    present,
)
from ansible_collections.asgi.host.plugins.plugin_utils._plan.sites import sites
from ansible_collections.asgi.host.plugins.plugin_utils._render import render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import (
    WORKER_CONNECTIONS,
    hash_of_names,
    http2_directive,
    rotating_tickets,
)

PLACEHOLDER = "# Written by asgi.host: Debian's placeholder site was enabled, and comes back with the end of the last app.\n"
RESTART_DUE = (
    "nginx's sandbox takes effect when nginx starts the next time; requests that are under way would not survive a "
    "restart now, so choose the moment: systemctl restart nginx"
)
# Where a sandbox would hide files of a site from nginx.
HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - named, not used
CHECK: dict[str, Any] = {
    # The check makes the log files that are not there yet, and what is asked of an app is not for everyone to read.
    "command": ["sh", "-c", "umask 027; exec nginx -t -q"],
    "when": [f"{NGINX}/"],
    "check": True,
    "name": "nginx's configuration",
    "do": "check nginx's configuration",
}
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

# nginx at boot and now, with the files it may open, and with what is new.
SERVING: list[dict[str, Any]] = [
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
]


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
    ``templates`` is a folder of the inventory's own. ``early`` leaves out what may take minutes, and can wait until all apps
    are there: the orders of certificates. Returns steps, private contents, and the names of the sites that ``stay``.
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
    pair = _by_address.certificate(checked)
    steps: list[dict[str, Any]] = [
        *(step for step in pair if "absent" not in step),
        *_shared(apps, wanted, values, own_text),
        CONNECTIONS,
    ]
    if host["nginx"]["packaged_default"] or host["nginx"]["version"] is None:
        # Debian's placeholder answers for every unknown name; the file itself stays in sites-available.
        steps += [{"file": DEFAULT_WAS_THERE, "content": PLACEHOLDER}, {"absent": DEFAULT_SITE}]
    ordering = {site["name"] for site in wanted if site["mode"] == "acme"}
    if ordering:
        steps += [{"folder": str(acme.PLACES.state)}, {"folder": str(acme.PLACES.webroot)}]
    plan = _handover.plan(wanted, apps, host, failed)
    for site in plan.write:
        own, contents = _site(site, own_text("nginx/asgi-app.conf.j2", site=site, root=root, **values), bases)
        private.update(contents)
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
        *SERVING,
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
            old = [acme.entry(app["name"]), f"{NGINX}/asgi/tls/{app['name']}/acme"]
            steps += [{"absent": path, **part} for path in old]
    if ordering:
        steps += acme.runs()
    elif host["acme"]["set_up"] and set(host["acme"]["sites"]) <= {app["name"] for app in apps}:
        steps += acme.leaves()
    return {"steps": steps, "private": private, "stay": plan.stay}


def _shared(
    apps: list[dict[str, Any]],
    wanted: list[dict[str, Any]],
    values: Mapping[str, Any],
    own_text: Callable[..., str],
) -> list[dict[str, Any]]:
    """The files that all sites share."""
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
    return [
        *({"file": f"{NGINX}/asgi/{name}.conf", "content": text} for name, text in included.items()),
        {
            "file": f"{NGINX}/conf.d/asgi-00-shared.conf",
            "content": own_text("nginx/asgi-00-shared.conf.j2", **values),
        },
    ]


def _site(
    site: dict[str, Any], content: str, bases: list[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The steps of one site, whose configuration has this content, and the private contents of its files."""
    private: dict[str, str] = {}
    steps = certificate(site)
    for app in site["apps"]:
        own, contents = _passwords.steps(app)
        steps += own
        private.update(contents)
    for app in site["apps"]:
        steps += _error_pages.steps(app, bases)
    return [*steps, {"file": f"{NGINX}/conf.d/asgi-app-{site['name']}.conf", "content": content}], private


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

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Health checks by the host's address: who may ask for the health of which app without the name of a site."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _nginx
from ansible_collections.asgi.host.plugins.module_utils._apps import first_domain
from ansible_collections.asgi.host.plugins.plugin_utils._settings import upstream

FOLDER = "/etc/nginx/asgi/by-address"
CERTIFICATE, KEY = f"{FOLDER}/certificate.pem", f"{FOLDER}/key.pem"
# nginx's workers read the pair in each such handshake, so it is no site's, and theirs to read; nobody can verify what is
# asked for by an address.
MAKE = f"""\
set -e; cd {FOLDER}; rm -f -- *.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj '/CN=asgi.host by address' \\
    -keyout key.pem -out made.pem
chgrp {_nginx.GROUP} key.pem; chmod 0640 key.pem; mv made.pem certificate.pem
"""
MADE = f'test -e {CERTIFICATE} && [ "$(stat -c %G {KEY})" = {_nginx.GROUP} ]'


@dataclass(frozen=True)
class Check:
    """The health of one app, and who may ask for it by the host's address."""

    upstream: str
    domain: str
    """The name by which the app is asked."""
    tls: bool
    """Whether the host ends TLS for it: it is asked for by the port of its site, and by no other."""
    networks: list[str]
    paths: list[str]

    @property
    def pattern(self) -> str:
        """The expression of nginx that a request matches which is for it: by an address, from who is named, for its health."""
        paths = "|".join(re.escape(path) for path in self.paths)
        return f"~^address {'on' if self.tls else ''}:1:(?:{paths})$"


def checks(apps: Sequence[Mapping[str, Any]]) -> list[Check]:
    """The checks of normalized ``apps``, in the order of the inventory: the first that fits a request is the one meant.

    A site that wants certificates of its clients shows nothing to those who have none, not even its health.
    """
    return [
        Check(
            upstream=upstream(dict(app)),
            domain=first_domain(app["domains"]),
            tls=app["tls"]["mode"] != "none",
            networks=list(app["proxy"]["trusted_proxies"]),
            paths=list(dict.fromkeys(app["root_path"] + check["path"] for check in app["health"])),
        )
        for app in apps
        if app["state"] == "present" and app["domains"] and app["proxy"]["trusted_proxies"]
        if not (app["tls"]["client_ca"] and app["tls"]["client_certificate"] == "required")
    ]


def certificate(found: Sequence[Check]) -> list[dict[str, Any]]:
    """The steps that bring the pair for handshakes without a name, or take it away where nobody is to have one."""
    if not any(check.tls for check in found):
        return [{"absent": FOLDER}]
    return [
        {"folder": FOLDER, "group": _nginx.GROUP, "mode": "0750"},
        {
            "name": "the certificate of health checks by address",
            "command": ["sh", "-c", MAKE],
            "unless": ["sh", "-c", MADE],
        },
    ]

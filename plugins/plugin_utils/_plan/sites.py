# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public sites of a host: which apps share one, and what nginx is told of it."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import site_keys
from ansible_collections.asgi.host.plugins.plugin_utils import _redirects, _sources
from ansible_collections.asgi.host.plugins.plugin_utils._plan import acme
from ansible_collections.asgi.host.plugins.plugin_utils._plan.places import NGINX, present


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
            "webroot": str(acme.PLACES.webroot),
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
            private[f"{first['name']} acme"] = acme.order(site, first["tls"]["acme"])
        elif first["tls"]["mode"] == "self_signed":
            site.update(
                certificate=f"{folder}/{names}.self-signed.pem", key=f"{folder}/{names}.self-signed.key"
            )
        found.append(site)
    return found, private

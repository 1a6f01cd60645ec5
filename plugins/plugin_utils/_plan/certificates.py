# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates of sites: files of the controller, self-signed pairs, and the first one of an ACME site."""

from __future__ import annotations

import shlex
from typing import Any

from ansible_collections.asgi.host.plugins.plugin_utils._plan import acme

# A self-signed certificate is a placeholder for a real one; ten years, in days, so that it never is the trouble.
SELF_SIGNED_DAYS = "3650"


def certificate(site: dict[str, Any]) -> list[dict[str, Any]]:
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
            {"file": acme.entry(site["name"]), "private": f"{site['name']} acme", "mode": "0600"},
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

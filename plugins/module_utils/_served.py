# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates that nginx shows, asked of nginx itself: what lies in a file may not be what is served."""

from __future__ import annotations

import json
import re
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

from ._process import CommandError, run

SITES = Path("/etc/nginx/conf.d")
ACME_FAILURES = Path("/var/lib/asgi-acme/failures.json")
HTTPS = ("127.0.0.1", 443)
# Seconds for a handshake with nginx on the same host.
TIMEOUT = 10.0


def certificates(sites: Path = SITES) -> dict[str, dict[str, Any]]:
    """What each app's site shows, by app: ``domain``, ``issuer``, ``self_signed``, ``start``, ``end``, or ``error``.

    ``start`` and ``end`` are seconds since 1970. ``failure`` is what the last try to renew it by ACME said.
    """
    found: dict[str, dict[str, Any]] = {}
    failures = _failures()
    for path in sorted(sites.glob("asgi-app-*.conf")):
        apps, domain = site(path.read_text(encoding="utf-8"))
        if not domain:
            continue
        try:
            shown = described(ssl.DER_cert_to_PEM_cert(_shown(domain)))
        except (OSError, ValueError, CommandError) as error:
            shown = {"error": str(error).splitlines()[0]}
        failure = failures.get(path.stem.removeprefix("asgi-app-")) or failures.get("nginx")
        for app in apps:
            found[app] = {"domain": domain, **shown, "failure": failure}
    return found


def site(configuration: str) -> tuple[list[str], str]:
    """The apps of a site that the role wrote, and a name to ask it by."""
    apps = [
        name.replace("_", "-") for name in re.findall(r"^upstream asgi_(\w+) \{", configuration, re.MULTILINE)
    ]
    names = re.search(r"^\s*server_name (\S+?);?(?:\s|$)", configuration, re.MULTILINE)
    return apps, re.sub(r"^\*\.", "www.", names.group(1)) if names else ""


def described(pem: str) -> dict[str, Any]:
    """What matters of a certificate. Raises CommandError."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        text = run(
            [
                "openssl",
                "x509",
                "-in",
                file.name,
                "-noout",
                "-subject",
                "-issuer",
                "-dates",
                "-nameopt",
                "RFC2253",
            ]
        )
    fields = dict(re.findall(r"^(subject|issuer|notBefore|notAfter)=(.*)$", text, re.MULTILINE))
    common = re.search(r"(?:^|,)CN=((?:\\.|[^,])+)", fields["issuer"])
    return {
        "issuer": common.group(1) if common else fields["issuer"],
        "self_signed": fields["issuer"] == fields["subject"],
        "start": ssl.cert_time_to_seconds(fields["notBefore"]),
        "end": ssl.cert_time_to_seconds(fields["notAfter"]),
    }


def _shown(domain: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(HTTPS, TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=domain) as shaken,
    ):
        return shaken.getpeercert(binary_form=True) or b""


def _failures() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(ACME_FAILURES.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nginx tells browsers beside what an app says: security headers and caching."""

from __future__ import annotations

from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import YEAR
from ansible_collections.asgi.host.plugins.plugin_utils._settings import upstream

HSTS = "Strict-Transport-Security"
# Two years, as Mozilla's TLS guideline 6.0 has it; from 180 days on scanners count it.
HSTS_AGE = "max-age=63072000"
# Safe for every site that is not framed by others.
DEFAULT = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Frame-Options": "SAMEORIGIN",
    HSTS: HSTS_AGE,
}
# For a site that takes everything from itself, with no script or style within its pages.
STRICT = {
    **DEFAULT,
    "X-Frame-Options": "DENY",
    HSTS: f"{HSTS_AGE}; includeSubDomains",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PRESETS: dict[str, dict[str, str]] = {"default": DEFAULT, "strict": STRICT, "none": {}}


def browser_headers(app: dict[str, Any]) -> dict[str, str]:
    """The headers that an app's answers get unless they have them: the preset, then ``proxy.headers``.

    HSTS is left out of the presets where the certificate is self-signed: whoever meets it cannot pass by then.
    """
    chosen = dict(PRESETS[app["proxy"]["browser_headers"]])
    if app["tls"]["mode"] == "self_signed":
        chosen.pop(HSTS, None)
    for name, value in app["proxy"]["headers"].items():
        chosen = {key: each for key, each in chosen.items() if key.lower() != name.lower()}
        if value:
            chosen[name] = value
    return chosen


def added_headers(app: dict[str, Any]) -> list[dict[str, str]]:
    """For the template of a site: each header's ``name`` and ``value``, and the variables of nginx around it.

    ``upstream`` is the app's own header, ``variable`` what is added. Numbered, for nginx limits a name's length.
    """
    return [
        {
            "name": name,
            "value": value,
            "upstream": f"upstream_http_{name.lower().replace('-', '_')}",
            "variable": f"{upstream(app)}_h{number}",
        }
        for number, (name, value) in enumerate(sorted(browser_headers(app).items()))
    ]


def cache_control(cache: int | str) -> str:
    """The header for static files that may be used for ``cache`` seconds without asking."""
    if cache == "immutable":
        return f"public, max-age={YEAR}, immutable"
    return f"public, max-age={cache}" if cache else "no-cache"

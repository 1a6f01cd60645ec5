# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which systems the role takes: those that its tests run on, and any other of Debian's kind that lacks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _python, _versions

# Debian's releases on which every test runs, each with its nginx, and the next one, on which some do.
TESTED = {"12": "1.22.1", "13": "1.26.3"}
PREVIEW = "forky"
ADVICE = "use a host with Debian 12 (bookworm) or 13 (trixie)"
# The least version of each part of a system, by what the role uses of it.
LEAST = {
    # DPkg::Lock::Timeout, for an apt that is at work already (changelog of apt 1.9.11).
    "apt": (1, 9, 11),
    # PrivateIPC= (systemd.exec(5)); ProtectProc=, ProcSubset= and LoadCredential= are of 247.
    "systemd": (248,),
    # keepalive_time of an upstream (ngx_http_upstream_module); ssl_reject_handshake is of 1.19.4.
    "nginx": (1, 19, 10),
    # `openssl req -addext` and `openssl x509 -ext` (CHANGES of OpenSSL 1.1.1), and TLS 1.3.
    "OpenSSL": (1, 1, 1),
    "Python": _python.LEAST,
}


def nginx_version(facts: Mapping[str, Any]) -> str | None:
    """The version of the nginx that a host has, or else will get."""
    has = facts["nginx"]["version"] or facts["nginx"].get("candidate")
    return has or (TESTED.get(facts["release"]) if facts["distribution"] == "debian" else None)


def post_quantum(facts: Mapping[str, Any]) -> bool:
    """Whether the host's OpenSSL knows the group X25519MLKEM768, as 3.5 does (CHANGES of OpenSSL)."""
    return _versions.numbers(facts["versions"]["OpenSSL"]) >= (3, 5)


def problems(facts: Mapping[str, Any], *, proxy: bool) -> list[str]:
    """What a host's system lacks, in one message; with ``proxy`` false it needs no nginx."""
    found = dict(facts["versions"])
    if own := facts["python"]["version"]:
        found["Python"] = own
    if proxy:
        found["nginx"] = nginx_version(facts)
    if found["apt"] is None:
        return [
            f"the host runs {_name(facts)}, which has no apt, and the role installs Debian's packages; {ADVICE}"
        ]
    lacking = [
        f"{part} {'.'.join(map(str, LEAST[part]))} or later (it has {version or 'none'})"
        for part, version in found.items()
        if version is None or _versions.numbers(version) < LEAST[part]
    ]
    return [f"the host runs {_name(facts)}, which lacks {', '.join(lacking)}; {ADVICE}"] if lacking else []


def warnings(facts: Mapping[str, Any]) -> list[str]:
    """What there is to know of a system that the role takes, without all of its tests."""
    if facts["distribution"] == "debian":
        if facts["release"] in TESTED:
            return []
        if facts["codename"] == PREVIEW:
            return [f"preview: only some of the role's tests run on {_name(facts)}; for production {ADVICE}"]
    return [f"untested: none of the role's tests runs on {_name(facts)}; try it first, or {ADVICE}"]


def _name(facts: Mapping[str, Any]) -> str:
    parts = (facts["distribution"], facts["release"] or facts["codename"])
    return " ".join(str(part) for part in parts if part) or "an unknown system"

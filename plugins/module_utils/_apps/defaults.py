# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The default of every key of an app, and how what the inventory gives is laid upon it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .reading import at

# Seconds; no cache keeps anything for longer (RFC 9111 has no limit, RFC 2616 named a year).
YEAR = 31_536_000

SOURCES = ("path", "mount", "package", "git", "archive", "image")
SERVERS = ("gunicorn", "uvicorn", "command", "image")
STAGES = ("build", "migrate", "after")

# Every key of an app but its name, with its default. The same values stand in meta/argument_specs.yml.
APP_DEFAULTS: dict[str, Any] = {
    "state": "present",
    "purge": False,
    "app": None,
    "factory": False,
    "source": {
        "include": [],
        "exclude": [],
        "requirements": None,
        "extras": [],
        "groups": [],
        "member": None,
        "install": True,
    },
    "requirements": [],
    "server_requirements": None,
    "shared": [],
    "files": [],
    "packages": [],
    "groups": [],
    "build": {"packages": [], "folder": "", "commands": []},
    "build_env": {},
    "app_dir": "",
    "python": None,
    "server": "gunicorn",
    "command": None,
    "processes": [],
    "workers": "auto",
    "timeout": 120,
    "graceful_timeout": 30,
    "max_requests": 0,
    "max_requests_jitter": 0,
    "ws_max_size": None,
    "prometheus": False,
    "reload": False,
    "env": {},
    "secrets": {},
    "credentials": {},
    "hooks": {"build": [], "migrate": [], "after": [], "after_failure": "keep"},
    "health": {"path": "/", "status": [200], "timeout": 30, "text": None},
    "domains": [],
    "root_path": "",
    "maintenance": False,
    "redirects": {},
    "static": [],
    "tls": {
        "mode": "self_signed",
        "client_ca": None,
        "client_certificate": "required",
        "files": {"certificate": None, "key": None},
        "acme": {
            "email": None,
            "directory": "https://acme-v02.api.letsencrypt.org/directory",
            "dns": None,
            "dns_env": {},
            "dns_check": True,
        },
    },
    "proxy": {
        "body_limit": "10m",
        "read_timeout": 60,
        "paths": [],
        "stream_paths": [],
        "trusted_proxies": [],
        "identity_headers": [],
        "basic_auth": {},
        "error_pages": {},
        "large_client_header_buffers": None,
        "underscores_in_headers": None,
        "keepalive_timeout": None,
        "headers": {},
        "browser_headers": "default",
        "compression": "gzip",
        "rate_limit": {"requests": None, "burst": 0},
        "connection_limit": "auto",
        "extra": "",
        "http3": False,
    },
    "sandbox": {
        "memory_deny_write_execute": True,
        "proc_subset": "pid",
        "network": "any",
        "writable_paths": [],
        "netlink": False,
        "memory_max": None,
        "allow_resources": False,
        "unit": {},
    },
    "strategy": "overlap",
    "warm_up": 0,
    "watch": {"seconds": 0, "errors": 5},
    "keep_warm": False,
    "keep_releases": 5,
}


def merge(under: Mapping[Any, Any], over: Mapping[Any, Any], depth: int = 3) -> dict[Any, Any]:
    """``over`` on top of ``under``, mapping by mapping; a kind of source, or of TLS, replaces that below."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if depth and isinstance(value, Mapping) and isinstance(below, Mapping):
            if key == "source" and any(kind in value for kind in SOURCES):
                below = {name: each for name, each in below.items() if name not in SOURCES}
            own = _tls_with_mode(value) if key == "tls" else value
            merged[key] = merge(below, own, depth - 1)
        else:
            merged[key] = value
    return merged


def _tls_with_mode(tls: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Giving the files is choosing them: the mode follows from the key where it is not named."""
    given = [mode for mode in ("files", "acme") if isinstance(tls.get(mode), Mapping)]
    return {**tls, "mode": given[0]} if "mode" not in tls and len(given) == 1 else tls


def with_server(merged: dict[Any, Any], given: Mapping[Any, Any]) -> dict[Any, Any]:
    """An image is its own server: that follows from the source where the app does not name one."""
    image = at(merged, "source.image") is not None
    return {**merged, "server": "image"} if image and "server" not in given else merged

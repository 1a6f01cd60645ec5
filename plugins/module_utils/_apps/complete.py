# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The complete form of an app: every key, each in one type, and the names that follow from it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import build_keys, error_pages, files
from .checks import InputError
from .defaults import APP_DEFAULTS, STAGES, merge, with_server
from .images import NOT_OF_AN_IMAGE
from .judge import problems
from .program_values import bytes_of
from .reading import as_bool, as_int, is_list, scalar
from .static import plain
from .table import IMAGE_CHECKS
from .unit_directives import directives

# The longest user name that utmp, ps and useradd of Debian 12 all take.
USER_NAME_MAX = 31


def normalize(
    apps: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The complete form of a list without problems: every key of the interface, in one type, and ``user``.

    ``health`` is a list, the items of ``hooks`` are ``{command, creates}``, ``source.package`` is a list,
    values of ``env`` and ``secrets`` are strings, a credential is its content or ``{file: path}``.
    An app that is to be absent keeps ``name``, ``state``, ``purge`` and ``user``. The input is not changed.
    Raises InputError with every problem where the list has any.
    """
    # Two apps on one mount point are wrong only in front of a proxy, which is not known here.
    wrong = problems(apps, defaults, proxy=False)
    if wrong:
        raise InputError("\n".join(wrong))
    base = merge(APP_DEFAULTS, defaults or {})
    return [_complete(with_server(merge(base, app), app), app, defaults or {}) for app in apps]


def user_name(name: str) -> str:
    """The system user of the app ``name``: ``asgi-NAME``; where that is too long, it ends in a digest."""
    user = f"asgi-{name}"
    if len(user) <= USER_NAME_MAX:
        return user
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{user[: USER_NAME_MAX - 7]}-{digest}"


def first_domain(domains: Sequence[str]) -> str:
    """The host name to ask an app by: its first domain, ``www`` for a star; without any, ``localhost``."""
    return re.sub(r"\A\*\.", "www.", domains[0]) if domains else "localhost"


def _complete(app: dict[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    name = str(app["name"])
    if app["state"] == "absent":
        return {"name": name, "state": "absent", "purge": as_bool(app["purge"]), "user": user_name(name)}
    if app["server"] == "image":
        app = _without_what_an_image_has(app)
    tls, proxy, sandbox = app["tls"], app["proxy"], app["sandbox"]
    numbers = (
        "timeout",
        "graceful_timeout",
        "max_requests",
        "max_requests_jitter",
        "keep_releases",
        "warm_up",
    )
    full = {
        **app,
        "name": name,
        "user": user_name(name),
        **{key: as_int(app[key]) for key in numbers},
        **{
            key: as_bool(app[key])
            for key in ("purge", "factory", "reload", "prometheus", "keep_warm", "maintenance")
        },
        **{
            key: [str(item) for item in app[key]] for key in ("requirements", "packages", "groups", "domains")
        },
        "source": _source(app["source"]),
        "build": build_keys.complete(app["build"]),
        "shared": [{"path": item["path"], "data": item.get("data", item["path"])} for item in app["shared"]],
        "files": files.complete(app["files"]),
        "python": None if app["python"] is None else str(app["python"]),
        "command": None if app["command"] is None else _argv(app["command"]),
        "processes": [_background(item, as_int(app["graceful_timeout"])) for item in app["processes"]],
        "workers": app["workers"] if app["workers"] in ("auto", "cores") else as_int(app["workers"]),
        "ws_max_size": None if app["ws_max_size"] is None else bytes_of(app["ws_max_size"]),
        "env": {key: scalar(value) for key, value in app["env"].items()},
        "build_env": {key: scalar(value) for key, value in app["build_env"].items()},
        "secrets": {key: scalar(value) for key, value in app["secrets"].items()},
        "credentials": {
            key: dict(value) if isinstance(value, Mapping) else scalar(value)
            for key, value in app["credentials"].items()
        },
        "hooks": {
            **{stage: [_step(item) for item in app["hooks"][stage]] for stage in STAGES},
            "after_failure": app["hooks"]["after_failure"],
        },
        "watch": _watched(app["watch"]),
        "health": _checks(app["health"], given.get("health"), defaults.get("health")),
        "redirects": {key: value for key, value in app["redirects"].items() if value},
        "static": [_static(item, name) for item in app["static"]],
        "tls": {
            "mode": tls["mode"],
            "client_ca": tls["client_ca"],
            "client_certificate": tls["client_certificate"],
            **{
                mode: dict(tls[mode] if tls["mode"] == mode else APP_DEFAULTS["tls"][mode])
                for mode in ("files", "acme")
            },
        },
        "proxy": {
            **proxy,
            "body_limit": str(proxy["body_limit"]),
            "read_timeout": as_int(proxy["read_timeout"]),
            "paths": list(proxy["paths"]),
            "stream_paths": list(proxy["stream_paths"]),
            "trusted_proxies": list(proxy["trusted_proxies"]),
            "identity_headers": [
                dict(item) if isinstance(item, Mapping) else {"name": item, "value": ""}
                for item in proxy["identity_headers"]
            ],
            "basic_auth": {name: scalar(word) for name, word in proxy["basic_auth"].items() if scalar(word)},
            "error_pages": error_pages.complete(proxy["error_pages"]),
            "underscores_in_headers": as_bool(proxy["underscores_in_headers"]),
            "keepalive_timeout": as_int(proxy["keepalive_timeout"]),
            "headers": {key: scalar(value) for key, value in proxy["headers"].items()},
            "rate_limit": {key: as_int(value) for key, value in proxy["rate_limit"].items()},
            "connection_limit": _connections(proxy["connection_limit"]),
            "http3": as_bool(proxy["http3"]),
        },
        "sandbox": {
            **sandbox,
            "memory_deny_write_execute": as_bool(sandbox["memory_deny_write_execute"]),
            "allow_resources": as_bool(sandbox["allow_resources"]),
            "netlink": as_bool(sandbox["netlink"]),
            "writable_paths": list(sandbox["writable_paths"]),
            "unit": directives(sandbox["unit"], image=app["server"] == "image"),
        },
    }
    acme = full["tls"]["acme"]
    acme["dns_env"] = {key: scalar(value) for key, value in acme["dns_env"].items()}
    acme["dns_check"] = as_bool(acme["dns_check"])
    if full["server_requirements"] is not None:
        full["server_requirements"] = [str(item) for item in full["server_requirements"]]
    return full


def _without_what_an_image_has(app: dict[str, Any]) -> dict[str, Any]:
    """Defaults of all apps that shape what the role builds of itself do not reach an image."""
    app = {**app, "hooks": {**app["hooks"], "build": []}}
    return app | {key: APP_DEFAULTS[key] for key in NOT_OF_AN_IMAGE if "." not in key}


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    full = {
        **source,
        **{key: list(source[key]) for key in ("include", "exclude", "extras", "groups")},
        "install": as_bool(source["install"]),
    }
    if "image" in full:
        image = {key: full["image"].get(key) for key in IMAGE_CHECKS}
        args = image["build_args"] or {}
        return {"image": {**image, "build_args": {key: scalar(value) for key, value in args.items()}}}
    if "package" in full and not is_list(full["package"]):
        full["package"] = [full["package"]]
    return full


def _static(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    path = plain(item["path"])
    own = f"/var/lib/asgi/{name}/"
    if path.startswith(own):
        path = f"{{data}}/{path.removeprefix(own)}"
    return {
        **item,
        "path": path,
        "cache": _cached(item.get("cache", 0)),
        "fallback": item.get("fallback"),
        "internal": as_bool(item.get("internal", False)),
    }


def _connections(value: Any) -> int | str | None:
    return "auto" if value is None else value if value in ("auto", "none") else as_int(value)


def _cached(value: Any) -> int | str | None:
    return "immutable" if value == "immutable" else as_int(value)


def _argv(command: Any) -> str | list[str]:
    return [str(word) for word in command] if is_list(command) else str(command)


def _step(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        item = {"command": item}
    return {
        "command": _argv(item["command"]),
        "creates": item.get("creates"),
        "every_host": as_bool(item.get("every_host")),
    }


def _background(item: Mapping[str, Any], graceful_timeout: int | None) -> dict[str, Any]:
    return {
        "name": item["name"],
        "command": _argv(item["command"]),
        "stop_timeout": as_int(item.get("stop_timeout")) or graceful_timeout,
        "instances": as_int(item.get("instances", 1)),
    }


def _watched(value: Any) -> dict[str, int | None]:
    whole = value if isinstance(value, Mapping) else {"seconds": value}
    return {key: as_int({**APP_DEFAULTS["watch"], **whole}[key]) for key in ("seconds", "errors")}


def _checks(merged: Any, given: Any, defaults: Any) -> list[dict[str, Any]]:
    """A list of checks; what an item leaves out comes from the defaults, where they are one check."""
    base = (
        merge(APP_DEFAULTS["health"], defaults) if isinstance(defaults, Mapping) else APP_DEFAULTS["health"]
    )
    if isinstance(given, Mapping):
        return [_check({**base, **given})]
    return [_check({**base, **item}) for item in (merged if is_list(merged) else [merged])]


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    statuses = item["status"] if is_list(item["status"]) else [item["status"]]
    return {
        "path": str(item["path"]),
        "status": [as_int(status) for status in statuses],
        "timeout": as_int(item["timeout"]),
        "text": item["text"],
    }

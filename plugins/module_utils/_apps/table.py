# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The check of every key of an app, and of every key of the mappings in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .build_keys import build
from .checks import Check, Say, a_bool, each, keys, line, number, one_of, optional, pattern, seconds
from .defaults import SERVERS, STAGES
from .error_pages import pages
from .files import files
from .identity import identity_headers
from .images import TARGET, build_args, image_name, registry_auth
from .program_values import (
    DEBIAN_PACKAGE,
    EXTRA,
    MEMORY,
    NAME,
    absolute,
    command,
    credentials,
    file_pattern,
    git_version,
    group,
    import_string,
    python,
    relative,
    requirement,
    variables,
    workers,
    ws_max_size,
)
from .reading import is_list
from .site_keys import basic_auth, header_buffers, redirects
from .unit_directives import unit_directives
from .web_values import (
    DIRECTORY,
    DNS_PROVIDER,
    EMAIL,
    body_limit,
    cache,
    connection_limit,
    domain,
    headers,
    health_path,
    network,
    page,
    root_path,
    static_path,
    static_url,
    text_block,
    url_path,
)

_path_on_controller = line("a path", "../shop")
_sha256 = pattern(re.compile(r"[0-9a-fA-F]{64}"), "a SHA-256 digest", "give its 64 hex digits")
_requirements = each(requirement, '["httpx>=0.28"]')


def _package(say: Say, key: str, value: Any) -> None:
    if is_list(value):
        each(requirement, '["datasette>=0.65"]', filled=True)(say, key, value)
    else:
        requirement(say, key, value)


IMAGE_CHECKS: dict[str, Check] = {
    "path": optional(_path_on_controller),
    "dockerfile": optional(relative("the folder", "docker/Dockerfile")),
    "target": optional(pattern(TARGET, "a stage of a Dockerfile", "give its name, such as production")),
    "build_args": optional(build_args),
    "archive": optional(line("a path", "../shop-1.4.tar")),
    "sha256": optional(_sha256),
    "name": optional(image_name),
    "auth": optional(registry_auth),
}
_image = keys(IMAGE_CHECKS, example="{path: ../shop}, {archive: …} or {name: …}")
_source_keys = keys(
    {
        "path": _path_on_controller,
        "mount": absolute,
        "package": _package,
        "git": keys(
            {
                "repo": line("a repository", "https://git.example.com/shop.git"),
                "version": git_version,
                "key_file": optional(line("a path", "files/deploy-key")),
                "folder": optional(relative("the repository", "backend")),
            },
            ("repo",),
            "{repo: …, version: …}",
        ),
        "archive": keys(
            {
                "path": optional(_path_on_controller),
                "url": optional(line("a URL", "https://example.com/shop.tar.gz")),
                "sha256": optional(_sha256),
            },
            example="{url: …, sha256: …}",
        ),
        "image": _image,
        "include": each(file_pattern, "[frontend/dist/]"),
        "exclude": each(file_pattern, "[docs/]"),
        "requirements": optional(relative("the source", "requirements/prod.txt")),
        "extras": each(pattern(EXTRA, "an extra's name", "give one such as postgres"), "[postgres]"),
        "groups": each(pattern(EXTRA, "a dependency group's name", "give one such as prod"), "[prod]"),
        "member": optional(pattern(EXTRA, "the name of a workspace's member", "give one such as api")),
        "install": a_bool,
    },
    example="{path: ../shop}",
)
_shared = each(
    keys(
        {"path": relative("the source", "uploads"), "data": relative("the data folder", "uploads")},
        ("path",),
        "{path: uploads, data: uploads}",
    ),
    "[{path: uploads, data: uploads}]",
)
_processes = each(
    keys(
        {
            "name": pattern(
                NAME, "a name", "give lower-case letters, digits and -, a letter first, such as worker"
            ),
            "command": command,
            "stop_timeout": optional(number(1, 86_400, " of seconds")),
            "instances": number(1, 64, " of instances"),
        },
        ("name", "command"),
        "{name: worker, command: python -m shop.worker}",
    ),
    "[{name: worker, command: python -m shop.worker}]",
)


def _hook(say: Say, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        fields: dict[str, Check] = {
            "command": command,
            "creates": optional(line("a path", "{data}/db.sqlite3")),
            "every_host": optional(a_bool),
        }
        keys(fields, ("command",), "{command: …, creates: …}")(say, key, value)
    else:
        command(say, key, value)


_hooks = keys(
    {
        **{stage: each(_hook, '["python manage.py migrate"]', distinct=False) for stage in STAGES},
        "after_failure": one_of("keep", "rollback"),
    }
)


def _statuses(say: Say, key: str, value: Any) -> None:
    if is_list(value):
        each(number(100, 599), "[200]", filled=True)(say, key, value)
    else:
        number(100, 599)(say, key, value)


_one_health = keys(
    {
        "path": health_path,
        "status": _statuses,
        "timeout": number(1, 3600, " of seconds"),
        "text": optional(line("a text", '\'"status": "ok"\'')),
    },
    example="{path: /health}, or a list of such",
)


def _health(say: Say, key: str, value: Any) -> None:
    if is_list(value):
        each(_one_health, "[{path: /health}]", filled=True)(say, key, value)
    else:
        _one_health(say, key, value)


_watch_keys = keys(
    {"seconds": number(0, 3600, " of seconds"), "errors": number(0, 100, " of percent")},
    example="a number of seconds, or {seconds: 60, errors: 5}",
)


def _watch(say: Say, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        _watch_keys(say, key, value)
    else:
        number(0, 3600, " of seconds")(say, key, value)


_static = each(
    keys(
        {
            "url": static_url,
            "path": static_path,
            "cache": cache,
            "fallback": optional(page),
            "internal": a_bool,
        },
        ("url", "path"),
        "{url: /static/, path: static}",
    ),
    "[{url: /static/, path: static}]",
)
_tls = keys(
    {
        "mode": one_of("self_signed", "files", "acme", "none"),
        "client_ca": optional(line("a path", "files/clients.pem")),
        "client_certificate": one_of("required", "optional"),
        "files": keys(
            {
                "certificate": optional(line("a path", "files/shop.pem")),
                "key": optional(line("a path", "files/shop.key")),
            },
            example="{certificate: …, key: …}",
        ),
        "acme": keys(
            {
                "email": optional(pattern(EMAIL, "an address of mail", "give one such as ops@example.com")),
                "directory": pattern(
                    DIRECTORY, "the URL of a directory", "give one such as https://acme.example.com/directory"
                ),
                "dns": optional(
                    pattern(
                        DNS_PROVIDER, "a DNS provider of lego", "give its code, such as cloudflare or exec"
                    )
                ),
                "dns_env": variables,
                "dns_check": a_bool,
            },
            example="{email: …}",
        ),
    },
    example="{mode: self_signed}",
)
_rate_limit = keys(
    {
        "requests": optional(number(1, 100_000, " of requests a second")),
        "burst": number(0, 100_000, " of requests"),
    },
    example="{requests: 20, burst: 40}",
)
_proxy = keys(
    {
        "body_limit": body_limit,
        "read_timeout": seconds,
        "paths": each(url_path, "[/api]"),
        "stream_paths": each(url_path, "[/events]"),
        "trusted_proxies": each(network, '["10.0.0.0/8"]'),
        "identity_headers": identity_headers,
        "basic_auth": basic_auth,
        "error_pages": pages,
        "large_client_header_buffers": optional(header_buffers),
        "underscores_in_headers": optional(a_bool),
        "keepalive_timeout": optional(number(0, 3600, " of seconds")),
        "headers": headers,
        "browser_headers": one_of("default", "strict", "none"),
        "compression": one_of("gzip", "brotli", "none"),
        "rate_limit": _rate_limit,
        "connection_limit": optional(connection_limit),
        "extra": text_block,
        "http3": a_bool,
    }
)
_sandbox = keys(
    {
        "memory_deny_write_execute": a_bool,
        "proc_subset": one_of("pid", "all"),
        "network": one_of("any", "local", "none"),
        "netlink": a_bool,
        "writable_paths": each(absolute, "[/var/spool/shop]"),
        "memory_max": optional(pattern(MEMORY, "an amount of memory", "give one such as 512M, 2G or 50%")),
        "allow_resources": a_bool,
        "unit": unit_directives,
    }
)
CHECKS: dict[str, Check] = {
    "state": one_of("present", "absent"),
    "purge": a_bool,
    "app": import_string,
    "factory": a_bool,
    "source": _source_keys,
    "requirements": _requirements,
    "server_requirements": optional(each(requirement, '["gunicorn<27"]', filled=True)),
    "shared": _shared,
    "files": files,
    "packages": each(
        pattern(DEBIAN_PACKAGE, "the name of a Debian package", "give one such as libpq5"), "[libpq5]"
    ),
    "groups": each(group, "[redis]"),
    "build": build,
    "build_env": variables,
    "app_dir": relative("the source", "src", empty=True),
    "python": optional(python),
    "server": one_of(*SERVERS),
    "command": optional(command),
    "processes": _processes,
    "workers": workers,
    # 0 means "never" to gunicorn, and "at once" to uvicorn's manager: neither is a time.
    "timeout": seconds,
    "graceful_timeout": seconds,
    "max_requests": number(0, None, " of requests"),
    "max_requests_jitter": number(0, None, " of requests"),
    "ws_max_size": optional(ws_max_size),
    "prometheus": a_bool,
    "reload": a_bool,
    "env": variables,
    "secrets": variables,
    "credentials": credentials,
    "hooks": _hooks,
    "health": _health,
    "domains": each(domain, "[shop.example.com]"),
    "root_path": root_path,
    "maintenance": a_bool,
    "redirects": redirects,
    "static": _static,
    "tls": _tls,
    "proxy": _proxy,
    "sandbox": _sandbox,
    "strategy": one_of("overlap", "restart"),
    "warm_up": number(0, 10000, " of requests"),
    "watch": _watch,
    "keep_warm": a_bool,
    "keep_releases": number(1),
}

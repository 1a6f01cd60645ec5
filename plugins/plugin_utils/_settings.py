# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that follow from an app's own: one place for each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _systems, _versions
from ansible_collections.asgi.host.plugins.module_utils._apps import workers
from ansible_collections.asgi.host.plugins.module_utils._apps.program_values import TOKEN
from ansible_collections.asgi.host.plugins.plugin_utils._timeouts import timeouts

# Of the memory of a host, what the workers of one instance may take, for a deploy has two of them; and of an app's own
# limit, which is for one.
SHARE_OF_HOST, SHARE_OF_LIMIT = 0.4, 0.9
UNITS_OF_MEMORY = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
# Streams of one connection at a time: at most, at least, and the bytes of bodies that they may come to between the two.
STREAMS, STREAMS_LEAST, BODIES_OF_CONNECTION = 100, 16, 2 * 1024**3
# What one address may have under way at the same time on all sites of a host, where its apps say nothing else. One
# connection of HTTP/2 has a hundred requests, and an office shares an address. A WebSocket takes two connections of nginx
# and no disk, and of many pages each has one open: an address with all that it may have takes less than half of a worker's.
REQUESTS_OF_ADDRESS, WEBSOCKETS_OF_ADDRESS = 500, 1500
WORKER_CONNECTIONS = 8192


def derived(app: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    """What the templates of a release need beside the app's own settings; ``times`` is the app's timeout chain."""
    uri = app["app"] or ""
    return {
        "app_uri": uri + ("()" if app["factory"] else ""),
        "tokens": bool(TOKEN.search(uri)),
        "dotted": "." in uri.partition(":")[2].partition("(")[0],
        "workers": workers(app["workers"], cores=host["cores"], memory_mb=host["memory_mb"]),
        "times": timeouts(app),
    }


def room_for_workers(app: dict[str, Any], host: Mapping[str, Any]) -> float | None:
    """The memory for the workers of one instance in MiB, where their number is ours to choose; else None."""
    if app["workers"] != "auto" or app["reload"] or app["server"] not in ("gunicorn", "uvicorn"):
        return None
    room: float = SHARE_OF_HOST * host["memory_mb"]
    if limit := app["sandbox"]["memory_max"]:
        number, unit = int(limit[:-1]), limit[-1]
        own = number / 100 * host["memory_mb"] if unit == "%" else number * UNITS_OF_MEMORY[unit]
        room = min(room, SHARE_OF_LIMIT * own)
    return room


def streams(apps: Sequence[Mapping[str, Any]]) -> int:
    """How many requests of one connection of HTTP/2 or 3 the site of these apps takes at the same time.

    nginx takes each body whole before it asks an app, so the product with ``proxy.body_limit`` is what one connection can
    lay on the disk. 100 is the least that RFC 9113 (6.5.2) recommends; browsers do with less, and wait for their turn.
    """
    largest = max(_bytes(app["proxy"]["body_limit"]) for app in apps)
    fitting = BODIES_OF_CONNECTION // largest if largest else 0
    return max(STREAMS_LEAST, min(STREAMS, fitting))


def _bytes(size: str) -> int:
    """A size of nginx's in bytes."""
    unit = {"k": 1024, "m": 1024**2, "g": 1024**3}.get(size[-1:].lower())
    return int(size[:-1]) * unit if unit else int(size)


def hash_of_names(
    domains: Sequence[Sequence[str]], apps: Sequence[Mapping[str, Any]], host: Mapping[str, Any]
) -> dict[str, int]:
    """The ``server_names_hash_*``, ``bucket_size`` and ``max_size`` of nginx, where its own do not do for these sites.

    A bucket holds a name with a pointer and a length, in whole pointers, and one more pointer at its end
    (ngx_hash.c): 46 characters in its 64 bytes. Names of apps that another inventory has brought count as well.
    A size that somebody else has set stays, for nginx takes each once.
    """
    own = {app["name"] for app in apps}
    theirs = [site["domains"] for name, site in host["nginx"].get("sites", {}).items() if name not in own]
    every = [name for names in (*domains, *theirs) for name in names]
    longest = max(map(len, every), default=0)
    bucket, buckets = 64, 512
    while bucket < 2 * 8 + (longest + 2 + 7) // 8 * 8:
        bucket *= 2
    while buckets < 2 * len(every):
        buckets *= 2
    found = {"bucket_size": (bucket, 64), "max_size": (buckets, 512)}
    foreign = host["nginx"].get("names_hash", [])
    return {name: size for name, (size, least) in found.items() if size > least and name not in foreign}


def below_home(folder: str) -> bool:
    """Whether a folder of the host is one that the sandbox hides with all homes."""
    return f"{folder}/".startswith(("/home/", "/root/", "/run/user/"))


def read_timeout(app: dict[str, Any]) -> int:
    """Seconds that nginx waits for an app; more than its own where a deploy in place holds requests."""
    return timeouts(app).read


def upstream(app: dict[str, Any]) -> str:
    """The name of an app's upstream in nginx, with which all its names there begin."""
    return "asgi_" + str(app["name"]).replace("-", "_")


def in_data(path: str) -> bool:
    """Whether a static path lies in the app's data folder."""
    return path.startswith("{data}/")


def nginx_has(host: Mapping[str, Any], *version: int) -> bool:
    """Whether the host's nginx, or the one that it will get, is of this version or a later one."""
    return _versions.numbers(_systems.nginx_version(host) or "0") >= version


def http2_directive(host: Mapping[str, Any]) -> bool:
    """Whether nginx knows ``http2 on``, and not only the parameter of ``listen``."""
    return nginx_has(host, 1, 25, 1)


def http3(host: Mapping[str, Any]) -> bool:
    """Whether nginx knows HTTP/3."""
    return nginx_has(host, 1, 25, 0)


def rotating_tickets(host: Mapping[str, Any]) -> bool:
    """Whether nginx changes the keys of TLS session tickets by itself, as it does with a shared cache."""
    return nginx_has(host, 1, 23, 2)

# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables by which servers are set as well: none may replace what a key of the inventory says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import Say

# Of every server, with the key that says the same.
ALWAYS = {
    "WEB_CONCURRENCY": "would replace workers; give the number there",
    "FORWARDED_ALLOW_IPS": "says whose headers are believed, and here only nginx reaches the app; name what stands before "
    "nginx in proxy.trusted_proxies",
    "PYTHONHOME": "would give the app another Python than its virtualenv's; choose one by python",
    "UVICORN_WORKERS": "would replace workers; give the number there",
    "UVICORN_FORWARDED_ALLOW_IPS": "says whose headers are believed, and here only nginx reaches the app; name what stands "
    "before nginx in proxy.trusted_proxies",
}
# Where the role itself writes how the server runs, with the keys by which one says it.
BY_THE_ROLE = {
    "GUNICORN_CMD_ARGS": "would replace what the role tells gunicorn; give workers, timeout, graceful_timeout, max_requests "
    "and max_requests_jitter in its place",
    "UVICORN_": "is read by uvicorn's command line, which this server does not use; give workers, timeout, "
    "graceful_timeout and root_path in its place, or set server: command",
}
# Where a program of one's own listens on the port that the role chooses.
PORT = {
    "PORT": "is chosen by the role, which connects nginx to it; remove it",
    "UVICORN_PORT": "would listen on another port than the role connects nginx to; remove it",
    "UVICORN_HOST": "would listen elsewhere than the role connects nginx to; remove it",
}


def server_variables(say: Say, app: Mapping[Any, Any]) -> None:
    """Refuse each with the key that says it. What is left to an image or a program of one's own is docs/servers.md."""
    server = app.get("server")
    known = {**ALWAYS, **(BY_THE_ROLE if server in ("gunicorn", "uvicorn") else PORT)}
    for key in ("env", "secrets"):
        given = app.get(key)
        for name in given if isinstance(given, Mapping) else ():
            # A prefix stands for all that begin with it.
            found = known.get(name) or next(
                (
                    why
                    for prefix, why in known.items()
                    if prefix.endswith("_") and str(name).startswith(prefix)
                ),
                None,
            )
            if found:
                say(f"{key}.{name}", found)

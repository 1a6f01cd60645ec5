# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timeout chain: every time between a client and an app, from the few numbers of the inventory.

A time that is wrong by itself is easily found; most that cost requests are wrong against another one. So they are made
in one place, all in seconds, and the templates take them from here. docs/timeouts.md shows them to operators.

What must hold, whatever the inventory says (tests/unit/test_timeouts.py proves each for a range of inventories):

1. nginx closes an idle connection before the app would: ``door.upstream_keepalive`` < ``idle`` < ``keepalive``.
2. nginx has let go of a release before that is stopped: a connection is used for one ``upstream_keepalive`` and then
   idle for another, both less than ``LET_GO`` of ``module_utils/_release/switch.py``.
3. Who ends by force comes last, each after the one within it had its time:
   ``graceful`` + ``closing`` < ``kill`` (gunicorn's master) < ``stop`` (systemd), and the app's lifespan shutdown has
   what lies between. A candidate that failed has ``PATIENCE`` of ``_release/units.py``, more than ``idle`` + ``arriving``.
4. A quiet WebSocket lives: three pings within ``read``.
5. Whoever waits for a deploy in place is waited for: ``read`` and ``send`` are longer than the deploy.

In ``module_utils`` stay, for they run on the host: ``switch.LET_GO``, ``units.PATIENCE``, ``deploy.STILL_HEALTHY`` and
``SILENT_PATIENCE``, ``watch.HEALTH_LIMIT``; the same test holds the first two against the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._release.background import STAYS_UP_AT_MOST
from ansible_collections.asgi.host.plugins.module_utils._release.switch import LET_GO
from ansible_collections.asgi.host.plugins.module_utils._release.units import PATIENCE

# nginx's own for sending to an app: the least of what is given, so that a short read_timeout cuts no slow upload.
NGINX_SEND = 60
# What a stream may be silent for: nobody waits for an hour by mistake, and an app that streams says something in it.
STREAM_READ = 3600
# What an app's lifespan shutdown may take after the last request, before systemd ends it.
SHUTDOWN_MARGIN = 15
# Between gunicorn's own end of a worker and systemd's of all: its master takes note, and says so in the journal.
KILL_BEFORE_STOP = 2
# The least that systemd waits for READY, its own default.
START = 90
# Between two pings on a WebSocket, uvicorn's own default; less where nginx waits for less than three of them.
PING_INTERVAL = 20.0
# A worker says once a second that it lives (uvicorn's server looks each tenth of its 0.1 s rounds). gunicorn allowed one
# second kills healthy workers: measured, 4 workers, none asked.
HEARTBEAT = 2


@dataclass(frozen=True)
class Door:
    """What nginx allows every client, and every connection to an app, of a host. In whole seconds."""

    client_header: int = 15
    """For the whole header of a request."""
    client_body: int = 30
    """Between two reads of its body."""
    client_send: int = 30
    """Between two writes of the answer."""
    client_keepalive: int = 65
    """That a client's connection may be idle."""
    connect: int = 5
    """For a connection to an app. systemd holds the socket, so that only a full backlog takes time."""
    upstream_keepalive: int = 2
    """That a connection to an app is used, and that it may be idle; measured, see docs/how-it-works.md."""


DOOR = Door()


@dataclass(frozen=True)
class Timeouts:
    """The times of one app, in seconds, in the order of a request's life and then of a stop's."""

    read: int
    """nginx: between two reads from the app, so for the first word of an answer as well (``proxy_read_timeout``)."""
    send: int
    """nginx: between two writes to the app (``proxy_send_timeout``)."""
    stream_read: int
    """nginx: the same as ``read``, on ``proxy.stream_paths``."""
    ping_interval: float
    """Worker: between two pings on a WebSocket."""
    heartbeat: int
    """gunicorn: ends a worker that gave no sign of life for so long (``timeout``)."""
    worker_healthcheck: int
    """uvicorn's own manager: the same by a question to each worker (``--timeout-worker-healthcheck``)."""
    graceful: int
    """Worker: for requests, streams and WebSockets once it is told to stop."""
    kill: int
    """gunicorn: its master kills the workers so long after it was told to stop (``graceful_timeout``)."""
    stop: int
    """systemd: kills all that is left of the instance (``TimeoutStopSec``)."""
    start: int
    """systemd: for the start, of a container above all (``TimeoutStartSec``). The gate is the limit of what works."""
    keepalive: int = 75
    """Worker: that a connection may be idle. Long, so that nginx goes first."""
    idle: float = DOOR.upstream_keepalive + 0.5
    """Worker: that it goes on answering on idle connections when told to stop; then nginx has closed them."""
    arriving: float = 0.2
    """Worker: for the request of a connection that was accepted last."""
    linger: float = 0.3
    """Worker: between a WebSocket's close frame and the end of its connection."""
    closing: int = 1
    """uvicorn: for the end of what was closed when ``graceful`` was over (``timeout_graceful_shutdown``)."""
    door: Door = DOOR


def timeouts(app: Mapping[str, Any]) -> Timeouts:
    """Every time of a normalized app.

    From its ``timeout``, ``graceful_timeout``, ``proxy.read_timeout``, ``health[].timeout``, ``strategy`` and
    ``server``; the times are whole and positive, as normalize() gives them.

    With ``strategy: restart`` a request may wait from the moment that the old instance is told to stop until, in the
    worst case, it is back: nginx lets go, the old one ends, the new one fails its gate and is ended, the old one
    starts; background processes are tried meanwhile. A warm-up is not counted: it follows a gate that was passed, and then nothing is started a second time.

    ``stop`` of uvicorn's own manager holds ``timeout`` as well: while it waits for the answer of a worker that hangs it
    hears no SIGTERM, and the other workers have not even begun to drain.
    """
    own, graceful = int(app["proxy"]["read_timeout"]), int(app["graceful_timeout"])
    silent = int(app["timeout"])
    stop = graceful + SHUTDOWN_MARGIN + (silent if app["server"] == "uvicorn" else 0)
    read = max(own, _in_place(app, stop)) if app["strategy"] == "restart" else own
    return Timeouts(
        read=read,
        send=max(read, NGINX_SEND),
        stream_read=max(read, STREAM_READ),
        ping_interval=min(PING_INTERVAL, own / 3),
        heartbeat=max(silent, HEARTBEAT),
        worker_healthcheck=silent,
        graceful=graceful,
        kill=stop - KILL_BEFORE_STOP,
        stop=stop,
        start=max(START, *(int(check["timeout"]) for check in app["health"])),
    )


def _in_place(app: Mapping[str, Any], stop: int) -> int:
    """The longest that requests are held by a deploy with ``strategy: restart``."""
    proving = sum(int(check["timeout"]) for check in app["health"])
    trying = STAYS_UP_AT_MOST if app["processes"] else 0
    return int(LET_GO + stop + proving + trying + PATIENCE + proving)

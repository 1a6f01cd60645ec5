# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The time that a whole answer may take: who asks over HTTP is not to wait for a server that never comes to an end.

A socket's own timeout is for each of its reads, and a byte now and then begins it anew.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def whole_within(connection: socket.socket, seconds: float) -> Iterator[None]:
    """What is read of a connection in this block has so many seconds for all of it. Raises TimeoutError."""
    cut = threading.Event()

    def end() -> None:
        cut.set()
        with contextlib.suppress(OSError):
            # Not TLS's own, which waits for a word of the other side.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, seconds), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if cut.is_set():
            raise TimeoutError("timed out before it was whole") from error
        raise
    finally:
        timer.cancel()
    if cut.is_set():
        raise TimeoutError("timed out before it was whole")

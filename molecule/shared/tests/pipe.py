"""Sends bytes exactly as they are told, each lot on a connection of its own, and tells what came back.

It runs on the client host, with nothing but Python's standard library. On standard input comes JSON: the host's
``address`` and its ``lots``; on standard output goes a list with what became of each lot, in the same order.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Seconds that an answer may take; one that needs no more closes the connection earlier.
PATIENCE = 20.0
TOGETHER = 64
LIMIT = 4_000_000


def connected(address: str, lot: dict[str, Any]) -> tuple[socket.socket, str]:
    """A connection, with TLS where the lot names an SNI; and the address that it comes from."""
    plain = socket.create_connection((address, lot["port"]), PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    source = str(plain.getsockname()[0])
    if not lot["sni"]:
        return plain, source
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if lot["alpn"]:
        context.set_alpn_protocols(lot["alpn"])
    return context.wrap_socket(plain, server_hostname=lot["sni"], suppress_ragged_eofs=False), source


def received(opened: socket.socket, quiet: float) -> tuple[bytes, str]:
    """Everything until the host closes or is quiet for so many seconds, and how it ended: closed, reset, silent."""
    got = b""
    until = time.monotonic() + PATIENCE
    while (left := until - time.monotonic()) > 0 and len(got) < LIMIT:
        opened.settimeout(min(quiet, left) if got else left)
        try:
            more = opened.recv(65536)
        except TimeoutError:
            break
        except ssl.SSLEOFError:
            return got, "closed"
        except OSError:
            return got, "reset"
        if not more:
            return got, "closed"
        got += more
    return got, "silent"


def exchange(address: str, lot: dict[str, Any]) -> dict[str, Any]:
    """Send one lot, part by part, and read what comes."""
    got, end, source = b"", "refused", ""
    try:
        opened, source = connected(address, lot)
    except OSError as error:
        return {"received": "", "end": f"refused: {error}", "source": source}
    with opened:
        # Who is refused early may find the connection closed before all is sent; the answer is there all the same.
        with contextlib.suppress(OSError):
            for number, part in enumerate(lot["parts"]):
                if number:
                    time.sleep(lot["pause"])
                opened.sendall(base64.b64decode(part))
        got, end = received(opened, lot["quiet"])
    return {"received": base64.b64encode(got).decode(), "end": end, "source": source}


def main() -> None:
    """Exchange all lots, several at a time."""
    told = json.load(sys.stdin)
    with ThreadPoolExecutor(TOGETHER) as pool:
        answers = list(pool.map(lambda lot: exchange(told["address"], lot), told["lots"]))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()

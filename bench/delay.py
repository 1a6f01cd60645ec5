"""A network namespace whose only way out is late: every packet waits, on its way out and on its way back.

The delay is one of IP, by two tun devices and a program between them, so that TCP sees a long way as it is: its
acknowledgements are late too, and Nagle's algorithm waits for them. A relay of TCP would hide that, and netem is not
in every kernel. Needs root and /dev/net/tun. Nothing of it outlives the block.

usage: delay.py ADDRESS PORT [MILLISECONDS]     what a TCP connection through it takes (30 ms)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import statistics
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

TUN = Path("/dev/net/tun")
# Of linux/if_tun.h: make a device, of IP packets, without a header before each.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# Room for a packet of the largest MTU; the devices' own is 1500.
PACKET = 65536
# Packets that wait in a device while the program is not on the processor; 500 by default, which a window of TCP exceeds.
QUEUE = 10000
STDIN = 0
# Addresses for benchmarks (RFC 2544), which are nobody's.
INSIDE, OUTSIDE = "198.18.77.2", "198.18.77.1"
CONNECT = """
import socket, statistics, sys, time
took = []
for _ in range(7):
    began = time.monotonic()
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    took.append(time.monotonic() - began)
print(statistics.median(took))
"""


def why_not() -> str | None:
    """Why this machine cannot do it; None where it can."""
    if os.geteuid() != 0:
        return "it needs root"
    if not TUN.exists():
        return f"there is no {TUN}"
    if Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="ascii").strip() != "1":
        return "this machine forwards no packets (net.ipv4.ip_forward)"
    return None


def device(name: str) -> int:
    """Make a tun device that lasts as long as the descriptor that is returned."""
    descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def carry(inside: int, outside: int, seconds: float) -> None:
    """Hand packets on between two devices, each ``seconds`` after it came, until standard input ends."""
    with contextlib.suppress(PermissionError):
        os.nice(-10)
    waiting: dict[int, deque[tuple[float, bytes]]] = {inside: deque(), outside: deque()}
    other = {inside: outside, outside: inside}
    while True:
        due = min((queue[0][0] for queue in waiting.values() if queue), default=time.monotonic() + 60)
        readable = select.select([STDIN, *waiting], [], [], max(0.0, due - time.monotonic()))[0]
        if STDIN in readable:
            return
        for descriptor in readable:
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet = os.read(descriptor, PACKET)
                    waiting[descriptor].append((time.monotonic() + seconds, packet))
        for descriptor, queue in waiting.items():
            while queue and queue[0][0] <= time.monotonic():
                # A device that takes nothing more loses packets, as a network does.
                with contextlib.suppress(OSError):
                    os.write(other[descriptor], queue[0][1])
                queue.popleft()


def _ip(*words: str, into: Sequence[str] = ()) -> None:
    subprocess.run([*into, "ip", *words], check=True, capture_output=True)


def _namespace(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has left this network namespace."""
    own, end = Path("/proc/self/ns/net").readlink(), time.monotonic() + 10
    while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
        if time.monotonic() > end:
            raise RuntimeError("no network namespace could be made")
        time.sleep(0.01)


@contextlib.contextmanager
def late(milliseconds: float) -> Iterator[list[str]]:
    """The words that go before a command to run it where each round trip takes so much longer.

    Raises CalledProcessError, OSError or RuntimeError where the network cannot be made.
    """
    with contextlib.ExitStack() as stack:

        def started(argv: list[str], *descriptors: int) -> subprocess.Popen[bytes]:
            # Whose standard input ends with this process, however that ends.
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, pass_fds=descriptors)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        names = [f"late{os.getpid() % 10**7}{side}" for side in "io"]
        descriptors = [device(name) for name in names]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        holder = started(["unshare", "--net", "cat"])
        _namespace(holder)
        into = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        _ip("link", "set", names[0], "netns", str(holder.pid))
        for name, own, far, where in (
            (names[0], INSIDE, OUTSIDE, into),
            (names[1], OUTSIDE, INSIDE, []),
        ):
            _ip("address", "add", own, "peer", far, "dev", name, into=where)
            _ip("link", "set", name, "txqueuelen", str(QUEUE), "up", into=where)
        _ip("link", "set", "lo", "up", into=into)
        _ip("route", "add", "default", "via", OUTSIDE, into=into)
        words = ["carry", *map(str, descriptors), str(milliseconds / 2000)]
        started([sys.executable, __file__, *words], *descriptors)
        yield into


def round_trip(address: str, port: int, prefix: Sequence[str] = ()) -> float:
    """What a TCP connection takes, in milliseconds: one round trip. The median of seven; raises RuntimeError."""
    argv = [*prefix, sys.executable, "-c", CONNECT, address, str(port)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{address} port {port} is not reached: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout) * 1000


def main() -> None:
    """Carry packets for ``late``, or show what it does."""
    if sys.argv[1] == "carry":
        carry(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
        return
    address, port = sys.argv[1], int(sys.argv[2])
    asked = float(sys.argv[3]) if len(sys.argv) > 3 else 30.0
    if reason := why_not():
        raise SystemExit(reason)
    with late(asked) as prefix:
        found = [round_trip(address, port, prefix) for _turn in range(5)]
    print(f"{statistics.median(found):.1f} ms, without {round_trip(address, port):.1f} ms")


if __name__ == "__main__":
    main()

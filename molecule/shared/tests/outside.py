"""The client host: another machine on the network, from which the hosts under test are attacked and judged."""

from __future__ import annotations

import base64
import functools
import itertools
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame
from targets import ROOT, Target

AUTHORITY = ROOT / ".cache" / "test-authority" / "root.crt"
TOOLS = ROOT / ".cache" / "door" / "bin"
SITE = "probe.test"
# The beginning of what the app `probe` records, and a number of its own for each request.
RUN = f"door-{time.time_ns():x}"
COUNTER = itertools.count(1)
# Stands for the mark in the bytes of a case.
MARK = b"MARK"
STATUS = re.compile(rb"(?:\A|(?<=[\r\n}>]))HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True)
class Client:
    """The host that attacks."""

    name: str
    ssh_config: str
    address: str

    def start(self, script: str) -> subprocess.Popen[str]:
        """Start a shell script as root; it ends with this process at the latest."""
        argv = ["ssh", "-F", self.ssh_config, self.name, script]
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, script: str, *, stdin: str | None = None, seconds: float = 300) -> str:
        """Run a shell script as root; what it printed."""
        argv = ["ssh", "-F", self.ssh_config, self.name, script]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, (
            f"{self.name}: {script[:200]!r} ended with {done.returncode}: {done.stderr}"
        )
        return done.stdout


@functools.cache
def client() -> Client:
    """The client host of ``ASGI_HOSTS_JSON``."""
    facts = json.loads(Path(os.environ["ASGI_HOSTS_JSON"]).read_text(encoding="utf-8"))["client"]
    return Client(facts["name"], facts["ssh_config"], facts["address"])


@functools.cache
def address_of(target: Target) -> str:
    """The address of a host on the network that it shares with the client."""
    facts = json.loads(Path(os.environ["ASGI_HOSTS_JSON"]).read_text(encoding="utf-8"))["hosts"]
    return str(facts[target.name]["address"])


# testssl.sh takes a minute or two, most of it waiting: it runs beside the tests.
SCANS: dict[str, subprocess.Popen[str]] = {}
SCAN_SECONDS = 900


def begin_testssl(target: Target) -> None:
    """Start a complete judgement of a host's TLS, unless it runs already."""
    if target.name in SCANS:
        return
    root = f"/tmp/{target.name}.root.pem"
    client().run(f"cat >{root}", stdin=AUTHORITY.read_text(encoding="utf-8"))
    # All that a grade needs, and no more.
    parts = "--protocols --std --fs --server-defaults --headers --vulnerable"
    SCANS[target.name] = client().start(
        f"rm -f /tmp/{target.name}.json; timeout {SCAN_SECONDS} testssl --quiet --color 0 --warnings off --nodns none "
        f"--add-ca {root} --ip {address_of(target)} {parts} --jsonfile /tmp/{target.name}.json https://{SITE}:443/"
    )


def finished_testssl(target: Target) -> list[dict[str, Any]]:
    """The findings of testssl.sh about a host."""
    begin_testssl(target)
    words = SCANS[target.name].communicate(timeout=SCAN_SECONDS)[0]
    try:
        found: list[dict[str, Any]] = json.loads(client().run(f"cat /tmp/{target.name}.json"))
    except ValueError:
        raise AssertionError(f"testssl.sh did not come to an end: {words[-2000:]}") from None
    return found


def new_mark() -> str:
    """A mark that no other request has."""
    return f"{RUN}-{next(COUNTER)}."


@dataclass(frozen=True)
class Lot:
    """Bytes for one connection."""

    parts: Callable[[str], Sequence[bytes]]
    """Given the mark of this lot, the bytes, sent part by part."""
    sni: str | None = SITE
    """None for plain HTTP on port 80."""
    alpn: tuple[str, ...] = ()
    pause: float = 0.3
    """Seconds between two parts."""
    quiet: float = 1.5
    """Seconds without a further byte after which an answer on an open connection is taken to be whole."""


def raw(*parts: bytes, sni: str | None = SITE, pause: float = 0.3, quiet: float = 1.5) -> Lot:
    """A lot of bytes as they are, but that ``MARK`` in them is replaced by the lot's mark."""
    return Lot(
        lambda mark: [part.replace(MARK, mark.encode()) for part in parts], sni, (), pause=pause, quiet=quiet
    )


@dataclass(frozen=True)
class Reply:
    """What came back on one connection, and what the app saw of it."""

    mark: str
    received: bytes
    end: str
    """``closed``, ``reset``, ``silent``, or ``refused`` when there was no connection at all."""
    source: str
    """The client's own address, as the host must see it."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """The requests with this mark that reached the app, as the app saw them."""

    @property
    def statuses(self) -> list[int]:
        """The status of each HTTP/1 answer, in order."""
        return [int(found) for found in STATUS.findall(self.received)]

    @property
    def dropped(self) -> bool:
        """Whether the host ended the connection without a word."""
        return not self.received and (self.end in ("closed", "reset") or self.end.startswith("refused"))

    @property
    def head(self) -> str:
        """The head of the first answer."""
        return self.received.partition(b"\r\n\r\n")[0].decode("latin-1")

    def __str__(self) -> str:
        return f"{self.received[:400]!r} then {self.end}; reached the app: {self.seen}"


def send(target: Target, lots: Sequence[Lot]) -> list[Reply]:
    """Send each lot from the client host on a connection of its own; ask the app afterwards what it saw."""
    marks = [new_mark() for _turn in lots]
    told = {
        "address": address_of(target),
        "lots": [
            {
                "port": 443 if lot.sni else 80,
                "sni": lot.sni,
                "alpn": lot.alpn,
                "pause": lot.pause,
                "quiet": lot.quiet,
                "parts": [base64.b64encode(part).decode() for part in lot.parts(mark)],
            }
            for lot, mark in zip(lots, marks, strict=True)
        ],
    }
    script = (Path(__file__).parent / "pipe.py").read_text(encoding="utf-8")
    answers = json.loads(client().run(f"python3 -c {shlex.quote(script)}", stdin=json.dumps(told)))
    seen = target.door.json(SITE, f"/seen?mark={RUN}")
    return [
        Reply(
            mark,
            base64.b64decode(answer["received"]),
            answer["end"],
            answer["source"],
            [item for item in seen if mark in json.dumps(item)],
        )
        for mark, answer in zip(marks, answers, strict=True)
    ]


# HTTP/2, frame by frame: a library for good clients does not send what is wrong.

Headers = Sequence[tuple[str, str]]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def pseudo(path: str = "/case/MARK", method: str = "GET", host: str = SITE) -> list[tuple[str, str]]:
    """The four headers that a good request begins with."""
    return [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)]


def http2(headers: Headers, body: bytes = b"") -> Lot:
    """One HTTP/2 connection with one request."""

    def parts(mark: str) -> list[bytes]:
        filled = [(name, value.replace(MARK.decode(), mark)) for name, value in headers]
        block = HeadersFrame(1, Encoder().encode(filled), flags=["END_HEADERS"])
        if not body:
            block.flags.add("END_STREAM")
        frames: list[Frame] = [SettingsFrame(0), block]
        if body:
            frames.append(DataFrame(1, body.replace(MARK, mark.encode()), flags=["END_STREAM"]))
        return [PREFACE + b"".join(frame.serialize() for frame in frames)]

    return Lot(parts, alpn=("h2",), quiet=3.0)


@dataclass(frozen=True)
class Spoken:
    """What a host said in HTTP/2."""

    status: int | None
    """Of the answer, if there was one."""
    refused: bool
    """Whether the stream was reset, or the whole connection ended, with an error."""


def spoken(received: bytes) -> Spoken:
    """What these bytes say, up to the first frame that is cut short."""
    status, refused, decoder = None, False, Decoder()
    while len(received) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(received[:9]))
        if len(received) < 9 + length:
            break
        frame.parse_body(memoryview(received[9 : 9 + length]))
        received = received[9 + length :]
        if isinstance(frame, HeadersFrame):
            found = {str(name): str(value) for name, value in decoder.decode(frame.data)}
            status = status or int(found.get(":status", 0)) or None
        refused |= isinstance(frame, (RstStreamFrame, GoAwayFrame)) and frame.error_code != 0
    return Spoken(status, refused)

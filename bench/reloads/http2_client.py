"""A client of HTTP/2 that keeps many POSTs under way on one connection, and follows RFC 9113 when the server says goodbye.

Written on frames: libraries end a connection at the first GOAWAY, and give up the requests that the server still answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BODY = b"x" * 200
# A server that refuses a stream with this code has not looked at it (RFC 9113, section 8.7).
REFUSED_STREAM = 0x7
TIMEOUT_S = 10.0
ANSWERED, UNPROCESSED = "answered", "unprocessed"


@dataclass
class Tally:
    """What became of the requests of one client."""

    sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    unprocessed: int = 0
    """Requests that the server has not looked at, by its own word: who repeats has lost none of them."""

    def lost_by(self, *, repeats: bool) -> int:
        """How many are lost by a client that sends again what the server did not look at, or by one that does not."""
        return sum(self.lost.values()) + (0 if repeats else self.unprocessed)


class Link:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, domain: str) -> None:
        self._reader, self._writer, self._domain = reader, writer, domain
        self._encoder, self._decoder = Encoder(), Decoder()
        self._next_id = 1
        self._open: dict[int, asyncio.Future[str]] = {}
        self.closing = False
        self._writer.write(PREFACE + SettingsFrame(0).serialize())
        self._reading = asyncio.create_task(self._read())

    def post(self) -> asyncio.Future[str]:
        """Send a POST; the future is what became of it, in words."""
        number, self._next_id = self._next_id, self._next_id + 2
        fate = self._open[number] = asyncio.get_running_loop().create_future()
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", self._domain),
            (":path", "/"),
            ("content-length", str(len(BODY))),
        ]
        block = HeadersFrame(number, self._encoder.encode(headers), flags=["END_HEADERS"])
        self._writer.write(block.serialize() + DataFrame(number, BODY, flags=["END_STREAM"]).serialize())
        return fate

    async def _read(self) -> None:
        received, why = b"", "closed"
        try:
            while data := await self._reader.read(65536):
                received += data
                while len(received) >= 9:
                    frame, length = Frame.parse_frame_header(memoryview(received[:9]))
                    if len(received) < 9 + length:
                        break
                    frame.parse_body(memoryview(received[9 : 9 + length]))
                    received = received[9 + length :]
                    self._hear(frame)
        except OSError as error:
            why = type(error).__name__
        self.closing = True
        for number in list(self._open):
            self._end(number, why)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _hear(self, frame: Frame) -> None:
        if isinstance(frame, SettingsFrame | PingFrame):
            if "ACK" not in frame.flags:
                answer = PingFrame(0, frame.opaque_data) if isinstance(frame, PingFrame) else SettingsFrame(0)
                answer.flags.add("ACK")
                self._writer.write(answer.serialize())
        elif isinstance(frame, GoAwayFrame):
            self.closing = True
            for number in [number for number in self._open if number > frame.last_stream_id]:
                self._end(number, UNPROCESSED)
        else:
            self._hear_of_stream(frame)

    def _hear_of_stream(self, frame: Frame) -> None:
        if isinstance(frame, RstStreamFrame):
            refused = frame.error_code == REFUSED_STREAM
            self._end(frame.stream_id, UNPROCESSED if refused else f"stream reset with {frame.error_code}")
        elif isinstance(frame, HeadersFrame):
            found = {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
            status = found[":status"]
            if status != "200":
                self._end(frame.stream_id, f"status {status}")
        elif isinstance(frame, DataFrame) and frame.flow_controlled_length:
            update = WindowUpdateFrame(0, window_increment=frame.flow_controlled_length)
            self._writer.write(update.serialize())
        if "END_STREAM" in frame.flags:
            self._end(frame.stream_id, ANSWERED)

    def _end(self, number: int, fate: str) -> None:
        if (waiting := self._open.pop(number, None)) and not waiting.done():
            waiting.set_result(fate)


class Client:
    """Keeps ``streams`` POSTs under way, on one connection as long as the server lets it."""

    def __init__(self, address: tuple[str, int], domain: str, streams: int, pause_s: float) -> None:
        self._address, self._domain, self._streams, self._pause = address, domain, streams, pause_s
        self.tally = Tally()
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._context.set_alpn_protocols(["h2"])

    async def run(self, over: Callable[[], bool]) -> None:
        """Ask until it is over, and wait for what is under way then."""
        await asyncio.gather(*(self._ask(over) for _stream in range(self._streams)))

    async def _connected(self) -> Link:
        async with self._connecting:
            while self._link is None or self._link.closing:
                try:
                    reader, writer = await asyncio.open_connection(
                        *self._address, ssl=self._context, server_hostname=self._domain
                    )
                except OSError as error:
                    # Nothing was asked yet, but who waits for a page sees an error.
                    self.tally.sent += 1
                    self.tally.lost[f"connect: {type(error).__name__}"] += 1
                    await asyncio.sleep(0.05)
                    continue
                self._link = Link(reader, writer, self._domain)
            return self._link

    async def _ask(self, over: Callable[[], bool]) -> None:
        while not over():
            link = await self._connected()
            self.tally.sent += 1
            try:
                fate = await asyncio.wait_for(link.post(), TIMEOUT_S)
            except TimeoutError:
                fate = "no answer"
            if fate == UNPROCESSED:
                self.tally.unprocessed += 1
            elif fate != ANSWERED:
                self.tally.lost[fate] += 1
            await asyncio.sleep(self._pause)

"""A WebSocket to an AI that writes at once and reads without a task.

The protocol is the `websockets` package's, on a transport of asyncio's own: sending never waits,
and what arrives is handled as it is read. That costs as little CPU as aiohttp's client and a
quarter less than the package's own connection object (50 calls, 50 frames up and 25 deltas down
a second each). No compression, pings of our own, and an end within a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

from aiohappyeyeballs import start_connection
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, InvalidURI, PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Event
from websockets.uri import parse_uri

TICK_S = 0.5
PING_TICKS = 4
PONG_TICKS = 5
PROBE_AFTER_TICKS = 2
PROBE_TICKS = 3
MAX_MESSAGE_BYTES = 16 * 2**20
NOT_SENT_BYTES = 4096
"""How much the system takes before it has room on the line, where it can be told; else megabytes."""

# At debug level the package logs headers, and with them keys.
_log = logging.getLogger("cordboard.engines.peer_socket")
_log.setLevel(logging.WARNING)


class Refused(Exception):
    """The handshake was answered with this HTTP status. body: what came with it, as text."""

    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.body = body


class Closed(Exception):
    """The peer ended it with this close code (1006: without a word, or it gave no sign of life)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class PeerSocket(asyncio.Protocol):
    """One connection, to be made in a running loop.

    on_open: the handshake is done. on_texts: whole text messages that came together, as UTF-8.
    on_bytes: a whole binary message; what came before it was given to on_texts before it.
    on_tick: every `TICK_S` while open. What these raise ends the connection.
    over: why it ended (`Refused`, `Closed` or what a callback raised), or None after `goodbye`.
    transport, protocol: for writing, while `is_open`.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        on_open: Callable[[], None],
        on_texts: Callable[[list[bytes]], None],
        on_bytes: Callable[[bytes], None],
        on_tick: Callable[[], None],
    ) -> None:
        """Raises ValueError when url is no ws or wss address."""
        try:
            self._uri = parse_uri(url)
        except InvalidURI as error:
            raise ValueError(str(error)) from None
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[Exception | None] = self._loop.create_future()
        self.protocol = ClientProtocol(self._uri, max_size=MAX_MESSAGE_BYTES, logger=_log)
        self.transport: asyncio.Transport | None = None
        self._headers = headers
        self._on_open, self._on_texts, self._on_bytes, self._on_tick = on_open, on_texts, on_bytes, on_tick
        self._parts: list[bytes] = []
        self._parts_of = Opcode.TEXT
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_ticks = 0

    async def connect(self, trust: Callable[[], ssl.SSLContext]) -> None:
        """Open the TCP connection and ask for the handshake. trust: asked for wss. Raises OSError."""
        host, secure = self._uri.host, self._uri.secure
        places = await self._loop.getaddrinfo(host, self._uri.port, type=socket.SOCK_STREAM)
        # A network that swallows IPv6 costs a quarter of a second instead of the call.
        found = await start_connection(places, happy_eyeballs_delay=0.25, loop=self._loop)
        await self._loop.create_connection(
            lambda: self,
            sock=found,
            ssl=trust() if secure else None,
            server_hostname=host if secure else None,
            ssl_shutdown_timeout=1.0 if secure else None,
        )

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self.transport is not None and self.protocol.state is OPEN and not self.over.done()

    def send_text(self, message: bytes) -> None:
        """One text message, written now; nothing when the socket is not open."""
        if self.is_open:
            self.protocol.send_text(message)
            self._flush()

    def send_bytes(self, message: bytes) -> None:
        """One binary message, written now; nothing when the socket is not open."""
        if self.is_open:
            self.protocol.send_binary(message)
            self._flush()

    def probe(self) -> None:
        """Something is due from the peer: unless it was heard within a second, it must show now that it lives.

        It has `PROBE_TICKS` for that. Made for `on_tick`, at each of which it may be asked for again.
        """
        probed_ticks = PING_TICKS + PONG_TICKS - PROBE_TICKS
        if self.is_open and PROBE_AFTER_TICKS <= self._quiet_ticks < probed_ticks:
            self._quiet_ticks = probed_ticks
            self.protocol.send_ping(b"")
            self._flush()

    def goodbye(self) -> bool:
        """Begin to close; ``over`` follows when the peer agrees. False when there is no one to tell."""
        if not self.is_open:
            return False
        self.protocol.send_close(1000)
        self._flush()
        return True

    def drop(self) -> None:
        """End it now, without a word."""
        self._end(None)
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is not None:
            self.transport.abort()

    # ── what the loop calls ───────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        if self.over.done():
            self.transport.abort()
            return
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if option is not None:
            with suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, NOT_SENT_BYTES)
        request = self.protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self.protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._quiet_ticks = 0
        self.protocol.receive_data(data)
        self._handle()

    def eof_received(self) -> None:
        self.protocol.receive_eof()
        self._handle()
        self._end(Closed(1006))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(Closed(1006))
        if self._timer is not None:
            self._timer.cancel()

    # ── inside ────────────────────────────────────────────────────────────────────────────

    def _handle(self) -> None:
        texts: list[bytes] = []
        try:
            for event in self.protocol.events_received():
                if type(event) is Frame and event.opcode is Opcode.TEXT and event.fin:
                    texts.append(bytes(event.data))
                else:
                    self._other(event, texts)
            if texts and not self.over.done():
                self._on_texts(texts)
        except Exception as error:
            # Whatever it is, it ends this call and no other.
            self._end(error)
        if self.protocol.writes:
            self._flush()
        refusal, violation, close = self.protocol.handshake_exc, self.protocol.parser_exc, self.protocol.close_rcvd
        if refusal is not None:
            self._end(_refused(refusal))
        elif isinstance(violation, PayloadTooBig):
            self._end(Closed(1009, "the peer sent more than 16 MiB at once"))
        elif close is not None:
            self._end(Closed(close.code, close.reason) if self.protocol.close_rcvd_then_sent else None)
        elif violation is not None:
            self._end(Closed(1002 if isinstance(violation, ProtocolError) else 1006))

    def _other(self, event: Event, texts: list[bytes]) -> None:
        """The answer to the handshake, or a piece of a message."""
        if not isinstance(event, Frame):
            if self.protocol.handshake_exc is None:
                self._timer = self._loop.call_later(TICK_S, self._tick)
                self._on_open()
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if event.opcode is not Opcode.CONT:
                self._parts_of = event.opcode
            self._parts.append(bytes(event.data))
            if event.fin:
                whole = b"".join(self._parts)
                self._parts.clear()
                if self._parts_of is Opcode.TEXT:
                    texts.append(whole)
                else:
                    self._whole_bytes(whole, texts)

    def _whole_bytes(self, whole: bytes, texts: list[bytes]) -> None:
        """What is in bytes goes on at once, after the texts that came before it."""
        before = texts.copy()
        texts.clear()
        if before and not self.over.done():
            self._on_texts(before)
        if not self.over.done():
            self._on_bytes(whole)

    def _tick(self) -> None:
        if not self.is_open:
            return
        # Counted in ticks, not by the clock: after a stall of our own the peer gets time to be read.
        self._quiet_ticks += 1
        if self._quiet_ticks == PING_TICKS:
            self.protocol.send_ping(b"")
            self._flush()
        elif self._quiet_ticks == PING_TICKS + PONG_TICKS:
            self._end(Closed(1006))
            return
        self._timer = self._loop.call_later(TICK_S, self._tick)
        try:
            self._on_tick()
        except Exception as error:
            self._end(error)

    def _flush(self) -> None:
        assert self.transport is not None
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)

    def _end(self, why: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(why)


def _refused(why: Exception) -> Refused:
    if not isinstance(why, InvalidStatus):
        return Refused(0)
    return Refused(why.response.status_code, bytes(why.response.body or b"").decode("utf-8", "replace"))

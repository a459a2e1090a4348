"""A WebSocket as the telephone company opens it: writes at once or not at all, and can misbehave.

The protocol is that of the `websockets` package, without its own I/O: sending to two hundred sockets
from one clock must never wait for one of them (measured: as fast as aiohttp's client, a third faster
than the package's own). No compression, no subprotocol, no pings of our own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl as tls
import struct
from collections.abc import Mapping
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from bridge.rehearsal.twiml import Fault

HANDSHAKE_S = 10.0
CLOSE_S = 2.0
LARGEST_MESSAGE_BYTES = 1 << 20
FULL_BYTES = 256 * 1024
"""A peer that has left this much unread gets no more audio until it reads on."""


class ConnectError(Exception):
    """The socket could not be opened. fault: Twilio's number for it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(code, text)


class Receiver(Protocol):
    """Whoever a socket is opened for."""

    def on_text(self, data: bytes) -> None:
        """A whole text message, not yet checked to be UTF-8."""

    def on_binary(self, data: bytes) -> None:
        """A whole binary message."""

    def on_closed(self, fault: Fault | None) -> None:
        """The other side is gone. fault: why, None after `WebSocket.close`."""


class WebSocket(asyncio.Protocol):
    """One connection; made by `connect`."""

    def __init__(self, url: str, headers: Mapping[str, str], receiver: Receiver) -> None:
        self._protocol = ClientProtocol(parse_uri(url), max_size=LARGEST_MESSAGE_BYTES)
        self._headers = headers
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parts: list[bytes] = []
        self._kind = Opcode.TEXT
        self._told = False
        self._end: asyncio.TimerHandle | None = None

    # ── what asyncio calls ────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._received()

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._received()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        if not self._opened.done():
            self._opened.set_exception(ConnectError(31920, "the connection ended before the handshake did"))
        self._tell_closed(Fault(31903, "the connection broke"))
        if not self._lost.done():
            self._lost.set_result(None)

    # ── what we call ──────────────────────────────────────────────────────────────────────

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is OPEN and self._transport is not None and not self._transport.is_closing()

    @property
    def is_full(self) -> bool:
        """Whether the other side has stopped reading."""
        return self._transport is not None and self._transport.get_write_buffer_size() > FULL_BYTES

    def send_text(self, text: str) -> None:
        """One text message, now; nothing when the socket is not open."""
        if self.is_open:
            self._protocol.send_text(text.encode())
            self._flush()

    def send_binary(self, data: bytes) -> None:
        """One binary message, now; nothing when the socket is not open."""
        if self.is_open:
            self._protocol.send_binary(data)
            self._flush()

    def send_raw(self, data: bytes) -> None:
        """Bytes that need not be a WebSocket frame."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self, code: int = 1000) -> None:
        """Say goodbye and wait for the other side to end the connection, but not for long."""
        self._told = True
        if self.is_open:
            self._protocol.send_close(code)
            self._flush()
        if self._transport is not None and self._end is None and not self._lost.done():
            self._end = asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)

    def vanish(self) -> None:
        """Break the connection off with a TCP reset."""
        if self._transport is None:
            return
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def stop_reading(self) -> None:
        """Leave everything that comes unread."""
        if self._transport is not None:
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read again after `stop_reading`."""
        if self._transport is not None:
            self._transport.resume_reading()

    async def wait_closed(self) -> None:
        """Until the connection is gone."""
        await asyncio.shield(self._lost)

    async def opened(self) -> None:
        """Until the handshake is done. Raises ConnectError."""
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await self._opened
        except BaseException as error:
            self._told = True
            if self._transport is not None:
                self._transport.abort()
                await asyncio.shield(self._lost)
            if isinstance(error, TimeoutError):
                raise ConnectError(31901, f"no answer to the handshake within {HANDSHAKE_S:.0f} s") from None
            raise

    # ── inside ────────────────────────────────────────────────────────────────────────────

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof() and not self._transport.is_closing():
                self._transport.write_eof()

    def _received(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
            elif isinstance(event, Response):
                self._answered()
        if self._protocol.writes:
            self._flush()
        if not self._opened.done() and self._protocol.handshake_exc is not None:
            self._opened.set_exception(_refusal(self._protocol.handshake_exc))
        elif self._opened.done() and self._protocol.parser_exc is not None:
            self._tell_closed(self._violation(self._protocol.parser_exc))

    def _answered(self) -> None:
        if self._protocol.handshake_exc is None and not self._opened.done():
            self._opened.set_result(None)

    def _frame(self, frame: Frame) -> None:
        data = bytes(frame.data)
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if frame.opcode is not Opcode.CONT:
                    self._kind = frame.opcode
                if self._parts or not frame.fin:
                    self._parts.append(data)
                    if not frame.fin:
                        return
                    data = b"".join(self._parts)
                    self._parts.clear()
                if self._told:
                    return
                if self._kind is Opcode.TEXT:
                    self._receiver.on_text(data)
                else:
                    self._receiver.on_binary(data)
            case Opcode.CLOSE:
                code = self._protocol.close_rcvd.code if self._protocol.close_rcvd else 1005
                reason = self._protocol.close_rcvd.reason if self._protocol.close_rcvd else ""
                self._tell_closed(Fault(31921, f"the server closed the socket: {code} {reason}".rstrip()))
                if self._transport is not None and self._end is None:
                    self._end = asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)

    def _violation(self, error: Exception) -> Fault:
        if isinstance(error, EOFError):
            return Fault(31903, "the connection broke")
        if self._transport is not None and self._end is None:
            self._end = asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)
        return Fault(31924, f"WebSocket protocol violation: {error}")

    def _tell_closed(self, fault: Fault) -> None:
        if not self._told and self._opened.done() and not self._opened.cancelled() and not self._opened.exception():
            self._told = True
            self._receiver.on_closed(fault)


def _refusal(error: Exception) -> ConnectError:
    if isinstance(error, InvalidStatus):
        return ConnectError(31920, f"the handshake was answered with {error.response.status_code}, not 101")
    if isinstance(error, InvalidMessage):
        return ConnectError(31920, "the handshake was not answered in HTTP")
    if isinstance(error, InvalidHandshake):
        return ConnectError(31920, f"the handshake failed: {error}")
    return ConnectError(31920, f"the handshake failed: {type(error).__name__}")


async def connect(
    url: str, headers: Mapping[str, str], receiver: Receiver, ssl: tls.SSLContext | None = None
) -> WebSocket:
    """Open a socket. url: ws or wss. ssl: whom to trust, the system's certificates if None. Raises ConnectError."""
    try:
        place = parse_uri(url)
        opening = WebSocket(url, headers, receiver)
    except (InvalidURI, ValueError) as error:
        raise ConnectError(31923, f"malformed URL: {error}") from None
    trust = (ssl or tls.create_default_context()) if place.secure else None
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            await asyncio.get_running_loop().create_connection(lambda: opening, place.host, place.port, ssl=trust)
    except TimeoutError:
        raise ConnectError(31901, f"no answer within {HANDSHAKE_S:.0f} s") from None
    except tls.SSLError as error:
        raise ConnectError(31910, f"TLS failed: {error.reason}") from None
    except ConnectionRefusedError:
        raise ConnectError(31902, "the connection was refused") from None
    except OSError as error:
        raise ConnectError(31901, f"no connection: {error.strerror or type(error).__name__}") from None
    await opening.opened()
    return opening

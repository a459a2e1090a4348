"""The wire between a bridge and its vendors, to be cut at any moment and in any way a network knows.

It stands on loopback before the rehearsal's vendors, reads whose each connection is from its first
line, and passes everything on untouched until it is told to `kill` one.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from socket import SO_LINGER, SOL_SOCKET

VENDORS = (
    ("intent=transcription", "OpenAI transcriber"),
    ("/realtime?model=gpt-realtime-2.1-mini", "Realtime voice"),
    ("/realtime", "OpenAI Realtime"),
    ("/deepgram/v1/listen", "Deepgram nova"),
    ("/deepgram/v2/listen", "Deepgram flux"),
    ("/deepgram/v1/speak", "Deepgram aura"),
    ("/elevenlabs/", "ElevenLabs"),
    ("/chat/completions", "chat"),
    ("/models", "chat"),
)
"""By what stands in a connection's first line; the first that fits counts."""

OUTAGE_S = 8.0
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CLOSED_BY_US = b"\x88\x02\x03\xf3"
"""A WebSocket's close with code 1011."""


class Death(StrEnum):
    """How a connection dies. REFUSED: cut, and the next one is turned away; OUTAGE: all are, for `OUTAGE_S`."""

    CUT = "cut"
    CLOSED = "closed, 1011"
    HALF_OPEN = "half-open"
    REFUSED = "cut, next refused"
    OUTAGE = "cut, 8 s outage"


class Relay:
    """One bridge's connections to all vendors. url: what stands for the vendors' host, without a path."""

    def __init__(self) -> None:
        self.url = ""
        self.target = 0
        """The vendors' port on loopback."""

        self.fronts: list[Front] = []
        self.refusals: dict[str, int] = {}
        """How many more connections of a vendor are turned away."""

        self.outages_s: dict[str, float] = {}
        """Until when all of them are."""

    def living(self) -> set[str]:
        """The vendors that have a connection now."""
        return {front.vendor for front in self.fronts if front.vendor and front.may_die}

    def kill(self, vendor: str, death: Death) -> bool:
        """Let the connection of theirs die on which something was said last. False when there is none."""
        mine = [front for front in self.fronts if front.vendor == vendor and front.may_die]
        if not mine:
            return False
        if death is Death.REFUSED:
            self.refusals[vendor] = 1
        elif death is Death.OUTAGE:
            self.outages_s[vendor] = asyncio.get_running_loop().time() + OUTAGE_S
        max(mine, key=lambda front: front.spoke_s).die(death)
        return True

    def heal(self) -> None:
        """No connection is turned away any more."""
        self.refusals.clear()
        self.outages_s.clear()

    def refuses(self, vendor: str) -> bool:
        """Whether a connection that comes now is turned away."""
        if self.refusals.get(vendor, 0) > 0:
            self.refusals[vendor] -= 1
            return True
        return asyncio.get_running_loop().time() < self.outages_s.get(vendor, 0.0)


@asynccontextmanager
async def open_relay() -> AsyncIterator[Relay]:
    """A relay, which is to be told its target before anybody connects."""
    relay = Relay()
    server = await asyncio.get_running_loop().create_server(lambda: Front(relay), "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        for front in list(relay.fronts):
            front.end()
        await server.wait_closed()


class Front(asyncio.Protocol):
    """The bridge's end of one connection. spoke_s: when something was last sent on it, either way."""

    def __init__(self, relay: Relay) -> None:
        self.vendor = ""
        self.spoke_s = 0.0
        self.frozen = False
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._back: Back | None = None
        self._early = bytearray()
        self._connecting: asyncio.Task[None] | None = None
        self._is_socket = False
        self._closing = False
        self._head = bytearray()
        self._until_frame_bytes = 0

    @property
    def may_die(self) -> bool:
        """Whether it is in use."""
        return self._back is not None and not (self.frozen or self._closing)

    # ── the bridge's side ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._relay.fronts.append(self)

    def data_received(self, data: bytes) -> None:
        self.spoke_s = self._loop.time()
        if self._back is not None:
            if not self.frozen:
                self._back.transport.write(data)
            return
        self._early += data
        if self._connecting is None and b"\r\n" in self._early:
            self._begin()

    def eof_received(self) -> None:
        self.end()

    def connection_lost(self, error: Exception | None) -> None:
        self.end()

    def _begin(self) -> None:
        line, _, _ = bytes(self._early).partition(b"\r\n")
        text = line.decode("latin-1")
        self.vendor = next((name for part, name in VENDORS if part in text), "other")
        if self._relay.refuses(self.vendor):
            assert self._transport is not None
            self._transport.write(UNAVAILABLE)
            self._transport.close()
            return
        self._is_socket = text.startswith("GET") and "/models" not in text
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        transport, back = await self._loop.create_connection(lambda: Back(self), "127.0.0.1", self._relay.target)
        if self not in self._relay.fronts:
            transport.abort()
            return
        self._back = back
        transport.write(bytes(self._early))
        self._early.clear()

    # ── the vendor's side ──

    def answered(self, data: bytes) -> None:
        """The vendor says something."""
        self.spoke_s = self._loop.time()
        if self.frozen or self._transport is None:
            return
        if self._is_socket:
            self._follow(data)
        self._transport.write(data)
        if self._closing and self._is_socket:
            self._close_if_between()

    def _follow(self, data: bytes) -> None:
        """Keep track of where a frame ends: a close put into the middle of one would be noise, and no close."""
        at = 0
        while at < len(data):
            if self._until_frame_bytes:
                step = min(self._until_frame_bytes, len(data) - at)
                self._until_frame_bytes -= step
                at += step
                continue
            self._head.append(data[at])
            at += 1
            self._read_head()

    def _read_head(self) -> None:
        head = self._head
        if head[:1] == b"H":
            # The answer to the handshake.
            if head.endswith(b"\r\n\r\n"):
                head.clear()
            return
        if len(head) < 2:
            return
        short = head[1] & 127
        more = {126: 2, 127: 8}.get(short, 0)
        if len(head) == 2 + more:
            self._until_frame_bytes = int.from_bytes(head[2:], "big") if more else short
            head.clear()

    # ── deaths ──

    def die(self, death: Death) -> None:
        """Now, or as soon as the frame on the wire is over."""
        match death:
            case Death.HALF_OPEN:
                self.frozen = True
            case Death.CLOSED if self._is_socket:
                self._closing = True
                self._close_if_between()
            case Death.CLOSED:
                self.end()
            case _:
                self._reset()

    def _close_if_between(self) -> None:
        if not (self._head or self._until_frame_bytes or self.frozen) and self._transport is not None:
            self._transport.write(CLOSED_BY_US)
            self.frozen = True
            self._loop.call_later(1.0, self.end)

    def _reset(self) -> None:
        assert self._transport is not None
        socket = self._transport.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        self.end()

    def end(self) -> None:
        """Nothing is left of it."""
        if self in self._relay.fronts:
            self._relay.fronts.remove(self)
        for transport in (self._transport, self._back.transport if self._back is not None else None):
            if transport is not None and not transport.is_closing():
                transport.close()


class Back(asyncio.Protocol):
    """The vendor's end."""

    transport: asyncio.Transport

    def __init__(self, front: Front) -> None:
        self._front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._front.answered(data)

    def eof_received(self) -> None:
        if not self._front.frozen:
            self._front.end()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._front.frozen:
            self._front.end()

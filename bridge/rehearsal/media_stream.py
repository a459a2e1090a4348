"""One Media Stream as the telephone company sees it: the caller's audio out, what is to be played in.

Speaks Twilio's side of the protocol, to the letter: everything is sent on the exchange's clock, what
comes is played in real time, and what Twilio would not take is refused with Twilio's number for it.
Source: Twilio docs, "Media Streams: WebSocket Messages" and the error dictionary.
"""

from __future__ import annotations

import asyncio
import binascii
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import msgspec

from bridge.audio import FRAME_MS
from bridge.rehearsal.caller import Caller
from bridge.rehearsal.exchange import Exchange, is_loopback, new_sid
from bridge.rehearsal.playback import Playback
from bridge.rehearsal.twiml import Fault
from bridge.rehearsal.websocket import ConnectError, WebSocket, connect


class Tap(Protocol):
    """Sees the media of a line as it passes; for measuring."""

    def spoke(self, chunk: int, audio: bytes) -> None:
        """A frame of the caller's is about to be sent. chunk: from 1."""

    def came(self, audio: bytes) -> None:
        """Audio to be played has come."""

    def cleared(self) -> None:
        """A ``clear`` has come."""


class Mark(NamedTuple):
    """A mark that came back. Times are ms since the stream began."""

    name: str
    came_ms: float
    returned_ms: float


# ── what may come ─────────────────────────────────────────────────────────────────────────


class _Payload(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    payload: str


class _Name(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _Media(msgspec.Struct, tag_field="event", tag="media", rename="camel", forbid_unknown_fields=True, gc=False):
    stream_sid: str
    media: _Payload


class _Mark(msgspec.Struct, tag_field="event", tag="mark", rename="camel", forbid_unknown_fields=True):
    stream_sid: str
    mark: _Name


class _Clear(msgspec.Struct, tag_field="event", tag="clear", rename="camel", forbid_unknown_fields=True):
    stream_sid: str


class _Any(msgspec.Struct):
    event: str = ""


_Message: TypeAlias = _Media | _Mark | _Clear
_decoder: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)
_decode = _decoder.decode
_decode_any = msgspec.json.Decoder(_Any).decode
_EVENTS = frozenset({"media", "mark", "clear"})


def checked_url(url: str) -> tuple[str, list[Fault]]:
    """The address that Twilio really opens, and what it minds. Raises ConnectError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConnectError(31923, "malformed URL") from None
    if not host or parts.fragment or parts.scheme not in ("ws", "wss"):
        if parts.scheme in ("http", "https") and host:
            raise ConnectError(31922, "the URL must be wss")
        raise ConnectError(31923, "malformed URL")
    if parts.scheme == "ws" and not is_loopback(host):
        raise ConnectError(31922, "the URL must be wss")
    faults = [Fault(31920, "the query string of the stream's URL was dropped")] if parts.query else []
    return urlunsplit(parts._replace(query="")), faults


class MediaStream:
    """One stream from handshake to end; `run` is its whole life.

    stream_sid, url: its own. faults: what was refused. first_media_ms, clear_ms: when the first audio and each
    ``clear`` came. marks: those that came back. dropped_frames: not sent, since nobody read them. Times
    are ms since the stream began.
    """

    def __init__(
        self,
        exchange: Exchange,
        call_sid: str,
        caller: Caller,
        playback: Playback,
        *,
        said: bytearray | None,
        on_fault: Callable[[Fault], None],
        on_tick: Callable[[], None],
        tap: Tap | None = None,
    ) -> None:
        self.stream_sid = new_sid("MZ")
        self.url = ""
        self.parameters: dict[str, str] = {}
        self.playback = playback
        self.first_media_ms: float | None = None
        self.clear_ms: list[float] = []
        self.marks: list[Mark] = []
        self.held_marks: list[str] = []
        self.omitted_marks = 0
        self.dropped_frames = 0
        self.started = False
        self._exchange = exchange
        self._call_sid = call_sid
        self._caller = caller
        self._said = said
        self._on_fault = on_fault
        self._on_tick = on_tick
        self._tap = tap
        self._over: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        self._socket: WebSocket | None = None
        self._began_s = 0.0
        self._sequence = 0
        self._chunk = 0
        self._marks_came: deque[tuple[str, float]] = deque()
        self._holding_marks = False
        self._omitting_marks = False
        self._overflowed = False
        self._halves = ("", "")

    # ── its life ──────────────────────────────────────────────────────────────────────────

    async def open(self, url: str, parameters: Mapping[str, str], *, wrong_signature: bool = False) -> None:
        """Shake hands and begin. Raises ConnectError."""
        self.parameters = dict(parameters)
        self.url, faults = checked_url(url)
        for fault in faults:
            self._on_fault(fault)
        signature = self._exchange.signature(self.url, {}, wrong=wrong_signature)
        headers = {"X-Twilio-Signature": signature, "User-Agent": "Twilio.TmeWs/1.0"}
        self._socket = await connect(self.url, headers, self, self._exchange.ssl)
        self._socket.send_text('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        self._began_s = asyncio.get_running_loop().time()
        self.send_start()
        self.started = True
        self._exchange.ticker.add(self._tick, self._broke)

    async def run(self) -> Fault | None:
        """Until it ends: why the other side ended it, or None when the caller hung up."""
        return await asyncio.shield(self._over)

    async def close(self) -> None:
        """End it from our side if it still goes on: ``stop``, then close the socket."""
        self._exchange.ticker.remove(self._tick)
        if self._socket is None:
            return
        self._send("stop", {"accountSid": self._exchange.account_sid, "callSid": self._call_sid})
        self._socket.read_on()
        self._socket.close()
        await self._socket.wait_closed()

    @property
    def now_ms(self) -> float:
        """Time since it began, by the clock."""
        return (asyncio.get_running_loop().time() - self._began_s) * 1000

    # ── out ───────────────────────────────────────────────────────────────────────────────

    def send_start(self) -> None:
        """The ``start`` message; a second one is a fault that tests use."""
        self._send(
            "start",
            {
                "streamSid": self.stream_sid,
                "accountSid": self._exchange.account_sid,
                "callSid": self._call_sid,
                "tracks": ["inbound"],
                "customParameters": self.parameters,
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        )

    def _send(self, event: str, body: dict[str, object]) -> None:
        if self._socket is None:
            return
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self.stream_sid, event: body}
        self._socket.send_text(msgspec.json.encode(message).decode())

    def _tick(self) -> None:
        heard, names = self.playback.tick()
        for name in names:
            self._return_mark(name)
        caller = self._caller
        frame = caller.tick(heard)
        if self._said is not None:
            self._said += frame.audio
        while caller.digits:
            digit, caller.digits = caller.digits[0], caller.digits[1:]
            self._send("dtmf", {"track": "inbound_track", "digit": digit})
        self._send_media(frame.audio, frame.text)
        self._on_tick()
        if caller.wants_to_hang_up:
            self.end(None)

    def _send_media(self, audio: bytes, payload: str) -> None:
        socket = self._socket
        assert socket is not None
        self._sequence += 1
        self._chunk += 1
        if socket.is_full:
            self.dropped_frames += 1
            return
        if self._tap is not None:
            self._tap.spoke(self._chunk, audio)
        timestamp_ms = (self._chunk - 1) * FRAME_MS
        socket.send_text(
            f'{{"event":"media","sequenceNumber":"{self._sequence}","streamSid":"{self.stream_sid}","media":'
            f'{{"track":"inbound","chunk":"{self._chunk}","timestamp":"{timestamp_ms}","payload":"{payload}"}}}}'
        )

    def _return_mark(self, name: str) -> None:
        _, came_ms = self._marks_came.popleft()
        if self._omitting_marks:
            self.omitted_marks += 1
            return
        if self._holding_marks:
            self.held_marks.append(name)
            return
        self.marks.append(Mark(name, came_ms, self.now_ms))
        self._send("mark", {"name": name})

    # ── in ────────────────────────────────────────────────────────────────────────────────

    def on_text(self, data: bytes) -> None:
        """A message to obey or to refuse."""
        try:
            message = _decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            self._on_fault(_refusal(data, error))
            return
        if message.stream_sid != self.stream_sid:
            self._on_fault(Fault(31951, "the streamSid is not this stream's"))
            return
        match message:
            case _Media():
                self._play(message.media.payload)
            case _Mark():
                self._marks_came.append((message.mark.name, self.now_ms))
                if self.playback.mark(message.mark.name):
                    self._return_mark(message.mark.name)
            case _Clear():
                self.clear_ms.append(self.now_ms)
                if self._tap is not None:
                    self._tap.cleared()
                for name in self.playback.clear():
                    self._return_mark(name)

    def _play(self, payload: str) -> None:
        try:
            audio = binascii.a2b_base64(payload, strict_mode=True)
        except ValueError:
            self._on_fault(Fault(31950, "the media payload is not base64"))
            return
        if not audio:
            self._on_fault(Fault(31951, "the media payload is empty"))
            return
        if self.first_media_ms is None:
            self.first_media_ms = self.now_ms
        if self._tap is not None:
            self._tap.came(audio)
        if not self.playback.push(audio) and not self._overflowed:
            self._overflowed = True
            self._on_fault(Fault(31931, "more than ten minutes of audio are buffered; the rest is discarded"))

    def on_binary(self, data: bytes) -> None:
        """Never right."""
        self._on_fault(Fault(31950, f"a binary message of {len(data)} bytes"))

    def on_closed(self, fault: Fault | None) -> None:
        """The other side has gone."""
        self.end(fault)

    def _broke(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    # ── tests and faults ──────────────────────────────────────────────────────────────────

    @property
    def socket(self) -> WebSocket:
        """The connection, for sending what should not be sent."""
        assert self._socket is not None, "the stream has not begun"
        return self._socket

    def end(self, why: Fault | None) -> None:
        """Let `run` return."""
        self._exchange.ticker.remove(self._tick)
        if not self._over.done():
            self._over.set_result(why)

    def omit_marks(self) -> None:
        """No mark comes back any more."""
        self._omitting_marks = True

    def hold_marks(self) -> None:
        """Marks that are due wait for `release_marks`."""
        self._holding_marks = True

    def release_marks(self) -> None:
        """Return the marks that were held, late."""
        held, self.held_marks, self._holding_marks = self.held_marks, [], False
        for name in held:
            self._send("mark", {"name": name})


def _refusal(data: bytes, error: Exception) -> Fault:
    if not isinstance(error, msgspec.ValidationError):
        return Fault(31924, "a message that is not JSON")
    try:
        event = _decode_any(data).event
    except (msgspec.DecodeError, RecursionError):
        return Fault(31924, "a message that is not an event")
    if event not in _EVENTS:
        return Fault(31924, f"unsupported message: {event[:40] or 'no event'}")
    return Fault(31951, f"invalid {event}: {error}")

"""The public listener: the carrier's three webhooks and its media socket, and nothing else.

Whoever else knocks gets a small constant answer. A request counts only after its signature was
checked, changes something only the first time, and a media socket reaches a call only with a
`start` that shows the one-time token made for that call. Every limit is in force before that:
`MAX_WAITING` strangers at once (beyond that the longest waiting one goes, so that a genuine
request, which speaks at once, is heard in a flood), `DEADLINE_S` for a request's head, for its
body, and for a stream's `start`, `MAX_BODY_BYTES` and `MAX_MESSAGE_BYTES`. Sockets are not
compressed and not pinged: the carrier's audio every 20 ms is the sign of life.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from bridge.carriers import twilio, twiml
from bridge.errors import PeerError
from bridge.guard import Claims, Reason, Refusal, Refusals, Signatures, Tokens, socket_url

log = logging.getLogger("cordboard.web")

VOICE = "/twilio/voice"
STATUS = "/twilio/status"
STREAM_STATUS = "/twilio/stream-status"
MEDIA = "/twilio/media"

MAX_WAITING = 64
DEADLINE_S = 5.0
MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 200
MAX_MESSAGE_BYTES = 64 * 1024
MAX_BEFORE_START_CHARS = 16 * 1024
MAX_BAD_MESSAGES_A_SECOND = 50
MAX_UNSENT_BYTES = 1024 * 1024
CLOSE_S = 1.0

APOLOGY = "We are sorry, we cannot talk to you right now. Please call again later."


class Exchange(Protocol):
    """What the listener asks of the house."""

    def ring(self, form: dict[str, str]) -> str | None:
        """A new call is ringing: its call_id, or None when it cannot be taken."""

    def carrier_status(self, form: dict[str, str]) -> None:
        """The carrier reports the state of a call."""

    def stream_status(self, form: dict[str, str]) -> None:
        """The carrier reports the state of a media stream."""

    async def media(self, stream: MediaStream) -> None:
        """Run the call that this stream belongs to until its end."""

    def refused(self, what: str) -> None:
        """Strangers were turned away: a sentence for the operator."""


class MediaStream:
    """A call's media socket, past all checks. One task may `run` it; all else is for any time."""

    def __init__(self, call_id: str, start: twilio.Start, socket: web.WebSocketResponse, transport: asyncio.Transport):
        self.call_id = call_id
        self.stream_sid = start.stream_sid
        self.call_sid = start.call_sid
        self.account_sid = start.account_sid
        self.parameters = start.custom_parameters
        self.bad_messages = 0
        self._socket = socket
        self._transport = transport
        self._closing: asyncio.Task[None] | None = None
        self._lately = 0
        self._lately_since_s = 0.0
        self._why_closed = "we closed the stream"

    def send(self, text: str) -> None:
        """Send one message: returns at once, never raises. After the end it does nothing.

        A carrier that has `MAX_UNSENT_BYTES` waiting for it is gone: the stream is closed.
        """
        transport = self._transport
        if self._closing is not None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._why_closed = "the carrier took no more audio"
            self.close(WSCloseCode.TRY_AGAIN_LATER)
            return
        # One frame of RFC 6455, 5.2: text, final, from a server and therefore not masked.
        body = text.encode()
        size = len(body)
        if size < 126:
            transport.write(b"\x81%c%b" % (size, body))
        elif size < 65536:
            transport.write(b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), body))
        else:
            transport.write(b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), body))

    @property
    def unsent_bytes(self) -> int:
        """What the carrier has not taken yet, beyond what the system's own buffers hold."""
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    def close(self, code: int = WSCloseCode.OK) -> None:
        """Close the socket; returns at once. The first code counts."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(_close(self._socket, self._transport, code))

    async def closed(self) -> None:
        """Until the socket is closed, which takes at most `CLOSE_S` for a peer that does not answer."""
        self.close()
        if self._closing is not None:
            await asyncio.wait([self._closing])

    async def run(self, on_text: Callable[[str], None]) -> str:
        """Hand every text message to ``on_text`` until the socket is gone; returns why it went.

        A PeerError of ``on_text`` is counted and that message dropped, and so is a binary message.
        With `MAX_BAD_MESSAGES_A_SECOND` of them within a second the stream is closed.
        """
        # In a task of its own: a frame then wakes that one, and not all who wait for this.
        return await asyncio.create_task(self._read(on_text))

    async def _read(self, on_text: Callable[[str], None]) -> str:
        receive, text_type = self._socket.receive, WSMsgType.TEXT
        while True:
            message = await receive()
            if message.type is text_type:
                try:
                    on_text(message.data)
                except PeerError:
                    self._bad_message()
            elif message.type is WSMsgType.BINARY:
                self._bad_message()
            else:
                return self._ending(message)

    def _bad_message(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._lately_since_s >= 1:
            self._lately_since_s, self._lately = now_s, 0
        self.bad_messages += 1
        self._lately += 1
        if self._lately >= MAX_BAD_MESSAGES_A_SECOND:
            self._why_closed = "the carrier sent too much nonsense"
            self.close(WSCloseCode.INVALID_TEXT)

    def _ending(self, message: WSMessage) -> str:
        if self._closing is not None:
            return self._why_closed
        if message.type is WSMsgType.CLOSE:
            return "the carrier closed the stream"
        if isinstance(message.data, WebSocketError):
            return "the carrier broke the protocol"
        return "the carrier's connection was lost"


async def _close(socket: web.WebSocketResponse, transport: asyncio.Transport, code: int) -> None:
    """Say goodbye, wait for the same at most `CLOSE_S`, and be gone even if nobody reads."""
    with suppress(TimeoutError):
        async with asyncio.timeout(2 * CLOSE_S):
            await socket.close(code=code, drain=False)
    if transport.get_write_buffer_size():
        transport.abort()


@dataclass(frozen=True)
class _Answer:
    """What a request gets: constant and small."""

    status: int
    body: bytes = b""
    allow: str = ""

    def response(self) -> web.Response:
        headers = {"Server": "bridge"} | ({"Allow": self.allow} if self.allow else {})
        kind = twiml.CONTENT_TYPE if self.body else "text/plain"
        response = web.Response(status=self.status, body=self.body, content_type=kind, headers=headers)
        if self.status >= 400:
            response.force_close()
        return response


_DONE = _Answer(204)
_FORBIDDEN = _Answer(403)
_NOT_FOUND = _Answer(404)
_STATUSES = {Reason.MALFORMED: 400, Reason.TOO_SLOW: 408, Reason.TOO_LARGE: 413}


class PublicListener:
    """Listens where the tunnel leads to.

    apology: what a caller hears when the bridge is gone, or has no room. knows: whether a bridge
    before this one had a call of this CallSid; its webhook comes again only from somebody who
    recorded it, and is told to hang up. now_ms: a clock that only runs forward.
    """

    def __init__(
        self,
        signatures: Signatures,
        exchange: Exchange,
        *,
        apology: str = APOLOGY,
        knows: Callable[[str], bool] = lambda call_sid: False,
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self.signatures = signatures
        self.tokens = Tokens()
        self.refusals = Refusals()
        self._exchange = exchange
        self._apology = apology
        self._knows = knows
        self._now_ms = now_ms
        self._voices = Claims()
        self._reports = Claims()
        self._streams: dict[str, MediaStream] = {}
        self._trusted: set[object] = set()
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Begin to listen; returns the port. Raises OSError when it cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = web.Server(
            self._answer,
            access_log=None,
            keepalive_timeout=DEADLINE_S,
            lingering_time=CLOSE_S,
            auto_decompress=False,
            max_line_size=2048,
            max_headers=64,
        )
        self._listener = await loop.create_server(self._admit, host, port, backlog=512)
        found: int = self._listener.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Let nobody in any more and end what is open, media sockets too."""
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        for stream in self._streams.values():
            stream.close(WSCloseCode.GOING_AWAY)
        self._server.pre_shutdown()
        await self._server.shutdown(CLOSE_S)
        self._listener = None

    def _admit(self) -> asyncio.BaseProtocol:
        """A protocol for a new connection; the stranger who waits longest makes room."""
        assert self._server is not None
        waiting = [
            transport
            for connection in self._server.connections
            if (transport := connection.transport) is not None
            and not transport.is_closing()
            and transport not in self._trusted
        ]
        if len(waiting) >= MAX_WAITING:
            waiting[0].abort()
        return self._server()

    # ── requests ──

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            match request.method, request.raw_path:
                case "POST", "/twilio/voice":
                    answer = self._voice(await self._form(request))
                case "POST", "/twilio/status":
                    answer = self._status(await self._form(request))
                case "POST", "/twilio/stream-status":
                    answer = self._stream_status(await self._form(request))
                case "GET", "/twilio/media":
                    self.signatures.handshake(MEDIA, request.headers)
                    return await self._media(request)
                case _, "/twilio/voice" | "/twilio/status" | "/twilio/stream-status":
                    answer = _Answer(405, allow="POST")
                case _, "/twilio/media":
                    answer = _Answer(405, allow="GET")
                case _:
                    answer = _NOT_FOUND
        except Refusal as refusal:
            self._refuse(refusal.reason)
            answer = _Answer(_STATUSES.get(refusal.reason, 403))
        return answer.response()

    def _refuse(self, reason: Reason) -> None:
        alarm = self.refusals.note(reason)
        if alarm:
            self._exchange.refused(alarm)

    async def _form(self, request: web.BaseRequest) -> dict[str, str]:
        """A genuine webhook's fields. Raises Refusal."""
        self.signatures.may_be_signed(request.headers)
        body = bytearray()
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise Refusal(Reason.TOO_LARGE)
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except TimeoutError:
            raise Refusal(Reason.TOO_SLOW) from None
        except (ValueError, web.RequestPayloadError):
            raise Refusal(Reason.MALFORMED) from None
        return self.signatures.webhook(request.raw_path, fields, request.headers)

    def _voice(self, form: dict[str, str]) -> _Answer:
        call_sid = form["CallSid"]
        body = self._voices.answered(call_sid)
        if body is None:
            body = self._voices.claim(call_sid, self._first_answer(form).encode())
        return _Answer(200, body)

    def _first_answer(self, form: dict[str, str]) -> str:
        if self._knows(form["CallSid"]):
            return twiml.hang_up()
        call_id = self._exchange.ring(form)
        if call_id is None:
            return twiml.busy(self._apology)
        token = self.tokens.issue(call_id, form["CallSid"], form["AccountSid"], self._now_ms())
        url = self.signatures.public_url
        return twiml.answer(socket_url(url) + MEDIA, token, url + STREAM_STATUS, self._apology)

    def _status(self, form: dict[str, str]) -> _Answer:
        number = form.get("SequenceNumber") or form.get("Timestamp", "")
        if self._is_new((form["CallSid"], form.get("CallStatus", ""), number)):
            self._exchange.carrier_status(form)
        return _DONE

    def _stream_status(self, form: dict[str, str]) -> _Answer:
        happened = form.get("StreamEvent", ""), form.get("StreamError", ""), form.get("Timestamp", "")
        if self._is_new((form["CallSid"], form.get("StreamSid", ""), *happened)):
            self._exchange.stream_status(form)
        return _DONE

    def _is_new(self, key: tuple[str, ...]) -> bool:
        if self._reports.answered(key) is not None:
            return False
        self._reports.claim(key)
        return True

    # ── the media socket ──

    async def _media(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE_BYTES, timeout=CLOSE_S)
        if transport is None or not socket.can_prepare(request):
            raise Refusal(Reason.MALFORMED)
        await socket.prepare(request)
        try:
            start = await self._start(socket)
            call_id = self._redeem(start)
        except Refusal as refusal:
            self._refuse(refusal.reason)
            await _close(socket, transport, WSCloseCode.POLICY_VIOLATION)
            return socket
        stream = MediaStream(call_id, start, socket, transport)
        self._streams[start.call_sid] = stream
        self._trusted.add(transport)
        try:
            await self._exchange.media(stream)
        finally:
            del self._streams[start.call_sid]
            self._trusted.discard(transport)
            await stream.closed()
        return socket

    async def _start(self, socket: web.WebSocketResponse) -> twilio.Start:
        """What the carrier must say first. Raises Refusal for all else."""
        chars = 0
        try:
            async with asyncio.timeout(DEADLINE_S):
                while chars <= MAX_BEFORE_START_CHARS:
                    message = await socket.receive()
                    if message.type is not WSMsgType.TEXT:
                        break
                    chars += len(message.data)
                    match twilio.parse(message.data):
                        case twilio.Start() as start if chars <= MAX_BEFORE_START_CHARS:
                            return start
                        case twilio.Connected():
                            continue
                        case _:
                            break
        except (TimeoutError, PeerError):
            pass
        raise Refusal(Reason.NO_START)

    def _redeem(self, start: twilio.Start) -> str:
        """The call that this stream belongs to. Raises Refusal."""
        if start.account_sid != self.signatures.account_sid:
            raise Refusal(Reason.OTHER_ACCOUNT)
        token = start.custom_parameters.get(twiml.TOKEN_PARAMETER, "")
        call_id = self.tokens.redeem(token, start.call_sid, start.account_sid, self._now_ms())
        if start.call_sid in self._streams:
            raise Refusal(Reason.SECOND_STREAM)
        if not start.speaks_mulaw:
            raise Refusal(Reason.WRONG_FORMAT)
        return call_id

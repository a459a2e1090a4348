"""The public listener: what the carrier may do, and what everybody else may not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import cast
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from bridge import web
from bridge.errors import PeerError
from bridge.guard import ALARM_AFTER, TOKEN_LIFE_MS, Reason, Signatures
from bridge.web import MediaStream, PublicListener

ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1" * 32
STREAM = "MZ" + "2" * 32
KEY = "12345"
PUBLIC = "https://desk.example.com"

Fields = dict[str, str]


class House:
    """The other side of the listener, as little as there can be of it."""

    def __init__(self) -> None:
        self.rings: list[Fields] = []
        self.statuses: list[Fields] = []
        self.stream_statuses: list[Fields] = []
        self.alarms: list[str] = []
        self.full = False
        self.streams: asyncio.Queue[MediaStream] = asyncio.Queue()
        self.texts: asyncio.Queue[str] = asyncio.Queue()
        self.endings: asyncio.Queue[str] = asyncio.Queue()
        self.refuse: Callable[[str], bool] = lambda text: text == "bad"

    def ring(self, form: Fields) -> str | None:
        self.rings.append(form)
        return None if self.full else f"call {len(self.rings)}"

    def carrier_status(self, form: Fields) -> None:
        self.statuses.append(form)

    def stream_status(self, form: Fields) -> None:
        self.stream_statuses.append(form)

    async def media(self, stream: MediaStream) -> None:
        self.streams.put_nowait(stream)
        self.endings.put_nowait(await stream.run(self.hear))

    def hear(self, text: str) -> None:
        if self.refuse(text):
            raise PeerError("nonsense")
        self.texts.put_nowait(text)

    def refused(self, what: str) -> None:
        self.alarms.append(what)


class Carrier:
    """Sends what the telephone company would, signed as it would."""

    def __init__(self, port: int, session: ClientSession, stack: AsyncExitStack) -> None:
        self.port = port
        self.session = session
        self.stack = stack
        self.local = f"http://127.0.0.1:{port}"

    async def post(
        self, path: str, fields: Fields | None = None, *, key: str = KEY, public: str = PUBLIC
    ) -> tuple[int, bytes]:
        form = {"AccountSid": ACCOUNT, "CallSid": CALL} | (fields or {})
        signature = RequestValidator(key).compute_signature(public + path, MultiDict(form))
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        async with self.session.post(self.local + path, data=urlencode(form), headers=headers) as answer:
            return answer.status, await answer.read()

    async def ring(self, **fields: str) -> str:
        """A call comes in; the token in our answer."""
        status, body = await self.post(web.VOICE, {"From": "+16285550101"} | fields)
        assert status == 200
        found = re.search(rb'<Parameter name="token" value="([^"]+)"', body)
        assert found is not None
        return found[1].decode()

    async def socket(self, url: str = "wss://desk.example.com/twilio/media") -> ClientWebSocketResponse:
        signature = RequestValidator(KEY).compute_signature(url, None)
        connecting = self.session.ws_connect(
            self.local + web.MEDIA, headers={"X-Twilio-Signature": signature}, compress=15, max_msg_size=0
        )
        return await self.stack.enter_async_context(connecting)

    async def stream(self, token: str) -> ClientWebSocketResponse:
        """A socket that has said what it must."""
        socket = await self.socket()
        await socket.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        await socket.send_str(start(token))
        return socket


def start(token: str, call_sid: str = CALL, account_sid: str = ACCOUNT, encoding: str = "audio/x-mulaw") -> str:
    return json.dumps(
        {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": STREAM,
            "start": {
                "streamSid": STREAM,
                "accountSid": account_sid,
                "callSid": call_sid,
                "tracks": ["inbound"],
                "customParameters": {"token": token},
                "mediaFormat": {"encoding": encoding, "sampleRate": 8000, "channels": 1},
            },
        }
    )


class Clock:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def listener(house: House, clock: Clock) -> AsyncIterator[PublicListener]:
    listener = PublicListener(
        Signatures(ACCOUNT, KEY, PUBLIC), house, knows=lambda call_sid: call_sid == "CA old", now_ms=clock
    )
    yield listener
    await listener.close()


@pytest.fixture
async def carrier(listener: PublicListener) -> AsyncIterator[Carrier]:
    port = await listener.start()
    async with ClientSession() as session, AsyncExitStack() as stack:
        yield Carrier(port, session, stack)


async def closed_with(socket: ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(5):
        while True:
            message = await socket.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                return socket.close_code


# ── webhooks ──


async def test_a_call_is_answered_with_a_stream_and_a_token(house: House, carrier: Carrier) -> None:
    status, body = await carrier.post(web.VOICE, {"From": "+16285550101", "CallerName": ""})
    assert status == 200
    text = body.decode()
    assert '<Stream statusCallback="https://desk.example.com/twilio/stream-status"' in text
    assert 'url="wss://desk.example.com/twilio/media"' in text
    assert text.index("</Connect>") < text.index("<Say>") < text.index("<Hangup")
    (form,) = house.rings
    assert (form["From"], form["CallerName"], form["CallSid"]) == ("+16285550101", "", CALL)


async def test_a_full_house_lets_the_caller_down_gently(house: House, carrier: Carrier) -> None:
    house.full = True
    status, body = await carrier.post(web.VOICE)
    assert status == 200 and b"<Say>" in body and b"<Connect>" not in body


async def test_a_repeated_call_gets_the_same_answer_and_rings_once__openclaw_87497(
    house: House, listener: PublicListener, carrier: Carrier, clock: Clock
) -> None:
    first = await carrier.post(web.VOICE)
    clock.now_ms = 3_600_000
    assert await carrier.post(web.VOICE) == first
    assert await carrier.post(web.VOICE, {"CallStatus": "in-progress"}) == first
    assert len(house.rings) == 1


async def test_a_call_of_an_earlier_bridge_is_told_to_hang_up(house: House, carrier: Carrier) -> None:
    status, body = await carrier.post(web.VOICE, {"CallSid": "CA old"})
    assert status == 200 and b"<Hangup" in body and b"<Connect>" not in body
    assert house.rings == []


async def test_reports_are_passed_on_once_each(house: House, carrier: Carrier) -> None:
    for fields in (
        {"CallStatus": "ringing", "SequenceNumber": "0"},
        {"CallStatus": "completed", "SequenceNumber": "2"},
        {"CallStatus": "completed", "SequenceNumber": "2"},
        {"CallStatus": "in-progress", "SequenceNumber": "1"},
        {"CallStatus": "completed", "Timestamp": "Sat, 21 Nov 2026 03:00:00 +0000"},
    ):
        assert await carrier.post(web.STATUS, fields) == (204, b"")
    assert [form["CallStatus"] for form in house.statuses] == ["ringing", "completed", "in-progress", "completed"]
    for _ in range(2):
        assert await carrier.post(web.STREAM_STATUS, {"StreamEvent": "stream-started"}) == (204, b"")
    assert [form["StreamEvent"] for form in house.stream_statuses] == ["stream-started"]


@pytest.mark.parametrize("path", [web.VOICE, web.STATUS, web.STREAM_STATUS])
async def test_a_forged_webhook_changes_nothing(house: House, carrier: Carrier, path: str) -> None:
    for _ in range(ALARM_AFTER):
        assert await carrier.post(path, {"CallStatus": "completed"}, key="54321") == (403, b"")
    assert await carrier.post(path, public=carrier.local) == (403, b"")
    assert await carrier.post(path, {"AccountSid": "AC" + "9" * 32}) == (403, b"")
    async with carrier.session.post(carrier.local + path, data={"CallSid": CALL}) as answer:
        assert answer.status == 403
    assert (house.rings, house.statuses, house.stream_statuses) == ([], [], [])
    assert len(house.alarms) == 1 and "5 times" in house.alarms[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/control", 404),
        ("POST", "/twilio/voice/", 404),
        ("POST", "/twilio/voice?token=x", 404),
        ("GET", "/twilio/media?token=x", 404),
        ("POST", "/twilio/%76oice", 404),
        ("GET", "/twilio/voice", 405),
        ("PUT", "/twilio/status", 405),
        ("POST", "/twilio/media", 405),
    ],
)
async def test_nothing_else_is_there(carrier: Carrier, method: str, path: str, status: int) -> None:
    reader, writer = await carrier_connection(carrier)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    answer = await reader.read()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.endswith(b"\r\n\r\n") and len(answer) < 300 and b"aiohttp" not in answer
    writer.close()
    await writer.wait_closed()


async def carrier_connection(carrier: Carrier) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", carrier.port)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"a=" + b"x" * web.MAX_BODY_BYTES, 413, Reason.TOO_LARGE),
        (b"a=%ff", 400, Reason.MALFORMED),
        (b"\xff", 400, Reason.MALFORMED),
        (b"&".join([b"a=1"] * (web.MAX_FIELDS + 1)), 400, Reason.MALFORMED),
        (b"CallSid", 403, Reason.FORGED),
    ],
    ids=["large", "no unicode", "no text", "many fields", "no value"],
)
async def test_a_body_that_is_no_form(
    listener: PublicListener, carrier: Carrier, body: bytes, status: int, reason: Reason
) -> None:
    headers = {"X-Twilio-Signature": "x" * 28}
    async with carrier.session.post(carrier.local + web.VOICE, data=body, headers=headers) as answer:
        assert answer.status == status
    assert listener.refusals.counts == {reason: 1}


# ── strangers who wait ──


async def test_slow_heads_and_bodies_are_cut_off(
    listener: PublicListener, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DEADLINE_S", 0.1)
    await listener.close()
    carrier.port = await listener.start()
    silent, head, body = [await carrier_connection(carrier) for _ in range(3)]
    head[1].write(b"POST /twilio/voice HTTP/1.1\r\nHo")
    body[1].write(
        b"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nX-Twilio-Signature: %b\r\n\r\nabc"
        % (b"x" * 28)
    )
    async with asyncio.timeout(10):
        assert await silent[0].read() == b""
        assert await head[0].read() == b""
        assert (await body[0].read()).startswith(b"HTTP/1.1 408 ")
    for _, writer in (silent, head, body):
        writer.close()
        await writer.wait_closed()
    assert listener.refusals.counts == {Reason.TOO_SLOW: 1}


async def test_in_a_flood_a_genuine_call_is_answered(listener: PublicListener, carrier: Carrier, house: House) -> None:
    token = await carrier.ring()
    socket = await carrier.stream(token)
    await house.streams.get()

    strangers = [await carrier_connection(carrier) for _ in range(3 * web.MAX_WAITING)]
    assert (await carrier.post(web.VOICE, {"CallSid": "CA2"}))[0] == 200

    async with asyncio.timeout(5):
        gone = await asyncio.gather(
            *(reader.read() for reader, _ in strangers[: web.MAX_WAITING]), return_exceptions=True
        )
    assert len(gone) == web.MAX_WAITING
    await socket.send_str("still there")
    assert await house.texts.get() == "still there"
    for _, writer in strangers:
        writer.transport.abort()


# ── the media socket ──


async def test_a_stream_reaches_its_call_and_back(house: House, carrier: Carrier) -> None:
    socket = await carrier.stream(await carrier.ring())
    stream = await house.streams.get()
    assert (stream.call_id, stream.call_sid, stream.stream_sid) == ("call 1", CALL, STREAM)
    assert (stream.account_sid, list(stream.parameters)) == (ACCOUNT, ["token"])

    await socket.send_str("one")
    assert await house.texts.get() == "one"
    for size in (0, 125, 126, 65535, 65536, 200_000):
        stream.send("é" + "x" * (size - 2) if size else "")
        assert len((await socket.receive_str()).encode()) == size
    assert stream.unsent_bytes == 0

    await socket.close()
    assert await house.endings.get() == "the carrier closed the stream"
    stream.send("into the void")
    assert stream.unsent_bytes == 0


async def test_a_stream_that_we_close(house: House, carrier: Carrier) -> None:
    socket = await carrier.stream(await carrier.ring())
    stream = await house.streams.get()
    stream.close(1000)
    stream.close(1011)
    stream.send("too late")
    assert await closed_with(socket) == 1000
    assert await house.endings.get() == "we closed the stream"


async def test_a_connection_that_breaks(house: House, carrier: Carrier) -> None:
    socket = await carrier.stream(await carrier.ring())
    await house.streams.get()
    connection = socket._response.connection
    assert connection is not None and connection.transport is not None
    connection.transport.abort()
    assert await house.endings.get() == "the carrier's connection was lost"


async def test_the_listener_closes_its_streams(house: House, listener: PublicListener, carrier: Carrier) -> None:
    socket = await carrier.stream(await carrier.ring())
    await house.streams.get()
    closing = asyncio.create_task(listener.close())
    assert await closed_with(socket) == 1001
    await closing
    await listener.close()


async def test_compression_is_never_agreed_to(house: House, carrier: Carrier) -> None:
    socket = await carrier.stream(await carrier.ring())
    await house.streams.get()
    assert socket.compress == 0


@pytest.mark.parametrize(
    "url",
    ["https://desk.example.com/twilio/media", "wss://evil.example.com/twilio/media", "wss://desk.example.com/"],
)
async def test_a_handshake_that_is_not_the_carriers(carrier: Carrier, url: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await carrier.socket(url)
    assert refused.value.status == 403


async def test_a_handshake_with_the_port_in_its_address(house: House, carrier: Carrier) -> None:
    token = await carrier.ring()
    socket = await carrier.socket("wss://desk.example.com:443/twilio/media")
    await socket.send_str(start(token))
    assert (await house.streams.get()).call_id == "call 1"


async def test_a_signed_request_that_is_no_handshake(carrier: Carrier) -> None:
    signature = RequestValidator(KEY).compute_signature("wss://desk.example.com/twilio/media", None)
    async with carrier.session.get(carrier.local + web.MEDIA, headers={"X-Twilio-Signature": signature}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    "says",
    [
        lambda token: "no json",
        lambda token: '{"event":"media","media":{"payload":"","timestamp":"0"}}',
        lambda token: '{"event":"stop"}',
        lambda token: '{"event":"something new"}',
        lambda token: start(token)[:-1],
        lambda token: start("wrong"),
        lambda token: start(""),
        lambda token: start(token, call_sid="CA" + "9" * 32),
        lambda token: start(token, account_sid="AC" + "9" * 32),
        lambda token: start(token, encoding="audio/l16"),
        lambda token: start(token).replace('"event"', " " * web.MAX_BEFORE_START_CHARS + '"event"'),
        lambda token: b"binary",
    ],
    ids=[
        "no json",
        "media",
        "stop",
        "unknown",
        "cut",
        "wrong",
        "none",
        "other call",
        "other account",
        "format",
        "long",
        "bin",
    ],
)
async def test_a_stream_that_begins_wrongly_is_closed_and_reaches_no_call(
    house: House, listener: PublicListener, carrier: Carrier, says: Callable[[str], str | bytes]
) -> None:
    token = await carrier.ring()
    socket = await carrier.socket()
    said = says(token)
    await (socket.send_str(said) if isinstance(said, str) else socket.send_bytes(said))
    assert await closed_with(socket) == 1008
    assert house.streams.empty()
    assert listener.refusals.counts.total() == 1


async def test_a_stream_that_never_begins_is_closed(
    house: House, listener: PublicListener, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DEADLINE_S", 0.05)
    socket = await carrier.socket()
    await socket.send_str('{"event":"connected"}')
    assert await closed_with(socket) == 1008
    assert listener.refusals.counts == {Reason.NO_START: 1}


async def test_a_token_is_good_once_and_for_half_a_minute(
    house: House, listener: PublicListener, carrier: Carrier, clock: Clock
) -> None:
    token = await carrier.ring()
    clock.now_ms = TOKEN_LIFE_MS
    assert await closed_with(await carrier.stream(token)) == 1008
    token = await carrier.ring(CallSid="CA2")
    socket = await carrier.socket()
    await socket.send_str(start(token, call_sid="CA2"))
    await house.streams.get()
    again = await carrier.socket()
    await again.send_str(start(token, call_sid="CA2"))
    assert await closed_with(again) == 1008
    assert listener.refusals.counts == {Reason.BAD_TOKEN: 2}
    await socket.send_str("still there")
    assert await house.texts.get() == "still there"


async def test_a_second_stream_is_refused_and_the_first_kept__openclaw_102837(
    house: House, listener: PublicListener, carrier: Carrier
) -> None:
    socket = await carrier.stream(await carrier.ring())
    await house.streams.get()
    second = await carrier.stream(listener.tokens.issue("call 1", CALL, ACCOUNT, 0))
    assert await closed_with(second) == 1008
    assert listener.refusals.counts == {Reason.SECOND_STREAM: 1}
    await socket.send_str("still there")
    assert await house.texts.get() == "still there"


async def test_bad_messages_are_dropped_until_there_are_too_many(house: House, carrier: Carrier) -> None:
    socket = await carrier.stream(await carrier.ring())
    stream = await house.streams.get()
    await socket.send_str("bad")
    await socket.send_bytes(b"binary")
    await socket.send_str("good")
    assert await house.texts.get() == "good"
    assert stream.bad_messages == 2
    for _ in range(web.MAX_BAD_MESSAGES_A_SECOND):
        await socket.send_str("bad")
    assert await closed_with(socket) == 1007


@pytest.mark.parametrize(("size", "code"), [(web.MAX_MESSAGE_BYTES - 1, None), (web.MAX_MESSAGE_BYTES + 1, 1009)])
async def test_a_message_may_have_64_kib(house: House, carrier: Carrier, size: int, code: int | None) -> None:
    socket = await carrier.stream(await carrier.ring())
    await house.streams.get()
    await socket.send_str("x" * size)
    if code is None:
        assert len(await house.texts.get()) == size
    else:
        assert await closed_with(socket) == code
        assert await house.endings.get() == "the carrier broke the protocol"


async def test_a_carrier_that_takes_nothing_is_given_up(
    house: House, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "CLOSE_S", 0.1)
    socket = await carrier.stream(await carrier.ring())
    stream = await house.streams.get()
    connection = socket._response.connection
    assert connection is not None
    transport = cast(asyncio.Transport, connection.transport)
    transport.pause_reading()
    for _ in range(1000):
        stream.send("x" * 60_000)
    assert stream.unsent_bytes < web.MAX_UNSENT_BYTES + 100_000
    assert await house.endings.get() == "the carrier took no more audio"
    transport.abort()


async def test_a_fault_in_the_house_closes_its_stream_only(
    house: House, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = await carrier.stream(await carrier.ring())
    await house.streams.get()

    async def fails(stream: MediaStream) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr(house, "media", fails)
        other = await carrier.socket()
        await other.send_str(start(await carrier.ring(CallSid="CA2"), call_sid="CA2"))
        assert await closed_with(other) is not None
    await socket.send_str("still there")
    assert await house.texts.get() == "still there"

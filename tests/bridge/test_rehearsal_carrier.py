"""The simulated telephone company over real sockets: calls, media, TwiML, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from bridge.audio import FRAME_BYTES, SILENT_FRAME
from bridge.rehearsal.carrier import Company
from bridge.rehearsal.line import Line, LineEnded
from bridge.rehearsal.order import Status
from bridge.rehearsal.scenario import CallerStep, Wait
from bridge.rehearsal.websocket import ConnectError
from tests.bridge.rehearsal_carrier_customer import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    OUR_NUMBER,
    THEIR_NUMBER,
    TONE,
    Customer,
    Media,
    connect,
    person,
)

HANG_UP = CallerStep(Wait.PAUSE, 100, hang_up=True)
SPEECH = bytes(range(1, 126)) * 8


@asynccontextmanager
async def telephone(**options: Any) -> AsyncIterator[Company]:
    async with Company(ACCOUNT_SID, AUTH_TOKEN, [OUR_NUMBER], ring_ms=0, say_ms_per_char=0, **options) as company:
        yield company


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    async with telephone() as company:
        yield company


@pytest.fixture
async def customer(company: Company) -> AsyncIterator[Customer]:
    async with Customer() as customer:
        company.point(customer.url("/voice"), customer.url("/status"))
        yield customer
        await company.hang_up_all()


def kinds(line: Line) -> list[str]:
    return [event.kind for event in line.events]


def codes(line: Line) -> list[int]:
    return [fault.code for fault in line.errors]


async def test_a_caller_rings_is_answered_and_hangs_up(company: Company, customer: Customer) -> None:
    line = await company.place_call(person(HANG_UP))
    assert line.status is Status.RINGING
    await line.ended
    asked = customer.told("/voice")[0]
    assert asked["CallSid"] == line.call_sid and asked["AccountSid"] == ACCOUNT_SID
    assert asked["From"] == asked["Caller"] == THEIR_NUMBER and asked["To"] == asked["Called"] == OUR_NUMBER
    assert asked["Direction"] == "inbound" and asked["CallStatus"] == "ringing"
    assert (asked["FromCity"], asked["FromState"], asked["FromCountry"]) == ("Seattle", "WA", "US")
    assert line.status is Status.COMPLETED and line.complete and not line.errors
    assert customer.streams[0].events() == ["connected", "start", "stop"]
    assert [told["StreamEvent"] for told in customer.told("/stream")] == ["stream-started", "stream-stopped"]
    [told] = customer.told("/status")
    assert told["CallStatus"] == "completed" and told["SequenceNumber"] == "0" and told["CallDuration"] == "0"


async def test_the_stream_speaks_as_twilio_does(company: Company, customer: Customer) -> None:
    line = await company.place_call(person(HANG_UP))
    await line.ended
    connected, start, *others = customer.streams[0].messages
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": line.stream_sid,
        "start": {
            "streamSid": line.stream_sid,
            "accountSid": ACCOUNT_SID,
            "callSid": line.call_sid,
            "tracks": ["inbound"],
            "customParameters": {"token": "one-time"},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }
    assert [m["sequenceNumber"] for m in others] == [str(n) for n in range(2, len(others) + 2)]
    media = [m["media"] for m in others if m["event"] == "media"]
    assert [m["chunk"] for m in media] == [str(n) for n in range(1, len(media) + 1)]
    assert [m["timestamp"] for m in media] == [str(20 * n) for n in range(len(media))]
    assert {m["track"] for m in media} == {"inbound"}
    assert others[-1]["stop"] == {"accountSid": ACCOUNT_SID, "callSid": line.call_sid}


async def test_what_the_caller_says_arrives_in_whole_frames_from_its_first_byte(
    company: Company, customer: Customer
) -> None:
    line = await company.place_call(person(CallerStep(Wait.PAUSE, 60, SPEECH), HANG_UP))
    await line.ended
    heard = customer.streams[0].audio()
    at = heard.index(SPEECH)
    assert at % FRAME_BYTES == 0
    filling = -len(SPEECH) % FRAME_BYTES
    assert heard[at + len(SPEECH) :][:filling] == SILENT_FRAME[:filling]
    assert heard == bytes(line.said)


async def test_keys_are_pressed(company: Company, customer: Customer) -> None:
    line = await company.place_call(person(CallerStep(Wait.PAUSE, 0, digits="4#"), HANG_UP))
    await line.ended
    pressed = [m for m in customer.streams[0].messages if m["event"] == "dtmf"]
    assert [m["dtmf"] for m in pressed] == [{"track": "inbound_track", "digit": digit} for digit in "4#"]


async def test_audio_sent_at_once_is_played_in_real_time_and_the_mark_comes_after_it(
    company: Company, customer: Customer
) -> None:
    async def talk(media: Media) -> None:
        await media.mark("nothing before it")
        assert (await media.next("mark"))["mark"] == {"name": "nothing before it"}
        before = len(media.audio())
        await media.say(TONE[:3200])
        await media.mark("g1:400")
        await media.next("mark")
        assert len(media.audio()) - before >= 3200
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    await line.until(lambda line: bool(line.streams) and len(line.stream.marks) == 2)
    at = line.heard.index(TONE[:3200])
    assert line.heard[:at].strip(b"\xff") == b"" == line.heard[at + 3200 :].strip(b"\xff")
    assert line.heard_ms == 400 and line.stream.first_media_ms is not None and line.underruns == []
    line.hang_up()
    await line.ended
    assert codes(line) == []


async def test_clear_empties_the_buffer_and_returns_the_marks_at_once(company: Company, customer: Customer) -> None:
    returned: list[str] = []

    async def talk(media: Media) -> None:
        await media.say(TONE * 60)
        await media.mark("g1:1")
        await media.say(TONE)
        await media.mark("g1:2")
        await media.next("media")
        await media.clear()
        returned.extend([(await media.next("mark"))["mark"]["name"] for _ in range(2)])
        await media.say(SPEECH)
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    await line.until(lambda line: SPEECH in line.heard)
    assert returned == ["g1:1", "g1:2"]
    assert len(line.stream.clear_ms) == 1 and line.heard_ms < 30_000
    line.hang_up()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 31924),
        ("[]", 31924),
        ("\ud800".encode("utf-8", "surrogatepass"), 31950),
        ({"event": "hello", "streamSid": "SID"}, 31924),
        ({"streamSid": "SID"}, 31924),
        ({"event": "media", "streamSid": "SID"}, 31951),
        ({"event": "media", "streamSid": "SID", "media": {"payload": ""}}, 31951),
        ({"event": "media", "streamSid": "SID", "media": {"payload": "/w==", "track": "outbound"}}, 31951),
        ({"event": "media", "streamSid": "MZ0", "media": {"payload": "/w=="}}, 31951),
        ({"event": "media", "streamSid": "SID", "media": {"payload": "no base64!"}}, 31950),
        ({"event": "mark", "streamSid": "SID", "mark": {}}, 31951),
        ({"event": "clear", "stream_sid": "SID"}, 31951),
        (b"\xff\xff", 31950),
    ],
)
async def test_it_refuses_what_twilio_refuses_and_the_call_goes_on(
    company: Company, customer: Customer, message: object, code: int
) -> None:
    async def talk(media: Media) -> None:
        if isinstance(message, bytes):
            await media.socket.send_bytes(message)
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            await media.socket.send_str(text.replace("SID", media.sid, 1) if '"SID"' in text else text)
        await media.say(SPEECH)
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    await line.until(lambda line: SPEECH in line.heard)
    assert codes(line) == [code]
    line.hang_up()
    await line.ended
    assert not line.complete


async def test_more_than_ten_minutes_are_thrown_away(company: Company, customer: Customer) -> None:
    async def talk(media: Media) -> None:
        await media.say(TONE * 615)
        await media.mark("behind")
        await media.clear()
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    await line.until(lambda line: bool(line.streams) and bool(line.stream.marks))
    assert codes(line) == [31931]
    line.hang_up()


async def test_a_frame_that_breaks_the_websocket_protocol_ends_the_stream(company: Company, customer: Customer) -> None:
    async def talk(media: Media) -> None:
        assert media.socket._req is not None and media.socket._req.transport is not None
        media.socket._req.transport.write(bytes([0xF1, 0x00]))
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    await line.ended
    assert codes(line) == [31924] and line.spoken == ["Sorry."]


# ── the socket's end, and the tail ────────────────────────────────────────────────────────


async def test_when_the_customer_closes_the_socket_the_rest_of_the_twiml_is_performed(
    company: Company, customer: Customer
) -> None:
    async def talk(media: Media) -> None:
        await media.next("media")

    customer.talk = talk
    line = await company.place_call(person())
    await line.ended
    assert line.spoken == ["Sorry."] and line.status is Status.COMPLETED
    assert codes(line) == [31921]
    assert not line.complete


async def test_when_the_socket_breaks_the_rest_of_the_twiml_is_performed(company: Company, customer: Customer) -> None:
    async def talk(media: Media) -> None:
        await media.next("media")
        assert media.socket._req is not None and media.socket._req.transport is not None
        media.socket._req.transport.abort()

    customer.talk = talk
    line = await company.place_call(person())
    await line.ended
    assert line.spoken == ["Sorry."] and codes(line) == [31903]
    events = [told["StreamEvent"] for told in customer.told("/stream")]
    assert sorted(events) == ["stream-error", "stream-started", "stream-stopped"]


async def test_a_handshake_that_is_not_101_is_told_and_the_tail_performed(company: Company, customer: Customer) -> None:
    customer.handshake_status = 503
    line = await company.place_call(person())
    await line.ended
    assert codes(line) == [31920] and line.spoken == ["Sorry."] and line.streams == []
    [told] = customer.told("/stream")
    assert told["StreamEvent"] == "stream-error" and "503" in told["StreamError"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ws://127.0.0.1:1/media", 31902),
        ("wss://{host}/media", 31910),
        ("ws://example.com/media", 31922),
        ("http://{host}/media", 31922),
        ("/media", 31923),
        ("ws://[/media", 31923),
        ("ws://127.0.0.1:99999/media", 31923),
    ],
)
async def test_a_url_that_leads_nowhere(company: Company, customer: Customer, url: str, code: int) -> None:
    customer.twiml["/voice"] = connect(url=url)
    line = await company.place_call(person())
    await line.ended
    assert codes(line) == [code] and line.spoken == ["Sorry."]


async def test_query_strings_of_the_stream_are_dropped(company: Company, customer: Customer) -> None:
    customer.twiml["/voice"] = connect(url="ws://{host}/media?token=x")
    line = await company.place_call(person(HANG_UP))
    await line.ended
    assert customer.streams[0].path == "/media" and codes(line) == [31920]


# ── webhooks and TwiML ────────────────────────────────────────────────────────────────────


async def test_a_webhook_that_fails_ends_the_call_with_an_apology(company: Company, customer: Customer) -> None:
    customer.status = 500
    line = await company.place_call(person())
    await line.ended
    assert codes(line)[0] == 11200 and line.status is Status.FAILED and "application error" in line.spoken[0]


async def test_a_webhook_is_not_waited_for_without_end(company: Company, customer: Customer) -> None:
    company.exchange.webhook_s = 0.05
    customer.hold.clear()
    line = await company.place_call(person())
    await line.ended
    assert codes(line)[0] == 11200


@pytest.mark.parametrize(
    ("url", "code"), [("http://127.0.0.1:1/voice", 11205), ("ftp://127.0.0.1/voice", 11100), ("http://[", 11100)]
)
async def test_a_webhook_that_is_not_there(company: Company, url: str, code: int) -> None:
    company.point(url)
    line = await company.place_call(person())
    await line.ended
    assert codes(line) == [code]


async def test_the_fallback_is_asked_when_the_webhook_fails(company: Company, customer: Customer) -> None:
    company.point("http://127.0.0.1:1/voice")
    for number in company.numbers.values():
        number.voice_fallback_url = customer.url("/fallback")
    customer.twiml["/fallback"] = "<Response><Say>Later.</Say></Response>"
    line = await company.place_call(person())
    await line.ended
    assert line.spoken == ["Later."] and customer.told("/fallback")[0]["ErrorCode"] == "11205"


@pytest.mark.parametrize(
    ("twiml", "content_type", "code"),
    [("<Response>", "text/xml", 12100), ("{}", "application/json", 12300), ("<Response/>", "text/plain", 12300)],
)
async def test_an_answer_that_is_no_twiml(
    company: Company, customer: Customer, twiml: str, content_type: str, code: int
) -> None:
    customer.twiml["/voice"], customer.content_type = twiml, content_type
    line = await company.place_call(person())
    await line.ended
    assert codes(line)[0] == code


@pytest.mark.parametrize(("reason", "status"), [("busy", Status.BUSY), ("rejected", Status.NO_ANSWER)])
async def test_reject_does_not_answer(company: Company, customer: Customer, reason: str, status: Status) -> None:
    customer.twiml["/voice"] = f'<Response><Reject reason="{reason}"/></Response>'
    line = await company.place_call(person())
    await line.ended
    assert line.status is status and line.times.answered is None and customer.streams == []


async def test_verbs_are_performed_in_order(company: Company, customer: Customer) -> None:
    company.exchange.dial_ms = 0
    customer.twiml |= {
        "/voice": "<Response><Pause length='0'/><Play/><Redirect method='GET'>next?a=1</Redirect></Response>",
        "/next": '<Response><Dial action="/after"><Number>+16285550199</Number></Dial><Say>never</Say></Response>',
        "/after": "<Response><Say>Bye.</Say><Hangup/><Say>never</Say></Response>",
    }
    line = await company.place_call(person())
    await line.ended
    assert kinds(line) == ["asks", "answered", "plays", "asks", "dials", "asks", "says", "over"]
    assert customer.told("/next")[0]["a"] == "1"
    assert customer.told("/after")[0]["DialCallStatus"] == "completed"
    assert line.spoken == ["Bye."] and codes(line) == []


async def test_connect_goes_on_at_its_action(company: Company, customer: Customer) -> None:
    async def talk(media: Media) -> None:
        await media.next("media")

    customer.talk = talk
    customer.twiml |= {"/voice": connect('action="/after"'), "/after": "<Response><Say>After.</Say></Response>"}
    line = await company.place_call(person())
    await line.ended
    assert line.spoken == ["After."]


async def test_words_of_a_say_take_their_time_in_what_is_heard(customer: Customer) -> None:
    async def talk(media: Media) -> None:
        await media.say(SPEECH)
        await media.mark("said")
        await media.next("mark")

    customer.talk = talk
    async with telephone() as company:
        company.exchange.say_ms_per_char = 10
        company.point(customer.url("/voice"))
        line = await company.place_call(person())
        await line.ended
        assert len(line.heard) == len(line.said)
        assert line.heard.rstrip(b"\xff").endswith(SPEECH) and line.heard.endswith(b"\xff" * 480)


async def test_the_time_limit_ends_a_call(company: Company, customer: Customer) -> None:
    line = await company.place_call(person(), time_limit_s=1)
    await line.ended
    assert "time-limit" in kinds(line) and line.status is Status.COMPLETED
    assert customer.streams[0].events()[-1] == "stop"


# ── outbound ──────────────────────────────────────────────────────────────────────────────


async def test_an_outbound_call_is_told_of_step_by_step(company: Company, customer: Customer) -> None:
    line = await company.place_call(person(HANG_UP, direction="outbound"))
    assert line.status in (Status.QUEUED, Status.RINGING)
    await line.ended
    asked = customer.told("/voice")[0]
    assert asked["Direction"] == "outbound-api" and asked["CallStatus"] == "in-progress"
    assert (asked["From"], asked["To"], asked["ToCity"]) == (OUR_NUMBER, THEIR_NUMBER, "Seattle")
    told = sorted(customer.told("/status"), key=lambda fields: int(fields["SequenceNumber"]))
    assert [fields["CallStatus"] for fields in told] == ["initiated", "ringing", "in-progress", "completed"]
    assert line.complete


async def test_a_call_from_a_number_that_is_not_ours_cannot_be_made(company: Company) -> None:
    with pytest.raises(ValueError, match="points nowhere"):
        await company.place_call(person())
    company.numbers.clear()
    with pytest.raises(LookupError, match="not a number of this account"):
        await company.place_call(person())


# ── what tests can do to a line ───────────────────────────────────────────────────────────


async def test_a_line_can_be_made_to_speak_press_and_hang_up(company: Company, customer: Customer) -> None:
    line = await company.place_call(person())
    media = await customer.until_media()
    line.say(SPEECH)
    line.press("1")
    await line.until(lambda line: line.caller.done)
    line.hang_up()
    await line.ended
    assert SPEECH in media.audio() and "dtmf" in media.events()
    with pytest.raises(LineEnded, match="completed"):
        await line.until(lambda line: False)


async def test_whoever_waits_for_what_never_comes_is_told(company: Company, customer: Customer) -> None:
    line = await company.place_call(person(HANG_UP))
    with pytest.raises(LineEnded):
        await line.until(lambda line: line.heard_ms > 0)


async def test_a_caller_may_hang_up_before_the_answer(company: Company, customer: Customer) -> None:
    customer.hold.clear()
    line = await company.place_call(person())
    await customer.until_told("/voice")
    line.hang_up()
    customer.hold.set()
    await line.ended
    assert line.status is Status.NO_ANSWER and line.streams == []


async def test_a_line_can_vanish(company: Company, customer: Customer) -> None:
    line = await company.place_call(person())
    media = await customer.until_media()
    line.vanish()
    await line.ended
    assert media.events() == ["connected", "start"] and line.spoken == ["Sorry."]


async def test_a_line_can_begin_twice_and_say_anything(company: Company, customer: Customer) -> None:
    line = await company.place_call(person())
    media = await customer.until_media()
    line.stream.send_start()
    line.stream.socket.send_text('{"event":"news"}')
    await line.until(lambda line: line.stream.playback.position_ms > 100)
    line.hang_up()
    await line.ended
    assert media.events() == ["connected", "start", "start", "news", "stop"]


async def test_a_line_can_omit_and_hold_marks(company: Company, customer: Customer) -> None:
    async def talk(media: Media) -> None:
        for _ in range(3):
            await media.next("dtmf")
            await media.mark(media.messages[-1]["dtmf"]["digit"])
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    media = await customer.until_media()
    line.stream.hold_marks()
    line.press("1")
    await line.until(lambda line: line.stream.held_marks == ["1"])
    line.stream.release_marks()
    line.press("2")
    await line.until(lambda line: bool(line.stream.marks))
    line.stream.omit_marks()
    line.press("3")
    await line.until(lambda line: line.stream.omitted_marks == 1)
    line.hang_up()
    await line.ended
    assert [m["mark"]["name"] for m in media.messages if m["event"] == "mark"] == ["1", "2"]


async def test_a_line_that_is_not_read_drops_frames_and_nothing_waits(company: Company, customer: Customer) -> None:
    reading = asyncio.Event()

    async def talk(media: Media) -> None:
        await reading.wait()
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    await customer.until_media()
    filler = json.dumps({"event": "filler", "text": "x" * 60_000})

    def stuffed(line: Line) -> bool:
        while not line.stream.socket.is_full:
            line.stream.socket.send_text(filler)
        return line.stream.dropped_frames >= 5

    await line.until(stuffed)
    reading.set()
    await line.until(lambda line: not line.stream.socket.is_full)
    line.hang_up()


async def test_a_line_can_stop_reading(company: Company, customer: Customer) -> None:
    async def talk(media: Media) -> None:
        await media.next("dtmf")
        await media.say(SPEECH)
        await media.rest()

    customer.talk = talk
    line = await company.place_call(person())
    await customer.until_media()
    line.stream.socket.stop_reading()
    line.press("1")
    await line.until(lambda line: line.stream.playback.position_ms >= 400)
    assert line.stream.first_media_ms is None
    line.stream.socket.read_on()
    await line.until(lambda line: SPEECH in line.heard)
    line.hang_up()


async def test_wrong_signatures(company: Company, customer: Customer) -> None:
    line = await company.place_call(person(), wrong_webhook_signature=True)
    await line.ended
    assert customer.forged[0] == "/voice" and codes(line)[0] == 11200
    customer.forged.clear()
    line = await company.place_call(person(), wrong_handshake_signature=True)
    await line.ended
    assert customer.forged == ["/media"] and codes(line) == [31920]


async def test_a_raw_socket_says_what_it_is_told(company: Company, customer: Customer) -> None:
    url = f"ws://{customer.host}/media"
    for wrong in ({"wrong_signature": True}, {"signed": False}):
        with pytest.raises(ConnectError, match="403"):
            await company.connect_raw(url, **wrong)

    async def talk(media: Media) -> None:
        await media.mark("hello")

    customer.talk = talk
    raw = await company.connect_raw(url)
    raw.send({"event": "start", "streamSid": "MZ1"})
    raw.send(b"binary")
    assert json.loads(await raw.messages.get())["mark"] == {"name": "hello"}
    fault = await raw.closed
    assert fault is not None and fault.code == 31921


async def test_many_lines_share_one_clock(company: Company, customer: Customer) -> None:
    lines = [await company.place_call(person(CallerStep(Wait.PAUSE, 200, SPEECH), HANG_UP)) for _ in range(20)]
    for line in lines:
        await line.ended
    assert all(line.complete for line in lines)
    for media in customer.streams:
        stamps = [int(m["media"]["timestamp"]) for m in media.messages if m["event"] == "media"]
        assert all(later - earlier == 20 for earlier, later in pairwise(stamps))

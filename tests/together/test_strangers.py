"""Strangers at both doors while a call goes on: they get nothing, and its caller hears nothing of them."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import aiohttp
import pytest
import websockets

from bridge import control, desk, guard, web
from bridge.audio import FRAME_BYTES, SILENCE_BYTE
from bridge.control import Floor, Phase, Recording, TurnState
from bridge.rehearsal.exchange import new_sid
from bridge.rehearsal.line import Line
from bridge.rehearsal.websocket import ConnectError

from .desk import Desk
from .house import House, clip, open_house, speaking

HARMLESS_GAP_MS = 200
A_WORD = clip(0).audio[: 30 * FRAME_BYTES]


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home) as opened:
        opened.model.speed = 0
        yield opened


@asynccontextmanager
async def untouched_call(house: House) -> AsyncIterator[tuple[Desk, Line]]:
    """A call under way, with the AI speaking; afterwards nothing may have happened to it.

    Its caller heard what the AI said, whole and in order; the AI heard every frame of the
    caller's; and the call ended only because the caller hung up.
    """
    async with house.desk("Watcher") as desk:
        line = await house.call()
        await speaking(desk)
        ai = house.ai
        yield desk, line
        line.say(A_WORD)
        await line.until(lambda line: A_WORD in bytes(line.said))
        session = house.bridge.switchboard._by_sid[line.call_sid]
        assert session.call.phase is Phase.LIVE
        line.hang_up()
        await line.ended
        assert line.errors == []
        call_id = session.picture.call_id
        call = await desk.until(
            lambda store: call if (call := store.calls[call_id]).view.recording is Recording.DONE else None
        )
        assert call.view.end_cause == "caller hung up"
        assert max((gap.gap_ms for gap in line.underruns), default=0) <= HARMLESS_GAP_MS
        assert ai.appended_bytes == len(line.said)
        (greeting, *_) = [turn for turn in call.turns.values() if turn.speaker == "ai"]
        spoken = await house.model.voice.speak(house.bridge.switchboard.sessions[call_id].live.profile.first_line)
        sounds = _sounds(spoken.audio)
        heard = _sounds(bytes(line.heard))[: len(sounds)]
        assert len(heard) > 1000 and sounds.startswith(heard)
        assert greeting.state in (TurnState.FINAL, TurnState.CUT)
        sound = Path(call.view.recording_path).read_bytes()[58:]
        assert A_WORD in sound[0::2]


def _sounds(mulaw: bytes) -> bytes:
    """Audio without its silence, so that a pause more or less does not matter, and a lost or doubled frame does."""
    return mulaw.replace(bytes([SILENCE_BYTE]), b"")


class Carrier:
    """Requests to the public door, signed or not."""

    def __init__(self, house: House, http: aiohttp.ClientSession) -> None:
        self.house = house
        self.url = house.bridge.public_url
        self.media_url = self.url.replace("http", "ws") + web.MEDIA
        self._http = http

    def fields(self, **more: str) -> dict[str, str]:
        number = "+16285550101"
        given = {"AccountSid": self.house.company.account_sid, "CallSid": new_sid("CA"), "To": number}
        return given | {"From": "+16285550177", "Direction": "inbound", "CallStatus": "ringing"} | more

    def sign(self, path: str, fields: dict[str, str], *, wrong: bool = False) -> str:
        return self.house.company.exchange.signature(self.url + path, fields, wrong=wrong)

    async def post(self, path: str, fields: dict[str, str], signature: str | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if signature is not None:
            headers["X-Twilio-Signature"] = signature
        async with self._http.post(self.url + path, data=urlencode(fields), headers=headers) as answer:
            return answer.status, await answer.read()

    async def ring(self, **more: str) -> tuple[str, str]:
        """A genuine new call: its CallSid and the token for its stream."""
        fields = self.fields(**more)
        status, body = await self.post(web.VOICE, fields, self.sign(web.VOICE, fields))
        assert status == 200
        (parameter,) = ElementTree.fromstring(body).iter("Parameter")
        return fields["CallSid"], parameter.attrib["value"]

    async def leave(self, call_sid: str) -> None:
        """The caller of a call that never got a stream hangs up."""
        fields = self.fields(CallSid=call_sid, CallStatus="completed", SequenceNumber="9")
        assert (await self.post(web.STATUS, fields, self.sign(web.STATUS, fields)))[0] == 204

    def start(self, token: str, call_sid: str, **more: object) -> dict[str, object]:
        start = {
            "streamSid": new_sid("MZ"),
            "accountSid": self.house.company.account_sid,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "customParameters": {"token": token},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        return {"event": "start", "sequenceNumber": "1", "start": start | more, "streamSid": start["streamSid"]}

    async def closing(self, *messages: str | bytes | dict[str, object], url: str = "") -> str:
        """Say this on a signed media socket of one's own; how the bridge ends it."""
        raw = await self.house.company.connect_raw(url or self.media_url)
        for message in messages:
            raw.send(message)
        async with asyncio.timeout(10):
            fault = await raw.closed
        return "" if fault is None else fault.text


@pytest.fixture
async def carrier(house: House) -> AsyncIterator[Carrier]:
    async with aiohttp.ClientSession() as http:
        yield Carrier(house, http)


async def told(desk: Desk, words: str) -> None:
    await desk.until(lambda store: any(words in notice.text for notice in store.notices))


# ── the public door ───────────────────────────────────────────────────────────────────────


async def test_forged_webhooks_change_nothing(house: House, carrier: Carrier) -> None:
    async with untouched_call(house) as (desk, line):
        end = {"CallSid": line.call_sid, "CallStatus": "completed", "SequenceNumber": "7"}
        stream_error = {"CallSid": line.call_sid, "StreamEvent": "stream-error", "StreamError": "forged"}
        for path, more in ((web.VOICE, {}), (web.STATUS, end), (web.STREAM_STATUS, stream_error)):
            fields = carrier.fields(**more)
            assert await carrier.post(path, fields, None) == (403, b"")
            assert await carrier.post(path, fields, "x" * 28) == (403, b"")
            assert await carrier.post(path, fields, carrier.sign(path, fields, wrong=True)) == (403, b"")
            assert await carrier.post(path, fields | {"To": "+16285550100"}, carrier.sign(path, fields)) == (403, b"")
            elsewhere = {**fields, "AccountSid": new_sid("AC")}
            assert await carrier.post(path, elsewhere, carrier.sign(path, elsewhere)) == (403, b"")
            for other in ("https://127.0.0.1", "http://localhost", "http://127.0.0.1:9"):
                signature = house.company.exchange.signature(other + path, fields)
                assert await carrier.post(path, fields, signature) == (403, b"")
        await told(desk, "a signature that does not fit our public address")
        assert not any("forged" in notice.text for notice in desk.store.notices)
        assert len(house.bridge.switchboard.sessions) == house.model.total_sessions == 1


async def test_a_replayed_webhook_gets_its_old_answer_and_no_second_call(house: House, carrier: Carrier) -> None:
    fields = carrier.fields()
    first = await carrier.post(web.VOICE, fields, carrier.sign(web.VOICE, fields))
    async with untouched_call(house):
        for _ in range(3):
            assert await carrier.post(web.VOICE, fields, carrier.sign(web.VOICE, fields)) == first
        assert len(house.bridge.switchboard.sessions) == 2
        (parameter,) = ElementTree.fromstring(first[1]).iter("Parameter")
        token, call_sid = parameter.attrib["value"], fields["CallSid"]
        assert "1008" in await carrier.closing(carrier.start(token, new_sid("CA")))
        assert await carrier.post(web.VOICE, fields, carrier.sign(web.VOICE, fields)) == first
        assert "1008" in await carrier.closing(carrier.start(token, call_sid))
        await carrier.leave(call_sid)
        status = carrier.fields(CallSid=call_sid, CallStatus="in-progress", SequenceNumber="3")
        await carrier.post(web.STATUS, status, carrier.sign(web.STATUS, status))
        phases = [session.call.phase for session in house.bridge.switchboard.sessions.values()]
        assert sorted(phases) == [Phase.ENDED, Phase.LIVE]
        assert house.model.total_sessions == 1


async def test_tokens_open_nothing_but_their_own_call_once(
    house: House, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with untouched_call(house) as (desk, line):
        used = line.stream.parameters["token"]
        other_sid, others = await carrier.ring()
        assert "1008" in await carrier.closing(carrier.start(used, line.call_sid))
        assert "1008" in await carrier.closing(carrier.start(others, line.call_sid))
        assert "1008" in await carrier.closing(carrier.start(others, other_sid))
        assert "1008" in await carrier.closing(carrier.start("", line.call_sid))
        assert "1008" in await carrier.closing(carrier.start("x" * 43, line.call_sid))
        with monkeypatch.context() as hurried:
            hurried.setattr(guard, "TOKEN_LIFE_MS", 0)
            late_sid, late = await carrier.ring()
        assert "1008" in await carrier.closing(carrier.start(late, late_sid))
        await told(desk, "a wrong, used or expired token")
        other_account, its_token = await carrier.ring()
        foreign = carrier.start(its_token, other_account, accountSid=new_sid("AC"))
        assert "1008" in await carrier.closing(foreign)
        in_the_url = carrier.closing(carrier.start("", other_account), url=f"{carrier.media_url}?token={its_token}")
        with pytest.raises(ConnectError):
            await in_the_url
        assert house.model.total_sessions == 1
        for call_sid in (other_sid, late_sid, other_account):
            await carrier.leave(call_sid)


async def test_media_sockets_that_do_not_begin_as_they_should(
    house: House, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = {"event": "media", "media": {"payload": "/////w==", "timestamp": "0"}}
    async with untouched_call(house) as (desk, _):
        for signing in ({"signed": False}, {"wrong_signature": True}):
            with pytest.raises(ConnectError, match="403"):
                await house.company.connect_raw(carrier.media_url, **signing)
        call_sid, token = await carrier.ring()
        start = carrier.start(token, call_sid)
        for first in (media, "{", "[" * 10_000, '{"event":"dance"}', b"\x00\x01", {"event": "stop"}, '"start"'):
            assert "1008" in await carrier.closing({"event": "connected"}, first, start)
        assert "closed" in await carrier.closing("x" * 1_000_000, start)
        with monkeypatch.context() as hurried:
            hurried.setattr(web, "DEADLINE_S", 0.2)
            assert "1008" in await carrier.closing({"event": "connected"})
        await told(desk, "did not begin a stream as they should")
        assert house.model.total_sessions == 1
        await carrier.leave(call_sid)


MONSTERS = {
    "compressed": b"\xc1\x85" + b"mask" + b"12345",
    "2**62 bytes": b"\x81\xff" + struct.pack("!Q", 2**62) + b"mask",
    "4 GiB": b"\x81\xff" + struct.pack("!Q", 2**32) + b"mask",
    "unknown opcode": b"\x83\x80mask",
    "unmasked": b"\x81\x05hello",
    "fragments": b"\x01\x80mask" + b"\x00\x80mask" * 100_000,
    "pings": b"\x89\x80mask" * 20_000 + b"\x81\x81mask!",
    "not UTF-8": b"\x81\x82mask\x92\x9f",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


async def test_frames_that_are_none_close_their_own_socket_only(
    house: House, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DEADLINE_S", 1.0)
    async with untouched_call(house):
        for frame in MONSTERS.values():
            raw = await house.company.connect_raw(carrier.media_url)
            assert raw.socket is not None
            raw.socket.send_raw(frame)
            async with asyncio.timeout(5):
                await raw.socket.wait_closed()


# ── on the call's own socket ──────────────────────────────────────────────────────────────


async def test_nonsense_on_a_calls_own_socket_is_dropped_and_told(house: House, carrier: Carrier) -> None:
    async with untouched_call(house) as (desk, line):
        socket, stream = line.stream.socket, line.stream.stream_sid
        for _ in range(3):
            line.stream.send_start()
        socket.send_text("{")
        socket.send_text("[" * 10_000)
        socket.send_text('{"event":"media","media":{"payload":"not base64!","timestamp":"5"}}')
        socket.send_text('{"event":"media","media":{"payload":"////","timestamp":"-5"}}')
        socket.send_text('{"event":"media","media":{"timestamp":"5"}}')
        socket.send_text('{"event":"media","media":{"payload":"","timestamp":"5"}}')
        socket.send_text('{"event":"dtmf","dtmf":{"digit":"17"}}')
        socket.send_text(json.dumps({"event": "mark", "streamSid": stream, "mark": {"name": "never sent"}}))
        socket.send_binary(bytes(1000))
        for number in range(300):
            socket.send_text(json.dumps({"event": f"novelty-{number % 150}", "streamSid": stream}))
        await told(desk, "a second start for this call; it was ignored")
        await told(desk, "It was dropped, as any further one will be; the call goes on.")
        session = house.bridge.switchboard._by_sid[line.call_sid]
        assert len([m for m in desk.call().markers.values() if m.label == "second start refused"]) == 1
        assert len([m for m in desk.call().markers.values() if m.label == "bad message"]) == 1
        assert session.bad_messages == 6
        assert sum(session.unknown_messages.values()) == 300 and len(session.unknown_messages) <= 101
        assert house.model.total_sessions == 1


async def test_too_much_nonsense_ends_that_call_and_no_other(house: House) -> None:
    async with untouched_call(house) as (desk, _):
        lines = [await house.call() for _ in range(3)]
        await desk.until(lambda store: sum(c.view.phase is Phase.LIVE for c in store.calls.values()) == 4)
        long, malformed, binary = (line.stream.socket for line in lines)
        long.send_text("x" * 1_000_000)
        for _ in range(60):
            malformed.send_text("{")
            binary.send_binary(b"\0")
        for line in lines:
            await line.ended
            assert line.spoken
        await desk.until(lambda store: sum(c.view.phase is Phase.ENDED for c in store.calls.values()) == 3)
        causes = sorted(call.view.end_cause for call in desk.store.calls.values())
        assert causes == ["", "the carrier broke the protocol", *["the carrier sent too much nonsense"] * 2]
        await house.model.until(lambda: house.model.open_sessions == 1)


# ── the control door ──────────────────────────────────────────────────────────────────────


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


async def knock(url: str, *headers: bytes, path: str = "/control") -> int:
    """Ask for the control socket with exactly these headers; the HTTP status."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    asked = "\r\n".join([f"GET {path} HTTP/1.1", *UPGRADE]).encode()
    writer.write(b"\r\n".join([asked, *headers, b"", b""]))
    try:
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()


async def test_the_control_door_opens_for_the_token_alone(house: House) -> None:
    url = house.bridge.control_url
    here = b"Host: " + urlsplit(url).netloc.encode()
    port = str(urlsplit(url).port).encode()
    key = b"Authorization: Bearer " + house.bridge.token.encode()
    assert await knock(url, here, key) == 101
    async with untouched_call(house) as (desk, _):
        for headers in (
            (here,),
            (here, b"Authorization: Bearer wrong"),
            (here, b"Authorization: Bearer "),
            (here, b"Authorization: Bearer \xff\xfe"),
            (here, b"Authorization: " + house.bridge.token.encode()),
            (here, key, b"Origin: http://" + urlsplit(url).netloc.encode()),
            (here, key, b"Origin: null"),
            (b"Host: rebound.example:" + port, key),
            (b"Host: 127.0.0.1", key),
            (b"Host: 127.0.0.1:1", key),
        ):
            assert await knock(url, *headers) == 403, headers
        assert await knock(url, here, here, key) in (400, 403)
        assert await knock(url, key) in (400, 403)
        assert await knock(url, here, path=f"/control?token={house.bridge.token}") == 403
        assert await knock(url, here, key, path="/twilio/media") == 404
        assert len(house.bridge.switchboard.watchers) == 1
        assert desk.call().view.phase is Phase.LIVE
    public = house.bridge.public_url
    assert await knock(public, b"Host: " + urlsplit(public).netloc.encode(), key) == 404


@asynccontextmanager
async def bare_console(house: House) -> AsyncIterator[websockets.ClientConnection]:
    headers = {"Authorization": f"Bearer {house.bridge.token}"}
    async with websockets.connect(
        house.bridge.control_url, additional_headers=headers, compression=None, max_size=None, close_timeout=1
    ) as socket:
        yield socket


NOT_ATTACH: tuple[str | bytes, ...] = (
    control.encode(control.HangUp(id=1, call_id="any")),
    control.encode(control.Shutdown(id=1, end_calls=True)),
    "{",
    "[" * 60_000,
    '{"type":"attach","x":' + "[" * 60_000,
    b"\x01" + bytes(160),
    "x" * 1_000_000,
    "",
)


async def test_who_does_not_attach_first_is_shown_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "ATTACH_PATIENCE_S", 0.3)
    async with untouched_call(house) as (watcher, _):
        for first in NOT_ATTACH:
            async with bare_console(house) as socket:
                if first:
                    await socket.send(first)
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None and closed.value.rcvd.code in (1008, 1009), first[:50]
        assert not house.bridge.stopping.is_set()
        assert watcher.call().view.phase is Phase.LIVE
    async with bare_console(house) as socket:
        await socket.send(control.encode(control.Attach(id=1, version=99, console="old")))
        refused = control.decode_event(await socket.recv())
        assert isinstance(refused, control.Refused) and "Update the older" in refused.reason
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()


async def test_commands_that_make_no_sense_are_answered_and_the_console_keeps_its_floor(house: House) -> None:
    async with untouched_call(house) as (watcher, _), house.desk("Ann") as ann:
        other = await house.call()
        other_id = await ann.until(
            lambda store: (
                next((c.view.call_id for c in store.calls.values() if c.view.number == "+16285550111"), "")
                or list(store.calls)[-1]
                if len(store.calls) == 2
                else ""
            )
        )
        await ann.until(lambda store: store.calls[other_id].view.phase is Phase.LIVE)
        assert await ann.do(control.TakeOver, call_id=other_id) == ""
        for text in (
            "{",
            "null",
            '{"type":"dance"}',
            '{"type":"hang_up","id":"x"}',
            '{"type":"say","x":' + "[" * 60_000,
        ):
            before = len(ann.store.notices)
            await ann._socket.send(text)
            await ann.until(lambda store, before=before: len(store.notices) > before)
            assert "could not read a command" in ann.store.notices[-1].text
            assert len(ann.store.notices[-1].text) < 500
        for frame in (b"", b"\x00", b"\x02" + bytes(160), b"\x01"):
            await ann._socket.send(frame)
        assert "no longer held" in await ann.do(control.HangUp, call_id="nonsense")
        assert "was said already" in await ann.do(control.Attach, version=control.VERSION, console="Eve")
        assert "first" in await ann.do(control.TakeOver, call_id=next(c for c in ann.store.calls if c != other_id))
        for words in ("\x00\x07\u202e<b>", "😀" * 100, '"]}'):
            assert await ann.do(control.Whisper, call_id=other_id, text=words) == ""
        assert ann.store.calls[other_id].view.floor is Floor.OPERATOR
        assert not any("could not read" in notice.text for notice in watcher.store.notices)
        assert await ann.do(control.HangUp, call_id=other_id) == ""
        await other.ended


async def test_a_console_that_does_not_read_is_let_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "SEND_PATIENCE_S", 0.5)
    switchboard = house.bridge.switchboard
    place = urlsplit(house.bridge.control_url)
    async with untouched_call(house):
        # asyncio's reader takes nothing more from the socket while twice ``limit`` waits in it.
        reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1024)
        key = f"Authorization: Bearer {house.bridge.token}"
        writer.write("\r\n".join(["GET /control HTTP/1.1", f"Host: {place.netloc}", key, *UPGRADE, "", ""]).encode())
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        attach = control.encode(control.Attach(id=1, version=control.VERSION, console="Deaf")).encode()
        writer.write(b"\x81" + bytes([0x80 | len(attach)]) + bytes(4) + attach)
        await reader.read(100)
        let_go = asyncio.Event()
        detach = switchboard.detach
        monkeypatch.setattr(switchboard, "detach", lambda gone: (detach(gone), let_go.set()))
        for _ in range(500):
            switchboard.notice("the world is large " * 2000, "")
        async with asyncio.timeout(5):
            await let_go.wait()
            assert [watching.name for watching in switchboard.watchers] == ["Watcher"]
            with suppress(ConnectionError):
                while await reader.read(2**20):
                    pass
        writer.close()

"""Carrier, AI and caller failing in every way that they can: the call ends or goes on as promised.

Whatever happened, each call has exactly one row in the journal, with its end and the reason; its
recording is whole; and no session with the AI outlives it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bridge import control, journal
from bridge.audio import FRAME_BYTES, SILENCE_BYTE
from bridge.control import CallView, HealthPart, HealthState, Phase, Recording, TurnState
from bridge.engines import openai_arbiter
from bridge.rehearsal.exchange import new_sid
from bridge.rehearsal.line import Line
from bridge.rehearsal.model import HALF_OPEN, Faults
from bridge.rehearsal.voice import Spoken
from bridge.session import Session

from .desk import Desk
from .house import House, clip, is_loud, open_house
from .sound import read_wav

NO_AI = {"the AI was lost", "no AI, and nobody took the call"}
"""How a call ends whose AI broke twice: before the caller was greeted, or after."""

A_WORD = clip(0).audio[: 40 * FRAME_BYTES]


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home, ring_s=0.0) as opened:
        opened.model.speed = 0
        opened.model.transcript_delay_ms = (0, 10)
        yield opened


def session_of(house: House, line: Line) -> Session:
    return house.bridge.switchboard._by_sid[line.call_sid]


async def live(desk: Desk, count: int = 1) -> None:
    await desk.until(lambda store: sum(c.view.phase is Phase.LIVE for c in store.calls.values()) == count)


async def heard(line: Line, ms: int = 300) -> None:
    """Until the caller has heard that much of the AI."""
    await line.until(lambda line: line.heard_ms > ms)


async def told(desk: Desk, words: str, call_id: str = "") -> None:
    await desk.until(
        lambda store: any(words in notice.text and call_id in ("", notice.call_id) for notice in store.notices)
    )


def rows(house: House) -> list[CallView]:
    """The calls as the journal has them."""
    assert house.bridge.switchboard.house.journal.flush()
    return list(journal.recent(house.home / "journal.sqlite", 1000))


async def settled(house: House, desk: Desk, *lines: Line) -> list[CallView]:
    """All of these calls over and accounted for: how they ended, in the same order."""
    async with asyncio.timeout(20):
        for line in lines:
            await line.ended
            call_id = session_of(house, line).picture.call_id
            await desk.until(lambda store, call_id=call_id: is_closed(store.calls[call_id].view))
    async with asyncio.timeout(2):
        sessions = house.bridge.switchboard.sessions.values()
        live = sum(session.call.phase is Phase.LIVE for session in sessions)
        await house.model.until(lambda: house.model.open_sessions == live)
    written = rows(house)
    views = []
    for line in lines:
        (row,) = [view for view in written if view.call_sid == line.call_sid]
        assert (row.phase, row.end_cause) == (Phase.ENDED, desk.store.calls[row.call_id].view.end_cause)
        assert row.end_cause
        if row.recording_path:
            assert row.recording is Recording.DONE
            read_wav(Path(row.recording_path))
        views.append(row)
    return views


def is_closed(view: CallView) -> bool:
    return view.phase is Phase.ENDED and view.recording is not Recording.ON


# ── the carrier ───────────────────────────────────────────────────────────────────────────


async def test_a_carriers_socket_that_ends_somehow_ends_its_call_and_the_caller_hears_the_tail(house: House) -> None:
    async with house.desk() as desk:
        codes = (1000, 1001, 1006, 1011)
        lines = [await house.call() for _ in range(len(codes) + 1)]
        for line in lines:
            await heard(line)
        for line, code in zip(lines, codes, strict=False):
            if code == 1006:
                line.vanish()
            else:
                line.stream.socket.close(code)
                line.stream.end(None)
        lines[-1].stream.socket.send_raw(b"\xff" * 100)
        causes = [view.end_cause for view in await settled(house, desk, *lines)]
        closed, lost = "the carrier closed the stream", "the carrier's connection was lost"
        assert causes == [closed, closed, lost, closed, "the carrier broke the protocol"]
        assert lines[2].spoken and lines[4].spoken


def stop_media(line: Line, house: House) -> None:
    """The caller's audio stops coming, and nothing says why."""
    house.company.exchange.ticker.remove(line.stream._tick)


async def test_a_line_gone_dead_is_noticed_and_hung_up(house: House) -> None:
    async with house.desk() as desk:
        silent, half_open, unreachable, fine = lines = [await house.call() for _ in range(4)]
        for line in lines:
            await heard(line)
        stop_media(silent, house)
        stop_media(half_open, house)
        half_open.stream.socket.stop_reading()
        stop_media(unreachable, house)
        last_ms = [len(line.said) // 8 for line in lines]
        for _ in range(100):
            house.company.refuse_next(503, 20503, path=unreachable.call_sid)
        await told(desk, "No audio has come from the carrier for 2 s")
        views = await settled(house, desk, silent, half_open)
        assert [view.end_cause for view in views] == ["the line went dead"] * 2
        for view, last in zip(views, last_ms, strict=False):
            record = journal.read(house.home / "journal.sqlite", view.call_id)
            assert record is not None
            (noticed,) = [entry for entry in record.entries if b'"HangUp"' in entry.body]
            assert noticed.at_ms - last <= 2500
        await told(desk, "The line is being closed from this side.")
        await unreachable.ended
        assert not fine.is_over and unreachable.spoken
        fine.hang_up()
        (view, _) = await settled(house, desk, unreachable, fine)
        assert view.end_cause == "the line went dead"


async def test_odd_times_and_sizes_of_audio_are_taken_as_they_come(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        await heard(line)
        stop_media(line, house)
        stream = line.stream
        at_ms = 20 * stream._chunk
        tone = "AAAA" * 53 + "AA=="

        def media(timestamp_ms: int, payload: str) -> None:
            body = {"track": "inbound", "chunk": "1", "timestamp": str(timestamp_ms), "payload": payload}
            stream.socket.send_text(json.dumps({"event": "media", "streamSid": stream.stream_sid, "media": body}))

        for offset_ms in (0, 20, 20, 20, 100, 60, 80, 120, 5_000, 140, 65_000, 65_020, 2**39, 65_040, -at_ms):
            media(at_ms + offset_ms, tone)
        for payload in ("", "/w==", "//8=", "/" * 60_000):
            media(at_ms + 66_000, payload)
        house.company.exchange.ticker.add(stream._tick, stream._broke)
        line.say(A_WORD)
        await line.until(lambda line: A_WORD in bytes(line.said))
        line.hang_up()
        (view,) = await settled_partly(house, desk, line)
        assert view.end_cause == "caller hung up"
        sound = read_wav(Path(view.recording_path))
        assert 65_000 < sound.duration_ms < 130_000


async def settled_partly(house: House, desk: Desk, line: Line) -> list[CallView]:
    """As `settled`, for a recording that may have holes."""
    await line.ended
    await desk.until(lambda store: desk.call().view.recording in (Recording.DONE, Recording.PARTIAL))
    await house.model.until(lambda: house.model.open_sessions == 0)
    return rows(house)


async def test_without_marks_the_clock_tells_what_was_heard(house: House) -> None:
    async with house.desk() as desk:
        never, held, wrong = lines = [await house.call() for _ in range(3)]
        for line in lines:
            await line.until(lambda line: bool(line.streams))
        never.stream.omit_marks()
        held.stream.hold_marks()
        for name in ("", "0:1", "999:1", "\u2713" * 50, "0:-1"):
            body = {"event": "mark", "streamSid": wrong.stream_sid, "mark": {"name": name}}
            wrong.stream.socket.send_text(json.dumps(body))
        await heard(held, 600)
        held.stream.release_marks()
        for line in lines:
            await line.until(lambda line: line.heard_ms > 3000)
        for line in lines:
            session = session_of(house, line)
            house.bridge.switchboard.obey(control.Interrupt(id=0, call_id=session.picture.call_id), "Ann")
        for line in lines:
            await line.until(lambda line: bool(line.stream.clear_ms))
            call = desk.store.calls[session_of(house, line).picture.call_id]
            turn = await desk.until(
                lambda store, call=call: next((t for t in call.turns.values() if t.state is TurnState.CUT), None)
            )
            assert abs(turn.heard_ms - line.heard_ms) <= 150
            line.hang_up()
        await settled(house, desk, *lines)


async def test_a_carrier_that_does_not_read_gets_no_minutes_of_speech(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak_for(house, 60, monkeypatch)
    async with house.desk() as desk:
        line = await house.call()
        await heard(line)
        session = session_of(house, line)
        line.stream.socket.stop_reading()
        said = len(line.said)
        await line.until(lambda line: len(line.said) > said + 1500 * 8)
        assert session.live.line is not None
        waits = session.live.line.playout.unheard_ms
        assert waits > 50_000
        line.stream.socket.read_on()
        await heard(line, 2500)
        assert session.call.phase is Phase.LIVE
        line.hang_up()
        await settled(house, desk, line)


# ── the AI ────────────────────────────────────────────────────────────────────────────────


def speak_for(house: House, seconds: int, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The AI says the same for so long, whatever it says."""
    audio = (clip(0).audio * 100)[: seconds * 8000]

    async def speak(text: str) -> Spoken:
        return Spoken(audio, [("Well", 0)])

    monkeypatch.setattr(house.model.voice, "speak", speak)
    return audio


async def test_an_ai_whose_socket_breaks_ends_the_call_with_the_tail(house: House) -> None:
    async with house.desk() as desk:
        lines = []
        endings = [(events, code) for events in (1, 2, 8, 14) for code in (1006, 1011, 1012, 1001)]
        for events, code in endings:
            house.model.faults = Faults(end_after=events, end_with=code)
            lines.append(await house.call())
            await lines[-1].ended
        house.model.faults = Faults()
        for view, line in zip(await settled(house, desk, *lines), lines, strict=True):
            assert view.end_cause in NO_AI
            assert line.spoken and not line.errors[1:]
        assert desk.store.health[HealthPart.ENGINE].state is HealthState.RED
        line = await house.call()
        await desk.until(lambda store: store.health[HealthPart.ENGINE].state is HealthState.GREEN)
        line.hang_up()
        await settled(house, desk, line)


async def test_an_ai_that_is_refused_or_half_open_is_given_up_soon(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.engines.peer_session.PATIENCE_S", 0.3)
    monkeypatch.setattr("bridge.engines.peer_socket.TICK_S", 0.03)
    async with house.desk() as desk:
        lines = []
        for faults in (
            *(Faults(refuse_status=status) for status in (401, 403, 429, 500, 503)),
            Faults(end_after=1, end_with=HALF_OPEN),
            Faults(end_after=9, end_with=HALF_OPEN),
        ):
            house.model.faults = faults
            lines.append(await house.call())
            await lines[-1].ended
            assert lines[-1].spoken
        causes = {view.end_cause for view in await settled(house, desk, *lines)}
        assert causes <= NO_AI


async def test_an_ai_without_an_answer_is_told_of_and_the_call_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_arbiter, "QUIET_MS", 600)
    async with house.desk() as desk:
        for faults, words in (
            (Faults(silent=True), "did not react"),
            (Faults(never_done=True), "stopped in the middle of a reply"),
            (Faults(fail_response=True), "could not answer"),
        ):
            house.model.faults = faults
            line = await house.call()
            await live(desk)
            await told(desk, words, session_of(house, line).picture.call_id)
            house.model.faults = Faults()
            assert session_of(house, line).call.phase is Phase.LIVE
            line.say(A_WORD)
            await heard(line)
            line.hang_up()
            await settled(house, desk, line)


async def test_an_ai_that_answers_with_nothing_three_times_needs_a_person(house: House) -> None:
    house.model.faults = Faults(no_audio=True, no_transcripts=True)
    async with house.desk() as desk:
        line = await house.call()
        await live(desk)
        for number in range(1, 4):
            await house.model.until(lambda number=number: house.ai.sent["response.done"] == number)
            line.say(A_WORD)
        await told(desk, "silence three times")
        assert "without a word" in str(desk.call().view.needs)
        assert any(turn.remark == "not transcribed" for turn in desk.call().turns.values())
        line.hang_up()
        await settled(house, desk, line)


NONSENSE = (
    "{",
    "null",
    "[" * 100_000,
    '{"type":"response.output_audio.delta","response_id":"RESPONSE","item_id":"i","delta":"a==="}',
    '{"type":"response.output_audio.delta","response_id":"foreign","item_id":"i","delta":"AAAA"}',
    '{"type":"response.output_audio.delta","response_id":7}',
    '{"type":"response.done","response":{"id":"foreign"}}',
    '{"type":"response.done"}',
    '{"type":"conversation.item.input_audio_transcription.delta","item_id":"never announced","delta":"Hm"}',
    '{"type":"conversation.item.input_audio_transcription.failed","item_id":"never announced either"}',
    '{"type":"input_audio_buffer.speech_stopped","item_id":"never began","audio_end_ms":99999999}',
    '{"type":"error","error":{"type":"server_error","code":"odd","message":"something odd"}}',
    '{"type":"error","error":{"type":"invalid_request_error","code":"response_cancel_not_active","message":"no"}}',
    '{"type":"response.output_item.done","response_id":"foreign","item":{"type":"function_call","call_id":"c"}}',
    *(f'{{"type":"session.novelty.{number % 700}","x":{number}}}' for number in range(2000)),
    *('{"type":"error","error":{"type":"server_error","message":"again and again"}}' for _ in range(200)),
)


async def test_nonsense_from_the_ai_is_passed_over(house: House) -> None:
    house.model.faults = Faults(inject_after="response.content_part.added", inject=NONSENSE)
    async with house.desk() as desk:
        line = await house.call()
        await told(desk, "something odd")
        await told(desk, "again and again")
        house.model.faults = Faults()
        await heard(line, 1500)
        session = session_of(house, line)
        assert session.call.phase is Phase.LIVE
        assert len(desk.call().markers) < 20
        assert sum("again and again" in notice.text for notice in desk.store.notices) == 1
        assert max((gap.gap_ms for gap in line.underruns), default=0) <= 200
        line.say(A_WORD)
        await house.model.until(lambda: len(house.ai.said) == 2)
        line.hang_up()
        (view,) = await settled(house, desk, line)
        assert view.end_cause == "caller hung up"


async def test_a_minute_of_speech_at_once_is_paced_and_can_be_stopped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = speak_for(house, 60, monkeypatch)
    async with house.desk() as desk:
        line = await house.call()
        most = 0

        def watch(line: Line) -> bool:
            nonlocal most
            most = max(most, line.stream.playback.buffered_bytes if line.streams else 0)
            return line.heard_ms > 2000

        await line.until(watch)
        assert house.ai.sent["response.done"] == 1
        assert most <= 300 * 8
        sounds = bytes(line.heard).lstrip(bytes([SILENCE_BYTE]))
        assert sounds[: 1000 * 8] == audio.lstrip(bytes([SILENCE_BYTE]))[: 1000 * 8] or line.underruns
        before_ms = line.heard_ms
        assert await desk.do(control.Interrupt, call_id=desk.call().view.call_id) == ""
        await line.until(lambda line: bool(line.stream.clear_ms))
        assert line.heard_ms - before_ms <= 500
        await house.model.until(lambda: bool(house.ai.truncations))
        assert abs(house.ai.truncations[0].audio_end_ms - line.heard_ms) <= 150
        line.hang_up()
        (view,) = await settled(house, desk, line)
        sound = read_wav(Path(view.recording_path))
        assert abs(sum(is_loud(sound.line)) - sum(is_loud(bytes(line.heard)))) <= 15


async def test_a_message_larger_than_any_loses_the_session_and_neither_call_nor_bridge(house: House) -> None:
    async with house.desk() as desk:
        line, other = await house.call(), await house.call()
        await heard(line)
        await heard(other)
        former = house.ai
        await former._send("x" * (16 * 2**20 + 1))
        await desk.until(
            lambda store: any(m.label == "AI reconnects" for c in store.calls.values() for m in c.markers.values())
        )
        await house.model.until(lambda: house.ai is not former and house.ai.sent["session.updated"])
        for one in (line, other):
            assert session_of(house, one).call.phase is Phase.LIVE
            one.hang_up()
        await settled(house, desk, line, other)


# ── callers who hang up in the midst of it ────────────────────────────────────────────────


async def after_turns(turns: int, line: Line) -> bool:
    """Let the loop turn so often; whether the call is still there then."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return not line.is_over


@pytest.mark.parametrize("how", ["hang up", "vanish", "operator"])
async def test_whoever_ends_a_call_at_any_moment_of_its_set_up_leaves_nothing(house: House, how: str) -> None:
    switchboard = house.bridge.switchboard

    async def one(turns: int) -> Line:
        line = await house.call()
        if await after_turns(turns, line):
            session = switchboard._by_sid.get(line.call_sid)
            if how == "operator" and session is not None and session.call.phase not in (Phase.ENDING, Phase.ENDED):
                switchboard.obey(control.HangUp(id=0, call_id=session.picture.call_id), "Ann")
            elif how == "vanish" and line.streams:
                line.vanish()
            else:
                line.hang_up()
        await line.ended
        return line

    async with house.desk() as desk, asyncio.timeout(30):
        lines = [await one(turns) for turns in range(0, 60)]
        lines += await asyncio.gather(*(one(turns) for turns in range(0, 400, 10)))
        await desk.until(lambda store: store.calls and all(is_closed(call.view) for call in store.calls.values()))
        async with asyncio.timeout(2):
            await house.model.until(lambda: house.model.open_sessions == 0)
        assert switchboard.live_count == 0
        written = rows(house)
        call_sids = [row.call_sid for row in written]
        assert len(set(call_sids)) == len(call_sids) > 80
        assert set(call_sids) <= {line.call_sid for line in lines}
        assert {row.phase for row in written} == {Phase.ENDED}
        assert all(row.end_cause for row in written)
        for recording in (house.home / "recordings").iterdir():
            read_wav(recording)


async def test_a_stream_that_begins_and_ends_in_one_breath_was_a_call(house: House) -> None:
    company, url = house.company, house.bridge.public_url
    fields = {"AccountSid": company.account_sid, "CallSid": new_sid("CA"), "To": "+16285550101", "From": "+16285550111"}
    twiml = await company.exchange.request("POST", f"{url}/twilio/voice", fields)
    (parameter,) = ElementTree.fromstring(twiml.body).iter("Parameter")
    format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    sids = {"streamSid": new_sid("MZ"), "accountSid": company.account_sid, "callSid": fields["CallSid"]}
    start = sids | {"mediaFormat": format, "customParameters": {"token": parameter.attrib["value"]}}
    async with house.desk() as desk:
        raw = await company.connect_raw(url.replace("http", "ws") + "/twilio/media")
        for message in ({"event": "connected"}, {"event": "start", "start": start}, {"event": "stop", "stop": sids}):
            raw.send(message)
        assert raw.socket is not None
        raw.socket.close()
        async with asyncio.timeout(5):
            await raw.socket.wait_closed()
            await desk.until(lambda store: is_closed(desk.call().view))
        assert desk.call().view.end_cause == "caller hung up"
        await house.model.until(lambda: house.model.open_sessions == 0)
        (row,) = rows(house)
        assert (row.phase, row.end_cause) == (Phase.ENDED, "caller hung up")


# ── faults of the bridge's own ────────────────────────────────────────────────────────────


async def test_a_fault_of_ours_wherever_it_is_ends_its_call_and_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    async with house.desk() as desk:
        lines = [await house.call() for _ in range(6)]
        await live(desk, 6)
        for line in lines:
            await heard(line)
        tick, pump, verb, talk, read, fine = (session_of(house, line) for line in lines)
        assert pump.live.line is not None
        broken_verb, taken = verb.picture.call_id, talk.picture.call_id
        assert await desk.do(control.TakeOver, call_id=taken) == ""
        monkeypatch.setattr(tick.picture.waveform, "add_caller", fail)
        monkeypatch.setattr(pump.live.line.playout, "due", fail)
        monkeypatch.setattr(verb.picture, "cut", fail)
        monkeypatch.setattr(talk, "talk", fail)
        monkeypatch.setattr(read.picture, "mark", fail)
        lines[4].press("1")
        await desk.talk(bytes(160))
        assert "The bridge had a fault" in await desk.do(control.Interrupt, call_id=broken_verb)
        for line in lines[:5]:
            await line.ended
            assert line.spoken
        assert fine.call.phase is Phase.LIVE
        lines[5].hang_up()
        views = await settled(house, desk, *lines)
        assert [view.end_cause for view in views] == ["the bridge had a fault"] * 5 + ["caller hung up"]
        assert sum("the bridge had a fault" in notice.text for notice in desk.store.notices) == 5

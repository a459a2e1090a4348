"""Orders of what operators, caller, AI and windows do that could break a promise of the take-over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_view

from bridge import control, keypad, operator
from bridge.audio import FRAME_BYTES
from bridge.control import Floor, Party, Recording, ToolState, TurnKind, TurnState, TurnView
from bridge.engines.speech import VoiceFailed
from bridge.house import ToolResult
from bridge.rehearsal.model import Faults
from bridge.rehearsal.model_session import Session as ModelSession

from .desk import Desk
from .house import House, clip, open_house, speaking
from .sound import read_wav
from .test_calls import live
from .test_operator_words import speak, told_by

WORD = bytes([0x20]) * (3 * FRAME_BYTES)


class SlowVoice:
    """A speech engine that answers when it is let: `ready` per text, with what it says or why it cannot."""

    def __init__(self) -> None:
        self.asked: dict[str, asyncio.Future[bytes]] = {}

    async def speak(self, text: str) -> bytes:
        return await self.asked.setdefault(text, asyncio.get_running_loop().create_future())

    async def close(self) -> None: ...

    def says(self, text: str, audio: bytes) -> None:
        self.asked.setdefault(text, asyncio.get_running_loop().create_future()).set_result(audio)

    def fails(self, text: str) -> None:
        failed = VoiceFailed("The voice is out of order.")
        self.asked.setdefault(text, asyncio.get_running_loop().create_future()).set_exception(failed)


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home, floor_return_ms=200) as opened:
        yield opened


@pytest.fixture
def voice(house: House) -> SlowVoice:
    slow = SlowVoice()
    switchboard = house.bridge.switchboard
    switchboard.house = replace(switchboard.house, voice=slow)
    return slow


def told(house: House) -> list[str]:
    """All that the AI was told beside what it heard."""
    return [text for message in house.ai.received if (text := told_by(message))]


def said(desk: Desk, kind: TurnKind) -> list[TurnView]:
    return [turn for turn in desk.call().turns.values() if turn.kind is kind and turn.speaker is Party.OPERATOR]


def numbered(session: ModelSession, kind: str) -> str:
    """Ids that are unique in one session only."""
    session.numbers = number = getattr(session, "numbers", 0) + 1  # type: ignore[attr-defined]
    return f"{kind}_{number:021d}"


async def say(desk: Desk, audio: bytes) -> None:
    """As a microphone does, without a pause afterwards."""
    for start in range(0, len(audio), FRAME_BYTES):
        await desk.talk(audio[start : start + FRAME_BYTES])


def whole(desk: Desk) -> list[TurnView]:
    """What the operator said, as far as its words are complete."""
    return [turn for turn in said(desk, TurnKind.SPEECH) if turn.state is TurnState.FINAL]


async def test_a_hold_whose_window_dies_ends_and_the_ai_goes_on(house: House) -> None:
    async with house.desk("Bob") as other:
        line = await house.call()
        call_id = await live(other)
        await speaking(other)
        async with house.desk() as desk:
            assert await desk.do(control.Hold, call_id=call_id, held=True) == ""
        spoken = len(house.ai.said)
        await other.until(lambda store: other.call().view.floor is Floor.AI)
        await house.model.until(lambda: len(house.ai.said) > spoken)
        line.hang_up()
        await line.ended


async def test_an_operator_never_speaks_to_two_callers(house: House) -> None:
    async with house.desk() as desk:
        first, second = await house.call(), await house.call()
        await desk.until(lambda store: sum(call.view.phase == "live" for call in store.calls.values()) == 2)
        by_sid = {call.view.call_sid: call.view.call_id for call in desk.store.calls.values()}
        held, talked = by_sid[first.call_sid], by_sid[second.call_sid]
        assert await desk.do(control.TakeOver, call_id=held) == ""
        assert await desk.do(control.Hold, call_id=held, held=True) == ""
        assert await desk.do(control.TakeOver, call_id=talked) == ""
        assert "floor of another call" in await desk.do(control.Hold, call_id=held, held=False)
        await desk.talk(WORD)
        await second.until(lambda line: WORD in bytes(line.heard))
        assert WORD not in bytes(first.heard)
        assert await desk.do(control.HandBack, call_id=talked) == ""
        assert await desk.do(control.Hold, call_id=held, held=False) == ""
        for line in (first, second):
            line.hang_up()
            await line.ended


async def test_a_note_typed_in_a_privacy_hold_is_for_the_ai_alone(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert await desk.do(control.Privacy, call_id=call_id, private=True) == ""
        assert await desk.do(control.HandBack, call_id=call_id, note="card 4111 is theirs") == ""
        await house.model.until(lambda: any("card 4111 is theirs" in text for text in told(house)))
        assert "Handed back to the AI: \u2022\u2022\u2022" in desk.texts(TurnKind.NOTE)
        line.hang_up()
        await line.ended
    assert house.bridge.switchboard.house.journal.flush()  # type: ignore[attr-defined]
    assert b"card 4111" not in (house.home / "journal.sqlite").read_bytes()


async def test_the_ai_is_not_told_of_a_talk_that_was_a_hold(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Hold, call_id=call_id, held=True) == ""
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await house.model.until(lambda: any("Do not greet" in text for text in told(house)))
        (handed,) = [text for text in told(house) if "Do not greet" in text]
        assert "put the caller on hold" in handed and "spoke with" not in handed
        line.hang_up()
        await line.ended


async def test_what_was_said_before_and_after_a_hold_is_all_written_down_and_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A peer's ids are its own: nothing says that two sessions of it differ in them.
    monkeypatch.setattr(ModelSession, "new_id", numbered)
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await speak(desk, clip(0).audio)
        await desk.until(lambda store: [turn.text for turn in whole(desk)] == [clip(0).text])
        assert await desk.do(control.Hold, call_id=call_id, held=True) == ""
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await speak(desk, clip(1).audio)
        await desk.until(lambda store: [turn.text for turn in whole(desk)] == [clip(0).text, clip(1).text])
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await house.model.until(lambda: any("Do not greet" in text for text in told(house)))
        (handed,) = [text for text in told(house) if "Do not greet" in text]
        assert clip(0).text in handed and clip(1).text in handed
        line.hang_up()
        await line.ended


async def test_words_that_a_privacy_hold_cut_off_are_complete_at_once(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await say(desk, clip(0).audio)
        await desk.until(lambda store: said(desk, TurnKind.SPEECH))
        assert await desk.do(control.Privacy, call_id=call_id, private=True) == ""
        await desk.until(lambda store: all(turn.state is TurnState.FINAL for turn in said(desk, TurnKind.SPEECH)))
        await house.model.until(lambda: house.model.open_sessions == 1)
        assert desk.call().view.private
        line.hang_up()
        await line.ended


async def test_who_has_the_floor_because_the_ai_was_lost_on_hold_does_not_hear_themselves(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Hold, call_id=call_id, held=True) == ""
        house.model.faults = Faults(refuse_status=401)
        await house.ai.leave(1011, "gone")
        await desk.until(lambda store: "AI is gone" in str(desk.call().view.why_not))
        assert await desk.do(control.Hold, call_id=call_id, held=False) == ""
        await desk.talk(WORD)
        await line.until(lambda line: WORD in bytes(line.heard))
        session = house.bridge.switchboard.sessions[call_id]
        assert session.live.line is not None
        assert session.live.line.talkers == {"talk-1": "Ann"}
        (timed,) = await desk.until(lambda store: [t for t in desk.call().take_overs.values() if t.voice_ms])
        assert timed.console == "Ann"
        line.hang_up()
        await line.ended


async def test_typed_lines_are_spoken_in_the_order_they_were_typed(house: House, voice: SlowVoice) -> None:
    first, second = bytes([0x21]) * 1600, bytes([0x22]) * 1600
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        for text in ("One.", "Two."):
            assert await desk.do(control.Say, call_id=call_id, text=text) == ""
        voice.says("Two.", second)
        await desk.do(control.Whisper, call_id=call_id, text="A turn of the loop.")
        voice.says("One.", first)
        await line.until(lambda line: second in bytes(line.heard))
        assert first + second in bytes(line.heard)
        await desk.until(lambda store: all(turn.state is TurnState.FINAL for turn in said(desk, TurnKind.SAY)))
        line.hang_up()
        await line.ended


async def test_a_typed_line_that_was_cut_is_not_spoken_by_anyone(house: House, voice: SlowVoice) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        for text in ("Not this.", "Nor that."):
            assert await desk.do(control.Say, call_id=call_id, text=text) == ""
        assert await desk.do(control.Interrupt, call_id=call_id) == ""
        voice.fails("Not this.")
        voice.says("Nor that.", WORD)
        assert await desk.do(control.Say, call_id=call_id, text="But this.") == ""
        voice.says("But this.", bytes([0x23]) * 1600)
        await line.until(lambda line: bytes([0x23]) * 1600 in bytes(line.heard))
        assert WORD not in bytes(line.heard)
        assert not any("Not this." in str(message) for message in house.ai.received)
        states = [turn.state for turn in said(desk, TurnKind.SAY)]
        assert states[:2] == [TurnState.CUT, TurnState.CUT]
        line.hang_up()
        await line.ended


async def test_a_typed_line_of_a_privacy_hold_has_one_place_in_the_transcript(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Interrupt, call_id=call_id) == ""
        assert await desk.do(control.Privacy, call_id=call_id, private=True) == ""
        assert await desk.do(control.Say, call_id=call_id, text="The code is 4711.") == ""
        await desk.until(lambda store: [turn for turn in said(desk, TurnKind.SAY) if turn.state is TurnState.FINAL])
        assert desk.texts(TurnKind.SAY) == ["\u2022\u2022\u2022"]
        assert not [turn for turn in desk.call().turns.values() if turn.speaker is Party.AI and "\u2022" in turn.text]
        line.hang_up()
        await line.ended


async def test_the_ai_is_not_told_what_was_typed_in_a_privacy_hold(house: House, voice: SlowVoice) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert await desk.do(control.Privacy, call_id=call_id, private=True) == ""
        assert await desk.do(control.Say, call_id=call_id, text="The code is 4711.") == ""
        voice.says("The code is 4711.", bytes([0x24]) * 1600)
        await line.until(lambda line: bytes([0x24]) * 1600 in bytes(line.heard))
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await house.model.until(lambda: any("Do not greet" in text for text in told(house)))
        assert not any("4711" in str(message) for message in house.ai.received)
        line.hang_up()
        await line.ended


async def test_a_transcriber_lost_while_somebody_speaks_is_replaced(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "AGAIN_S", 0.0)
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await speak(desk, clip(0).audio)
        await desk.until(lambda store: whole(desk))
        await house.scribe.leave(1011, "gone")
        await desk.until(lambda store: any("not written down" in notice.text for notice in store.notices))
        await speak(desk, clip(1).audio)
        await desk.until(lambda store: [turn.text for turn in whole(desk)] == [clip(0).text, clip(1).text])
        line.hang_up()
        await line.ended


async def test_a_tool_at_work_during_a_whole_take_over_is_answered_after_it(house: House) -> None:
    switchboard = house.bridge.switchboard
    begun, may_end = asyncio.Event(), asyncio.Event()
    real = switchboard.house.run_tool

    async def slow(name: str, arguments: str) -> ToolResult:
        begun.set()
        await may_end.wait()
        return await real(name, arguments)

    switchboard.house = replace(switchboard.house, run_tool=slow)
    async with house.desk() as desk, house.desk("Bob") as other:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        line.say(clip(0).audio, clip(0).text)
        await house.model.until(lambda: len(house.ai.said) == 2)
        await desk.until(lambda store: desk.call().view.activity == "Listening")
        line.say(clip(1).audio, clip(1).text)
        await begun.wait()
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert "Ann already has the floor" in await other.do(control.TakeOver, call_id=call_id)
        await desk.talk(WORD)
        await line.until(lambda line: WORD in bytes(line.heard))
        spoken = len(house.ai.said)
        may_end.set()
        await house.model.until(lambda: any("function_call_output" in str(message) for message in house.ai.received))
        await other.until(lambda store: all(tool.state is ToolState.DONE for tool in other.call().tools.values()))
        assert len(house.ai.said) == spoken
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await house.model.until(lambda: len(house.ai.said) == spoken + 1)
        line.hang_up()
        await line.ended


async def test_the_silence_after_a_take_over_is_counted_from_that_take_over(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        for _ in range(2):
            assert await desk.do(control.TakeOver, call_id=call_id) == ""
            assert await desk.do(control.HandBack, call_id=call_id) == ""
        session = house.bridge.switchboard.sessions[call_id]
        first, second = await desk.until(
            lambda store: (
                [t for t in desk.call().take_overs.values() if t.silent_ms is not None][1:]
                and list(desk.call().take_overs.values())
            )
        )
        now_ms = session.live.now_ms()
        session.picture.take_overs["1"] = replace_view(first, silent_ms=None)
        session._operator.ai_is_silent("1")
        silent_ms = session.picture.take_overs["1"].silent_ms
        assert silent_ms is not None and silent_ms >= now_ms - first.at_ms
        assert second.at_ms >= first.at_ms
        line.hang_up()
        await line.ended


async def test_the_tones_of_a_card_number_reach_the_caller_and_no_recording(house: House) -> None:
    card = "4111111111111111"
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        for keys in ("42", card):
            assert await desk.do(control.PressKeys, call_id=call_id, keys=keys) == ""
        await line.until(lambda line: keypad.tones(card) in bytes(line.heard))
        line.hang_up()
        await line.ended
        await desk.until(lambda store: desk.call().view.recording is Recording.DONE)
        sound = read_wav(Path(desk.call().view.recording_path))
    assert keypad.tone("2").rstrip(b"\xff") in sound.line and keypad.tone("1").rstrip(b"\xff") not in sound.line

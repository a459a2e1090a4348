"""What an operator says on the line, in words: in the transcript, and known to the AI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import control, journal, operator
from bridge.audio import FRAME_BYTES
from bridge.control import Floor, Party, TurnKind, TurnState
from bridge.engines.speech import Words
from bridge.rehearsal.model import Faults

from .desk import Desk
from .house import House, clip, open_house, silence, speaking
from .test_calls import live


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home) as opened:
        yield opened


async def speak(desk: Desk, audio: bytes) -> None:
    """As a microphone does, with a pause afterwards."""
    for start in range(0, len(audio), FRAME_BYTES):
        await desk.talk(audio[start : start + FRAME_BYTES])
    for _ in range(60):
        await desk.talk(silence(1))


def told_by(message: dict[str, Any]) -> str:
    """The text of a message that gives the AI something to know."""
    parts = message.get("item", {}).get("content", ())
    return " ".join(part.get("text", "") for part in parts)


def words(desk: Desk, text: str) -> list[control.TurnView]:
    return [
        turn
        for turn in desk.call().turns.values()
        if turn.speaker is Party.OPERATOR and turn.kind is TurnKind.SPEECH and turn.text == text
    ]


async def test_an_operators_words_are_written_down_and_the_ai_goes_on_knowing_them(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await speak(desk, clip(0).audio)
        (turn,) = await desk.until(lambda store: [t for t in words(desk, clip(0).text) if t.state is TurnState.FINAL])
        assert turn.heard_chars == len(clip(0).text)
        known = f'has the floor and said to the caller: "{clip(0).text}"'
        await house.model.until(lambda: any(known in told_by(item) for item in house.ai.received))
        said = len(house.ai.said)
        assert await desk.do(control.HandBack, call_id=call_id, note="Offer ten percent.") == ""
        await house.model.until(lambda: len(house.ai.said) > said)
        handed = next(told_by(item) for item in house.ai.received if "Do not greet" in told_by(item))
        assert f'They said to the caller: "{clip(0).text}"' in handed
        assert "Your colleague tells you: Offer ten percent." in handed
        await house.model.until(lambda: house.model.open_sessions == 1)
        line.hang_up()
        await line.ended
        assert not house.ai.refusals and not house.scribe.refusals


async def test_words_that_come_after_the_hand_back_reach_the_ai_too(house: House) -> None:
    house.model.transcript_delay_ms = (400, 400)
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await speak(desk, clip(0).audio)
        await house.model.until(lambda: len(house.model.sessions) == 2)
        await house.model.until(lambda: house.scribe.sent["input_audio_buffer.committed"] > 0)
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await desk.until(lambda store: words(desk, clip(0).text))
        late = f'before handing back was: "{clip(0).text}"'
        await house.model.until(lambda: any(late in told_by(item) for item in house.ai.received))
        line.hang_up()
        await line.ended


async def test_words_that_come_when_the_bridge_stops_are_in_the_journal(home: Path) -> None:
    async with open_house(home) as house:
        house.model.transcript_delay_ms = (400, 400)
        async with house.desk() as desk:
            await house.call()
            call_id = await live(desk)
            await speaking(desk)
            assert await desk.do(control.TakeOver, call_id=call_id) == ""
            await speak(desk, clip(0).audio)
            await house.model.until(lambda: len(house.model.sessions) == 2)
            await house.model.until(lambda: house.scribe.sent["input_audio_buffer.committed"] > 0)
    record = journal.read(home / "journal.sqlite", call_id)
    assert record is not None and clip(0).text in [turn.text for turn in record.turns]


async def test_without_a_transcriber_the_voice_still_reaches_the_caller(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        house.model.faults = Faults(refuse_status=500)
        before = len(line.heard)
        await desk.talk(clip(0).audio[: 10 * FRAME_BYTES])
        await desk.until(lambda store: any("not written down" in notice.text for notice in store.notices))
        await line.until(lambda line: clip(0).audio[: 10 * FRAME_BYTES] in bytes(line.heard[before:]))
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await desk.until(lambda store: desk.call().view.floor is Floor.AI)
        line.hang_up()
        await line.ended


class Defective:
    """A transcriber with a defect of ours."""

    async def run(self, words: Words) -> None:
        raise KeyError("Hello, this is")

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """Listens to nothing."""

    def pause(self) -> None:
        """Has nothing to end."""

    async def close(self) -> None:
        """Is closed already."""


async def test_after_a_transcriber_that_has_a_defect_the_rest_is_written_down_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "AGAIN_S", 0.0)
    switchboard = house.bridge.switchboard
    make = switchboard.house.transcriber
    assert make is not None
    makers = iter([Defective])
    switchboard.house = replace(switchboard.house, transcriber=lambda: next(makers, make)())
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await speak(desk, clip(0).audio)
        await desk.until(lambda store: any("not written down" in notice.text for notice in store.notices))
        await speak(desk, clip(1).audio)
        await desk.until(lambda store: words(desk, clip(1).text))
        line.hang_up()
        await line.ended


async def test_what_is_said_and_typed_in_a_privacy_hold_is_not_kept(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert await desk.do(control.Privacy, call_id=call_id, private=True) == ""
        await speak(desk, clip(0).audio)
        assert await desk.do(control.Whisper, call_id=call_id, text="card ends in 1111") == ""
        assert desk.texts(TurnKind.WHISPER) == ["\u2022\u2022\u2022"]
        assert len(house.model.sessions) == 1
        assert await desk.do(control.Privacy, call_id=call_id, private=False) == ""
        await speak(desk, clip(1).audio)
        await desk.until(lambda store: words(desk, clip(1).text))
        assert not words(desk, clip(0).text)
        line.hang_up()
        await line.ended
    journal = (house.home / "journal.sqlite").read_bytes()
    assert b"card ends in 1111" not in journal

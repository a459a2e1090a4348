"""Orders of what operators, caller, AI and windows do that could break a promise of the take-over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import control
from bridge.audio import FRAME_BYTES
from bridge.control import Floor, Party, TurnKind, TurnState, TurnView
from bridge.engines.speech import VoiceFailed
from bridge.rehearsal.model import Faults

from .desk import Desk
from .house import House, clip, open_house, silence, speaking
from .test_calls import live
from .test_operator_words import told_by

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

"""Say: an operator's typed words, spoken to the caller as they stand, in the operator's name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge import control
from bridge.control import Party, TurnKind, TurnState, TurnView

from .desk import Desk
from .house import House, is_loud, open_house, speaking
from .test_calls import live
from .test_operator_words import told_by

WORDS = "Your refund was sent today."


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home) as opened:
        yield opened


async def said(desk: Desk, *states: TurnState) -> TurnView:
    """The Say line once it is in one of these states."""
    turn: TurnView = await desk.until(
        lambda store: next(
            (t for t in desk.call().turns.values() if t.kind is TurnKind.SAY and t.state in states), None
        )
    )
    return turn


async def test_words_are_spoken_for_an_operator_who_has_the_floor_and_the_ai_is_told(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        spoken = len(house.ai.said)
        before = len(line.heard)
        assert await desk.do(control.Say, call_id=call_id, text=WORDS) == ""
        turn = await said(desk, TurnState.FINAL)
        assert (turn.speaker, turn.text, turn.heard_chars, turn.remark) == (Party.OPERATOR, WORDS, len(WORDS), "")
        assert 1000 < turn.heard_ms < 6000
        assert sum(is_loud(bytes(line.heard[before:]))) > 25
        await house.model.until(lambda: any(WORDS in told_by(message) for message in house.ai.received))
        assert len(house.ai.said) == spoken
        line.hang_up()
        await line.ended


async def test_while_the_ai_speaks_a_say_waits_for_the_end_of_what_it_says(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Say, call_id=call_id, text=WORDS) == ""
        turn = await said(desk, TurnState.SPEAKING, TurnState.FINAL)
        greeting = next(t for t in desk.call().turns.values() if t.speaker is Party.AI)
        assert (greeting.state, greeting.cut_by) == (TurnState.FINAL, Party.NOBODY)
        assert turn.start_ms >= greeting.end_ms
        line.hang_up()
        await line.ended


async def test_a_say_that_is_cut_short_is_shown_and_told_as_far_as_it_was_heard(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Interrupt, call_id=call_id) == ""
        assert await desk.do(control.Say, call_id=call_id, text=f"{WORDS} {WORDS} {WORDS}") == ""
        await desk.until(lambda store: any(t.heard_ms > 800 for t in desk.call().turns.values() if t.kind == "say"))
        assert await desk.do(control.Interrupt, call_id=call_id) == ""
        turn = await said(desk, TurnState.CUT)
        assert 0 < turn.heard_chars < len(turn.text) and turn.cut_by is Party.OPERATOR
        await house.model.until(lambda: any("were cut short" in told_by(message) for message in house.ai.received))
        line.hang_up()
        await line.ended


async def test_where_nothing_can_speak_the_ai_speaks_the_words(home: Path) -> None:
    async with open_house(home, say_voices=()) as house, house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Say, call_id=call_id, text="One moment, please.") == ""
        turn = await said(desk, TurnState.FINAL)
        assert turn.text == "One moment, please." in house.ai.said
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert await desk.do(control.Say, call_id=call_id, text=WORDS) == ""
        await desk.until(lambda store: any("could not be spoken" in notice.text for notice in store.notices))
        assert (await said(desk, TurnState.CUT)).heard_chars == 0
        line.hang_up()
        await line.ended

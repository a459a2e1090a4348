"""What every engine does in the same way, on whole calls over real sockets: greeting, answering, being interrupted.

A new engine is one more way in `every_engine`. Nothing here knows how an engine works: the tests look at
what the caller heard, what stands in the transcript, and what the AI was told.
"""

from __future__ import annotations

from pathlib import Path

from bridge.control import Party, TurnState, TurnView
from bridge.profiles import Profiles
from bridge.rehearsal.scenario import CallerStep, Wait

from .every_engine import (
    AURA,
    LIVE,
    NOVA,
    REALTIME,
    LiveMind,
    Talk,
    Way,
    at_once,
    every_ai,
    open_way,
    talk,
    talks,
    ways,
)
from .house import clip, is_loud

FIRST_LINE = Profiles.load().named("billing").first_line  # type: ignore[union-attr]
WORDS = clip(1)


@every_ai
async def test_a_greeting_is_spoken_whole_and_once_and_the_caller_is_answered(home: Path, way: Way) -> None:
    async with talk(home, way) as call:
        await call.live()
        greeting = await call.heard_whole("you have reached")
        assert greeting.text == FIRST_LINE and greeting.heard_chars == len(FIRST_LINE)
        assert sum(call.sounds(greeting.start_ms, greeting.end_ms)) * 20 > 0.6 * greeting.heard_ms
        call.says(1)
        answer = await call.heard("I can see two payments", 600)
        (caller,) = call.turns(Party.CALLER)
        assert (caller.text, caller.state) == (clip(1).text, TurnState.FINAL)
        assert greeting.end_ms <= caller.start_ms < answer.start_ms
        assert any(call.sounds(answer.start_ms))
        assert call.greetings() == 1
        assert [tool.name for tool in call.call.tools.values()] == ["find_payments"]


@ways(REALTIME, LIVE, NOVA, AURA)
async def test_a_caller_may_barge_in_after_every_100_ms(home: Path, way: Way) -> None:
    """Five calls at once, in each of which the greeting and two answers are cut, 100 to 1500 ms into them."""
    instants = [
        tuple(CallerStep(Wait.REPLY_MS, ms, WORDS.audio, WORDS.text) for ms in (first, first + 500, first + 1000))
        for first in range(100, 600, 100)
    ]
    async with open_way(home, way) as house, talks(house, way, *instants) as calls:
        cut = await at_once(*(barged_in(call) for call in calls))
        calls[0].mind.knows_only_what_was_heard(cut)


async def barged_in(call: Talk) -> list[TurnView]:
    """What the AI said was cut three times, and what the caller said instead is answered. Returns what was cut."""
    await call.live()
    await call.until(lambda: len(call.spoken) == 4 and call.spoken[3].heard_ms > 300)
    # An answer begins before its words are all there.
    await call.until(lambda: "two payments" in call.spoken[3].text)
    *cut, _ = said = call.spoken
    assert [(turn.state, turn.cut_by) for turn in cut] == [(TurnState.CUT, Party.CALLER)] * 3
    frames = sum(is_loud(WORDS.audio))
    stretches = range(0, 3 * frames, frames)
    assert [turn.text for turn in call.turns(Party.CALLER)] == [WORDS.text] * 3
    assert call.greetings() == 1
    if isinstance(call.mind, LiveMind):
        # It speaks in real time: of what it did not say nobody ever knows a word. And it stops by itself, at times
        # before anybody is told that the caller speaks: then there is nothing to interrupt.
        assert 1 <= call.view.caller_interruptions <= 3
        assert [call.wire.fell_silent_by_itself(before, frames) for before in stretches] == [True] * 3
        assert all(turn.heard_chars <= len(turn.text) for turn in cut) and "two payments" not in cut[0].text
    else:
        assert all(turn.heard_chars < len(turn.text) for turn in cut)
        assert ["two payments" in turn.text for turn in said] == [False, True, True, True]
        assert call.view.caller_interruptions == 3
        assert [call.wire.fell_silent(before, frames) for before in stretches] == [True] * 3
    return cut

"""An answer is made before the turn has ended, and leaves only if it ends so."""

from __future__ import annotations

from bridge.engines import Reached, ReplyStarted, ReplyWordsDone, Step, ToolAsked, Used
from bridge.engines.cascade import Config
from bridge.rehearsal.model import Faults, Model
from tests.bridge.cascade_parts import CHARGED, ORDER, Desk, asked_with, at_work


async def test_an_answer_made_ahead_leaves_when_the_turn_has_ended(desk: Desk) -> None:
    part = desk.says(CHARGED.line, ends=False)
    desk.words.may_end(part)
    await desk.until(lambda: bool(desk.voice.said))
    assert not desk.all(ReplyStarted) and not desk.sound_ms
    desk.words.heard(part, CHARGED.line, True)
    desk.words.ended(part, desk.clock_ms)
    words = await desk.told(ReplyWordsDone)
    assert words.text == CHARGED.says and len(desk.model.chat.requests) == 1
    assert [event.step for event in desk.all(Reached)] == [Step.WORDS, Step.TOKEN, Step.SOUND]
    assert asked_with(desk) == [("user", CHARGED.line)]
    desk.engine.played(words.item_id)
    desk.says(ORDER.line)
    await desk.told(ToolAsked)
    assert asked_with(desk) == [("user", CHARGED.line), ("assistant", CHARGED.says), ("user", ORDER.line)]


async def test_it_is_thrown_away_when_the_caller_goes_on(desk: Desk) -> None:
    part = desk.says(CHARGED.line, ends=False)
    desk.words.may_end(part)
    await desk.until(lambda: bool(desk.voice.said))
    desk.words.goes_on(part)
    desk.words.heard(part, f"{CHARGED.line} {ORDER.line}", True)
    desk.words.ended(part, desk.clock_ms)
    await desk.told(ToolAsked)
    assert len(desk.all(ReplyStarted)) == 1 and not desk.sound_ms
    assert asked_with(desk) == [("user", f"{CHARGED.line} {ORDER.line}")]
    assert [event.vendor for event in desk.all(Used) if event.tokens] == ["127.0.0.1"]


async def test_what_fails_ahead_of_time_is_tried_in_earnest(desk: Desk) -> None:
    desk.model.faults = Faults(chat_status=401, chat_times=1)
    part = desk.says(CHARGED.line, ends=False)
    desk.words.may_end(part)
    await desk.until(lambda: not desk.engine._replies._held)
    desk.words.heard(part, CHARGED.line, True)
    desk.words.ended(part, desk.clock_ms)
    assert (await desk.told(ReplyWordsDone)).text == CHARGED.says


async def test_tools_of_an_answer_made_ahead_wait_for_the_end_of_the_turn(desk: Desk) -> None:
    part = desk.says(ORDER.line, ends=False)
    desk.words.may_end(part)
    await desk.until(lambda: bool(desk.engine._replies._held and desk.engine._replies._held.thought))
    assert not desk.all(ToolAsked)
    desk.words.heard(part, ORDER.line, True)
    desk.words.ended(part, desk.clock_ms)
    await desk.told(ToolAsked)


async def test_nothing_is_made_ahead_for_a_cascade_that_is_not_eager(model: Model) -> None:
    config = Config("You answer.", transcriber="scribe", eager=False)
    async with at_work(Desk(model, config)) as desk:
        part = desk.says(CHARGED.line, ends=False)
        desk.words.may_end(part)
        assert desk.engine._replies._held is None

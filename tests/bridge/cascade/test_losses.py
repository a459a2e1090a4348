"""A cascade's vendors fail: in passing is done without, for long is the end; and what it costs."""

from __future__ import annotations

import asyncio

import pytest

from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    EngineLost,
    ReplyDone,
    ReplyWords,
    ReplyWordsDone,
    SpeechDone,
    Trouble,
    Used,
    cascade_listening,
    cascade_replies,
    cascade_reply,
)
from bridge.engines.cascade_memory import CUT_OFF
from bridge.engines.openai import load_prices
from bridge.engines.speech import VoiceFailed
from bridge.rehearsal.model import Faults, Model
from tests.bridge.cascade_parts import CHARGED, HELLO, MS_PER_CHAR, Desk, asked_with, at_work, greeted


async def lost(desk: Desk) -> EngineLost:
    """How the engine ends."""
    with pytest.raises(EngineLost) as caught:
        async with at_work(desk):
            desk.says(CHARGED.line)
            await desk.running
    return caught.value


async def another_listens(desk: Desk) -> None:
    await desk.until(lambda: len(desk.transcribers) == 2 and desk.transcribers[1].words is not None)


async def test_a_lost_transcriber_is_replaced_and_nothing_lost(desk: Desk) -> None:
    part = desk.says("I was charged twice for the", ms=1000, ends=False)
    desk.transcribers[0].lose(EngineLost("gone", fatal=False))
    await another_listens(desk)
    assert len(desk.transcribers[1].frames) == 50
    desk.words.started(part, 400)
    desk.words.heard(part, "twice for the March order.", True)
    desk.words.ended(part, desk.clock_ms)
    await desk.told(CallerStopped)
    assert desk.all(CallerWords)[-1].text == "I was charged twice for the March order."
    assert len(desk.all(CallerStarted)) == 1


async def test_as_many_lost_in_a_row_as_are_tried_are_the_end(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade_listening, "AGAIN_AFTER_S", (0.0,))
    desk = Desk(model)
    with pytest.raises(EngineLost, match="gone again"):
        async with at_work(desk):
            desk.transcribers[0].lose(EngineLost("gone", fatal=False))
            await another_listens(desk)
            desk.transcribers[1].lose(EngineLost("gone again", fatal=False))
            await desk.running


async def test_a_refused_transcriber_is_the_end(model: Model) -> None:
    desk = Desk(model)
    with pytest.raises(EngineLost, match="bad key") as caught:
        async with at_work(desk):
            desk.transcribers[0].lose(EngineLost("bad key", fatal=True))
            await desk.running
    assert caught.value.fatal


async def test_a_chat_that_fails_twice_is_asked_again(desk: Desk) -> None:
    desk.model.faults = Faults(chat_status=429, chat_code="rate_limit_exceeded", chat_times=2)
    desk.says(CHARGED.line)
    assert (await desk.told(ReplyWordsDone)).text == CHARGED.says


@pytest.mark.parametrize("times", [1, 2])
async def test_one_that_breaks_off_is_asked_to_go_on(desk: Desk, times: int) -> None:
    desk.model.faults = Faults(chat_cut_after=6, chat_times=times)
    desk.says(CHARGED.line)
    assert (await desk.told(ReplyWordsDone)).text == CHARGED.says
    assert asked_with(desk)[-1] == ("system", CUT_OFF)


async def test_a_stream_that_is_cut_late_is_asked_to_go_on_too(desk: Desk) -> None:
    desk.model.chat.tokens_per_s = 8
    desk.model.faults = Faults(chat_cut_after=14, chat_times=1)
    desk.says(CHARGED.line)
    await desk.model.until(lambda: len(desk.model.chat.requests) == 2)
    desk.model.chat.tokens_per_s = 0
    assert (await desk.told(ReplyWordsDone)).text == CHARGED.says


async def test_a_chat_that_is_silent_once_is_asked_again(model: Model) -> None:
    model.faults = Faults(chat_silent=True, chat_times=1)
    async with at_work(Desk(model, patience_s=0.3)) as desk:
        desk.says(CHARGED.line)
        assert (await desk.told(ReplyWordsDone)).text == CHARGED.says


async def test_a_chat_that_goes_on_failing_is_the_end(model: Model) -> None:
    model.faults = Faults(chat_status=503)
    failure = await lost(Desk(model))
    assert "had an error (503)" in str(failure) and not failure.fatal
    assert model.chat._faulty == 1 + len(cascade_reply.AGAIN_AFTER_S)


async def test_who_wants_to_be_left_alone_for_long_is_not_waited_for(model: Model) -> None:
    model.faults = Faults(chat_status=429, chat_code="rate_limit_exceeded", chat_retry_after_s=20)
    failure = await lost(Desk(model))
    assert "too many requests (429)" in str(failure) and not failure.fatal
    assert model.chat._faulty == 1


async def test_and_who_wants_it_for_a_moment_is(desk: Desk) -> None:
    desk.model.faults = Faults(chat_status=429, chat_code="rate_limit_exceeded", chat_retry_after_s=0.3, chat_times=1)
    asked_s = asyncio.get_running_loop().time()
    desk.says(CHARGED.line)
    assert (await desk.told(ReplyWordsDone)).text == CHARGED.says
    assert asyncio.get_running_loop().time() - asked_s >= 0.3


async def test_a_chat_that_refuses_is_the_end_at_once(model: Model) -> None:
    model.faults = Faults(chat_status=401)
    assert (await lost(Desk(model))).fatal
    assert model.chat._faulty == 1


@pytest.mark.parametrize("times", [1, 3])
async def test_a_voice_that_fails_says_the_rest_of_the_sentence(desk: Desk, times: int) -> None:
    desk.voice.fails = [("Northgate", VoiceFailed("it broke"))] * times
    await greeted(desk)
    assert desk.all(ReplyWordsDone)[-1].text == HELLO
    assert list(desk.sound_ms.values()) == [(len(HELLO) - 2) * MS_PER_CHAR]


async def test_a_voice_that_goes_on_failing_is_the_end(model: Model) -> None:
    desk = Desk(model)
    desk.voice.fails = [("sorry", VoiceFailed(f"it broke {number}")) for number in range(9)]
    failure = await lost(desk)
    assert str(failure) == f"it broke {len(cascade_reply.AGAIN_AFTER_S)}" and not failure.fatal


async def test_a_sentence_that_the_voice_does_not_take_is_left_out_and_told(desk: Desk) -> None:
    desk.voice.refuses = "an AI"
    desk.engine.greet(HELLO)
    assert (await desk.told(ReplyDone)).status == "completed"
    assert (await desk.told(ReplyWordsDone)).text == "Hello. This call is recorded."
    assert "".join(event.delta for event in desk.all(ReplyWords)) == "Hello. This call is recorded."
    (trouble,) = desk.all(Trouble)
    assert trouble.text.startswith("not these words") and "an AI" not in trouble.text
    desk.engine.played(desk.all(SpeechDone)[-1].item_id)
    desk.says(CHARGED.line)
    await desk.told(ReplyWordsDone, 2)
    assert asked_with(desk)[0] == ("assistant", "Hello. This call is recorded.")


async def test_a_sentence_that_failed_with_another_is_said(desk: Desk) -> None:
    desk.voice.fails = [("an AI", VoiceFailed("not these words", unspeakable=True))]
    await greeted(desk)
    assert desk.all(ReplyWordsDone)[-1].text == HELLO and not desk.all(Trouble)


async def test_a_voice_that_takes_no_sentence_at_all_is_the_end(model: Model) -> None:
    desk = Desk(model)
    with pytest.raises(EngineLost, match="not these words") as caught:
        async with at_work(desk):
            desk.voice.refuses = " "
            desk.engine.greet("One is here. Two is here. Three is here. Four is here.")
            await desk.running
    assert caught.value.fatal


async def test_a_voice_that_refuses_is_the_end_at_once(model: Model) -> None:
    desk = Desk(model)
    desk.voice.fails = [("sorry", VoiceFailed("bad key", fatal=True))]
    assert (await lost(desk)).fatal


async def test_a_reply_that_became_too_long_is_incomplete(model: Model) -> None:
    async with at_work(Desk(model, options={"max_completion_tokens": 3})) as desk:
        desk.says(CHARGED.line)
        done = await desk.told(ReplyDone)
        assert (done.status, done.reason) == ("incomplete", "its longest was reached")


async def test_a_fault_of_ours_ends_the_engine(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade_replies, "speakable", lambda text, language: 1 / 0)
    desk = Desk(model)
    with pytest.raises(ExceptionGroup):
        async with at_work(desk):
            desk.engine.greet(HELLO)
            await desk.running


# What it costs all the same.


async def test_what_was_used_until_the_end_is_told_at_the_end(model: Model) -> None:
    desk = Desk(model)
    async with at_work(desk):
        model.chat.tokens_per_s = 20
        desk.says(CHARGED.line)
        await desk.until(lambda: bool(desk.sound_ms))
        desk.silent(1000)
        told = len(desk.events)
    used = {event.vendor: event.tokens for event in desk.events[told:] if isinstance(event, Used)}
    assert used.keys() == {"scribe", "127.0.0.1", "scripted"} and used["127.0.0.1"] > 0


async def test_what_another_transcriber_hears_again_is_on_the_bill(desk: Desk) -> None:
    desk.says("I was charged twice for the", ms=1000, ends=False)
    desk.transcribers[0].lose(EngineLost("gone", fatal=False))
    await another_listens(desk)
    assert sum(used.cost_usd for used in desk.engine._used()) == pytest.approx(2 / 60 * load_prices()["nova-3"].minute)

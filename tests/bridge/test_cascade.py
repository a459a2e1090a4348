"""The cascade engine: a scripted caller, transcriber and voice, and the rehearsal's strict chat completions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from bridge.control import Party
from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    Engine,
    EngineLost,
    Reached,
    Ready,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    Role,
    SpeechDone,
    Step,
    ToolAsked,
    Trouble,
    Used,
    cascade_replies,
    cascade_reply,
)
from bridge.engines.cascade import Cascade, Config
from bridge.engines.cascade_memory import CUT_OFF, FALSE_INTERRUPTION, STILL_RUNNING
from bridge.engines.cascade_replies import SET_PACE
from bridge.engines.chat import Chat, Finished, Piece, Text, ToolCall
from bridge.engines.openai import load_prices
from bridge.engines.speech import VoiceFailed
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Faults, Model
from bridge.transcript import Transcript
from tests.bridge.cascade_parts import KEY, MS_PER_CHAR, Desk, at_work

BILLING = scenario.load("billing")
CHARGED, ORDER, EXPRESS = BILLING.replies[0], BILLING.replies[1], BILLING.replies[2]
HELLO = "Hello. This is Northgate's assistant, an AI. This call is recorded."


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY) as model:
        model.chat.delay_ms, model.chat.tokens_per_s = (0, 0), 0
        yield model


@pytest.fixture
async def desk(model: Model) -> AsyncIterator[Desk]:
    async with at_work(Desk(model)) as desk:
        yield desk


async def test_it_is_an_engine_and_ready_at_once(desk: Desk) -> None:
    engine: Engine = desk.engine
    assert engine and (await desk.told(Ready)) == Ready("gpt-6-luna")


async def test_a_greeting_is_spoken_exactly(desk: Desk) -> None:
    desk.engine.greet(HELLO)
    done = await desk.told(ReplyDone)
    assert (done.kind, done.status, done.spoke, done.tokens) == (ReplyKind.GREETING, "completed", True, 0)
    (words,) = desk.all(ReplyWordsDone)
    assert words.text == HELLO
    assert "".join(event.delta for event in desk.all(ReplyWords)) == HELLO
    assert " ".join(desk.voice.said) == HELLO
    assert desk.sound_ms[words.item_id] == sum(map(len, desk.voice.said)) * MS_PER_CHAR
    assert [type(event) for event in desk.events[-4:]] == [ReplyWordsDone, SpeechDone, Used, ReplyDone]


async def test_a_caller_is_answered(desk: Desk) -> None:
    desk.says(CHARGED.line)
    words = await desk.told(ReplyWordsDone)
    assert words.text == CHARGED.says
    assert desk.all(CallerStopped) and desk.all(CallerWords)[-1].text == CHARGED.line
    steps = [(event.step, event.vendor) for event in desk.all(Reached)]
    assert steps == [(Step.WORDS, "scribe"), (Step.TOKEN, "127.0.0.1"), (Step.SOUND, "scripted")]
    done = await desk.told(ReplyDone)
    assert done.tokens > 20 and done.cost_usd > 0
    assert {event.vendor for event in desk.all(Used)} == {"scribe", "scripted"}


async def test_a_tool_is_used_and_spoken_of(desk: Desk) -> None:
    desk.says(ORDER.line)
    asked = await desk.told(ToolAsked)
    assert asked.name == "find_payments"
    desk.engine.answer_tool(asked.tool_id, '{"payments":[{"amount":48},{"amount":48}]}')
    words = await desk.told(ReplyWordsDone)
    assert words.text.startswith("Thank you. I can see two payments of 48 dollars")
    assert len(desk.all(ReplyStarted)) == 2


async def test_the_caller_cuts_in(desk: Desk) -> None:
    desk.engine.greet(HELLO)
    words = await desk.told(ReplyWordsDone)
    desk.in_play = (words.item_id, 20 * MS_PER_CHAR)
    desk.says(CHARGED.line)
    started = await desk.told(CallerStarted)
    assert started.speech_ms == 500
    await desk.told(ReplyWordsDone, 2)
    assert desk.model.chat.requests[-1].messages[1:] == [
        {"role": "assistant", "content": "Hello. This is"},
        {"role": "user", "content": CHARGED.line},
    ]


async def greeted(desk: Desk) -> str:
    """The greeting was passed on whole, and is in play."""
    number = len(desk.all(ReplyDone)) + 1
    desk.engine.greet(HELLO)
    await desk.told(ReplyDone, number)
    return str(desk.all(ReplyWordsDone)[-1].item_id)


async def heard_out(desk: Desk) -> str:
    """And was heard to its end."""
    item_id = await greeted(desk)
    desk.engine.played(item_id)
    return item_id


def asked_with(desk: Desk, number: int = -1) -> list[tuple[str, str]]:
    """Role and words of what the model was asked with, without the prompt."""
    return [(message["role"], message["content"]) for message in desk.model.chat.requests[number].messages[1:]]


# ── interruptions ──


async def test_what_the_caller_cuts_off_ends_at_every_vendor(desk: Desk) -> None:
    desk.model.chat.tokens_per_s = 20
    desk.says(CHARGED.line)
    await desk.until(lambda: bool(desk.sound_ms))
    item_id = next(iter(desk.sound_ms))
    desk.voice.holds = lambda text: True
    await desk.until(lambda: len(desk.voice.said) > 1)
    desk.in_play = (item_id, 700)
    desk.says("No, wait.", ends=False)
    done = await desk.told(ReplyDone)
    assert (done.status, done.spoke) == ("cancelled", True) and done.tokens > 0
    await desk.model.until(lambda: desk.model.chat.requests[0].left)
    await desk.until(lambda: bool(desk.voice.cancelled))
    sounded = dict(desk.sound_ms)
    desk.voice.let_go.set()
    desk.engine.played(item_id)
    assert desk.sound_ms == sounded


async def test_an_answer_in_the_making_is_stopped_too(desk: Desk) -> None:
    desk.model.faults = Faults(chat_silent=True, chat_times=1)
    desk.says(CHARGED.line)
    await desk.model.until(lambda: len(desk.model.chat.requests) == 1)
    desk.says("It was in March.")
    assert (await desk.told(ReplyDone)).status == "cancelled"
    await desk.told(ReplyWordsDone)
    assert asked_with(desk) == [("user", CHARGED.line), ("user", "It was in March.")]


async def test_assent_interrupts_nothing_but_is_written_down(desk: Desk) -> None:
    await greeted(desk)
    desk.says("Mm-hm.", ms=300)
    assert desk.all(CallerWords)[-1].text == "Mm-hm." and desk.all(CallerWords)[-1].final
    desk.silent(3000)
    assert not desk.all(CallerStarted) and not desk.model.chat.requests


async def test_after_a_false_interruption_it_goes_on_where_it_was(desk: Desk) -> None:
    item_id = await greeted(desk)
    desk.in_play = (item_id, 30 * MS_PER_CHAR)
    desk.sounds(700)
    await desk.told(CallerStarted)
    desk.silent(2000)
    words = await desk.told(ReplyWordsDone, 2)
    assert words.text == "assistant, an AI. This call is recorded."
    assert desk.all(CallerWords)[-1].text == "" and desk.all(CallerWords)[-1].final
    assert not desk.model.chat.requests


async def test_and_thinks_again_what_was_not_thought_to_its_end(desk: Desk) -> None:
    desk.model.chat.tokens_per_s = 20
    desk.says(CHARGED.line)
    await desk.until(lambda: bool(desk.sound_ms))
    desk.in_play = (next(iter(desk.sound_ms)), 10_000)
    desk.sounds(700)
    await desk.told(ReplyDone)
    desk.model.chat.tokens_per_s = 0
    desk.silent(2000)
    words = await desk.told(ReplyWordsDone)
    assert asked_with(desk)[-1] == ("system", FALSE_INTERRUPTION)
    assert words.text.startswith("As I was saying.")


async def test_an_answer_that_noise_kept_from_being_begun_is_given_after_all(desk: Desk) -> None:
    desk.model.faults = Faults(chat_silent=True, chat_times=1)
    desk.says(CHARGED.line)
    await desk.model.until(lambda: len(desk.model.chat.requests) == 1)
    desk.sounds(300)
    assert (await desk.told(ReplyDone)).status == "cancelled"
    desk.silent(2000)
    assert (await desk.told(ReplyWordsDone)).text == CHARGED.says


async def test_an_operator_cuts_and_nothing_comes_after(desk: Desk) -> None:
    item_id = await greeted(desk)
    desk.voice.holds = lambda text: True
    desk.engine.say("One moment.", "say-request")
    desk.engine.say("Another moment.", "say-request-2")
    await desk.told(ReplyStarted, 2)
    desk.engine.cut(item_id, 0, by_caller=False)
    assert desk.all(ReplyDone)[-1].status == "cancelled"
    desk.voice.let_go.set()
    desk.voice.holds = lambda text: False
    desk.engine.answer_now()
    await desk.told(ReplyDone, 3)
    assert asked_with(desk) == [] and len(desk.all(ReplyStarted)) == 3


async def test_a_cut_with_nothing_in_play_leaves_what_was_heard(desk: Desk) -> None:
    desk.voice.holds = lambda text: "recorded" in text
    desk.engine.greet(HELLO)
    await desk.until(lambda: "".join(event.delta for event in desk.all(ReplyWords)).endswith("an AI. "))
    desk.engine.cut("", 0, by_caller=False)
    desk.engine.answer_now()
    await desk.told(ReplyDone, 2)
    assert asked_with(desk) == [("assistant", "Hello. This is Northgate's assistant, an AI.")]


# ── thinking ahead ──


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


# ── what operators want ──


async def test_an_operators_words_are_said_exactly(desk: Desk) -> None:
    await heard_out(desk)
    desk.engine.say("We open at 9:30. It costs $48.50.", "say-1-request")
    started = await desk.told(ReplyStarted, 2)
    assert (started.kind, started.request) == (ReplyKind.SAY, "say-1-request")
    words = await desk.told(ReplyWordsDone, 2)
    assert words.text == "We open at 9:30. It costs $48.50."
    assert "dollars" in desk.voice.said[-1]


async def test_and_put_into_its_own_words(desk: Desk) -> None:
    await heard_out(desk)
    desk.engine.ask("We open at nine.", "ask-1-request", cut_in=False)
    started = await desk.told(ReplyStarted, 2)
    assert (started.kind, started.request) == (ReplyKind.ASK, "ask-1-request")
    assert (await desk.told(ReplyWordsDone, 2)).text == "Of course. We open at nine."
    assert asked_with(desk)[-1] == ("system", 'Tell the caller, in your own words: "We open at nine."')
    assert desk.model.chat.requests[-1].body["tool_choice"] == "none"
    assert not desk.all(Reached)


async def test_guidance_goes_into_the_next_answer(desk: Desk) -> None:
    desk.engine.whisper("offer 48 dollars")
    desk.says(CHARGED.line)
    assert "I can offer you 48 dollars." in (await desk.told(ReplyWordsDone)).text


async def test_it_goes_on_as_a_colleague_who_listened(desk: Desk) -> None:
    desk.engine.may_answer(False)
    desk.says(CHARGED.line)
    assert desk.all(CallerWords)[-1].final
    desk.engine.tell(
        'A human colleague took over the line and spoke with the caller for 9 s. They said to the caller: "We send it '
        'back today." Go on as a colleague who listened. Do not greet the caller again.'
    )
    desk.engine.may_answer(True)
    desk.engine.answer_now()
    assert (await desk.told(ReplyWordsDone)).text.startswith("As my colleague said: We send it back today.")
    assert len(desk.all(ReplyStarted)) == 1


async def test_while_it_may_not_answer_nothing_is_made_ahead_or_after(desk: Desk) -> None:
    desk.voice.holds = lambda text: True
    desk.engine.greet(HELLO)
    await desk.until(lambda: bool(desk.voice.said))
    desk.engine.answer_now()
    desk.engine.may_answer(False)
    part = desk.says(CHARGED.line, ends=False)
    desk.words.may_end(part)
    desk.words.heard(part, CHARGED.line, True)
    desk.words.ended(part, desk.clock_ms)
    desk.voice.let_go.set()
    await desk.told(ReplyDone)
    assert len(desk.all(ReplyStarted)) == 1 and not desk.model.chat.requests


async def test_an_answer_waits_until_the_caller_has_finished(desk: Desk) -> None:
    part = desk.says(CHARGED.line, ends=False)
    desk.engine.answer_now()
    desk.engine.say("One moment.", "request")
    await desk.told(ReplyDone)
    desk.words.heard(part, CHARGED.line, True)
    desk.words.ended(part, desk.clock_ms)
    await desk.told(ReplyDone, 2)
    assert [event.kind for event in desk.all(ReplyStarted)] == [ReplyKind.SAY, ReplyKind.ANSWER]


async def test_an_answer_is_owed_when_what_was_heard_was_no_turn(desk: Desk) -> None:
    desk.engine.tell("The caller pressed 1.")
    desk.sounds(300)
    await desk.told(CallerStarted)
    desk.engine.answer_now()
    assert not desk.all(ReplyStarted)
    desk.silent(6000)
    assert (await desk.told(ReplyWordsDone)).text == "Hello. How can I help you?"


async def test_what_was_said_before_is_remembered_without_a_greeting(model: Model) -> None:
    desk = Desk(model)
    desk.engine.recall([Remembered(Role.CALLER, CHARGED.line), Remembered(Role.AI, CHARGED.says)])
    desk.engine.tell("The caller pressed 1.")
    desk.sounds(500)
    async with at_work(desk):
        assert len(desk.transcribers[0].frames) == 25
        desk.says(ORDER.line)
        await desk.told(ToolAsked)
        assert asked_with(desk)[:3] == [
            ("user", CHARGED.line),
            ("assistant", CHARGED.says),
            ("system", "The caller pressed 1."),
        ]
        assert not [event for event in desk.all(ReplyStarted) if event.kind is ReplyKind.GREETING]


async def test_what_was_said_in_private_is_no_more(desk: Desk) -> None:
    part = desk.says("My card number is 4242.", ends=False)
    told = len(desk.events)
    desk.engine.unhear()
    desk.words.heard(part, "My card number is 4242 4242.", True)
    desk.words.ended(part, desk.clock_ms)
    desk.silent(3000)
    assert desk.events[told:] == [] and not desk.model.chat.requests


async def test_too_much_that_waits_is_refused(desk: Desk) -> None:
    desk.voice.holds = lambda text: True
    for number in range(10):
        desk.engine.say("One moment.", f"request-{number}")
    assert (await desk.told(Trouble)).code == "too_much_wanted"
    assert len(desk.all(Trouble)) == 1


# ── silence ──


async def test_a_silent_caller_is_asked_twice_after_what_they_heard(desk: Desk) -> None:
    item_id = await greeted(desk)
    desk.silent(20_000)
    assert len(desk.all(ReplyStarted)) == 1
    desk.engine.played(item_id)
    desk.silent(8_100)
    for number in (2, 3):
        words = await desk.told(ReplyWordsDone, number)
        await desk.told(ReplyDone, number)
        assert words.text == "Are you still there?"
        desk.engine.played(words.item_id)
        desk.silent(16_100)
    assert (await desk.told(Trouble)).code == "caller_silent"


async def test_a_key_shows_that_somebody_is_there(desk: Desk) -> None:
    await heard_out(desk)
    desk.silent(7_000)
    desk.engine.key("1")
    desk.silent(7_000)
    assert len(desk.all(ReplyStarted)) == 1


async def test_what_the_carrier_never_confirms_counts_as_heard_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade_replies, "UNCONFIRMED_MS", -5_000)
    await greeted(desk)
    await desk.until(lambda: not desk.engine._replies._in_play)
    desk.silent(8_100)
    assert (await desk.told(ReplyWordsDone, 2)).text == "Are you still there?"


# ── tools ──


async def test_tools_may_answer_in_any_order_and_while_it_speaks(desk: Desk) -> None:
    await heard_out(desk)
    desk.says(EXPRESS.line)
    asked = await desk.told(ToolAsked)
    desk.engine.answer_tool(asked.tool_id, '{"amount":48.0}')
    desk.engine.answer_tool(asked.tool_id, "again")
    desk.engine.answer_tool("nobody's", "what")
    assert (await desk.told(ReplyWordsDone, 3)).text.startswith("Done. The 48 dollars are on their way")
    assert desk.all(ReplyWordsDone)[1].text == EXPRESS.says
    roles = [role for role, _ in asked_with(desk)]
    assert roles == ["assistant", "user", "assistant", "tool"]


async def test_a_tool_goes_on_while_the_caller_cuts_in(desk: Desk) -> None:
    desk.says(EXPRESS.line)
    asked = await desk.told(ToolAsked)
    await desk.told(ReplyDone)
    item_id = desk.all(ReplyWordsDone)[0].item_id
    desk.in_play = (item_id, 0)
    desk.says(CHARGED.line)
    assert (await desk.told(ReplyWordsDone, 2)).text == CHARGED.says
    assert asked_with(desk)[1:3] == [("assistant", None), ("tool", STILL_RUNNING)]
    desk.engine.answer_tool(asked.tool_id, '{"amount":48.0}')
    assert (await desk.told(ReplyWordsDone, 3)).text.startswith("Done. The 48 dollars are on their way")


async def test_after_an_operators_cut_a_tool_is_not_spoken_of(desk: Desk) -> None:
    desk.says(ORDER.line)
    asked = await desk.told(ToolAsked)
    desk.engine.cut("", 0, by_caller=False)
    desk.engine.answer_tool(asked.tool_id, "two")
    await desk.told(ReplyDone)
    assert len(desk.all(ReplyStarted)) == 1


@pytest.mark.parametrize(
    ("arguments", "speed", "result"),
    [
        ('{"pace":"slower"}', 0.85, '{"ok":true}'),
        ('{"pace":"slowest"}', 1.0, '{"error":"there is no such pace"}'),
        ("{", 1.0, '{"error":"there is no such pace"}'),
    ],
)
async def test_it_speaks_slower_when_asked_to(
    model: Model, arguments: str, speed: float, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asks_for_pace(
        chat: Chat, messages: Sequence[Mapping[str, Any]], *args: object, **kwargs: object
    ) -> AsyncIterator[Piece]:
        asked.append([dict(message) for message in messages])
        if len(asked) == 1:
            yield ToolCall("call_0", SET_PACE, arguments)
        else:
            yield Text("Is this better?")
        yield Finished("stop")

    asked: list[list[dict[str, Any]]] = []
    monkeypatch.setattr(Chat, "ask", asks_for_pace)
    async with at_work(Desk(model)) as desk:
        desk.says("Could you speak more slowly?")
        assert (await desk.told(ReplyWordsDone)).text == "Is this better?"
        assert desk.voice.speed == speed and not desk.all(ToolAsked)
        assert asked[1][-1]["content"] == result


# ── what it costs ──


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


# ── losses ──


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


async def test_two_that_are_lost_in_a_row_are_the_end(model: Model) -> None:
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


# ── life ──


async def test_what_is_no_base64_is_passed_over(desk: Desk) -> None:
    desk.engine.hear("a", 0)
    assert not desk.transcribers[0].frames


async def test_sound_is_billed_also_while_nobody_takes_a_turn(desk: Desk) -> None:
    desk.silent(31_000)
    assert [event.vendor for event in desk.all(Used)] == ["scribe"]


async def test_it_may_be_closed_before_it_ran_and_more_than_once(model: Model) -> None:
    desk = Desk(model)
    desk.engine.may_answer(False)
    desk.engine.unhear()
    desk.engine.key("1")
    desk.engine.say("Never said.", "request")
    await desk.engine.close()
    await desk.engine.run(desk)
    await desk.engine.close()
    assert desk.events == []
    await desk.chat.close()


async def test_a_long_answer_is_not_made_far_ahead_of_the_ear(desk: Desk) -> None:
    desk.engine.say(" ".join(f"This is sentence number {number} of many." for number in range(40)), "request")
    await desk.until(lambda: sum(desk.sound_ms.values()) > 8000)
    said = len(desk.voice.said)
    desk.silent(100)
    assert said == len(desk.voice.said) < 10


async def test_operators_see_what_the_model_was_asked_and_wrote(desk: Desk) -> None:
    desk.says(CHARGED.line)
    await desk.told(ReplyDone)
    assert [(outbound, name) for outbound, name, _ in desk.messages] == [
        (True, "chat.completions"),
        (False, "chat.completion"),
    ]
    assert "I was charged twice" in desk.messages[0][2] and "I am so sorry" in desk.messages[1][2]


async def test_what_cannot_be_spoken_is_passed_over(desk: Desk) -> None:
    desk.engine.say("\N{THUMBS UP SIGN}\nWe send it today.", "request")
    await desk.told(ReplyDone)
    assert desk.voice.said == ["We send it today."]


async def test_a_call_may_cut_while_it_is_handed_sound(desk: Desk) -> None:
    def hand_over(item_id: str, payload: str) -> None:
        desk.sound_ms[item_id] = 1
        desk.engine.cut(item_id, 0, by_caller=False)

    desk.on_speech = hand_over  # type: ignore[method-assign]
    desk.engine.greet(HELLO)
    assert (await desk.told(ReplyDone)).status == "cancelled"
    assert not desk.all(SpeechDone) and len(desk.sound_ms) == 1


async def test_words_that_come_after_their_turn_are_no_new_line(desk: Desk) -> None:
    part = desk.says(CHARGED.line, ends=False)
    desk.silent(3000)
    await desk.told(ReplyDone)
    told = len(desk.all(CallerWords))
    desk.words.heard(part, CHARGED.line, True)
    assert len(desk.all(CallerWords)) == told and desk.all(CallerWords)[-1].final


async def test_a_turn_that_could_not_be_written_down_is_none(desk: Desk) -> None:
    desk.words.started("part", 0)
    desk.words.failed("part", "unclear")
    assert (desk.all(CallerWords)[-1].text, desk.all(CallerWords)[-1].final) == ("", True)
    assert not desk.all(ReplyStarted)


async def test_it_tells_speech_from_silence_by_itself(model: Model) -> None:
    desk = Desk(model)
    desk.engine = Cascade(
        Config("You answer."), transcriber=desk._transcriber, chat=desk.chat, voice=desk.voice, prices={}
    )
    async with at_work(desk):
        desk.silent(1000)
        assert not desk.all(CallerStarted)
        for at in range(0, len(CHARGED.audio), 160):
            desk.sounds(20, CHARGED.audio[at : at + 160])
        assert 900 <= desk.all(CallerStarted)[0].at_ms <= 1500


@pytest.mark.parametrize("whole", [True, False])
async def test_what_is_remembered_is_what_the_transcript_shows(desk: Desk, whole: bool) -> None:
    text = "Hello, this is Northgate. We send it back today. You will see it in five working days, or sooner."
    if not whole:
        desk.voice.holds = lambda spoken: "working" in spoken
    for number, heard_ms in enumerate(range(0, len(text) * MS_PER_CHAR, 230), 1):
        transcript = Transcript("call")
        desk.events.clear()
        desk.engine.say(text, f"request-{number}")
        await desk.until(lambda: bool(desk.all(ReplyDone)) if whole else desk.all(ReplyWords)[-1:] != [])
        await desk.until(lambda: whole or "".join(event.delta for event in desk.all(ReplyWords)).endswith("today. "))
        item_id = desk.all(ReplyWords)[0].item_id
        made_ms = round(desk.sound_ms[item_id])
        for event in desk.all(ReplyWords):
            transcript.reply_words(item_id, event.delta, 0)
        transcript.speech_received(item_id, made_ms * 8, 0)
        if whole:
            transcript.reply_words_done(item_id, desk.all(ReplyWordsDone)[0].text, 0)
            transcript.speech_done(item_id)
        transcript.heard(item_id, 0, min(heard_ms, made_ms) * 8)
        transcript.cut(item_id, Party.OPERATOR)
        desk.engine.cut(item_id, min(heard_ms, made_ms), by_caller=False)
        remembered = desk.engine._memory.messages()[-1]
        shown = [words for _, words in transcript.conversation()]
        assert shown == ([remembered["content"]] if remembered["role"] == "assistant" else [])
        desk.engine.tell("Next.")

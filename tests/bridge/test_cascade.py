"""The cascade engine: a scripted caller, transcriber and voice, and the rehearsal's strict chat completions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    Engine,
    Reached,
    Ready,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    SpeechDone,
    Step,
    ToolAsked,
    Used,
)
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Model
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

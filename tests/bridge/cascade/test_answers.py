"""A cascade greets, answers, uses tools, and asks whoever says nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from bridge.control import Party
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
    Trouble,
    Used,
    cascade_replies,
)
from bridge.engines.cascade import Cascade, Config
from bridge.engines.cascade_memory import STILL_RUNNING
from bridge.engines.cascade_replies import SET_PACE
from bridge.engines.chat import Chat, Finished, Piece, Text, ToolCall
from bridge.rehearsal.model import Model
from bridge.transcript import Transcript
from tests.bridge.cascade_parts import (
    CHARGED,
    EXPRESS,
    HELLO,
    MS_PER_CHAR,
    ORDER,
    Desk,
    asked_with,
    at_work,
    greeted,
    heard_out,
)


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

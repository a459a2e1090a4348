"""What operators, calls and other engines want of a cascade."""

from __future__ import annotations

from bridge.engines import (
    CallerStarted,
    CallerWords,
    Reached,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWordsDone,
    Role,
    ToolAsked,
    Trouble,
)
from bridge.rehearsal.model import Model
from tests.bridge.cascade_parts import CHARGED, HELLO, ORDER, Desk, asked_with, at_work, heard_out


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

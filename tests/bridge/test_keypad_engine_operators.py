"""What operators do while a caller is at the keypad engine."""

from __future__ import annotations

from bridge.engines import Destination, ReplyKind, ReplyStarted, Trouble
from bridge.engines import keypad as keypad_engine
from tests.bridge.fast_clock import fast
from tests.bridge.keypad_parts import FALLBACK, FREE, MAIN, UNRECORDED, call


@fast
async def test_forbidden_to_answer_it_waits_for_no_key_and_takes_none() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.engine.may_answer(False)
        on_call.hears_all()
        on_call.press("1")
        await on_call.passes(600)
        assert len(on_call.said) == 1 and not on_call.handed_on
        on_call.engine.may_answer(True)
        await on_call.passes(600)
        assert len(on_call.said) == 2
        on_call.engine.cut("", 0, by_caller=False)
        on_call.engine.answer_now()
        assert on_call.said[-1] == MAIN


@fast
async def test_what_was_about_to_be_said_when_it_was_muted_is_said_afterwards() -> None:
    async with call(FREE) as on_call:
        on_call.voice.may_speak.clear()
        on_call.engine.greet("")
        await on_call.passes(1)
        on_call.engine.may_answer(False)
        on_call.voice.may_speak.set()
        await on_call.passes(60)
        assert not on_call.said
        on_call.engine.may_answer(True)
        await on_call.until_said(1)
        assert on_call.said == [UNRECORDED]


@fast
async def test_the_end_waits_until_it_may_go_on() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.press("1")
        on_call.engine.may_answer(False)
        on_call.hears_all()
        await on_call.passes(60)
        assert not on_call.handed_on
        on_call.engine.may_answer(True)
        await on_call.passes(60)
        assert on_call.handed_on == [Destination.OPERATOR]


@fast
async def test_operators_words_are_spoken_exactly_and_in_order() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.engine.may_answer(False)
        on_call.voice.may_speak.clear()
        on_call.engine.say(UNRECORDED, "operator-1")
        on_call.engine.ask(FALLBACK.help, "operator-2", cut_in=False)
        await on_call.passes(1)
        on_call.voice.may_speak.set()
        await on_call.until_said(3)
        assert on_call.said[1:] == [UNRECORDED, FALLBACK.help]
        assert [(event.kind, event.request) for event in on_call.of(ReplyStarted)[1:]] == [
            (ReplyKind.SAY, "operator-1"),
            (ReplyKind.ASK, "operator-2"),
        ]


@fast
async def test_operators_words_survive_a_key_and_not_an_operators_cut() -> None:
    async with call(FREE) as on_call:
        on_call.voice.may_speak.clear()
        on_call.engine.say(UNRECORDED, "operator-1")
        await on_call.passes(1)
        on_call.engine.cut("", 0, by_caller=True)
        on_call.voice.may_speak.set()
        await on_call.until_said(1)
        on_call.voice.may_speak.clear()
        on_call.engine.say(UNRECORDED, "operator-2")
        on_call.engine.say("And more.", "operator-3")
        await on_call.passes(1)
        on_call.engine.cut("", 0, by_caller=False)
        on_call.voice.may_speak.set()
        await on_call.passes(1)
        assert on_call.said == [UNRECORDED]


@fast
async def test_operators_words_that_cannot_be_spoken_are_told() -> None:
    async with call(FREE) as on_call:
        on_call.voice.fails = True
        on_call.engine.say(UNRECORDED, "operator-1")
        await on_call.passes(1)
        assert on_call.of(Trouble) == [Trouble("not spoken", "Your words were not spoken: The voice is hoarse.")]
        assert not on_call.handed_on


@fast
async def test_no_more_waits_to_be_said_than_anyone_would_hear_out() -> None:
    async with call(FREE) as on_call:
        on_call.voice.may_speak.clear()
        for number in range(keypad_engine.MOST_WAITING + 1):
            on_call.engine.say(f"Number {number}.", f"operator-{number}")
        (trouble,) = on_call.of(Trouble)
        assert trouble.code == "too much to say"


@fast
async def test_an_announcement_that_waits_already_is_not_asked_for_twice() -> None:
    async with call(FREE) as on_call:
        on_call.voice.may_speak.clear()
        on_call.engine.answer_now()
        on_call.engine.answer_now()
        on_call.engine.whisper("Be kind.")
        on_call.engine.tell("It rains.")
        on_call.voice.may_speak.set()
        await on_call.passes(60)
        assert on_call.said == [UNRECORDED]

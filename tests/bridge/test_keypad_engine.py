"""The keypad engine: announcements, keys and silence on a clock that jumps, before a listener that writes down."""

from __future__ import annotations

import asyncio

import pytest

from bridge import menus
from bridge.engines import (
    Destination,
    HandedOn,
    KeysMasked,
    Ready,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWordsDone,
    Role,
    SpeechDone,
    ToolAsked,
)
from bridge.engines.keypad import Keypad
from bridge.engines.speech.recorded import recorded
from tests.bridge.fast_clock import fast
from tests.bridge.keypad_parts import FALLBACK, FREE, LOUD_FRAME, MAIN, QUIET_FRAME, TOOL, UNRECORDED, Call, Voice, call

# ── the shipped words ─────────────────────────────────────────────────────────────────────


def test_all_fixed_words_of_the_shipped_menus_come_at_once() -> None:
    for name, shipped in menus.load().items():
        missing = [text for text in shipped.texts() if "{" not in text and recorded(text) is None]
        assert not missing, f"{name}: run python -m bridge.rehearsal.render"


def test_what_was_not_spoken_ahead_is_not_there() -> None:
    assert recorded(UNRECORDED) is None and recorded("") is None
    assert recorded(f"{MAIN} {UNRECORDED}") is None


def test_without_the_clips_nothing_was_spoken_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise FileNotFoundError

    monkeypatch.setattr("bridge.engines.speech.recorded.shipped", gone)
    assert recorded(MAIN) is None


# ── announcements ─────────────────────────────────────────────────────────────────────────


@fast
async def test_the_menu_opens_with_its_own_greeting_whole_and_at_once() -> None:
    async with call() as on_call:
        on_call.engine.greet("I am an AI.")
        text = f"{FALLBACK.greeting} {MAIN}"
        started, _, words, speech_done, done = on_call.events[1:]
        assert on_call.events[0] == Ready("keypad", takes_keys=True)
        assert isinstance(started, ReplyStarted) and started.kind is ReplyKind.GREETING
        assert isinstance(words, ReplyWordsDone) and words.text == text
        assert speech_done == SpeechDone(words.item_id)
        assert isinstance(done, ReplyDone) and (done.status, done.spoke) == ("completed", True)
        assert on_call.sound[words.item_id] == recorded(text)
        assert not on_call.voice.asked and not on_call.messages


@fast
async def test_a_menu_without_a_greeting_opens_with_the_profiles_line() -> None:
    async with call(FREE) as on_call:
        on_call.engine.greet("I am the desk.")
        await on_call.until_said(1)
        assert on_call.said == [f"I am the desk. {UNRECORDED}"]
        assert on_call.sound == {on_call.of(SpeechDone)[0].item_id: on_call.voice.sound}


@fast
async def test_what_was_wanted_before_it_ran_comes_in_order() -> None:
    on_call = Call(Keypad(FALLBACK, voice=Voice()), Voice())
    on_call.engine.recall([Remembered(Role.CALLER, "Hello?")])
    on_call.engine.answer_now()
    on_call.engine.say(FALLBACK.help, "operator-1")
    running = asyncio.create_task(on_call.engine.run(on_call))
    await asyncio.sleep(0)
    assert on_call.said == [f"{FALLBACK.taking_over} {MAIN}", FALLBACK.help]
    await on_call.engine.close()
    await running


@fast
async def test_a_running_call_is_taken_over_without_a_second_greeting() -> None:
    async with call() as on_call:
        on_call.engine.recall([Remembered(Role.AI, "Hello.")])
        on_call.engine.recall([])
        assert not on_call.said
        on_call.engine.greet("I am an AI.")
        assert on_call.said == [f"{FALLBACK.taking_over} {MAIN}"]


@fast
async def test_who_is_handed_over_in_silence_is_spoken_to_all_the_same() -> None:
    on_call = Call(Keypad(FALLBACK, voice=(voice := Voice())), voice)
    on_call.engine.recall([Remembered(Role.AI, "Hello.")])
    running = asyncio.create_task(on_call.engine.run(on_call))
    await on_call.until_said(1)
    assert on_call.said == [f"{FALLBACK.taking_over} {MAIN}"]
    await on_call.engine.close()
    await running


@fast
async def test_no_two_items_of_all_menus_have_one_name() -> None:
    names: list[str] = []
    for _ in range(2):
        async with call() as on_call:
            on_call.engine.greet("")
            on_call.engine.answer_now()
            names += on_call.sound
    assert len(set(names)) == 4


@fast
async def test_when_it_cannot_speak_a_person_is_called_for() -> None:
    async with call(FREE) as on_call:
        on_call.voice.fails = True
        on_call.engine.greet("")
        await on_call.passes(60)
        assert on_call.of(HandedOn) == [
            HandedOn(
                Destination.OPERATOR,
                "The keypad menu cannot speak, and the caller hears nothing: The voice is hoarse. Take over.",
            )
        ]
        on_call.voice.fails = False
        on_call.engine.answer_now()
        await on_call.until_said(1)


@fast
async def test_a_voice_without_a_sound_has_failed() -> None:
    async with call(FREE) as on_call:
        on_call.voice.sound = b""
        on_call.engine.greet("")
        await on_call.passes(60)
        assert on_call.handed_on == [Destination.OPERATOR]


@fast
async def test_a_fault_of_the_voice_ends_the_run() -> None:
    on_call = Call(Keypad(FREE, voice=(voice := Voice())), voice)
    voice.fault = KeyError("a defect")
    on_call.engine.greet("")
    with pytest.raises(KeyError):
        await on_call.engine.run(on_call)
    on_call.engine.greet("")
    await on_call.engine.close()


# ── keys and silence ──────────────────────────────────────────────────────────────────────


@fast
async def test_time_for_a_key_runs_from_the_moment_the_caller_has_heard_all() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        await on_call.passes(60)
        assert len(on_call.said) == 1
        on_call.hears_all()
        await on_call.passes(FALLBACK.no_input_s - 0.1)
        assert len(on_call.said) == 1
        await on_call.passes(0.2)
        assert on_call.said[1:] == [MAIN]


@fast
async def test_who_never_presses_a_key_hears_an_apology_and_the_end() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        for count in (2, 3, 4):
            on_call.hears_all()
            await on_call.until_said(count)
        assert on_call.said[-1] == FALLBACK.last.say
        assert not on_call.handed_on
        on_call.hears_all()
        assert on_call.handed_on == [Destination.HANG_UP]
        await on_call.passes(60)
        assert len(on_call.said) == 4


@fast
async def test_who_only_speaks_hears_that_keys_are_needed() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.engine.hear(LOUD_FRAME, 0)
        on_call.hears_all()
        for at_ms in range(0, 400, 20):
            on_call.engine.hear(LOUD_FRAME, at_ms)
        await on_call.until_said(2)
        assert on_call.said[-1] == f"{FALLBACK.help} {MAIN}"
        on_call.hears_all()
        for at_ms in range(0, 400, 20):
            on_call.engine.hear(QUIET_FRAME, at_ms)
        on_call.engine.hear("", 400)
        await on_call.until_said(3)
        assert on_call.said[-1] == MAIN


@fast
async def test_a_key_is_obeyed_before_the_announcement_was_heard() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.engine.cut(next(iter(on_call.sound)), 400, by_caller=True)
        on_call.press("1")
        assert on_call.said[-1] == "Please stay on the line. A colleague is being called."
        on_call.hears_all()
        assert on_call.handed_on == [Destination.OPERATOR]


@fast
async def test_a_key_calls_off_an_announcement_that_is_not_spoken_yet() -> None:
    async with call(FREE) as on_call:
        on_call.voice.may_speak.clear()
        on_call.engine.greet("")
        await on_call.passes(1)
        on_call.press("2")
        on_call.voice.may_speak.set()
        await on_call.passes(60)
        assert not on_call.said and on_call.handed_on == [Destination.AI]


@fast
async def test_what_is_no_key_does_nothing() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.press("AD")
        assert len(on_call.said) == 1


@fast
async def test_an_entry_ends_after_a_pause() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.press("2")
        on_call.hears_all()
        on_call.press("4155550")
        await on_call.passes(FALLBACK.key_s - 0.1)
        assert not on_call.of(ToolAsked)
        on_call.press("1")
        await on_call.passes(FALLBACK.key_s + 0.1)
        (asked,) = on_call.of(ToolAsked)
        assert asked.arguments == '{"reason":"Please call back on 41555501."}'


@fast
async def test_a_number_that_was_begun_is_forgotten_with_what_is_unheard() -> None:
    async with call() as on_call:
        on_call.engine.greet("")
        on_call.press("2415")
        on_call.engine.unhear()
        on_call.press("5550000#")
        assert on_call.of(ToolAsked)[0].arguments == '{"reason":"Please call back on 5550000."}'


# ── tools ─────────────────────────────────────────────────────────────────────────────────


@fast
async def test_a_tools_answer_is_told_and_the_menu_goes_on() -> None:
    async with call(TOOL) as on_call:
        on_call.engine.greet("")
        await on_call.until_said(1)
        on_call.hears_all()
        on_call.press("1")
        (asked,) = on_call.of(ToolAsked)
        assert (asked.name, asked.arguments) == ("look", "{}")
        await on_call.passes(60)
        on_call.engine.answer_tool("another", "{}")
        assert len(on_call.said) == 1
        on_call.engine.answer_tool(asked.tool_id, '{"n": 2}')
        await on_call.until_said(2)
        on_call.engine.answer_tool(asked.tool_id, '{"n": 3}')
        assert on_call.said[-1] == "Found two. Press 1."


@fast
async def test_a_masked_entry_is_shown_to_nobody() -> None:
    async with call(TOOL) as on_call:
        on_call.engine.greet("")
        on_call.press("2")
        assert on_call.events[-1] == KeysMasked(True)
        on_call.press("739#")
        (asked,) = on_call.of(ToolAsked)
        assert (asked.arguments, asked.shown) == ('{"code":"739"}', '{"code":"•••"}')
        on_call.engine.answer_tool(asked.tool_id, "{}")
        assert on_call.of(KeysMasked) == [KeysMasked(True), KeysMasked(False)]


@fast
async def test_what_a_tool_answers_while_nothing_may_be_said_is_told_later() -> None:
    async with call(TOOL) as on_call:
        on_call.engine.greet("")
        on_call.press("1")
        on_call.engine.cut("", 0, by_caller=False)
        on_call.engine.may_answer(False)
        on_call.engine.answer_tool(on_call.of(ToolAsked)[0].tool_id, '{"n": 2}')
        await on_call.passes(60)
        assert not on_call.said
        on_call.engine.may_answer(True)
        on_call.engine.answer_now()
        await on_call.until_said(1)
        assert on_call.said == ["Found two. Press 1."]


# ── the end ─────────────────────────────────────────────────────────────────────────────


@fast
async def test_after_the_end_nothing_is_done() -> None:
    async with call() as on_call:
        await on_call.engine.close()
        on_call.engine.greet("")
        await on_call.engine.close()
        assert len(on_call.events) == 1
    never_run = Keypad(FALLBACK, voice=Voice())
    await never_run.close()
    await never_run.run(on_call)
    assert len(on_call.events) == 1


@fast
async def test_a_voice_at_work_is_stopped_at_the_end() -> None:
    async with call(FREE) as on_call:
        on_call.voice.may_speak.clear()
        on_call.engine.greet("")
        await on_call.passes(1)
        assert on_call.voice.asked
    assert not on_call.said

"""The keypad engine: announcements, keys and silence on a clock that jumps, before a listener that writes down."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import engines, menus
from bridge.audio import SILENT_FRAME
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
    Trouble,
)
from bridge.engines import keypad as keypad_engine
from bridge.engines.keypad import Keypad, gate
from bridge.engines.keypad_menu import Menu
from bridge.engines.pin_gate import Lockouts
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.recorded import recorded
from bridge.profiles import PinGate
from tests.bridge.fast_clock import fast

FALLBACK = menus.load()["fallback"]
MAIN = FALLBACK.places["main"].say
UNRECORDED = "Nobody spoke this ahead."
LOUD_FRAME = b64encode(bytes([0x80]) * 160).decode()
QUIET_FRAME = b64encode(SILENT_FRAME).decode()
PIN = "2580"
PINS = {"CORDBOARD_PIN_DESK": PIN}


class Voice:
    """Speaks in no time, or when told to. Each word is a byte of its own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_speak = asyncio.Event()
        self.may_speak.set()
        self.fails = False
        self.fault: Exception | None = None
        self.sound = b"\x01" * 9000

    async def speak(self, text: str) -> bytes:
        self.asked.append(text)
        await self.may_speak.wait()
        if self.fault:
            raise self.fault
        if self.fails:
            raise VoiceFailed("The voice is hoarse.")
        return self.sound

    async def close(self) -> None:
        return


@dataclass
class Call:
    """An engine at work, and what it reports."""

    engine: Keypad
    voice: Voice
    events: list[engines.Event] = field(default_factory=list)
    sound: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def on_speech(self, item_id: str, payload: str) -> None:
        self.sound[item_id] = self.sound.get(item_id, b"") + b64decode(payload)

    def on_event(self, event: engines.Event) -> None:
        self.events.append(event)
        self.told.set()

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        self.messages.append(name + text)

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def said(self) -> list[str]:
        """All announcements."""
        return [event.text for event in self.of(ReplyWordsDone)]

    @property
    def handed_on(self) -> list[Destination]:
        """Where it went on to."""
        return [event.to for event in self.of(HandedOn)]

    def hears_all(self) -> None:
        """The caller has heard everything until now."""
        for event in self.of(SpeechDone):
            self.engine.played(event.item_id)

    def press(self, keys: str) -> None:
        """The caller presses these."""
        for key in keys:
            self.engine.key(key)

    async def until_said(self, count: int) -> None:
        """Until so many announcements were made."""
        async with asyncio.timeout(300):
            while len(self.said) < count:
                self.told.clear()
                await self.told.wait()

    async def passes(self, seconds: float) -> None:
        """Time, on the clock that jumps."""
        await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def call(
    menu: Menu = FALLBACK, *, pin: bool = False, pins: dict[str, str] = PINS, lockouts: Lockouts | None = None
) -> AsyncIterator[Call]:
    """A call that is greeted."""
    voice = Voice()
    door = gate(PinGate(setting="CORDBOARD_PIN_DESK"), pins, "+13125550110", lockouts or Lockouts()) if pin else None
    on_call = Call(Keypad(menu, voice=voice, gate=door), voice)
    running = asyncio.create_task(on_call.engine.run(on_call))
    await asyncio.sleep(0)
    yield on_call
    await on_call.engine.close()
    await running


def menu(text: str) -> Menu:
    return msgspec.convert(tomllib.loads(f'title = "A"\n{text}'), Menu)


FREE = menu(f'[places.main]\nsay = "{UNRECORDED}"\nkeys = {{ 1 = {{ say = "More." }}, 2 = {{ go = "ai" }} }}')
TOOL = menu(
    """
[places.main]
say = "Press 1."
[places.main.keys.1.tool]
name = "look"
then = "Found {n|some}."
[places.main.keys]
2 = { go = "code" }
[places.code]
say = "Code?"
[places.code.collect]
name = "code"
most = 3
masked = true
then = { go = "main", tool = { name = "check", arguments = { code = "{entered.code|}" }, then = "Checked." } }
""".replace("[places.main.keys]\n2", "[places.main.keys.2]\ngo = 'code'\n#")
)


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


# ── what operators do ─────────────────────────────────────────────────────────────────────


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


# ── the PIN ───────────────────────────────────────────────────────────────────────────────


@fast
async def test_the_right_pin_hands_on_to_the_ai() -> None:
    async with call(pin=True) as on_call:
        assert on_call.events[0] == KeysMasked(True)
        on_call.engine.greet("I am an AI.")
        on_call.press("1111#")
        on_call.press(f"{PIN}#")
        words = FALLBACK.pin
        assert on_call.said == [f"{words.greeting} {words.ask}", f"{words.wrong} {words.ask}", words.right]
        assert not on_call.handed_on
        on_call.hears_all()
        assert on_call.events[-2:] == [KeysMasked(False), HandedOn(Destination.AI)]


@fast
async def test_wrong_pins_lock_the_number_on_the_next_call_too() -> None:
    lockouts = Lockouts()
    async with call(pin=True, lockouts=lockouts) as on_call:
        on_call.engine.greet("")
        on_call.press("1#2#")
    async with call(pin=True, lockouts=lockouts) as on_call:
        on_call.engine.greet("")
        on_call.press("3#")
        on_call.hears_all()
        assert on_call.handed_on == [Destination.HANG_UP] and on_call.of(KeysMasked) == [KeysMasked(True)]
    async with call(pin=True, lockouts=lockouts) as on_call:
        on_call.engine.greet("")
        assert on_call.said == [f"{FALLBACK.pin.greeting} {FALLBACK.pin.locked}"]
        await on_call.passes(900)
    async with call(pin=True, lockouts=lockouts) as on_call:
        on_call.engine.greet("")
        assert on_call.said == [f"{FALLBACK.pin.greeting} {FALLBACK.pin.ask}"]


@fast
async def test_without_the_setting_nobody_is_let_in() -> None:
    async with call(pin=True, pins={}) as on_call:
        on_call.engine.greet("")
        on_call.press("#")
        on_call.hears_all()
        (handed,) = on_call.of(HandedOn)
        assert handed.to is Destination.HANG_UP and "CORDBOARD_PIN_DESK" in handed.why


STEPS = st.lists(
    st.sampled_from([*"0123456789*#", f"{PIN}#", "heard", "time", "again", "cut", "mute", "let"]), max_size=25
)


@given(STEPS)
@fast
async def test_no_order_of_keys_shows_a_digit_of_a_pin(steps: list[str]) -> None:
    """Until the AI may come, all that is told is the menu's own words; and none of the entries is in it."""
    async with call(pin=True) as on_call:
        on_call.engine.greet("")
        for step in steps:
            match step:
                case "heard":
                    on_call.hears_all()
                case "time":
                    await on_call.passes(5)
                case "again":
                    on_call.engine.answer_now()
                case "cut":
                    on_call.engine.cut("", 0, by_caller=True)
                case "mute" | "let":
                    on_call.engine.may_answer(step == "let")
                case keys:
                    on_call.press(keys)
        told = [event for event in on_call.events if isinstance(event, HandedOn | Trouble | ToolAsked)]
        assert not any(character.isdigit() for text in (*on_call.said, repr(told)) for character in text)
        assert not on_call.messages and not on_call.of(ToolAsked)
        let_in = HandedOn(Destination.AI) in on_call.events
        assert (KeysMasked(False) in on_call.events) == let_in


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

"""The keypad engine asks for a PIN before the AI, and shows its digits to nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.engines import Destination, HandedOn, KeysMasked, ToolAsked, Trouble
from bridge.engines.pin_gate import Lockouts
from tests.bridge.fast_clock import fast
from tests.bridge.keypad_parts import FALLBACK, PIN, call


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

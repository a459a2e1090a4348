"""Who is who among several windows."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bridge.control import CallView, Floor, Phase
from console.names import (
    activity,
    dearest_first,
    engine_word,
    is_rung,
    money,
    operator_word,
    silent_word,
    speaker_word,
    told,
    vendor_word,
)

OURS = "maria (window 11)"


@pytest.mark.parametrize(
    ("holder", "word"),
    [
        ("", "You"),
        (OURS, "You"),
        ("maria (window 12)", "Your other window"),
        ("Anna K. (window 12)", "Anna K."),
        ("desk", "desk"),
    ],
)
def test_the_operator_is_you_unless_another_console_has_the_floor(holder: str, word: str) -> None:
    assert operator_word(holder, OURS) == word


@pytest.mark.parametrize(
    ("sentence", "read"),
    [
        (f"{OURS} took over", "You took over"),
        (f"{OURS} has the floor", "You have the floor"),
        (f"{OURS} already has the floor.", "You already have the floor."),
        (f"{OURS} was lost; the AI has the floor again", "This window was lost; the AI has the floor again"),
        ("maria (window 12) took over", "Your other window took over"),
        ("anna (window 7) already has the floor.", "anna already has the floor."),
        ("Handed back to the AI: ask maria (window 12)", "Handed back to the AI: ask maria (window 12)"),
        ("The call has ended.", "The call has ended."),
        ("engine: cascade", "engine: Cascade"),
        ("Another engine is called: openai", "Another engine is called: OpenAI Realtime"),
        ("The AI was lost. The call goes on with keypad.", "The AI was lost. The call goes on with Keypad menu."),
        ("It was refused. The call stays with house.", "It was refused. The call stays with house."),
        ("He goes out with cascade.", "He goes out with cascade."),
    ],
)
def test_sentences_about_operators_are_told_as_the_reader_would(sentence: str, read: str) -> None:
    assert told(sentence, OURS) == read


def test_an_engine_in_a_sentence_is_called_as_people_call_it() -> None:
    assert told("Another engine is called: gpt-live", "") == "Another engine is called: GPT-Live"


def test_a_name_without_a_window_is_known_when_it_is_ours() -> None:
    assert told("desk took over", "desk") == "You took over"
    assert told("desk took over", "") == "desk took over"
    assert told("took over", "") == "took over"


def test_engines_and_vendors_have_names_for_people() -> None:
    assert [engine_word(name) for name in ("openai", "gpt-live", "cascade", "keypad", "pin", "house")] == [
        "OpenAI Realtime",
        "GPT-Live",
        "Cascade",
        "Keypad menu",
        "Caller enters a PIN",
        "house",
    ]
    assert vendor_word("openai", "words") == "OpenAI"
    assert vendor_word("openai", "answer") == "OpenAI Realtime"
    assert [vendor_word(name) for name in ("deepgram", "pin", "house")] == ["Deepgram", "PIN", "house"]


@pytest.mark.parametrize(("usd", "text"), [(0.0, "$0.00"), (0.004, "< $0.01"), (0.27, "$0.27"), (1234.5, "$1,234.50")])
def test_amounts(usd: float, text: str) -> None:
    assert money(usd) == text


def test_a_menu_costs_nothing_and_is_not_told_among_the_costs() -> None:
    costs_usd = {"openai": 0.0, "keypad": 0.0, "pin": 0.0, "deepgram": 0.02}
    assert dearest_first(costs_usd) == [("deepgram", 0.02), ("openai", 0.0)]


def test_a_caller_at_the_pin_gate_is_said_to_be_there() -> None:
    gate = CallView(call_id="c1", phase=Phase.LIVE, floor=Floor.AI, engine="pin", activity="AI speaking")
    assert activity(gate, OURS) == "Caller enters a PIN"
    taken = CallView(
        call_id="c1", phase=Phase.LIVE, floor=Floor.OPERATOR, engine="pin", activity=f"{OURS} has the floor"
    )
    assert activity(taken, OURS) == "You have the floor"
    menu = CallView(call_id="c1", phase=Phase.LIVE, floor=Floor.AI, engine="keypad", activity="AI speaking")
    assert activity(menu, OURS) == "Keypad menu speaking"
    assert activity(replace(menu, activity="Caller speaking"), OURS) == "Caller speaking"


def test_operators_are_rung_for_when_nobody_holds_a_call_and_no_engine_has_it() -> None:
    assert is_rung(CallView(call_id="c1", phase=Phase.LIVE, floor=Floor.HOLD))
    assert not is_rung(CallView(call_id="c1", phase=Phase.LIVE, floor=Floor.HOLD, engine="openai"))
    assert not is_rung(CallView(call_id="c1", phase=Phase.LIVE, floor=Floor.HOLD, floor_holder="Ann"))
    assert not is_rung(CallView(call_id="c1", phase=Phase.ENDED, floor=Floor.HOLD))


def test_a_number_in_a_sentence_is_grouped_as_everywhere() -> None:
    words = "A call with +12065550177 was cut short when the bridge last stopped."
    assert told(words, OURS) == "A call with +1 206 555 0177 was cut short when the bridge last stopped."
    assert told("You pressed +5.", OURS) == "You pressed +5."


def test_a_menu_speaks_under_its_own_name_and_is_no_ai() -> None:
    assert [speaker_word(engine) for engine in ("openai", "cascade", "keypad")] == ["AI", "AI", "Keypad menu"]
    assert [silent_word(engine) for engine in ("openai", "keypad")] == ["the AI", "the keypad menu"]

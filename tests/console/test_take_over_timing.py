"""From the take-over key to silence and to the own voice."""

from __future__ import annotations

import pytest

from bridge.control import TakeOverView
from console.take_over_timing import PRESS_MS, TakeOverTiming


def view(id: str, at_ms: int, console: str = "me", **took: float) -> dict[str, TakeOverView]:
    return {id: TakeOverView(call_id="c1", take_over_id=id, console=console, at_ms=at_ms, **took)}


@pytest.fixture
def taken() -> TakeOverTiming:
    """The key at 100, the bridge's answer at 120."""
    timing = TakeOverTiming()
    timing.pressed(100.0)
    timing.sent("c1", ("1",), 105.0)
    timing.done("c1", 120.0)
    return timing


def test_it_counts_from_the_key(taken: TakeOverTiming) -> None:
    assert taken.call_id == "c1"
    assert taken.timing(view("2", 9000, silent_ms=30.0), "me") == (50.0, None)
    assert taken.timing(view("2", 9000, silent_ms=30.0, voice_ms=90.0), "me") == (50.0, 110.0)


def test_nothing_is_told_before_the_bridge_has(taken: TakeOverTiming) -> None:
    assert taken.timing({}, "me") == (None, None)
    assert taken.timing(view("2", 9000), "me") == (None, None)


def test_earlier_take_overs_and_those_of_others_are_not_ours(taken: TakeOverTiming) -> None:
    others = view("1", 500, silent_ms=1.0) | view("3", 9500, "tom (window 7)", silent_ms=2.0)
    assert taken.timing(others, "me") == (None, None)
    assert taken.timing(others | view("2", 9000, silent_ms=0.0), "me") == (20.0, None)


def test_of_two_the_newer_counts(taken: TakeOverTiming) -> None:
    assert taken.timing(view("3", 9500, silent_ms=7.0) | view("2", 9000, silent_ms=30.0), "me") == (27.0, None)


def test_without_a_key_it_counts_from_the_command(taken: TakeOverTiming) -> None:
    taken.sent("c1", ("2",), 500.0)
    taken.done("c1", 510.0)
    assert taken.timing(view("3", 9000, silent_ms=5.0), "me") == (15.0, None)


def test_a_key_that_led_to_nothing_is_forgotten(taken: TakeOverTiming) -> None:
    taken.pressed(200.0)
    taken.sent("c1", (), 200.0 + PRESS_MS + 1)
    taken.done("c1", 200.0 + PRESS_MS + 2)
    assert taken.timing(view("3", 9000, silent_ms=5.0), "me") == (6.0, None)


def test_answers_to_what_was_not_asked_change_nothing(taken: TakeOverTiming) -> None:
    taken.done("c1", 900.0)
    taken.sent("c2", (), 1000.0)
    taken.done("c1", 1100.0)
    assert taken.call_id == "c1"
    assert taken.timing(view("2", 9000, silent_ms=30.0), "me") == (50.0, None)


def test_a_voice_that_comes_later_counts_from_the_key_it_came_with(taken: TakeOverTiming) -> None:
    """The voice was on the wire at 120 + 7000 at the latest."""
    taken.speaks(3000.0)
    taken.speaks(7050.0)
    taken.speaks(7500.0)
    assert taken.timing(view("2", 9000, silent_ms=30.0, voice_ms=7000.0), "me") == (50.0, 70.0)


def test_a_key_that_was_held_from_before_the_take_over_on_is_not_the_voices_own(taken: TakeOverTiming) -> None:
    taken.speaks(150.0)
    taken.pressed(200.0)
    taken.sent("c1", ("2",), 205.0)
    taken.speaks(210.0)
    taken.done("c1", 220.0)
    assert taken.timing(view("3", 9000, silent_ms=0.0, voice_ms=90.0), "me") == (20.0, 100.0)
    taken.speaks(230.0)
    taken.pressed(300.0)
    taken.sent("c1", ("2", "3"), 305.0)
    taken.done("c1", 320.0)
    assert taken.timing(view("4", 9500, silent_ms=0.0, voice_ms=90.0), "me") == (20.0, 110.0)

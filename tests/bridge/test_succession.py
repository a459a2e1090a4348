"""Which engine follows one that is lost."""

from __future__ import annotations

from bridge.succession import SERVED_MS, Succession


def test_a_lost_engine_is_tried_once_more_and_then_the_next_has_the_call() -> None:
    ladder = Succession(["openai", "cascade", "keypad"])
    assert ladder.current == ""
    assert ladder.begin() == ladder.current == "openai"
    ladder.ready(0)
    assert ladder.lost(False, 100) == "openai"
    assert ladder.lost(False, 200) == ladder.current == "cascade"
    assert ladder.lost(False, 300) == "cascade"
    assert ladder.lost(False, 400) == "keypad"
    assert ladder.lost(True, 500) == ladder.current == ""
    assert ladder.lost(True, 600) == ""


def test_what_is_pointless_is_not_tried_again() -> None:
    ladder = Succession(["openai", "keypad"])
    ladder.begin()
    assert ladder.lost(True, 0) == "keypad"


def test_an_engine_that_served_for_long_has_a_second_try_again() -> None:
    ladder = Succession(["openai", "keypad"])
    ladder.begin()
    ladder.ready(0)
    assert ladder.lost(False, 1000) == "openai"
    ladder.ready(1500)
    assert ladder.lost(False, 1500 + SERVED_MS) == "openai"
    ladder.ready(100_000)
    assert ladder.lost(False, 100_500) == "keypad"


def test_an_engine_handed_to_goes_on_from_its_own_rung() -> None:
    ladder = Succession(["openai", "cascade", "keypad"])
    ladder.begin()
    ladder.lost(True, 0)
    ladder.handed_on("openai", 100)
    assert ladder.current == "openai"
    assert ladder.lost(False, 200) == "openai"
    assert ladder.lost(False, 300) == "cascade"
    ladder.handed_on("another", 400)
    assert ladder.lost(True, 500) == "keypad"

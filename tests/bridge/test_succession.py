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


def test_the_first_ai_and_the_menu_are_found_by_what_they_are() -> None:
    ladder = Succession(["pin", "keypad", "cascade", "openai"])
    assert (ladder.ai, ladder.menu) == ("cascade", "keypad")
    assert (Succession(["keypad"]).ai, Succession(["pin", "openai"]).menu) == ("", "")


def test_once_the_budget_is_spent_the_menu_is_all_that_is_left() -> None:
    ladder = Succession(["openai", "cascade", "keypad"])
    ladder.begin()
    assert ladder.spent() == "keypad"
    assert (ladder.is_spent, ladder.ai) == (True, "")
    assert ladder.lost(False, 100) == ladder.current == "keypad"
    assert ladder.lost(False, 200) == ladder.current == ""


def test_a_menu_that_came_first_is_come_back_to_when_the_budget_is_spent() -> None:
    ladder = Succession(["keypad", "openai"])
    ladder.begin()
    ladder.handed_on("openai", 0)
    ladder.spent()
    assert ladder.lost(False, 100) == "keypad"


def test_without_a_menu_nobody_is_left_when_the_budget_is_spent() -> None:
    ladder = Succession(["openai", "cascade"])
    ladder.begin()
    assert ladder.spent() == ""
    assert ladder.lost(False, 100) == ladder.current == ""


def test_a_lifted_budget_makes_the_ais_rungs_again() -> None:
    ladder = Succession(["openai", "cascade", "keypad"])
    ladder.begin()
    ladder.spent()
    ladder.lifted()
    ladder.handed_on("openai", 100)
    assert ladder.ai == "openai"
    assert (ladder.lost(True, 200), ladder.lost(True, 300)) == ("cascade", "keypad")

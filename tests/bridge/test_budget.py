"""When what one call's AI may cost is spent, and what operators are told."""

from __future__ import annotations

import pytest

from bridge.budget import Budget, Level


def test_each_level_is_told_once() -> None:
    budget = Budget(0.50, True)
    costs_usd = (0.0, 0.399, 0.40, 0.45, 0.50, 0.60)
    assert [budget.reached(cost_usd) for cost_usd in costs_usd] == [None, None, Level.NEARLY, None, Level.SPENT, None]


def test_what_is_spent_at_once_was_never_nearly_spent() -> None:
    budget = Budget(0.01, True)
    assert (budget.reached(0.02), budget.reached(0.009)) == (Level.SPENT, None)


def test_without_a_budget_or_once_it_is_lifted_a_call_costs_what_it_takes() -> None:
    assert Budget(None, True).reached(1000) is None
    budget = Budget(0.50, True)
    budget.lift()
    assert budget.most_usd is None and budget.reached(1000) is None


@pytest.mark.parametrize(
    ("level", "has_menu", "words"),
    [
        (Level.NEARLY, True, "has cost $0.41 of its budget of $0.50. When that is spent, the keypad menu goes on"),
        (Level.NEARLY, False, "has cost $0.41 of its budget of $0.50. When that is spent, the caller is put on hold."),
        (Level.SPENT, True, "has spent its budget of $0.50. When it has said what it is saying, the keypad menu"),
        (Level.SPENT, False, "has spent its budget of $0.50. When it has said what it is saying, the caller is put"),
    ],
)
def test_operators_read_how_it_stands_what_happens_and_what_to_press(level: Level, has_menu: bool, words: str) -> None:
    told = Budget(0.50, has_menu).words(level, 0.41)
    assert told.startswith(f"This call's AI {words}") and "Press G" in told and "T to take over" in told

"""Who is who among several windows."""

from __future__ import annotations

import pytest

from console.names import operator_word, told

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
    ],
)
def test_sentences_about_operators_are_told_as_the_reader_would(sentence: str, read: str) -> None:
    assert told(sentence, OURS) == read


def test_a_name_without_a_window_is_known_when_it_is_ours() -> None:
    assert told("desk took over", "desk") == "You took over"
    assert told("desk took over", "") == "desk took over"
    assert told("took over", "") == "took over"

"""Numbers as people read them."""

from __future__ import annotations

import pytest

from console.telephone import spaced


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("+14155550142", "+1 415 555 0142"),
        ("+442079460991", "+44 207 946 0991"),
        ("+79161234567", "+7 916 123 4567"),
        ("+3531234567", "+353 123 4567"),
        ("+4930123456", "+49 30 12 3456"),
        ("+49301234567", "+49 30 123 4567"),
        ("+123", "+1 23"),
        ("anonymous", "anonymous"),
        ("+", "+"),
        ("", ""),
        ("14155550142", "14155550142"),
    ],
)
def test_a_number_is_grouped_and_a_word_is_left_alone(number: str, read: str) -> None:
    assert spaced(number) == read

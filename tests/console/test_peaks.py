"""Columns made into bars."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.peaks import SHARES, Voice, bar_level, bar_voice, first_change, last_voice, spark_bars


def test_a_bar_stands_midway_between_its_mean_and_its_tallest_column() -> None:
    lane = bytes([10, 90, 20, 40, 40, 40])
    assert [bar_level(lane, bar, 60.0) for bar in range(3)] == [65, 40, 0]


def test_a_single_click_is_seen() -> None:
    assert SHARES[bar_level(bytes([0, 0, 0, 255]), 0, 80.0)] > 0.7


def test_louder_is_taller_and_nothing_leaves_its_lane() -> None:
    assert (SHARES[0], SHARES[255]) == (0.0, 1.0)
    assert list(SHARES) == sorted(SHARES)


def test_a_bar_narrower_than_a_column_shows_that_column() -> None:
    assert [bar_level(bytes([5, 8]), bar, 10.0) for bar in range(4)] == [5, 5, 8, 8]


def test_a_bar_has_the_voice_of_its_tallest_column() -> None:
    line, voice = bytes([5, 9, 5, 0]), bytes([1, 2, 1])
    assert bar_voice(line, voice, 0, 60.0) == (8, Voice.OPERATOR)
    assert bar_voice(line, voice, 2, 20.0) == (5, Voice.AI)
    assert bar_voice(line, voice, 3, 20.0) == (0, Voice.NOBODY)
    assert bar_voice(line, voice, 9, 20.0) == (0, Voice.NOBODY)
    assert bar_voice(bytes([4]), bytes([7]), 0, 20.0) == (4, Voice.NOBODY)


def test_who_was_heard_last() -> None:
    assert last_voice(bytes([1, 2, 0])) is Voice.OPERATOR
    assert last_voice(bytes([2, 1, 0])) is Voice.AI
    assert last_voice(bytes(4)) is Voice.NOBODY


def test_a_grown_lane_differs_from_its_old_end_on() -> None:
    assert first_change(b"abc", b"abcd") == 3
    assert first_change(b"abc", b"abc") is None
    assert first_change(b"abc", b"axc") == 1


@given(st.binary(max_size=1500), st.binary(max_size=1500))
def test_the_first_difference_is_found_wherever_it_is(one: bytes, other: bytes) -> None:
    at = first_change(one, other)
    if at is None:
        assert one == other
    else:
        assert one[:at] == other[:at]
        assert one[at : at + 1] != other[at : at + 1]


def test_a_late_difference_is_found() -> None:
    one = bytes(2000)
    assert first_change(one, one[:1500] + b"\x01" + one[1501:]) == 1500
    assert first_change(one, bytes(1024)) == 1024


def test_the_small_picture_keeps_its_bars_as_it_moves() -> None:
    caller, line, voice = bytes([9] * 20), bytes([0] * 10 + [4] * 10), bytes([0] * 10 + [1] * 10)
    bars = spark_bars(caller, line, voice, bars=3, columns_per_bar=10)
    assert bars == [(9, 0, Voice.NOBODY), (9, 4, Voice.AI)]
    longer = spark_bars(caller + bytes(15), line, voice, bars=3, columns_per_bar=10)
    assert longer == [(9, 4, Voice.AI), (0, 0, Voice.NOBODY), (0, 0, Voice.NOBODY)]

"""Where thousands of lines begin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.widgets.line_heights import LineHeights


def test_an_empty_column_is_its_margins() -> None:
    heights = LineHeights(10)
    assert (len(heights), heights.top(0), heights.total, heights.at(50)) == (0, 10, 20, 0)


def test_a_measured_line_moves_those_below() -> None:
    heights = LineHeights(10)
    heights.fill([20.0, 20.0])
    heights.append(30.0)
    assert [heights.top(index) for index in range(4)] == [10, 30, 50, 80]
    heights[1] = 25.0
    heights[1] = 25.0
    assert heights[1] == 25
    assert (heights.top(2), heights.total) == (55, 95)
    assert [heights.at(y) for y in (-5, 10, 30, 54, 55, 900)] == [0, 0, 1, 1, 2, 2]


changes = st.lists(st.tuples(st.sampled_from(["append", "set", "top"]), st.integers(0, 50), st.integers(1, 99)))


@given(changes)
def test_tops_are_always_the_sum_of_the_heights_above(changes: list[tuple[str, int, int]]) -> None:
    heights, plain = LineHeights(3), []
    for what, index, height in changes:
        if what == "append" or not plain:
            heights.append(height)
            plain.append(height)
        elif what == "set":
            heights[index % len(plain)] = height
            plain[index % len(plain)] = height
        else:
            index %= len(plain) + 1
            assert heights.top(index) == 3 + sum(plain[:index])
    assert heights.total == 6 + sum(plain)

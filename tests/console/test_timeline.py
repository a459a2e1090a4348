"""Time as the window shows it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import timeline
from console.timeline import CallClock, Ruler, clock_text, fine_clock_text, placed, span_text, ticks_ms, zoomed


@pytest.mark.parametrize(
    ("ms", "told"),
    [(0, "00:00"), (-5, "00:00"), (192_999, "03:12"), (3_599_999, "59:59"), (3_723_000, "1:02:03")],
)
def test_a_moment_reads_like_a_clock(ms: float, told: str) -> None:
    assert clock_text(ms) == told


def test_hovering_tells_tenths() -> None:
    assert fine_clock_text(167_340.0) == "02:47.3"
    assert fine_clock_text(-3) == "00:00.0"


@pytest.mark.parametrize(
    ("ms", "told"),
    [(-1, "0 ms"), (820, "820 ms"), (1380, "1.4 s"), (9_949, "9.9 s"), (9_960, "10 s"), (185_000, "3 min 05 s")],
)
def test_a_length_of_time_has_its_unit(ms: float, told: str) -> None:
    assert span_text(ms) == told


def test_the_clock_runs_between_readings_and_follows_them_gently() -> None:
    clock = CallClock()
    assert clock.at(5000) == 0
    clock.heard(1000, 5000)
    assert clock.at(5100) == pytest.approx(1100)
    clock.heard(1150, 5200)  # this one came 50 ms late
    assert 1185 < clock.at(5200) < 1200


def test_the_clock_never_runs_backwards_on_its_own() -> None:
    clock = CallClock()
    clock.heard(1000, 5000)
    newest = clock.at(5500)
    clock.heard(1100, 5500)
    assert clock.at(5501) == newest


def test_a_clock_that_is_plainly_wrong_is_set_at_once() -> None:
    clock = CallClock()
    clock.heard(1000, 5000)
    clock.at(5000)
    clock.heard(60_000, 5000)
    assert clock.at(5000) == 60_000
    clock.heard(2000, 5000)
    assert clock.at(5000) == 2000
    clock.reset()
    assert clock.at(9000) == 0


def test_bars_stand_at_fixed_times() -> None:
    ruler = Ruler(span_ms=40_000, width_px=800, pitch_px=4)
    assert ruler.bar_ms == 200
    assert [ruler.bar(ms) for ms in (0, 199, 200)] == [0, 0, 1]
    assert ruler.px(40_000) == 800
    assert ruler.ms(400) == 20_000


def test_a_whole_call_fills_the_picture_and_a_live_one_has_room_to_grow() -> None:
    assert timeline.whole_span_ms(100_000, live=False) == 100_000
    assert timeline.whole_span_ms(2_000, live=False) == 10_000
    assert timeline.whole_span_ms(2_000, live=True) == 10_000
    assert timeline.whole_span_ms(12_000, live=True) == 15_000


def test_zoom_goes_from_ten_seconds_to_the_whole_call() -> None:
    ladder = [40_000]
    for _ in range(5):
        ladder.append(zoomed(ladder[-1], -1, duration_ms=200_000))
    assert ladder == [40_000, 80_000, 160_000, 0, 0, 0]
    assert zoomed(0, 1, 200_000) == 160_000
    assert zoomed(10_000, 1, 200_000) == 10_000


def test_a_short_call_has_no_zoom_wider_than_the_usual_one() -> None:
    assert zoomed(40_000, -1, duration_ms=5_000) == 0
    assert zoomed(640_000, 0, duration_ms=5_000) == 40_000


def test_the_axis_has_round_moments_that_do_not_crowd() -> None:
    assert ticks_ms(151_000, 192_000, ms_per_px=50, apart_px=120) == [160_000, 170_000, 180_000, 190_000]
    assert ticks_ms(-20_000, 15_000, ms_per_px=50, apart_px=120) == [0, 10_000]
    assert ticks_ms(0, 10, ms_per_px=1e9, apart_px=1e9) == [0]


def test_words_that_fit_stay_in_the_first_row() -> None:
    assert [place.row for place in placed([(0, 50), (70, 50), (140, 50)], rows=2, gap_px=10, least_px=30)] == [0, 0, 0]


def test_a_word_that_would_touch_goes_to_the_next_row() -> None:
    places = placed([(0, 90), (70, 50), (140, 50)], rows=2, gap_px=10, least_px=30)
    assert [(place.row, place.width_px) for place in places] == [(0, 90), (1, 50), (0, 50)]


def test_where_no_row_is_free_an_older_word_is_shortened_or_becomes_its_shape() -> None:
    places = placed([(0, 90), (50, 90)], rows=1, gap_px=10, least_px=30)
    assert [place.width_px for place in places] == [40, 90]
    assert placed([(0, 90), (20, 90)], rows=1, gap_px=10, least_px=30)[0].width_px == 0


def test_a_word_that_would_reach_beyond_the_end_of_the_call_stands_before_its_shape() -> None:
    places = placed([(0, 40), (280, 50)], rows=1, gap_px=10, least_px=20, end_px=300)
    assert [(place.before, place.width_px) for place in places] == [(False, 40), (True, 50)]
    crowded = placed([(200, 60), (290, 50)], rows=1, gap_px=10, least_px=20, end_px=300)
    assert [(place.before, place.width_px) for place in crowded] == [(False, 30), (True, 50)]
    both = placed([(0, 40), (270, 50), (290, 50)], rows=1, gap_px=10, least_px=20, end_px=300)
    assert [place.width_px for place in both] == [40, 50, 0]
    apart = placed([(0, 40), (270, 20), (290, 50)], rows=2, gap_px=10, least_px=20, end_px=300)
    assert [(place.row, place.before, place.width_px) for place in apart] == [
        (0, False, 40),
        (0, False, 20),
        (1, True, 50),
    ]


marks = st.lists(st.tuples(st.integers(0, 2000), st.integers(10, 200)), max_size=40).map(sorted)


@given(marks, st.integers(1, 3), st.sampled_from([float("inf"), 2000, 900]))
def test_no_word_ever_touches_another_or_covers_a_shape(
    marks: list[tuple[float, float]], rows: int, end_px: float
) -> None:
    places = placed(marks, rows, gap_px=8, least_px=20, end_px=end_px)
    for row in range(rows):
        told = [
            (x - place.width_px, x) if place.before else (x, x + place.width_px)
            for (x, _), place in zip(marks, places, strict=True)
            if place.row == row and place.width_px
        ]
        assert all(end <= start for (_, end), (start, _) in pairwise(told))
        at = [x for (x, _), place in zip(marks, places, strict=True) if place.row == row]
        assert not [(x, span) for x in at for span in told if span[0] < x < span[1]]

"""Call times of moments that a transcriber counts in the sound it was sent."""

from __future__ import annotations

from bridge.audio import BYTES_PER_MS
from bridge.engines.speech.stream_time import EDGE_MS, KEPT_GAPS, StreamTime


def stream(*pieces: tuple[int, int]) -> StreamTime:
    """Of pieces: how long each, and when it was spoken."""
    time = StreamTime()
    for length_ms, at_ms in pieces:
        time.sent(length_ms * BYTES_PER_MS, at_ms)
    return time


def test_a_stream_without_gaps_is_as_late_as_its_beginning() -> None:
    time = stream((1000, 5000), (1000, 6010), (1000, 7000))
    assert time.sent_ms == 3000
    assert [time.call_ms(at_ms) for at_ms in (0, 1500, 3000)] == [5000, 6500, 8000]


def test_what_comes_after_a_gap_is_later() -> None:
    time = stream((1000, 0), (1000, 20_000), (1000, 21_000))
    assert [time.call_ms(at_ms) for at_ms in (500, 1200, 2500)] == [500, 20_200, 21_500]


def test_what_begins_just_before_a_gap_began_after_it() -> None:
    time = stream((1000, 0), (1000, 20_000))
    assert time.call_ms(1000 - EDGE_MS) == 20_000
    assert time.call_ms(1000 - EDGE_MS - 1) == 899


def test_what_nobody_spoke_moves_all_that_follows() -> None:
    time = stream((1000, 0))
    time.padded(100 * BYTES_PER_MS)
    time.sent(1000 * BYTES_PER_MS, 5000)
    assert time.sent_ms == 2100
    assert time.call_ms(1200) == 5100


def test_moments_outside_the_stream_are_at_its_ends() -> None:
    assert stream().call_ms(700) == 0
    assert stream((1000, 5000)).call_ms(-50) == 5000
    assert stream((1000, 5000)).call_ms(9000) == 6000


def test_of_very_many_gaps_the_oldest_are_forgotten() -> None:
    time = stream(*((1000, number * 3000) for number in range(KEPT_GAPS + 2)))
    assert time.call_ms(0) == 2 * 3000 - 2 * 1000

"""The listening buffer: both sides stay aligned, near and whole, whatever the clocks and the network do."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.control import HeardFrame, Side
from console.monitor import CALM_MS, FULL_MS, LEAST_MS, MOST_MS, STEP_MS, TOLERATED_MS, Lanes, Monitor
from console.mulaw import FULL_SCALE, PER_MS, decode

FRAME_MS = 20
LOUD, QUIET = b"\x80", b"\xff"
TAKEN_MS = 10
"""What a loudspeaker asks for at a time."""

IN_HAND_MS = 50
"""What a loudspeaker has that it has not played yet."""

MINUTE_MS = 60_000


class Call:
    """A call whose caller speaks without a pause, heard through a monitor."""

    def __init__(self) -> None:
        self.monitor = Monitor()
        self.at_ms = 0

    def arrive(self, ms: int, code: bytes = LOUD, side: Side = Side.CALLER) -> None:
        for _ in range(ms // FRAME_MS):
            self.monitor.put(HeardFrame(1, side, self.at_ms, code * FRAME_MS * PER_MS))
            self.at_ms += FRAME_MS

    def hear(self, ms: int = FRAME_MS) -> Lanes:
        return self.monitor.take(ms * PER_MS)

    @property
    def lacks(self) -> bool:
        return self.monitor.lacks(TAKEN_MS * PER_MS)


@pytest.fixture
def call() -> Call:
    return Call()


def put(monitor: Monitor, at_ms: int, side: Side = Side.CALLER, ms: int = FRAME_MS) -> None:
    monitor.put(HeardFrame(1, side, at_ms, LOUD * ms * PER_MS))


def is_loud(samples: Lanes) -> bool:
    return bool((samples == FULL_SCALE).all())


def test_nothing_is_heard_before_enough_has_come(call: Call) -> None:
    put(call.monitor, 0, ms=LEAST_MS - 10)
    assert not call.hear(TAKEN_MS).any()
    put(call.monitor, LEAST_MS - 10, ms=10)
    assert is_loud(call.hear(TAKEN_MS)[Side.CALLER])


def test_both_sides_are_aligned_by_call_time_and_a_gap_is_silence() -> None:
    monitor = Monitor()
    put(monitor, 0)
    first = monitor.take(10 * PER_MS)
    put(monitor, 20, Side.LINE)
    monitor.take(10 * PER_MS)
    put(monitor, 60)
    second, third, fourth = monitor.take(20 * PER_MS), monitor.take(20 * PER_MS), monitor.take(10 * PER_MS)
    assert is_loud(first[Side.CALLER]) and not first[Side.LINE].any()
    assert not second[Side.CALLER].any() and is_loud(second[Side.LINE])
    assert not third.any()
    assert is_loud(fourth[Side.CALLER])


def test_late_sound_is_dropped_and_half_late_sound_is_cut(call: Call) -> None:
    call.arrive(FRAME_MS, QUIET)
    call.hear(10)
    call.arrive(FRAME_MS, QUIET)
    call.hear(20)
    put(call.monitor, 0)
    put(call.monitor, 20)
    call.arrive(FRAME_MS, QUIET)
    heard = call.hear()[Side.CALLER]
    assert is_loud(heard[: 10 * PER_MS]) and not heard[10 * PER_MS :].any()


def test_an_empty_frame_is_nothing(call: Call) -> None:
    put(call.monitor, 5000, ms=0)
    call.arrive(LEAST_MS)
    assert is_loud(call.hear()[Side.CALLER])


def test_of_too_much_the_oldest_is_dropped(call: Call) -> None:
    call.arrive(FULL_MS)
    call.arrive(FRAME_MS, b"\x90")
    assert call.monitor.ahead_ms == LEAST_MS
    assert (call.hear(10)[Side.CALLER] == decode(b"\x90")).all()


def test_what_was_held_up_begins_near(call: Call) -> None:
    call.arrive(100)
    call.hear(10)
    assert call.monitor.ahead_ms <= LEAST_MS


def test_a_call_time_far_away_begins_anew() -> None:
    monitor = Monitor()
    for at_ms in (600_000, 600_020, 0, 20):
        put(monitor, at_ms)
    assert monitor.ahead_ms == 40
    for at_ms in (700_000, 700_020):
        put(monitor, at_ms)
    assert is_loud(monitor.take(20 * PER_MS)[Side.CALLER])


def test_running_dry_lets_the_rest_be_heard_and_lengthens_the_buffer(call: Call) -> None:
    for aim_ms in (LEAST_MS + STEP_MS, MOST_MS, MOST_MS, MOST_MS):
        call.arrive(100)
        assert not call.lacks
        assert is_loud(call.hear(TAKEN_MS)[Side.CALLER])
        while not call.lacks:
            assert is_loud(call.hear(TAKEN_MS)[Side.CALLER])
        assert call.hear(TAKEN_MS)[Side.CALLER].any()
        assert not call.lacks and not call.hear(TAKEN_MS).any()
        assert call.monitor.aim_ms == aim_ms


def test_calm_shortens_the_buffer_again(call: Call) -> None:
    call.arrive(LEAST_MS)
    while call.monitor.ahead_ms:
        call.hear()
    call.arrive(60)
    for _ in range(CALM_MS // FRAME_MS - 1):
        call.arrive(FRAME_MS)
        assert is_loud(call.hear()[Side.CALLER])
    assert call.monitor.aim_ms == LEAST_MS + STEP_MS
    for _ in range(2 * CALM_MS // FRAME_MS):
        call.arrive(FRAME_MS)
        assert is_loud(call.hear()[Side.CALLER])
    assert call.monitor.aim_ms == LEAST_MS
    assert call.monitor.ahead_ms <= LEAST_MS + FRAME_MS


@pytest.mark.parametrize("ppm", [-2000, -200, 200, 2000])
def test_clocks_that_disagree_leave_no_gap_and_no_growing_delay(call: Call, ppm: int) -> None:
    """Six minutes; at 2000 parts in a million that is as much as usual clocks drift apart in an hour."""
    call.arrive(60)
    owed_ms, in_hand_ms = 0.0, IN_HAND_MS
    for _ in range(6 * MINUTE_MS // TAKEN_MS):
        owed_ms += TAKEN_MS * (1 + ppm / 1e6)
        while owed_ms >= FRAME_MS:
            call.arrive(FRAME_MS)
            owed_ms -= FRAME_MS
        in_hand_ms -= TAKEN_MS
        while in_hand_ms < IN_HAND_MS and not call.lacks:
            short_ms = IN_HAND_MS - TAKEN_MS - in_hand_ms
            assert call.monitor.take(TAKEN_MS * PER_MS, short_ms * PER_MS)[Side.CALLER].min() == FULL_SCALE
            in_hand_ms += TAKEN_MS
        assert in_hand_ms > 0
        assert call.monitor.ahead_ms <= MOST_MS
    assert call.monitor.aim_ms == LEAST_MS


def test_what_is_left_out_or_doubled_is_where_it_is_softest(call: Call) -> None:
    """The caller's clock runs fast by far: single samples go, and only silent ones."""
    call.arrive(60)
    loud_samples = 0
    for _ in range(200):
        call.arrive(FRAME_MS)
        call.monitor.put(HeardFrame(1, Side.CALLER, call.at_ms - FRAME_MS, b"\xff" * 80 + LOUD * 80))
        loud_samples = int(np.count_nonzero(call.hear()))
    assert loud_samples == 80


def test_what_was_held_up_once_is_caught_up_with_soon(call: Call) -> None:
    """Without a gap, and without a rush: nothing of the next second is left out at once."""
    call.arrive(40)
    for _ in range(50):
        call.arrive(FRAME_MS)
        for _ in range(FRAME_MS // TAKEN_MS):
            call.hear(TAKEN_MS)
    call.arrive(60)
    behind_ms = call.monitor.ahead_ms
    for _ in range(2000 // FRAME_MS):
        call.arrive(FRAME_MS)
        for _ in range(FRAME_MS // TAKEN_MS):
            assert is_loud(call.hear(TAKEN_MS)[Side.CALLER])
        behind_ms, before_ms = call.monitor.ahead_ms, behind_ms
        assert before_ms - behind_ms <= 1
    assert behind_ms <= call.monitor.aim_ms + TOLERATED_MS


@pytest.mark.parametrize("late_ms", [0, 20, 100, 400])
def test_what_the_caller_hears_is_known_late_and_heard_whole_beside_their_newest_sound(
    call: Call, late_ms: int
) -> None:
    call.at_ms = 1000
    call.arrive(100)
    heard = []
    for _ in range(50):
        call.arrive(FRAME_MS)
        put(call.monitor, call.at_ms - FRAME_MS - late_ms + 1, Side.LINE)
        heard.append(call.hear())
    line = np.concatenate(heard, axis=1)[Side.LINE]
    first = int(np.flatnonzero(line)[0])
    assert first < FRAME_MS * PER_MS
    # Taken so greedily it runs dry once.
    assert is_loud(line[first + 3 * FRAME_MS * PER_MS :])


def test_what_the_caller_hears_next_is_laid_anew(call: Call) -> None:
    call.at_ms = 1000
    call.arrive(40)
    put(call.monitor, 700, Side.LINE)
    assert is_loud(call.hear()[Side.LINE])
    call.arrive(40)
    put(call.monitor, 900, Side.LINE)
    assert is_loud(call.hear(30)[Side.LINE][10 * PER_MS :])


def test_what_the_caller_hears_later_and_later_is_caught_up_with(call: Call) -> None:
    call.at_ms = 1000
    call.arrive(40)
    put(call.monitor, 800, Side.LINE)
    call.hear(30)
    call.arrive(100)
    call.hear(100)
    put(call.monitor, 820, Side.LINE)
    call.arrive(40)
    put(call.monitor, 840, Side.LINE)
    assert call.hear(30)[Side.LINE].any()


def test_what_the_caller_hears_can_be_the_first_that_comes(call: Call) -> None:
    put(call.monitor, 500, Side.LINE, ms=40)
    assert is_loud(call.hear()[Side.LINE])

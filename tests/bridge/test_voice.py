"""An operator's voice on its way: begun with room, kept even, never far behind."""

from __future__ import annotations

import pytest

from bridge.audio import silence
from bridge.voice import HIGH_MS, LEAD_MS, LOW_MS, MOST_MS, WINDOW, Voice

FRAME = bytes(range(1, 161))


def test_speech_that_begins_is_given_room_and_then_passes_untouched() -> None:
    voice = Voice()
    assert voice.shape(FRAME, 0.0) == silence(LEAD_MS) + FRAME
    assert voice.shape(FRAME, 60.0) == FRAME


def test_speech_that_comes_late_is_dropped() -> None:
    voice = Voice()
    assert voice.shape(FRAME, MOST_MS + 1.0) == b""
    assert voice.dropped == 1


def test_short_pieces_are_left_whole() -> None:
    voice = Voice()
    for _ in range(WINDOW):
        voice.shape(FRAME, 150.0)
    assert voice.shape(b"ab", 150.0) == b"ab"


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_a_clock_that_runs_fast_or_slow_for_an_hour_never_runs_the_carrier_dry(ppm: int) -> None:
    voice, ahead_ms, beginnings, changed = Voice(), 0.0, 0, 0
    for number in range(3600 * 50):
        if number:
            ahead_ms = max(0.0, ahead_ms - 20 * (1 - ppm / 1e6))
        beginnings += ahead_ms == 0
        sent = voice.shape(FRAME, ahead_ms)
        changed += len(sent) not in (160, 160 + LEAD_MS * 8)
        ahead_ms += len(sent) / 8
        assert ahead_ms <= HIGH_MS + 30
    assert (beginnings, voice.dropped) == (1, 0)
    assert ahead_ms >= LOW_MS
    assert bool(changed) is bool(ppm)

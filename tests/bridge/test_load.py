"""When the bridge has no room for another call."""

from __future__ import annotations

import asyncio

from bridge.load import BUSY_LATE_MS, BUSY_SHARE, SAMPLE_S, Load


def after(seconds: float, share: float, late_ms: float, load: Load | None = None) -> Load:
    load = load or Load()
    for _ in range(round(seconds / SAMPLE_S)):
        load.sampled(share, late_ms)
    return load


def test_there_is_room_up_to_the_measured_ceilings() -> None:
    assert not Load().is_high
    assert not after(60, BUSY_SHARE - 0.01, BUSY_LATE_MS - 0.1).is_high


def test_a_core_that_is_used_up_has_no_room_and_has_it_again_when_calls_end() -> None:
    load = after(10, 0.95, 1.0)
    assert load.is_high
    assert not after(10, 0.5, 1.0, load).is_high


def test_a_machine_that_lets_us_wait_has_no_room() -> None:
    assert after(10, 0.3, 2 * BUSY_LATE_MS).is_high


def test_one_long_stall_turns_nobody_away() -> None:
    load = after(10, 0.3, 1.0)
    load.sampled(1.0, 3000.0)
    assert not load.is_high


def test_timers_that_fire_early_are_no_credit() -> None:
    assert after(1, 0.0, -5.0).late_ms == 0.0


async def test_it_watches_the_loop_it_runs_in() -> None:
    class Seen(Load):
        def __init__(self) -> None:
            super().__init__()
            self.samples: asyncio.Queue[tuple[float, float]] = asyncio.Queue()

        def sampled(self, share: float, late_ms: float) -> None:
            super().sampled(share, late_ms)
            self.samples.put_nowait((share, late_ms))

    load = Seen()
    watching = asyncio.create_task(load.watch())
    for _ in range(2):
        share, _ = await load.samples.get()
        assert 0.0 <= share <= 1.0
    watching.cancel()
    await asyncio.wait([watching])

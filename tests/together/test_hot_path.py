"""How many of our Python functions a frame costs, counted on a live call over real sockets.

A function counts each time that it begins, and a coroutine each time that it goes on, wherever in
`bridge` it is (the rehearsal aside). What is counted together is what ran without going back to the
loop: one message read, or one timer. The budget is for the path of a frame itself; what timers do
for all frames since they last ran is counted too, and has a budget of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest

import bridge
from bridge import control
from bridge.audio import FRAME_MS

from .house import House, open_house

PATH_BUDGET = 8
TIMERS_BUDGET = 15
TIMERS = ("Session._tick", "PeerSocket._tick", "Load.watch")
FRAMES = 100
MARKS = 5
OURS = str(Path(bridge.__file__).parent) + "/"
REHEARSAL = OURS + "rehearsal/"
WORDS = "One moment please, I am looking for your order in our books now."


class Counted:
    """The functions called, as one list for each time that the loop called into the bridge."""

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self._watched: list[tuple[str, int, asyncio.Event]] = []

    async def until(self, name: str, times: int) -> None:
        """Until this function was called so often from now on."""
        seen = asyncio.Event()
        self._watched.append((name, times + self.times(name), seen))
        async with asyncio.timeout(30):
            await seen.wait()

    def times(self, name: str) -> int:
        """How often a function was called."""
        return sum(run.count(name) for run in self.runs)

    def runs_with(self, name: str, *, without: str = "") -> list[list[str]]:
        """The runs in which this function was called, and that other was not."""
        return [run for run in self.runs if name in run and without not in run]

    def runs_begun_by(self, *names: str) -> list[list[str]]:
        """The runs that began with one of these."""
        return [run for run in self.runs if run[0] in names]

    def saw(self, frame: FrameType, event: str, argument: Any) -> None:
        """As `sys.setprofile` wants it."""
        path = frame.f_code.co_filename
        if event != "call" or not path.startswith(OURS) or path.startswith(REHEARSAL):
            return
        name, is_first = frame.f_code.co_qualname, True
        above = frame.f_back
        while above is not None:
            path = above.f_code.co_filename
            if path.startswith(REHEARSAL):
                return
            is_first = is_first and not path.startswith(OURS)
            above = above.f_back
        if is_first:
            self.runs.append([])
        self.runs[-1].append(name)
        for watched, times, seen in self._watched:
            if watched == name and self.times(name) >= times:
                seen.set()


@contextmanager
def counting() -> Iterator[Counted]:
    """Count what this thread calls."""
    counted, before = Counted(), sys.getprofile()
    sys.setprofile(counted.saw)
    try:
        yield counted
    finally:
        sys.setprofile(before)


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    """A house with one call, whose greeting was interrupted: now all that comes is the caller's silence."""
    # Without a speech engine the AI speaks what is to be said: that is the path that is counted.
    async with open_house(home, say_voices=()) as opened:
        line = await opened.call()
        await line.until(lambda line: line.heard_ms > 0)
        opened.bridge.switchboard.obey(control.Interrupt(id=1, call_id=call_of(opened)), "Ann")
        yield opened
        line.hang_up()
        await line.ended


def call_of(house: House) -> str:
    (call_id,) = house.bridge.switchboard.sessions
    return call_id


def per(frames: float, runs: list[list[str]]) -> float:
    """Functions for each frame."""
    return sum(map(len, runs)) / frames


async def test_a_frame_of_the_callers_takes_at_most_eight_functions(house: House) -> None:
    with counting() as counted:
        await counted.until("Caller.from_carrier", FRAMES)
    path = counted.runs_with("OpenAIRealtime.hear")
    # On a busy machine more than one comes with a run.
    frames = counted.times("OpenAIRealtime.hear")
    timers = counted.runs_begun_by(*TIMERS)
    print(f"in: {per(frames, path):.2f} a frame, and {per(frames, timers):.2f} in timers")
    assert frames >= FRAMES - 1
    assert per(frames, path) <= PATH_BUDGET, path[-1]
    assert per(frames, timers) <= TIMERS_BUDGET


@pytest.mark.parametrize("delta_ms", [None, FRAME_MS], ids=["usual-deltas", "20-ms-deltas"])
async def test_a_frame_of_the_ais_takes_at_most_eight_functions(house: House, delta_ms: int | None) -> None:
    if delta_ms is not None:
        house.ai.chance = Always(delta_ms)
    generated_ms = house.ai.items.generated_ms
    before_ms = sum(generated_ms.values())
    with counting() as counted:
        house.bridge.switchboard.obey(control.Say(id=2, call_id=call_of(house), text=WORDS), "Ann")
        await counted.until("Transcript.speech_done", 1)
        await counted.until("Playout.marked", MARKS)
    sound = (sum(generated_ms.values()) - before_ms) / FRAME_MS
    path = counted.runs_with("AI.on_speech", without="Wire._other")
    deltas = sum(run.count("AI.on_speech") for run in path)
    elapsed = counted.times("OpenAIRealtime.hear")
    timers = counted.runs_begun_by(*TIMERS, "Line._pump_again")
    per_delta = sound / counted.times("AI.on_speech")
    print(f"out: {per(deltas, path):.2f} a delta of {per_delta:.1f} frames, and {per(elapsed, timers):.2f} in timers")
    assert deltas > 5 and elapsed > 40
    assert per_delta == pytest.approx(1, abs=0.1) or delta_ms is None
    assert per(deltas, path) <= PATH_BUDGET, path[-1]
    assert per(elapsed, timers) <= TIMERS_BUDGET


class Always(Random):
    """Chance that picks the same length for every delta."""

    def __init__(self, delta_ms: int) -> None:
        super().__init__(1)
        self._delta_ms = delta_ms

    def randrange(self, *limits: Any) -> int:
        return self._delta_ms if limits == (100, 200) else super().randrange(*limits)

"""How busy the loop is: whether another call would slow the others.

A call that is refused hears the apology at once; a call too many makes every caller stutter. Two
figures tell, both smoothed over some seconds: how much of a core the loop's thread uses, which rises
with every call, and how late the loop runs, which also shows a machine that has no time for us.
The ceilings were measured (``make bench``): up to nearly nine tenths of a core audio is delayed by
less than 4 ms, a little further all of it is late, and the calls just taken still grow by a tenth.
Lateness stays under 4 ms until then, and under 6 where other programs take most of the machine.
"""

from __future__ import annotations

import asyncio
import time

SAMPLE_S = 0.05
MEMORY = 0.98
BUSY_SHARE = 0.75
BUSY_LATE_MS = 10.0
MAX_SAMPLE_MS = 50.0
"""One long stall is no lack of room: it must not turn callers away for seconds."""


class Load:
    """share: of a core, 0 to 1, that the loop's thread uses. late_ms: how late its timers fire."""

    def __init__(self) -> None:
        self.share = 0.0
        self.late_ms = 0.0

    def sampled(self, share: float, late_ms: float) -> None:
        """One more sample, `SAMPLE_S` after the last."""
        self.share = self.share * MEMORY + share * (1 - MEMORY)
        self.late_ms = self.late_ms * MEMORY + min(max(0.0, late_ms), MAX_SAMPLE_MS) * (1 - MEMORY)

    @property
    def is_high(self) -> bool:
        """Whether one more call would be one too many."""
        return self.share > BUSY_SHARE or self.late_ms > BUSY_LATE_MS

    async def watch(self) -> None:
        """Sample for ever."""
        loop = asyncio.get_running_loop()
        now_s, used_s = loop.time(), time.thread_time()
        while True:
            was_s, was_used_s = now_s, used_s
            await asyncio.sleep(SAMPLE_S)
            now_s, used_s = loop.time(), time.thread_time()
            took_s = now_s - was_s
            self.sampled((used_s - was_used_s) / max(took_s, SAMPLE_S), (took_s - SAMPLE_S) * 1000)

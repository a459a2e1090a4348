"""How late the loop runs: the one figure that tells whether another call would slow the others.

A call that is refused hears the apology at once; a call too many makes every caller stutter. The
ceiling was measured (``make bench``): up to four fifths of a core the loop's lateness, smoothed over
some seconds, stays under 4 ms, also on a machine that does other work; near a whole core it grows
without bound.
"""

from __future__ import annotations

import asyncio

SAMPLE_S = 0.05
MEMORY = 0.98
BUSY_LATE_MS = 5.0
MAX_SAMPLE_MS = 50.0
"""One long stall is no lack of room: it must not turn callers away for seconds."""


class Load:
    """Samples the loop's lateness and smooths it over about three seconds."""

    def __init__(self) -> None:
        self.late_ms = 0.0

    def sampled(self, late_ms: float) -> None:
        """One more sample of how late a timer fired."""
        self.late_ms = self.late_ms * MEMORY + min(max(0.0, late_ms), MAX_SAMPLE_MS) * (1 - MEMORY)

    @property
    def is_high(self) -> bool:
        """Whether one more call would be one too many."""
        return self.late_ms > BUSY_LATE_MS

    async def watch(self) -> None:
        """Sample for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            self.sampled((loop.time() - due_s) * 1000)

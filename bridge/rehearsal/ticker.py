"""The one clock of all simulated lines: 20 ms ticks at absolute deadlines, never drifting.

Lines are spread over the 20 ms, as real calls fall anywhere in it: two hundred lines speaking in the
same instant would measure the queue between them and not the bridge. One timer drives all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.audio import FRAME_MS

SLOTS = 20
SLOT_S = FRAME_MS / 1000 / SLOTS
STALL_S = 1.0
"""A process that stood still this long goes on from now; a shorter stall is caught up with in a burst."""

Tick = Callable[[], None]
Failed = Callable[[Exception], None]


class Ticker:
    """Calls each registered tick every 20 ms. A tick that raises is taken off and told so.

    latest_ms: by how much the worst tick so far was late.
    """

    def __init__(self) -> None:
        self._slots: list[dict[Tick, Failed]] = [{} for _ in range(SLOTS)]
        self._epoch_s = 0.0
        self._index = 0
        self._timer: asyncio.TimerHandle | None = None
        self.latest_ms = 0.0

    def add(self, tick: Tick, failed: Failed) -> None:
        """Call ``tick`` from now on, in the emptiest slot."""
        if self._timer is None:
            self._epoch_s = asyncio.get_running_loop().time()
            self._index = 0
        min(self._slots, key=len)[tick] = failed
        self._schedule()

    def remove(self, tick: Tick) -> None:
        """No more calls; no matter if there were none."""
        for slot in self._slots:
            slot.pop(tick, None)
        if not any(self._slots):
            self.close()

    def close(self) -> None:
        """Stop for good or until the next `add`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        ahead = next(n for n in range(SLOTS) if self._slots[(self._index + n) % SLOTS])
        self._timer = asyncio.get_running_loop().call_at(self._deadline_s(self._index + ahead), self._run)

    def _deadline_s(self, index: int) -> float:
        return self._epoch_s + index * SLOT_S

    def _run(self) -> None:
        now_s = asyncio.get_running_loop().time()
        late_s = now_s - self._deadline_s(self._index)
        if late_s > STALL_S:
            self._epoch_s += late_s
        # Loops count in milliseconds and wake up a little early: what is nearly due is done now.
        while self._deadline_s(self._index) <= now_s + SLOT_S / 2:
            slot = self._slots[self._index % SLOTS]
            if slot:
                self.latest_ms = max(self.latest_ms, (now_s - self._deadline_s(self._index)) * 1000)
                self._tick(slot)
            self._index += 1
        if any(self._slots):
            self._schedule()

    def _tick(self, slot: dict[Tick, Failed]) -> None:
        for tick, failed in tuple(slot.items()):
            if tick not in slot:
                continue
            try:
                tick()
            except Exception as error:
                slot.pop(tick, None)
                failed(error)

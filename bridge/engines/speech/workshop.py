"""One thread beside the loop, for what takes a voice longer than a call may wait."""

from __future__ import annotations

import asyncio
import threading
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bridge.engines.speech.sound import telephone_sound

T = TypeVar("T")


class Workshop:
    """The thread, begun when it is needed; one piece of work after the other."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, "cordboard-voice")

    async def do(self, work: Callable[[], T]) -> T:
        """What the work returns; it is done even if nobody waits for it any more."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def shape(self, samples: Callable[[], tuple[array[int], int]]) -> bytes:
        """Samples and their rate in Hz, as `telephone_sound`; given up when this is cancelled."""
        given_up = threading.Event()
        try:
            return await self.do(lambda: telephone_sound(*samples(), given_up))
        finally:
            given_up.set()

    def do_at_last(self, work: Callable[[], object]) -> None:
        """Work that nobody waits for, behind all that was begun."""
        self._worker.submit(work)

    async def close(self) -> None:
        """Finish what was begun, which takes well below a second."""
        await self.do(lambda: None)
        self.shut()

    def shut(self) -> None:
        """The same where nothing waits for the loop."""
        self._worker.shutdown()

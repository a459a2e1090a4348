"""A loop whose clock jumps over the time in which nothing happens: a call of three hours in minutes.

For a whole house in one process, with real sockets between its parts. While there is something to do
the clock goes as the wall's does; when all has been read, no thread is at work and the next thing to do
is a timer, it jumps there. So what the parts wait for takes no time, and what they do takes as much as
ever. A message still on its way through the system when the clock jumps comes late by one timer, 20 ms at
most in a call.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

THREAD_LOOK_S = 0.001

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    skipped_s = 0.0
    busy_threads = 0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        events = super().select(0)
        if events or timeout <= 0:
            return events
        if self.busy_threads:
            return super().select(min(timeout, THREAD_LOOK_S))
        self.skipped_s += timeout
        return events


class HurriedLoop(asyncio.SelectorEventLoop):
    """See above."""

    def __init__(self) -> None:
        self._jumps = _Selector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return super().time() + self._jumps.skipped_s

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._jumps.busy_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, future: asyncio.Future[Any]) -> None:
        self._jumps.busy_threads -= 1


@contextmanager
def wall_clock_follows(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """As long as this lasts, `time.time` tells the loop's time: sessions expire by it."""
    real, began_unix_s, began_s = time.time, time.time(), loop.time()
    time.time = lambda: began_unix_s + loop.time() - began_s
    try:
        yield
    finally:
        time.time = real


def run_hurried(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on such a loop and by its wall clock."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner, wall_clock_follows(runner.get_loop()):
        return runner.run(work)

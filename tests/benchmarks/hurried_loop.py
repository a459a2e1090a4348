"""A loop whose clock jumps over the time in which nothing happens: a call of three hours in minutes.

For a whole house in one process, with real sockets between its parts. While there is something to do
the clock goes as the wall's does; when all has been read, no work given to a thread and no process is
under way and the next thing to do is a timer, it jumps there. So what the parts wait for takes next to
no time, and what they do takes as much as ever. A message still on its way through the system when the
clock jumps comes late by one timer, 20 ms at most in a call; what threads of their own do (journal,
recordings) seems to take as many times longer as the clock may go faster than the wall's.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

LOOK_S = 0.001
"""How soon it is seen that a thread or a process has ended."""

FASTER = 50
"""How many times as fast as the wall's the clock goes at most."""

PAUSE_S = 0.005
"""It stands still for so long at once, for that."""

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0
        self.owed_s = 0.0
        self.busy_threads = 0
        self.processes: list[asyncio.SubprocessTransport] = []

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        events = super().select(0)
        if events or timeout <= 0:
            return events
        self.processes = [process for process in self.processes if process.get_returncode() is None]
        if self.busy_threads or self.processes:
            return super().select(min(timeout, LOOK_S))
        self.owed_s += timeout / FASTER
        if self.owed_s < PAUSE_S:
            self.skipped_s += timeout
            return events
        began_s = time.monotonic()
        events = super().select(self.owed_s)
        waited_s = time.monotonic() - began_s
        self.skipped_s += max(0.0, min(timeout, waited_s * FASTER if events else timeout) - waited_s)
        self.owed_s = 0.0
        return events


class HurriedLoop(asyncio.SelectorEventLoop):
    """See above. Until it is closed `time.time` tells its time: sessions expire by that."""

    def __init__(self) -> None:
        self._jumps = _Selector()
        super().__init__(self._jumps)
        self._wall_clock = time.time
        began_unix_s, began_s = time.time(), self.time()
        time.time = lambda: began_unix_s + self.time() - began_s

    def close(self) -> None:
        if not self.is_closed():
            time.time = self._wall_clock
        super().close()

    def time(self) -> float:
        return super().time() + self._jumps.skipped_s

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._jumps.busy_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def subprocess_exec(self, *args: Any, **how: Any) -> Any:  # type: ignore[override]
        transport, protocol = await super().subprocess_exec(*args, **how)
        self._jumps.processes.append(transport)
        return transport, protocol

    def _thread_done(self, future: asyncio.Future[Any]) -> None:
        self._jumps.busy_threads -= 1


def run_hurried(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on such a loop."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(work)

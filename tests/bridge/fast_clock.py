"""A loop whose clock jumps to the next timer as soon as nothing else is left to do: minutes in no time."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class _Selector(selectors.DefaultSelector):
    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        events = super().select(0)
        if not events:
            self.skipped_s += max(0.0, timeout)
        return events


class FastLoop(asyncio.SelectorEventLoop):
    """For what has timers and no peers: real sockets and threads would be overtaken."""

    def __init__(self) -> None:
        self._jumps = _Selector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return super().time() + self._jumps.skipped_s


def fast(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on a `FastLoop`; tasks that it leaves behind fail it."""

    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        async def whole() -> None:
            await test(*given, **named)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        with asyncio.Runner(loop_factory=FastLoop) as runner:
            runner.run(whole())

    return run

"""An engine that hears and speaks by itself, running for as long as a test needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from bridge.engines import Engine, Listener


class Desk(Listener, Protocol):
    """What listens to it in a test."""

    engine: Any
    """The `Engine`, with its counters."""


D = TypeVar("D", bound=Desk)


@asynccontextmanager
async def at_work(desk: D) -> AsyncIterator[D]:
    """The engine runs, and ends well when the test does."""
    engine: Engine = desk.engine
    running = asyncio.create_task(engine.run(desk))
    try:
        yield desk
        await engine.close()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

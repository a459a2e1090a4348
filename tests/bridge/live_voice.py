"""A live voice in a test: closed when that ends, and heard whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from bridge.engines.speech import LiveVoice
from bridge.rehearsal.mind import THANKS

Tested = TypeVar("Tested", bound=LiveVoice)


@asynccontextmanager
async def at_work(voice: Tested) -> AsyncIterator[Tested]:
    """It may be spoken with until the block ends."""
    try:
        yield voice
    finally:
        await voice.close()


async def spoken(voice: LiveVoice, text: str = THANKS) -> bytes:
    """All of its sound."""
    async with aclosing(voice.speak(text)) as pieces:
        return b"".join([piece async for piece in pieces])

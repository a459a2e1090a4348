"""A live voice as one that speaks whole."""

from __future__ import annotations

import asyncio

from bridge.engines.speech import LIMIT_S, LiveVoice, VoiceFailed
from bridge.engines.speech.sound import without_silence


class WholeVoice:
    """Made of a live voice, which it closes; see `Voice`."""

    def __init__(self, live: LiveVoice, limit_s: float = LIMIT_S) -> None:
        self._live = live
        self._limit_s = limit_s

    async def speak(self, text: str) -> bytes:
        """See `Voice.speak`."""
        try:
            async with asyncio.timeout(self._limit_s):
                sound = without_silence(b"".join([piece async for piece in self._live.speak(text)]))
        except TimeoutError:
            raise VoiceFailed("The words took too long to speak.") from None
        if not sound:
            raise VoiceFailed("Of the words only silence came.")
        return sound

    async def close(self) -> None:
        """See `Voice.close`."""
        await self._live.close()

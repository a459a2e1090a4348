"""A live voice for whoever wants a text's sound whole."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from bridge.audio import decode
from bridge.engines.speech import LIMIT_S, LiveVoice, VoiceFailed
from bridge.engines.speech.workshop import Workshop
from bridge.wav import TELEPHONE_HZ


class Collected:
    """See `Voice`. Closing it closes the live voice."""

    def __init__(self, voice: LiveVoice, limit_s: float = LIMIT_S) -> None:
        self._voice = voice
        self._limit_s = limit_s
        self._workshop = Workshop()

    async def speak(self, text: str) -> bytes:
        """See `Voice.speak`."""
        try:
            async with asyncio.timeout(self._limit_s):
                async with aclosing(self._voice.speak(text)) as pieces:
                    mulaw = b"".join([piece async for piece in pieces])
                sound = await self._workshop.shape(lambda: (decode(mulaw), TELEPHONE_HZ))
        except TimeoutError as error:
            raise VoiceFailed("The voice took too long: say less at once.") from error
        if not sound:
            raise VoiceFailed("The voice sent only silence.")
        return sound

    async def close(self) -> None:
        """See `Voice.close`."""
        await self._voice.close()
        await self._workshop.close()

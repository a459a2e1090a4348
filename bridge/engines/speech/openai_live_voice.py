"""OpenAI's speech endpoint, or that of a server which speaks its protocol, sentence by sentence."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bridge.engines.openai import BASE_URL
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.openai_voice import NAME, OpenAISpeech
from bridge.engines.speech.pcm_stream import PcmStream
from bridge.engines.speech.utterance import SILENT_S
from bridge.engines.speech.workshop import Workshop


class OpenAILiveVoice:
    """See `LiveVoice`. speed: of what is spoken next, above 1 faster."""

    vendor = "openai"

    def __init__(
        self,
        *,
        api_key: str,
        model: str,
        voice: str,
        base_url: str = BASE_URL,
        speed: float = 1.0,
        tls: ssl.SSLContext | None = None,
        patience_s: float = SILENT_S,
    ) -> None:
        """tls: whom to trust, the system's certificates if None. patience_s: until the next sound.

        Raises SettingsError when base_url is no address.
        """
        self.model = model
        self.speed = speed
        self._speech = OpenAISpeech(api_key=api_key, model=model, voice=voice, base_url=base_url, tls=tls)
        self._patience_s = patience_s
        self._workshop = Workshop()
        self._closed = False

    async def warm(self) -> None:
        """See `LiveVoice.warm`."""
        if self._closed:
            return
        await self._workshop.do(PcmStream)
        await self._speech.warm(self._patience_s)

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """See `LiveVoice.speak`."""
        if self._closed:
            raise VoiceFailed("The voice was closed.")
        # In the workshop, since the first one is a tenth of a second in the making.
        stream = await self._workshop.do(PcmStream)
        spoke = False
        async with aclosing(self._speech.pcm(text, self.speed, self._patience_s)) as pieces:
            async for piece in pieces:
                for mulaw in stream.take(piece):
                    if mulaw:
                        spoke = True
                        yield mulaw
                    # A piece may be more than a second's sound, and calls wait for the loop.
                    await asyncio.sleep(0)
        if not spoke:
            raise VoiceFailed(f"{NAME} sent no sound.")
        yield stream.end()

    async def close(self) -> None:
        """See `LiveVoice.close`."""
        if self._closed:
            return
        self._closed = True
        await self._speech.close()
        await self._workshop.close()

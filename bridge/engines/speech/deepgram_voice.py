"""Deepgram's aura as a live voice: `deepgram_voice_wire` behind a few warm sockets.

Sound on a socket carries no name, and one socket speaks one text after the other. Texts that are
asked for together are spoken on sockets of their own instead: their sound cannot mix, the second is
made while the first is still spoken, and one can be given up without the other. It also spreads
the texts: a socket takes twenty in a minute, a call seldom has more than thirty.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.deepgram_messages import AURA, aura_url
from bridge.engines.speech.deepgram_transcriber import BASE_URL, VENDOR, headers, lost
from bridge.engines.speech.deepgram_voice_wire import MOST_CHARACTERS, AuraWire
from bridge.engines.speech.utterance import SILENT_S
from bridge.engines.speech.voice_lines import Lines

NAME = "Deepgram"
MOST_SOCKETS = 3
"""Two texts at once, and one that was just given up."""


class DeepgramVoice:
    """See `LiveVoice`."""

    vendor = VENDOR

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        model: str = "",
        tls: ssl.SSLContext | None = None,
        patience_s: float = SILENT_S,
    ) -> None:
        """base_url: http or https, without a slash at its end. model: voice and language in one, "" for the usual.

        tls: whom to trust, the system's certificates if None. patience_s: until the next sound.
        """
        self.model = model or AURA
        self._lines = Lines(
            NAME,
            aura_url(base_url, self.model),
            headers(api_key),
            most=MOST_SOCKETS,
            wire=AuraWire,
            in_words=lost,
            patience_s=patience_s,
            tls=tls,
        )

    async def warm(self) -> None:
        """See `LiveVoice.warm`."""
        await self._lines.warm()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """See `LiveVoice.speak`."""
        if len(text) > MOST_CHARACTERS:
            text = f"Deepgram speaks at most {MOST_CHARACTERS} characters at a time."
            raise VoiceFailed(text, unspeakable=True)
        if not text.strip():
            return
        async with aclosing(self._lines.speak(text)) as pieces:
            async for mulaw in pieces:
                yield mulaw

    async def close(self) -> None:
        """See `LiveVoice.close`."""
        await self._lines.close()

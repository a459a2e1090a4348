"""OpenAI's Realtime API as a voice: `realtime_voice_wire` behind two sessions that are kept."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping

from bridge.engines.openai import BASE_URL, bearer, load_prices, lost, realtime_url
from bridge.engines.prices import Rates
from bridge.engines.speech.realtime_voice_wire import RealtimeVoiceWire
from bridge.engines.speech.utterance import SILENT_S
from bridge.engines.speech.voice_lines import Lines

NAME = "OpenAI"
MODEL = "gpt-realtime-2.1-mini"
VOICE = "marin"
SESSIONS = 2
"""A session reads one sentence at a time: the next one is made while one is heard."""


class RealtimeVoice:
    """See `LiveVoice`. speed: of what is spoken next, 0.25 to 1.5."""

    vendor = "realtime"

    def __init__(
        self,
        *,
        api_key: str,
        model: str = MODEL,
        voice: str = VOICE,
        base_url: str = BASE_URL,
        speed: float = 1.0,
        prices: Mapping[str, Rates] | None = None,
        tls: ssl.SSLContext | None = None,
        patience_s: float = SILENT_S,
    ) -> None:
        """prices: instead of `load_prices`. tls: whom to trust, the system's certificates if None.

        patience_s: until the next sound. Raises SettingsError when base_url is no address.
        """
        self.model = model
        self.speed = speed
        self._wires: list[RealtimeVoiceWire] = []
        rates = load_prices() if prices is None else prices

        def wire() -> RealtimeVoiceWire:
            made = RealtimeVoiceWire(model, voice, rates)
            self._wires.append(made)
            return made

        self._lines = Lines(
            NAME,
            realtime_url(base_url, model=model),
            bearer(api_key),
            most=SESSIONS,
            wire=wire,
            in_words=lost,
            patience_s=patience_s,
            tls=tls,
        )

    @property
    def cost_usd(self) -> float:
        """Of all that was spoken, as the peer counted."""
        return sum(wire.cost_usd for wire in self._wires)

    @property
    def other_words(self) -> int:
        """Sentences that were said otherwise than they were given."""
        return sum(wire.other_words for wire in self._wires)

    async def warm(self) -> None:
        """See `LiveVoice.warm`."""
        await self._lines.warm(SESSIONS)

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """See `LiveVoice.speak`."""
        return self._lines.speak(text, self.speed)

    async def close(self) -> None:
        """See `LiveVoice.close`."""
        await self._lines.close()

"""What a cascade consumes of each vendor, and what that costs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.audio import BYTES_PER_MS
from bridge.engines import Used
from bridge.engines.prices import Rates, minutes_usd, rates_for, speech_usd, tokens_usd

CHARS_PER_TOKEN = 4
"""About; for what a model did not come to count, since a stream that is closed early tells no usage."""


class Bill:
    """One call's. Each of three is (vendor, model). voice_usd: all that the voice has cost, where it counts itself."""

    def __init__(
        self,
        prices: Mapping[str, Rates],
        *,
        transcriber: tuple[str, str],
        chat: tuple[str, str],
        voice: tuple[str, str],
        voice_usd: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._transcriber, self._chat, self._voice = transcriber[0], chat[0], voice[0]
        self._ear_rates, self._chat_rates, self._voice_rates = (
            rates_for(model, prices) for _, model in (transcriber, chat, voice)
        )
        self.heard_bytes = 0
        """Sound that a transcriber got since the last `take`."""

        self.spoken_chars = 0
        """Text that a voice got since then."""

        self._thrown_away = (0, 0.0)
        self._voice_usd, self._voice_told_usd = voice_usd, 0.0

    def reply(
        self, counted: tuple[int, int, int] | None, asked: Sequence[Mapping[str, Any]], text: str
    ) -> tuple[int, float]:
        """Tokens and USD of one reply. counted: tokens read, cached of these, and written, if the model told."""
        if counted is None:
            read = sum(len(str(message.get("content") or "")) for message in asked) // CHARS_PER_TOKEN
            counted = (read, 0, len(text) // CHARS_PER_TOKEN if asked else 0)
        read, cached, written = counted
        return read + written, tokens_usd(self._chat_rates, text_in=read, text_cached=cached, text_out=written)

    def throw_away(self, tokens: int, cost_usd: float) -> None:
        """A reply that nobody was told of used these."""
        self._thrown_away = (self._thrown_away[0] + tokens, self._thrown_away[1] + cost_usd)

    def take(self) -> list[Used]:
        """What was used since the last time, by vendor."""
        seconds, chars = self.heard_bytes / BYTES_PER_MS / 1000, self.spoken_chars
        tokens, chat_usd = self._thrown_away
        self.heard_bytes = self.spoken_chars = 0
        self._thrown_away = (0, 0.0)
        used = []
        if seconds:
            used.append(Used(0, minutes_usd(self._ear_rates, seconds), self._transcriber))
        if tokens:
            used.append(Used(tokens, chat_usd, self._chat))
        counted_usd = self._voice_usd() - self._voice_told_usd
        self._voice_told_usd += counted_usd
        if chars or counted_usd:
            used.append(Used(0, speech_usd(self._voice_rates, chars) + counted_usd, self._voice))
        return used

"""What speech services are to a call: words from sound, and sound from words.

Each vendor is one file that offers one of these. A transcriber writes down what an operator says
while they have the floor; a voice speaks exactly the words it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Words(Protocol):
    """Who is told what was heard. Called from a reader, so it must return at once."""

    def started(self, turn_id: str, at_ms: int) -> None:
        """Somebody began to speak at call time ``at_ms``; ``turn_id`` will carry the words."""

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        """The whole text of the turn as known so far; final when it will not change."""

    def failed(self, turn_id: str, reason: str) -> None:
        """The turn will never have its words."""


class Transcriber(Protocol):
    """Writes down one voice for as long as `run` lasts."""

    async def run(self, words: Words) -> None:
        """Connect, then listen until `close`; returns normally only then. Raises engines.EngineLost."""

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """Sound of any length, spoken at call time ``at_ms``. Never waits: what the peer does not take is dropped.

        Before it is ready the newest 10 s are kept and sent then.
        """

    async def close(self) -> None:
        """End within 2 s: the last words may still come in that time. Safe to call more than once."""


LIMIT_S = 8.0
"""Longest that a voice may take to speak."""


class VoiceFailed(Exception):
    """The words cannot be spoken; the text is a sentence for the operator."""


class Voice(Protocol):
    """Speaks words exactly as given."""

    async def speak(self, text: str) -> bytes:
        """mu-law, 8 kHz mono, without silence at its ends. Raises VoiceFailed, after 8 s at the latest."""

    async def close(self) -> None:
        """Let go of connections."""


MakeTranscriber = Callable[[], Transcriber]

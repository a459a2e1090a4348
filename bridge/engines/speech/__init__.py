"""What speech services are to a call: words from sound, and sound from words.

Each vendor is one file that offers one of these. A transcriber writes down what one voice says: an
operator's while they have the floor, the caller's for a cascade. A voice speaks exactly the words it
is given, whole; a live voice is the same for a cascade: its sound is passed on as it comes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol


class Words(Protocol):
    """Who is told what was heard. Called from a reader, so it must return at once.

    The last three are for who takes turns with the speaker; whoever only writes down inherits them.
    """

    def started(self, turn_id: str, at_ms: int) -> None:
        """Somebody began to speak at call time ``at_ms``; ``turn_id`` will carry the words."""

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        """The whole text of the turn as known so far; final when it will not change."""

    def failed(self, turn_id: str, reason: str) -> None:
        """The turn will never have its words."""

    def may_end(self, turn_id: str) -> None:
        """The peer believes that the turn is about to be over (its words are those told last)."""
        return

    def goes_on(self, turn_id: str) -> None:
        """It was not: the speaker goes on, in the same turn."""
        return

    def ended(self, turn_id: str, at_ms: int) -> None:
        """The speaker finished at call time ``at_ms``, as the peer judges; final words come before or after."""
        return


class Transcriber(Protocol):
    """Writes down one voice for as long as `run` lasts."""

    async def run(self, words: Words) -> None:
        """Connect, then listen until `close`; returns normally only then. Raises engines.EngineLost."""

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """Sound of any length, spoken at call time ``at_ms``. Never waits: what the peer does not take is dropped.

        Before it is ready the newest `engines.KEPT_MS` are kept and sent then; so much may be heard at once later, too.
        """

    def pause(self) -> None:
        """The speaker fell silent: a peer that does not judge by itself is to judge what it has."""

    async def close(self) -> None:
        """End within 2 s: the last words may still come in that time. Safe to call more than once."""


LIMIT_S = 8.0
"""Longest that a voice may take to speak."""


class VoiceFailed(Exception):
    """The words cannot be spoken; the text is a sentence for the operator. fatal: nor will others be.

    unspeakable: it is these words that are refused, others may be spoken. again_after_s: before that it is
    pointless to try again.
    """

    def __init__(
        self, text: str, *, fatal: bool = False, unspeakable: bool = False, again_after_s: float = 0.0
    ) -> None:
        super().__init__(text)
        self.fatal = fatal
        self.unspeakable = unspeakable
        self.again_after_s = again_after_s


class Voice(Protocol):
    """Speaks words exactly as given."""

    async def speak(self, text: str) -> bytes:
        """mu-law, 8 kHz mono, without silence at its ends. Raises VoiceFailed, after 8 s at the latest."""

    async def close(self) -> None:
        """Let go of connections."""


class LiveVoice(Protocol):
    """Speaks a reply sentence by sentence.

    vendor, model: for prices and figures, such as elevenlabs and eleven_flash_v2_5.
    """

    vendor: str
    model: str

    async def warm(self) -> None:
        """Connect ahead, so that the first sentence comes sooner. Never raises."""

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """mu-law 8 kHz in pieces of any size, as they come. Several may be asked for at once.

        Closing the iterator (`aclose`) cancels it at the vendor at once. Raises VoiceFailed while it is
        read; `VoiceFailed.fatal` when trying again is pointless.
        """

    async def close(self) -> None:
        """Let go of connections."""


MakeTranscriber = Callable[[], Transcriber]

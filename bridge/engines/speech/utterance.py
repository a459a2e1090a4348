"""One sentence on its way from a vendor to whoever speaks it."""

from __future__ import annotations

import asyncio

from bridge.engines.speech import VoiceFailed

SILENT_S = 2.5
"""Longest that a live voice may let one wait for its next sound: with it, a call is never silent for 3 s."""

MOST_BYTES = 8000 * 600
"""Ten minutes: more than the longest sentence takes."""


class Utterance:
    """Given by a vendor's reader, which never waits; taken by one who does.

    begun: whether any sound came. over: nothing more will.
    """

    def __init__(self) -> None:
        self.begun = False
        self.over = False
        self._failure: VoiceFailed | None = None
        self._pieces: list[bytes] = []
        self._left_bytes = MOST_BYTES
        self._news: asyncio.Future[None] | None = None

    def give(self, mulaw: bytes) -> None:
        """More sound, of any length; after the end it is dropped."""
        if self.over or not mulaw:
            return
        self._left_bytes -= len(mulaw)
        if self._left_bytes < 0:
            self.end(VoiceFailed("The voice sent far more sound than the words take."))
            return
        self.begun = True
        self._pieces.append(mulaw)
        self._tell()

    def end(self, failure: VoiceFailed | None = None) -> None:
        """The end, or why there will be none; what was given before it is still taken."""
        if not self.over:
            self.over = True
            self._failure = failure
            self._tell()

    async def take(self, name: str, patience_s: float = SILENT_S) -> bytes:
        """The sound that came since, b"" at its end. Waits for it; one at a time may.

        name: of who is to speak, for the operator. Raises VoiceFailed as `end` was told, or when nothing
        comes for this long.
        """
        if not self._pieces and not self.over:
            self._news = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._news], timeout=patience_s)
        if self._pieces:
            sound = b"".join(self._pieces)
            self._pieces.clear()
            return sound
        if not self.over:
            raise VoiceFailed(f"{name} did not answer in time.")
        if self._failure is not None:
            raise self._failure
        return b""

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

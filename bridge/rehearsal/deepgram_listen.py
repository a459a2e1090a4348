"""What the rehearsal's Deepgram has of an ear, whichever way it listens: nova's or flux's.

It really listens: to silence for where speech begins and ends, and for rehearsed lines, whose words
it tells while they are spoken, as many as have gone by. Nobody's words are "[speech, 2.3 s]", and
told only when they are over.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import msgspec

from bridge.audio import BYTES_PER_MS, FRAME_MS
from bridge.rehearsal.deepgram_socket import Socket
from bridge.rehearsal.ear import START_FRAMES, Ear, Started, Vad
from bridge.rehearsal.speech import word_starts

NO_SOUND = "NET-0001: Deepgram did not receive audio data or a text message within the timeout window."
NO_AUDIO = "DATA-0000: The payload cannot be decoded as audio."

_PIECE_BYTES = 100 * BYTES_PER_MS
_FAMILIAR_BYTES = 1500 * BYTES_PER_MS
"""What is not known by then is not looked at again until it is over: strangers cost the most."""

_BEFORE_MS = START_FRAMES * FRAME_MS


class Listener(Socket):
    """What both have in common: an ear, and what is understood of the speech that is under way. heard: the turns."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.ear = Ear(Vad())
        self.heard: list[str] = []
        self.begun_ms = 0
        self.over_ms = 0
        self._known = False

    async def idle(self) -> None:
        """See `Socket.idle`."""
        await self.leave(1011, NO_SOUND)

    async def hear(self, sound: bytes) -> None:
        """See `Socket.hear`. No sound at all is the end of the stream."""
        if not sound:
            await self.obey({"type": "CloseStream"})
        elif _is_audio(sound):
            for at in range(0, len(sound), _PIECE_BYTES):
                await self.listen(sound[at : at + _PIECE_BYTES])
        else:
            await self.leave(1008, NO_AUDIO)

    @abstractmethod
    async def listen(self, piece: bytes) -> None:
        """A tenth of a second at most."""

    def began(self, event: Started) -> None:
        """Speech began, some sound before."""
        self._known = False
        self.begun_ms = max(event.at_ms, self.ear.position_ms - _BEFORE_MS)

    async def understood(self, audio: bytes, *, over: bool) -> str:
        """The words in it. over: whether there will be no more of it."""
        if not over and not self._known and len(audio) > _FAMILIAR_BYTES:
            return ""
        text = " ".join(one.transcript for one in await self.model.understand(audio))
        self._known = not text.startswith("[")
        return text if over or self._known else ""

    def timed(self, text: str, until_ms: int) -> list[tuple[str, float, float]]:
        """Each word with when it began and ended, in seconds, as if spread over the speech."""
        span_ms = max(0, until_ms - self.begun_ms)
        starts = [(word.strip(), (self.begun_ms + at) / 1000) for word, at in word_starts(text, span_ms)]
        ends = [start for _, start in starts[1:]] + [until_ms / 1000]
        return [(word, start, end) for (word, start), end in zip(starts, ends, strict=True)]


def _is_audio(sound: bytes) -> bool:
    """Whether it is neither a message nor a file: any other bytes are mu-law."""
    if sound.startswith((b"RIFF", b"OggS", b"ID3")):
        return False
    try:
        return not (sound.startswith(b"{") and msgspec.json.decode(sound))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True

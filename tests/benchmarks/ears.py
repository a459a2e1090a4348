"""What a rehearsed caller says and hears, as sound or silence, 20 ms at a time; nothing of it is kept but that."""

from __future__ import annotations

from bridge.audio import FRAME_BYTES, FRAME_MS, peak
from bridge.rehearsal.line import Line

AUDIBLE = 12
"""Height (`bridge.audio.peak`) from which a frame is a sound and not silence."""


class Ears:
    """heard, said: a byte for each frame, 1 for a sound. They stay of one length."""

    def __init__(self, line: Line) -> None:
        self.heard = bytearray()
        self.said = bytearray()
        self._line = line

    async def tick(self) -> None:
        """Until the next frame has been heard. Raises LineEnded when the call is over."""
        await self._line.until(lambda line: len(line.heard) >= FRAME_BYTES)
        for marks, sound in ((self.heard, self._line.heard), (self.said, self._line.said)):
            whole = len(sound) - len(sound) % FRAME_BYTES
            for at in range(0, whole, FRAME_BYTES):
                marks.append(peak(bytes(sound[at : at + FRAME_BYTES])) > AUDIBLE)
            del sound[:whole]

    @property
    def now(self) -> int:
        """How many frames there were."""
        return len(self.heard)

    @property
    def last_word(self) -> int:
        """The frame after the last one in which the caller spoke."""
        return self.said.rfind(1) + 1

    @property
    def quiet_ms(self) -> int:
        """How long nothing has been heard."""
        return (self.now - self.heard.rfind(1) - 1) * FRAME_MS

    def longest_silence_ms(self, start: int, end: int) -> int:
        """Between two frames."""
        return max(map(len, self.heard[start:end].split(b"\x01")), default=0) * FRAME_MS

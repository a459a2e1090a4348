"""What the telephone company plays to a caller: a buffer played in real time, marks, and what was heard.

No sockets and no clock: `tick` is called every 20 ms of the stream. Twilio's rules: audio queues up and
plays in order; a mark comes back when the audio before it has been played; ``clear`` empties the buffer
and returns all marks that wait; audio beyond ten minutes of buffer is thrown away.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from bridge.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENT_FRAME

BUFFER_BYTES = 10 * 60 * 1000 * BYTES_PER_MS
UNDERRUN_BYTES = 200 * BYTES_PER_MS
"""A longer silence may as well be the pause between two things said."""


class Underrun(NamedTuple):
    """The buffer ran dry in the midst of speech: a gap that the caller heard."""

    at_ms: int
    gap_ms: int


class Playback:
    """One stream's way to the caller's ear.

    heard: where all that is played is added, mu-law, one byte a sample, silence where there was
    nothing; None keeps nothing. played_bytes: how much of it was audio that was sent to us.
    """

    def __init__(self, heard: bytearray | None) -> None:
        self.heard = heard
        self.played_bytes = 0
        self.position_ms = 0
        self.underruns: list[Underrun] = []
        self._queue = bytearray()
        self._marks: deque[tuple[int, str]] = deque()
        self._in_flight_bytes = 0
        self._dry_bytes = UNDERRUN_BYTES

    @property
    def buffered_bytes(self) -> int:
        """How much waits to be played."""
        return len(self._queue)

    def push(self, audio: bytes) -> bool:
        """Queue audio; False when ten minutes are queued already and it was thrown away."""
        if len(self._queue) + len(audio) > BUFFER_BYTES:
            return False
        self._queue += audio
        return True

    def mark(self, name: str) -> bool:
        """Queue a mark; True when nothing is before it, so that it comes back at once."""
        if not self._queue and not self._marks and not self._in_flight_bytes:
            return True
        self._marks.append((self.played_bytes + len(self._queue), name))
        return False

    def clear(self) -> list[str]:
        """Forget what was not played yet; all marks that wait. The frame being played is not recalled."""
        names = [name for _, name in self._marks]
        self._queue.clear()
        self._marks.clear()
        self._dry_bytes = UNDERRUN_BYTES
        return names

    def tick(self) -> tuple[bytes, list[str]]:
        """The next 20 ms for the caller's ear, and the marks whose audio has been played by now."""
        names: list[str] = []
        while self._marks and self._marks[0][0] <= self.played_bytes:
            names.append(self._marks.popleft()[1])
        self.position_ms += FRAME_MS
        if not self._queue:
            self._in_flight_bytes = 0
            self._dry_bytes += FRAME_BYTES
            if self.heard is not None:
                self.heard += SILENT_FRAME
            return SILENT_FRAME, names
        if 0 < self._dry_bytes < UNDERRUN_BYTES:
            self.underruns.append(Underrun(self.position_ms - FRAME_MS, self._dry_bytes // BYTES_PER_MS))
        frame = bytes(self._queue[:FRAME_BYTES])
        del self._queue[:FRAME_BYTES]
        self._in_flight_bytes = len(frame)
        self.played_bytes += len(frame)
        self._dry_bytes = FRAME_BYTES - len(frame)
        frame += SILENT_FRAME[len(frame) :]
        if self.heard is not None:
            self.heard += frame
        return frame, names

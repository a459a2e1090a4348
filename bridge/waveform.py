"""A call's waveform as an operator sees it: one column per telephone frame. Pure.

Four lanes of bytes, one byte a column of `COLUMN_MS`: how loud the caller was, how loud what the
caller heard was, whose voice that was, and what was cut off before it could be heard.
"""

from __future__ import annotations

from bridge.audio import FRAME_BYTES, LOUDNESS
from bridge.control import COLUMN_MS, Party

VOICES = {Party.AI: 1, Party.OPERATOR: 2}
MAX_COLUMNS = 4 * 3600 * 1000 // COLUMN_MS
"""Four hours: the longest call that a carrier allows by default."""


_QUIETER = tuple(bytes(code for code in range(256) if LOUDNESS[code] < height) for height in (128, 64, 32, 16, 1))
"""The codes that do not reach each of these heights, the tallest first."""


def heights(mulaw: bytes) -> bytes:
    """The peak of each frame of the audio; a shorter last frame counts as one."""
    peaks = bytearray()
    for start in range(0, len(mulaw), FRAME_BYTES):
        frame = mulaw[start : start + FRAME_BYTES]
        # Most samples are nowhere near the peak; leaving them out is twice as fast as asking all.
        for quieter in _QUIETER:
            if tall := frame.translate(LOUDNESS, quieter):
                peaks.append(max(tall))
                break
        else:
            peaks.append(0)
    return bytes(peaks)


class Waveform:
    """All columns of one call. ``touched`` is the first column changed since it was last taken."""

    def __init__(self) -> None:
        self.caller = bytearray()
        self.line = bytearray()
        self.voice = bytearray()
        self.ghosts: list[tuple[int, bytes]] = []
        self._touched: int | None = None

    def _room(self, first: int, columns: int) -> bool:
        end = first + columns
        if first < 0 or end > MAX_COLUMNS:
            return False
        if len(self.caller) < end:
            more = bytes(end - len(self.caller))
            self.caller += more
            self.line += more
            self.voice += more
        self._touched = first if self._touched is None else min(first, self._touched)
        return True

    def add_caller(self, at_ms: int, mulaw: bytes) -> None:
        """What the caller said from ``at_ms`` on."""
        columns = heights(mulaw)
        first = at_ms // COLUMN_MS
        if self._room(first, len(columns)):
            self.caller[first : first + len(columns)] = columns

    def add_line(self, at_ms: float, mulaw: bytes, voice: Party) -> None:
        """What the caller heard from ``at_ms`` on, and from whom."""
        columns = heights(mulaw)
        first = round(at_ms / COLUMN_MS)
        if self._room(first, len(columns)):
            self.line[first : first + len(columns)] = columns
            self.voice[first : first + len(columns)] = bytes([VOICES.get(voice, 0)]) * len(columns)

    def add_ghost(self, at_ms: float, mulaw: bytes) -> tuple[int, bytes]:
        """What the caller would have heard; returns (first column, heights)."""
        ghost = (max(0, round(at_ms / COLUMN_MS)), heights(mulaw))
        self.ghosts.append(ghost)
        return ghost

    def take_touched(self) -> int | None:
        """The first column changed since the last call, None when none was."""
        touched, self._touched = self._touched, None
        return touched

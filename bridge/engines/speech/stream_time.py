"""When in the call the moments of a stream of sound were spoken.

A transcriber counts only the sound that it was sent, and sound need not come without gaps: what is
muted, held or dropped is missing in its time.
"""

from __future__ import annotations

from collections import deque

from bridge.audio import BYTES_PER_MS

SLACK_MS = 20
"""Sound comes a little early and late; less than a frame is no gap."""

EDGE_MS = 100
"""What begins so shortly before a gap began after it: a peer is not exact to the frame."""

KEPT_GAPS = 128


class StreamTime:
    """One stream: tell what was sent, ask for call times."""

    def __init__(self) -> None:
        self._sent_bytes = 0
        self._shift_ms = 0
        self._shifts: deque[tuple[int, int]] = deque(maxlen=KEPT_GAPS)

    @property
    def sent_ms(self) -> int:
        """How long the stream is by now."""
        return self._sent_bytes // BYTES_PER_MS

    def sent(self, length_bytes: int, at_ms: int) -> None:
        """So much mu-law was sent, spoken from call time ``at_ms`` on."""
        sent_ms = self._sent_bytes // BYTES_PER_MS
        shift_ms = at_ms - sent_ms
        if not self._shifts or not -SLACK_MS <= shift_ms - self._shift_ms <= SLACK_MS:
            self._shift_ms = shift_ms
            self._shifts.append((sent_ms, shift_ms))
        self._sent_bytes += length_bytes

    def padded(self, length_bytes: int) -> None:
        """So much was sent that nobody spoke."""
        self._sent_bytes += length_bytes

    def call_ms(self, stream_ms: int) -> int:
        """Call time of a moment in the stream. Before any sound that is the moment itself."""
        stream_ms = max(0, min(stream_ms, self.sent_ms))
        for start_ms, shift_ms in reversed(self._shifts):
            if start_ms <= stream_ms + EDGE_MS:
                return max(stream_ms, start_ms) + shift_ms
        return stream_ms + (self._shifts[0][1] if self._shifts else 0)

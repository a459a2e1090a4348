"""An operator's voice on its way to the carrier: even, and never far behind. Pure.

The jitter buffer is the carrier's own: speech that begins is preceded by `LEAD_MS` of silence, and
from then on every piece leaves the moment it comes, so that it waits there and not here. That adds
nothing to the way out, and evens out the way to the carrier as well. A microphone's clock that runs
fast or slow shows in how far ahead the carrier is; single samples are left out or doubled, where
they are softest, to keep that between `LOW_MS` and `HIGH_MS`.
"""

from __future__ import annotations

from bridge.audio import FRAME_BYTES, LOUDNESS, silence

LEAD_MS = 60
LOW_MS, HIGH_MS = 40, 80
MOST_MS = 200
"""Further ahead than this, speech is late: it is dropped until the carrier has caught up."""

WINDOW = 50
"""Pieces after which the least that the carrier was ahead tells of drift: a second."""


class Voice:
    """One take-over's speech. dropped: pieces that came too late to be of use."""

    def __init__(self) -> None:
        self.dropped = 0
        self._least_ms = float(MOST_MS)
        self._seen = 0
        self._step = 0

    def shape(self, mulaw: bytes, ahead_ms: float) -> bytes:
        """What to send for this piece; b"" for nothing. ahead_ms: audio that the carrier still has to play."""
        if ahead_ms <= 0:
            self._begin_window()
            self._step = 0
            return silence(LEAD_MS) + mulaw
        if ahead_ms > MOST_MS:
            self.dropped += 1
            return b""
        self._least_ms = min(self._least_ms, ahead_ms)
        self._seen += 1
        if self._seen >= WINDOW:
            self._step = -1 if self._least_ms > HIGH_MS else 1 if self._least_ms < LOW_MS else 0
            self._begin_window()
        if self._step and len(mulaw) >= FRAME_BYTES:
            at = min(range(len(mulaw)), key=lambda index: LOUDNESS[mulaw[index]])
            mulaw = mulaw[:at] + mulaw[at : at + 1] * (1 + self._step) + mulaw[at + 1 :]
        return mulaw

    def _begin_window(self) -> None:
        self._least_ms, self._seen = float(MOST_MS), 0

"""The listening buffer: both sides of a call, aligned by call time, a few hundredths of a second behind. Pure.

Frames go in as they arrive, early, late or not at all; `take` gives a steady stream. The loudspeaker's
clock is never the caller's: what it gains or loses is put right by single samples at soft places, and so
is what a busy machine left too much of, within a second or two.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.control import HeardFrame, Side
from console.mulaw import PER_MS, decode

Lanes: TypeAlias = npt.NDArray[np.int16]
"""Shape (2, samples): the caller, and what the caller hears; 8 kHz."""

LEAST_MS, MOST_MS, STEP_MS = 20, 40, 10
FULL_MS = 120
"""Further behind than this, the oldest is dropped."""

TOLERATED_MS = 5
MS_PER_SAMPLE = 3
"""How far off it has to be for each sample that is put in or left out at once."""

MOST_AT_ONCE = 4
CALM_MS = 10_000
"""After so much sound without a gap the buffer tries to be shorter again."""

ROUNDING_MS = 2
"""Times are told in whole ms: what begins so near the end of what went before follows it."""

SMOOTHING = 0.02
REACH_MS = FULL_MS + 1000
"""Call time that fits; a frame from further away begins anew."""


class Monitor:
    """One call's sound on its way to one loudspeaker. aim_ms: how much is kept ahead, LEAST_MS to MOST_MS."""

    def __init__(self) -> None:
        self.aim_ms = LEAST_MS
        self._sound: Lanes = np.zeros((2, REACH_MS * PER_MS), np.int16)
        # Call time of the first sample, and how many samples from there on there are, of either side.
        self._at = 0
        self._ready = 0
        self._waiting = True
        self._usual = 0.0
        self._calm = 0
        # What the caller hears: call time of its newest end, and by how much it is laid later.
        self._line_end = 0
        self._line_shift = 0

    @property
    def ahead_ms(self) -> float:
        """How much there is to be taken."""
        return self._ready / PER_MS

    def lacks(self, samples: int) -> bool:
        """Whether `take` would run dry."""
        return not self._waiting and self._ready <= samples

    def put(self, frame: HeardFrame) -> None:
        """What is too late is dropped."""
        samples = decode(frame.audio)[: FULL_MS * PER_MS]
        at = frame.at_ms * PER_MS
        if frame.side is Side.LINE:
            at = self._line_at(at, len(samples))
        start = at - self._at
        reach = REACH_MS * PER_MS
        if (self._waiting and self._ready == 0) or not -reach < start <= reach - len(samples):
            self._forget(self._ready)
            self._at, start, self._waiting = at, 0, True
        if start < 0:
            samples, start = samples[-start:], 0
        if not len(samples):
            return
        end = start + len(samples)
        self._sound[frame.side, start:end] = samples
        self._ready = max(self._ready, end)
        if self._ready > FULL_MS * PER_MS:
            self._forget(self._ready - self.aim_ms * PER_MS)
            self._usual = float(self._ready)

    def _line_at(self, at: int, length: int) -> int:
        """Where to lay what the caller hears: it is known only once it was heard, and the way there and back later.

        So it is laid beside the caller's newest sound, and what follows it directly follows it here too.
        """
        newest = self._at + self._ready - length
        follows = abs(at - self._line_end) <= ROUNDING_MS * PER_MS
        if not follows or at + self._line_shift < self._at:
            self._line_shift = max(0, newest - at) if self._ready else 0
        self._line_end = at + length
        return at + self._line_shift

    def take(self, samples: int, short: int = 0) -> Lanes:
        """The next samples of both sides, shape (2, samples); silence where there is nothing.

        short: samples that whoever takes them should have in hand already. The caller's clock is slow, then.
        """
        if self._waiting:
            if self._ready < self.aim_ms * PER_MS:
                return np.zeros((2, samples), np.int16)
            # After a silence nobody misses the first moments of what was held up: it begins near.
            self._forget(self._ready - self.aim_ms * PER_MS)
            self._waiting, self._usual = False, float(self._ready)
        if self.lacks(samples):
            return self._run_dry(samples)
        self._settle(samples)
        self._usual += (self._ready - short - self._usual) * SMOOTHING
        off_ms = (self._usual - self.aim_ms * PER_MS) / PER_MS
        by = 0
        if abs(off_ms) >= TOLERATED_MS:
            by = max(-MOST_AT_ONCE, min(int(off_ms / MS_PER_SAMPLE), MOST_AT_ONCE))
        by = min(by, self._ready - samples)
        lanes = self._sound[:, : samples + by].copy()
        if by:
            softest = np.abs(lanes.astype(np.int32)).sum(axis=0).argsort(kind="stable")[: abs(by)]
            lanes = (
                np.delete(lanes, softest, axis=1) if by > 0 else np.insert(lanes, softest, lanes[:, softest], axis=1)
            )
            self._usual -= by
        self._forget(samples + by)
        return lanes

    def _run_dry(self, samples: int) -> Lanes:
        """The last there is, and silence; from now on more is kept ahead."""
        lanes: Lanes = np.zeros((2, samples), np.int16)
        lanes[:, : self._ready] = self._sound[:, : self._ready]
        self._forget(self._ready)
        self._waiting, self._calm = True, 0
        self.aim_ms = min(self.aim_ms + STEP_MS, MOST_MS)
        return lanes

    def _settle(self, samples: int) -> None:
        self._calm += samples
        if self._calm >= CALM_MS * PER_MS:
            self._calm, self.aim_ms = 0, max(self.aim_ms - STEP_MS, LEAST_MS)

    def _forget(self, samples: int) -> None:
        kept = self._ready - samples
        self._sound[:, :kept] = self._sound[:, samples : self._ready].copy()
        self._sound[:, kept : self._ready] = 0
        self._at += samples
        self._ready = kept

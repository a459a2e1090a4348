"""Telephone sound as numbers: mu-law bytes to 16-bit samples, back, and how tall they are drawn. Pure.

8 kHz mono, one byte a sample. Decoding and encoding: ITU-T G.711, table 2a; the encoder keeps all 16
bits of its input, as the bridge's does.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]

RATE_HZ = 8000
PER_MS = 8
PIECE_MS = 20
PIECE_BYTES = PIECE_MS * PER_MS
"""What travels at a time: 20 ms."""

FULL_SCALE = 32124
"""The loudest sample that there is in mu-law."""

_BIAS = 132
_CLIP = 32635


def _decoded() -> Samples:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + _BIAS) << ((code & 0x70) >> 4)) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encoded() -> npt.NDArray[np.uint8]:
    sample = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.searchsorted(2 ** np.arange(8, 16), magnitude, side="right")
    code = np.where(sample < 0, 0x80, 0) | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F
    return np.asarray(~code & 0xFF, np.uint8)


_DECODED = _decoded()
_ENCODED = _encoded()


def decode(mulaw: bytes) -> Samples:
    """Samples of mu-law bytes, one for one."""
    return _DECODED[np.frombuffer(mulaw, np.uint8)]


def encode(samples: Samples) -> bytes:
    """mu-law bytes of samples, one for one."""
    return _ENCODED[samples.astype(np.int32) + 32768].tobytes()


def height(samples: Samples) -> int:
    """How tall the loudest sample is drawn, 0 (silence, or no samples) .. 255: the square root, as the bridge draws."""
    loudest = min(int(np.abs(samples.astype(np.int32)).max(initial=0)), FULL_SCALE)
    return round(255 * math.sqrt(loudest / FULL_SCALE))

"""Telephone audio as bytes: G.711 mu-law tables, loudness, silence.

mu-law here is always 8 kHz mono, one byte a sample: 1 ms is 8 bytes, one frame (20 ms) is 160.
Decoding and encoding: ITU-T G.711, table 2a; the encoder keeps all 16 bits of its input, so it
differs in the last step from encoders that drop two bits first.
"""

from __future__ import annotations

from array import array

BYTES_PER_MS = 8
FRAME_MS = 20
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
SILENCE_BYTE = 0xFF
SILENT_FRAME = bytes([SILENCE_BYTE]) * FRAME_BYTES

_BIAS = 132
_CLIP = 32635
_FULL_SCALE = 32124


def _decoded(code: int) -> int:
    code = ~code & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return -magnitude if code & 0x80 else magnitude


LINEAR = tuple(_decoded(code) for code in range(256))
"""The 16-bit sample that each mu-law code stands for."""

LOUDNESS = bytes(round(255 * (abs(sample) / _FULL_SCALE) ** 0.5) for sample in LINEAR)
"""How tall each mu-law code is drawn, 0..255: the square root, so that quiet speech still shows."""


def _encoded(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 15) & 0xFF


_ENCODED = bytes(_encoded(sample) for sample in range(-32768, 32768))


def decode(mulaw: bytes) -> array[int]:
    """16-bit samples of mu-law bytes, one for one."""
    return array("h", map(LINEAR.__getitem__, mulaw))


def encode(samples: array[int]) -> bytes:
    """mu-law bytes of 16-bit samples, one for one."""
    return bytes(_ENCODED[sample + 32768] for sample in samples)


def peak(mulaw: bytes) -> int:
    """Height of the loudest sample as drawn, 0 (silence) .. 255 (full scale).

    mulaw: any length > 0. Peak, not RMS: a click must move the meter.
    """
    return max(mulaw.translate(LOUDNESS))


def silence(ms: int) -> bytes:
    """mu-law silence."""
    return bytes([SILENCE_BYTE]) * (ms * BYTES_PER_MS)

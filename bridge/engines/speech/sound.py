"""From a speech program's or service's samples to sound as a telephone carries it.

Pure Python, 40 to 60 ms of work for a second of speech: call it off the loop.
"""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections.abc import Callable
from operator import mul

from bridge.audio import BYTES_PER_MS, LINEAR, encode
from bridge.wav import TELEPHONE_HZ, resampled

LEVEL_DBFS = -20.0
"""Loudness of speech, RMS over its voiced parts: what telephone speech usually has."""

REST_S = 0.0002

STRENGTH = bytes(round(255 * math.sqrt(abs(sample) / 32124)) for sample in LINEAR)
"""How strong each mu-law code is for the ear: 0 silence, 255 full scale, by the root of the amplitude."""

_STEP_BYTES = 10 * BYTES_PER_MS
_QUIET = 12
"""Mean `STRENGTH` of 10 ms below which nobody is speaking: about -53 dB."""

_HIGHEST_PEAK = 28000
_BLOCK = TELEPHONE_HZ // 50
_BREATH = 16 * _BLOCK


def telephone_sound(samples: array[int], rate_hz: int, given_up: threading.Event | None = None) -> bytes:
    """Speech as mu-law, 8 kHz: at a natural level, without silence at its ends; b"" when all is silence.

    Made for a thread beside a loop that carries calls: it rests after each millisecond of work,
    since Python would make the loop wait 5 ms for its turn, each time. Raises InterruptedError
    once it is given up.
    """

    def rest() -> None:
        if given_up is not None and given_up.is_set():
            raise InterruptedError
        time.sleep(REST_S)

    return without_silence(encode(levelled(resampled(samples, rate_hz, rest), rest)))


def without_silence(mulaw: bytes, longest_pause_ms: int | None = None) -> bytes:
    """The sound with nothing before and 20 ms after it, and no pause longer than this (None: pauses as they are)."""
    kept = bytearray()
    pause = bytearray()
    for at in range(0, len(mulaw), _STEP_BYTES):
        step = mulaw[at : at + _STEP_BYTES]
        if sum(step.translate(STRENGTH)) < _QUIET * len(step):
            pause += step
            continue
        if kept:
            kept += pause if longest_pause_ms is None else pause[: longest_pause_ms * BYTES_PER_MS]
        kept += step
        pause.clear()
    return bytes(kept + pause[: 2 * _STEP_BYTES]) if kept else b""


def levelled(samples: array[int], breathe: Callable[[], object] = lambda: None) -> array[int]:
    """8 kHz samples, scaled so that the voiced parts have `LEVEL_DBFS`, their peaks limited.

    breathe: called after each millisecond or so of work.
    """
    powers = []
    for at in range(0, len(samples), _BLOCK):
        if at % _BREATH == 0:
            breathe()
        block = samples[at : at + _BLOCK]
        powers.append(sum(map(mul, block, block)) / _BLOCK)
    loudest = max(powers, default=0.0)
    voiced = [power for power in powers if power > 0.01 * loudest]
    if not voiced:
        return samples
    gain = 32768 * 10 ** (LEVEL_DBFS / 20) / math.sqrt(sum(voiced) / len(voiced))
    out = array("h")
    for at in range(0, len(samples), _BREATH):
        breathe()
        scaled = (round(s * gain) for s in samples[at : at + _BREATH])
        out.extend(max(-_HIGHEST_PEAK, min(_HIGHEST_PEAK, sample)) for sample in scaled)
    return out

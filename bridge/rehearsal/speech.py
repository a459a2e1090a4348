"""From a synthesiser's samples to a clip as a telephone would carry it, and babble when there is no synthesiser."""

from __future__ import annotations

import math
import re
from array import array
from itertools import accumulate
from random import Random

from bridge.audio import BYTES_PER_MS, LINEAR, encode, silence
from bridge.rehearsal.wav import TELEPHONE_HZ, resampled

LEVEL_DBFS = -20.0
"""Loudness of speech, RMS over its voiced parts: what telephone speech usually has."""

STRENGTH = bytes(round(255 * math.sqrt(abs(sample) / 32124)) for sample in LINEAR)
"""How strong each mu-law code is for the ear: 0 silence, 255 full scale, by the root of the amplitude."""

LONGEST_PAUSE_MS = 220
"""Well below the 500 ms after which a listener takes a turn to be over."""

SENTENCE_PAUSE_MS = 180
_STEP_BYTES = 10 * BYTES_PER_MS
_QUIET = 12
"""Mean `STRENGTH` of 10 ms below which nobody is speaking: about -53 dB."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its punctuation; [] for blank text."""
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def clip(samples: array[int], rate_hz: int) -> bytes:
    """Samples as mu-law: resampled, at a natural level, edges trimmed, pauses kept short."""
    return without_long_pauses(encode(_levelled(resampled(samples, rate_hz))))


def without_long_pauses(mulaw: bytes) -> bytes:
    """The clip with nothing before and little after its sound, and no pause above `LONGEST_PAUSE_MS`."""
    kept = bytearray()
    pause = bytearray()
    for at in range(0, len(mulaw), _STEP_BYTES):
        step = mulaw[at : at + _STEP_BYTES]
        if sum(step.translate(STRENGTH)) < _QUIET * len(step):
            pause += step
            continue
        if kept:
            kept += pause[: LONGEST_PAUSE_MS * BYTES_PER_MS]
        kept += step
        pause.clear()
    return bytes(kept + pause[: 2 * _STEP_BYTES]) if kept else b""


def word_starts(text: str, length_bytes: int) -> list[tuple[str, int]]:
    """Each word, with the space before it, and the byte of the audio at which it begins (an estimate)."""
    words = re.findall(r"\s*\S+", text)
    weights = [len(word.strip()) + 2 for word in words]
    total = sum(weights) or 1
    begins = accumulate(weights, initial=0)
    return [(word, length_bytes * begin // total) for word, begin in zip(words, begins, strict=False)]


def babble(text: str) -> bytes:
    """Sound like speech, as long as the words take, for machines that cannot speak them.

    Voiced syllables (a buzz through two resonances) with a falling melody; the same text gives the
    same sound.
    """
    chance = Random(text)
    out = bytearray()
    for word in text.split():
        for _ in range(max(1, len(re.findall(r"[aeiouy]+|\d", word.lower())))):
            pitch_hz = 190 - 40 * min(1.0, len(out) / 24000) + chance.uniform(-15, 15)
            out += encode(_levelled(_syllable(pitch_hz, chance.uniform(300, 750), chance.uniform(900, 2200))))
        out += silence(200 if word[-1] in ".,;:!?" else 40)
    return without_long_pauses(bytes(out))


def _syllable(pitch_hz: float, first_hz: float, second_hz: float) -> array[int]:
    length = TELEPHONE_HZ * 150 // 1000
    resonators = [(2 * 0.97 * math.cos(2 * math.pi * hz / TELEPHONE_HZ), -0.97 * 0.97) for hz in (first_hz, second_hz)]
    state = [(0.0, 0.0), (0.0, 0.0)]
    out = array("h")
    phase = 0.0
    for index in range(length):
        phase += pitch_hz / TELEPHONE_HZ
        value = 1.0 if phase >= 1 else 0.0
        phase -= int(phase)
        for at, (near, far) in enumerate(resonators):
            last, before = state[at]
            value += near * last + far * before
            state[at] = (value, last)
        out.append(round(40 * max(-400.0, min(400.0, value)) * math.sin(math.pi * index / length)))
    return out


def _levelled(samples: array[int]) -> array[int]:
    """Scaled so that the voiced parts have `LEVEL_DBFS`, their peaks limited."""
    block = TELEPHONE_HZ // 50
    powers = [sum(s * s for s in samples[at : at + block]) / block for at in range(0, len(samples), block)]
    voiced = [power for power in powers if power > 0.01 * max(powers)]
    if not voiced:
        return samples
    gain = 32768 * 10 ** (LEVEL_DBFS / 20) / math.sqrt(sum(voiced) / len(voiced))
    return array("h", (max(-28000, min(28000, round(s * gain))) for s in samples))

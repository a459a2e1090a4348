"""From a synthesiser's samples to a clip as a telephone would carry it, and babble when there is no synthesiser."""

from __future__ import annotations

import math
import re
from array import array
from functools import lru_cache
from itertools import accumulate
from random import Random

from bridge.audio import encode, silence
from bridge.engines.speech.sound import levelled, telephone_sound, without_silence
from bridge.wav import TELEPHONE_HZ

LONGEST_PAUSE_MS = 220
"""Well below the 500 ms after which a listener takes a turn to be over."""

SENTENCE_PAUSE_MS = 180


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its punctuation; [] for blank text."""
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def clip(samples: array[int], rate_hz: int) -> bytes:
    """Samples as mu-law: resampled, at a natural level, edges trimmed, pauses kept short."""
    return without_silence(telephone_sound(samples, rate_hz), LONGEST_PAUSE_MS)


def word_starts(text: str, length_bytes: int) -> list[tuple[str, int]]:
    """Each word, with the space before it, and the byte of the audio at which it begins (an estimate)."""
    words = re.findall(r"\s*\S+", text)
    weights = [len(word.strip()) + 2 for word in words]
    total = sum(weights) or 1
    begins = accumulate(weights, initial=0)
    return [(word, length_bytes * begin // total) for word, begin in zip(words, begins, strict=False)]


@lru_cache(200)
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
            out += encode(levelled(_syllable(pitch_hz, chance.uniform(300, 750), chance.uniform(900, 2200))))
        out += silence(200 if word[-1] in ".,;:!?" else 40)
    return without_silence(bytes(out), LONGEST_PAUSE_MS)


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

"""The sound of a hold, 20 s that begin with a spoken line, to be played over and over; and a line for a short wait.

`python -m bridge.hold_sound` makes resources/sounds/hold.ulaw and moment.ulaw anew, with flite for the words.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from array import array
from functools import cache
from pathlib import Path

from bridge.audio import LINEAR, encode

FOLDER = Path(__file__).resolve().parents[1] / "resources" / "sounds"
PATH, MOMENT_PATH = FOLDER / "hold.ulaw", FOLDER / "moment.ulaw"
LENGTH_S, RATE_HZ = 20, 8000
WORDS = "Please hold the line. We will be with you in a moment."
MOMENT = "One moment, please."
BARS_HZ = (
    (392.0, 493.88, 587.33, 783.99, 587.33, 493.88),
    (440.0, 523.25, 659.26, 880.0, 659.26, 523.25),
    (349.23, 440.0, 523.25, 698.46, 523.25, 440.0),
    (392.0, 493.88, 587.33, 739.99, 587.33, 493.88),
    (329.63, 392.0, 493.88, 659.26, 493.88, 392.0),
)
"""Broken chords, one bar each, in the part of the scale that a telephone carries."""

NOTE_S, RING_S = 0.5, 2.0
LEVEL, UNDER_WORDS = 4000, 0.3
"""Peak of a plucked note, of 32767; and how much of it is left while the words are spoken."""


@cache
def loop() -> bytes:
    """mu-law, 8 kHz, `LENGTH_S` long; silence when the file is missing. Read once."""
    try:
        return PATH.read_bytes()
    except OSError:
        return b"\xff" * LENGTH_S * RATE_HZ


@cache
def moment() -> bytes:
    """`MOMENT`, spoken; mu-law, 8 kHz; b"" when the file is missing. Read once."""
    try:
        return MOMENT_PATH.read_bytes()
    except OSError:
        return b""


def _music() -> list[float]:
    """Plucked notes, each into the ringing of those before; what still rings at the end goes on at the beginning."""
    music = [0.0] * (LENGTH_S * RATE_HZ)
    notes = [hz for bar in BARS_HZ for hz in (*bar, bar[2], bar[1])]
    for number, hz in enumerate(notes):
        first = round(number * NOTE_S * RATE_HZ)
        for at in range(round(RING_S * RATE_HZ)):
            at_s = at / RATE_HZ
            pluck = min(1.0, at_s / 0.012) * (math.exp(-1.6 * at_s) - math.exp(-1.6 * RING_S))
            turn = 2 * math.pi * hz * at_s
            music[(first + at) % len(music)] += LEVEL * pluck * (math.sin(turn) + 0.25 * math.sin(2 * turn))
    return music


def _spoken(words: str) -> list[int]:
    from bridge.rehearsal.speech import clip
    from bridge.wav import samples_from_wav

    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "words.wav")
        subprocess.run(["flite", "-voice", "slt", "-t", words, "-o", str(wav)], check=True)
        return [LINEAR[code] for code in clip(*samples_from_wav(wav.read_bytes(), "words.wav"))]


def make() -> bytes:
    """The loop, from its parts."""
    spoken = _spoken(WORDS)
    words_end = len(spoken)
    spoken += [0] * (LENGTH_S * RATE_HZ - words_end)
    rises = (min(1.0, max(0.0, (at - words_end) / (NOTE_S * RATE_HZ))) for at in range(len(spoken)))
    shares = (UNDER_WORDS + (1 - UNDER_WORDS) * rise for rise in rises)
    mixed = (round(share * sound + word) for share, sound, word in zip(shares, _music(), spoken, strict=True))
    return encode(array("h", (max(-32768, min(32767, sample)) for sample in mixed)))


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_bytes(make())
    MOMENT_PATH.write_bytes(encode(array("h", _spoken(MOMENT))))

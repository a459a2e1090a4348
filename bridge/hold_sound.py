"""The sound of a hold: 20 s that begin with a spoken line, to be played over and over.

`python -m bridge.hold_sound` makes resources/sounds/hold.ulaw anew, with flite for the words.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from array import array
from functools import cache
from pathlib import Path

from bridge.audio import LINEAR, encode

PATH = Path(__file__).resolve().parents[1] / "resources" / "sounds" / "hold.ulaw"
LENGTH_S, RATE_HZ = 20, 8000
WORDS = "Please hold the line. We will be with you in a moment."
CHORDS_HZ = ((220.0, 277.18, 329.63), (196.0, 246.94, 329.63), (174.61, 220.0, 261.63), (196.0, 246.94, 293.66))
CHORD_S = 5
LEVEL = 900
"""Peak of each of a chord's tones, of 32767."""


@cache
def loop() -> bytes:
    """mu-law, 8 kHz, `LENGTH_S` long; silence when the file is missing. Read once."""
    try:
        return PATH.read_bytes()
    except OSError:
        return b"\xff" * LENGTH_S * RATE_HZ


def _music(at: int) -> float:
    """Slow chords that swell and fade to nothing at their ends, so that the loop has no seam."""
    at_s = at / RATE_HZ
    chord = CHORDS_HZ[int(at_s / CHORD_S) % len(CHORDS_HZ)]
    swell = math.sin(math.pi * (at_s % CHORD_S) / CHORD_S) ** 2
    return LEVEL * swell * sum(math.sin(2 * math.pi * hz * at_s) for hz in chord)


def _spoken() -> list[int]:
    from bridge.rehearsal.speech import clip
    from bridge.rehearsal.wav import samples_from_wav

    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "words.wav")
        subprocess.run(["flite", "-voice", "slt", "-t", WORDS, "-o", str(wav)], check=True)
        return [LINEAR[code] for code in clip(*samples_from_wav(wav.read_bytes(), "words.wav"))]


def make() -> bytes:
    """The loop, from its parts."""
    spoken = _spoken()
    spoken += [0] * (LENGTH_S * RATE_HZ - len(spoken))
    return encode(array("h", (round(_music(at) + word) for at, word in enumerate(spoken))))


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_bytes(make())

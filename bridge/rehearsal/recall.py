"""Knows speech again that is not the same samples any more: it went through a microphone, other rates, a buffer.

No understanding: of each known line the course of its loudness is kept, and what is heard is laid
along it until the two run together (correlation). That forgives other levels, some noise, clocks
that drift and lost frames.
"""

from __future__ import annotations

import logging
import math
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from pathlib import Path

from bridge.audio import BYTES_PER_MS, decode, encode
from bridge.engines.speech.sound import REST_S, STRENGTH, without_silence
from bridge.rehearsal.speech import word_starts
from bridge.wav import mulaw_from_wav

STEP_MS = 20
_STEP_BYTES = STEP_MS * BYTES_PER_MS

SHORT_MS, LONG_MS = 400, 1200
"""What is shorter than the first is not recognised at all; below the second, only whole lines that are more alike."""

LOUDNESS_ALIKE, SHORT_LOUDNESS_ALIKE = 0.88, 0.95
HISS_ALIKE, SHORT_HISS_ALIKE = 0.80, 0.90
"""Correlations above which two courses are the same speech. Different sentences of one voice rarely
reach 0.85; the same one seldom stays below 0.93, with 1 % of the clock, of the level or of the frames lost."""

PROMISING = 0.25
"""How much less alike it may be at the places that are looked at first, every third."""

_SOFT_SHARE = 0.25
"""As `STRENGTH`: 24 dB softer."""

_MARGIN = 3
"""Steps around what is loud that may be soft speech."""

_WORD = 8
"""Steps of a word that one may have missed and still know it."""

MOST_LINES = 200

log = logging.getLogger("cordboard.rehearsal")


@dataclass(frozen=True)
class Recalled:
    """A known line found in what was heard, from one of its steps to another. text: the words between them."""

    text: str
    begin: int
    end: int


class _Course:
    """How something runs, step by step, with what its correlations need."""

    def __init__(self, steps: list[float]) -> None:
        self.steps = steps
        self._sums = list(accumulate(steps, initial=0.0))
        self._squares = list(accumulate(map(mul, steps, steps), initial=0.0))

    def moments(self, begin: int, end: int) -> tuple[float, float]:
        """Sum over a stretch, and its variance times the length."""
        total = self._sums[end] - self._sums[begin]
        return total, self._squares[end] - self._squares[begin] - total * total / (end - begin)

    def alike(self, begin: int, end: int, other: _Course, shift: int) -> float:
        """Correlation of a stretch with what the other, begun at ``shift``, has there."""
        first, last = begin - shift, end - shift
        total, spread = self.moments(begin, end)
        other_total, other_spread = other.moments(first, last)
        if spread <= 0 or other_spread <= 0:
            return 0.0
        together: float = sum(map(mul, self.steps[begin:end], other.steps[first:last]))
        return (together - total * other_total / (end - begin)) / math.sqrt(spread * other_spread)


class _Sound:
    """The two courses by which speech is known: of its loudness, and of that of its hissing."""

    def __init__(self, audio: bytes) -> None:
        samples = decode(audio[: len(audio) - len(audio) % _STEP_BYTES])
        hiss = encode(array("h", ((b - a) // 2 for a, b in zip(samples, samples[1:] + samples[-1:], strict=True))))
        self.loudness, self.hiss = _Course(_steps(audio)), _Course(_steps(hiss))

    def __len__(self) -> int:
        return len(self.loudness.steps)

    def sounding(self) -> tuple[int, int]:
        """From just before its first step that is not soft beside the loudest, to just after its last one."""
        soft = _SOFT_SHARE * max(self.loudness.steps, default=0.0)
        loud = [step for step, strength in enumerate(self.loudness.steps) if strength > soft]
        return (max(0, loud[0] - _MARGIN), min(len(self), loud[-1] + 1 + _MARGIN)) if loud else (0, 0)


def _steps(audio: bytes) -> list[float]:
    strong = audio.translate(STRENGTH)
    whole = len(strong) - len(strong) % _STEP_BYTES
    steps = [sum(strong[at : at + _STEP_BYTES]) / _STEP_BYTES for at in range(0, whole, _STEP_BYTES)]
    return [(a + 2 * b + c) / 4 for a, b, c in zip(steps[:1] + steps, steps, steps[1:] + steps[-1:], strict=False)]


class Recall:
    """The known lines; the oldest is forgotten beyond `MOST_LINES`."""

    def __init__(self) -> None:
        self._known: dict[str, _Sound] = {}

    def learn(self, text: str, audio: bytes) -> None:
        """Remember how a line sounds: mu-law, 8 kHz."""
        line = _Sound(without_silence(audio))
        if text and len(line) * STEP_MS >= SHORT_MS:
            self._known.pop(text, None)
            self._known[text] = line
            if len(self._known) > MOST_LINES:
                del self._known[next(iter(self._known))]

    def recognise(self, audio: bytes) -> str:
        """The words of all known lines in a turn, in order; "" when there are none."""
        heard = _Sound(audio)
        found: list[Recalled] = []
        free = [heard.sounding()]
        while free:
            begin, end = free.pop()
            best = self._best(heard, begin, end)
            if best is not None:
                found.append(best)
                free += [(begin, best.begin), (best.end, end)]
        return " ".join(one.text for one in sorted(found, key=lambda one: one.begin) if one.text)

    def _best(self, heard: _Sound, begin: int, end: int) -> Recalled | None:
        """The line that is most alike somewhere between two steps."""
        best: tuple[float, str, int] | None = None
        for text, line in list(self._known.items()):
            # Made for a thread beside a loop, which would wait 5 ms for its turn.
            time.sleep(REST_S)
            for near in range(begin - len(line) + 1, end, 3):
                if _alike(heard, line, near, begin, end, PROMISING):
                    for shift in range(near - 1, near + 2):
                        alike = _alike(heard, line, shift, begin, end)
                        if alike and (best is None or alike > best[0]):
                            best = (alike, text, shift)
        if best is None:
            return None
        _, text, shift = best
        line = self._known[text]
        first, last = max(begin, shift), min(end, shift + len(line))
        return Recalled(_words(text, first - shift, last - shift, len(line)), first, last)


def load_lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Text and sound of each WAV in a folder that has a text file of the same name. Slow.

    What cannot be read is left out and logged.
    """
    for path in sorted(folder.glob("*.wav")):
        try:
            yield " ".join(path.with_suffix(".txt").read_text("utf-8").split()), mulaw_from_wav(path)
        except (OSError, ValueError) as error:
            log.warning("%s is no line that can be known again: %s", path, error)


def _alike(heard: _Sound, line: _Sound, shift: int, begin: int, end: int, less: float = 0.0) -> float:
    """How alike the two are where they overlap, the more so the longer that is; 0 when they are not.

    less: for a first look, the loudness alone and so much less alike.
    """
    first, last = max(begin, shift), min(end, shift + len(line))
    length_ms = (last - first) * STEP_MS
    if length_ms < SHORT_MS or last - first < 0.6 * min(end - begin, len(line)):
        return 0.0
    long = length_ms >= LONG_MS
    if not long and last - first < 0.85 * len(line):
        return 0.0
    loudness = heard.loudness.alike(first, last, line.loudness, shift)
    if loudness < (LOUDNESS_ALIKE if long else SHORT_LOUDNESS_ALIKE) - less:
        return 0.0
    if less:
        return loudness
    hiss = heard.hiss.alike(first, last, line.hiss, shift)
    if hiss < (HISS_ALIKE if long else SHORT_HISS_ALIKE):
        return 0.0
    return (loudness + hiss) * math.sqrt(last - first)


def _words(text: str, first: int, last: int, length: int) -> str:
    """The words between two steps of a line."""
    if first <= 0.1 * length and last >= 0.9 * length:
        return text
    return "".join(word for word, begin in word_starts(text, length) if first - _WORD <= begin < last - _WORD).strip()

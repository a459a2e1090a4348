"""Short pulses whose loudness tells which one it is, to be known again on the other side of a call. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from console.mulaw import Samples, encode

LEVELS = tuple(range(10_000, 30_000, 2_000))
"""Taken in turn: one that is late by less than ten of them is still taken for itself."""

LOUD = 8_000
LENGTH_MS = 20
WHOLE_MS = 16
"""One that is at least so long was not cut."""

PAUSE_MS = range(100, 200, 10)


@dataclass(frozen=True)
class Pulse:
    """at: its first sample's index, or its time in seconds. level: one of LEVELS."""

    at: float
    level: int


def level(number: int) -> int:
    """The loudness of one of many. number: from 0."""
    return LEVELS[number % len(LEVELS)]


def code(number: int) -> bytes:
    """The mu-law byte that it consists of."""
    return encode(np.array([level(number)], np.int16))


def spoken(rate_hz: int, count: int, chance: random.Random) -> bytes:
    """So many, a tenth of a second or two apart: 16-bit mono."""
    pieces = []
    for number in range(count):
        pieces.append(np.zeros(rate_hz * chance.choice(PAUSE_MS) // 1000, np.int16))
        pieces.append(np.full(rate_hz * LENGTH_MS // 1000, level(number), np.int16))
    return np.concatenate(pieces).tobytes()


def found(samples: Samples, rate_hz: int) -> list[Pulse]:
    """Those that are whole, by the index of their first sample."""
    loud = np.concatenate([[False], samples > LOUD, [False]])
    edges = np.flatnonzero(loud[1:] != loud[:-1])
    pulses = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= WHOLE_MS * rate_hz // 1000:
            loudness = np.median(samples[start:end])
            pulses.append(Pulse(int(start), LEVELS[int(np.abs(np.array(LEVELS) - loudness).argmin())]))
    return pulses


def lags_ms(said: list[Pulse], came: list[Pulse]) -> list[float]:
    """From each that came back to when it was said: the newest of its loudness before. at: seconds, in order."""
    lags = []
    for each in LEVELS:
        times = np.array([one.at for one in said if one.level == each])
        for one in came:
            if one.level == each and (before := int(np.searchsorted(times, one.at, side="right"))):
                lags.append((one.at - float(times[before - 1])) * 1000)
    return lags

"""Waveform columns made into bars: how tall each is, and whose voice it was. Pure.

A column is one byte, 0 (silence) .. 255 (full scale), `bridge.control.COLUMN_MS` wide. A bar stands
for several: midway between their mean and their tallest, so that syllables show and clicks do too.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from bridge.control import COLUMN_MS

Lane: TypeAlias = bytes | bytearray

_CHUNK = 512

SHARES = tuple(min(1.0, 2.2 * (level / 255) ** 1.8) for level in range(256))
"""Of the room it has, how much a bar of each level takes. Telephone speech keeps well below full
scale; drawn as it is, the loudest syllable would look like the rest."""


def _tall(columns: Lane) -> int:
    return (max(columns) + sum(columns) // len(columns) + 1) // 2 if columns else 0


class Voice(IntEnum):
    """Whom the caller heard in a column; as `bridge.control.PeaksAdded.voice` has it."""

    NOBODY = 0
    AI = 1
    OPERATOR = 2


def _columns(bar: int, bar_ms: float) -> tuple[int, int]:
    first = int(bar * bar_ms / COLUMN_MS)
    return first, max(int((bar + 1) * bar_ms / COLUMN_MS), first + 1)


def bar_level(lane: Lane, bar: int, bar_ms: float) -> int:
    """How tall a bar is, 0 .. 255; 0 where there is no column yet."""
    first, end = _columns(bar, bar_ms)
    return _tall(lane[first:end])


def bar_voice(line: Lane, voice: Lane, bar: int, bar_ms: float) -> tuple[int, Voice]:
    """How tall a bar of what the caller heard is, and whose voice its loudest column was."""
    first, end = _columns(bar, bar_ms)
    columns = line[first:end]
    if not columns:
        return 0, Voice.NOBODY
    at = first + columns.index(max(columns))
    return _tall(columns), Voice(voice[at]) if at < len(voice) and voice[at] in (1, 2) else Voice.NOBODY


def last_voice(voice: Lane) -> Voice:
    """Who was heard last: of the AI and the operator."""
    place = max(voice.rfind(Voice.AI), voice.rfind(Voice.OPERATOR))
    return Voice.NOBODY if place < 0 else Voice(voice[place])


def first_change(old: Lane, new: Lane) -> int | None:
    """The first column at which two states of a lane differ; None when they are the same."""
    if old == new:
        return None
    shared = min(len(old), len(new))
    at = 0
    while at < shared and old[at : at + _CHUNK] == new[at : at + _CHUNK]:
        at += _CHUNK
    while at < shared and old[at] == new[at]:
        at += 1
    return min(at, shared)


def spark_bars(caller: Lane, line: Lane, voice: Lane, bars: int, columns_per_bar: int) -> list[tuple[int, int, Voice]]:
    """The newest bars of a call for a small picture: (caller level, line level, whose line), oldest first.

    Bars stand at fixed columns, so that they keep their height as they move left.
    """
    bar_ms = float(columns_per_bar * COLUMN_MS)
    length = max(len(caller), len(line))
    end = -(-length // columns_per_bar)
    made = []
    for bar in range(max(0, end - bars), end):
        level, whose = bar_voice(line, voice, bar, bar_ms)
        made.append((bar_level(caller, bar, bar_ms), level, whose))
    return made

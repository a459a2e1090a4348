"""Time as the window shows it: clocks, the axis, zoom, and where words fit beside each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DISPLAY_DELAY_MS = 150.0
"""How far the drawn edge stays behind the newest column on average, since columns come in batches."""

STALL_MS = 300.0
"""How far the edge may run past the newest column before it waits for more."""

CLOCK_JUMP_MS = 600.0
"""A clock that is this far off is set at once; one that is nearer is led there unseen."""

CLOCK_SHARE = 0.15

ZOOMS_MS = (10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000)
"""Spans of time that can be shown; beyond the last one, and beyond the call, comes the whole call."""

DEFAULT_ZOOM_MS = 40_000
WHOLE_GROWTH = 1.5

TICKS_MS = tuple(
    step * 1000 for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
)


def clock_text(ms: float) -> str:
    """A moment of a call: "03:12", with hours from the first one on."""
    seconds = max(0, int(ms // 1000))
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def fine_clock_text(ms: float) -> str:
    """A moment to the tenth of a second: "03:12.4"."""
    return f"{clock_text(ms)}.{max(0, int(ms)) // 100 % 10}"


def span_text(ms: float) -> str:
    """A length of time: "820 ms", "1.4 s", "52 s", "3 min 05 s"."""
    if ms < 1000:
        return f"{max(0, round(ms))} ms"
    if ms < 9_950:
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02} s"


class CallClock:
    """The age of a call between two messages that tell it.

    Messages arrive late by varying amounts: the clock is led to each new reading gently, never
    runs backwards on its own, and jumps only when it is plainly wrong.
    """

    def __init__(self) -> None:
        self._offset_ms: float | None = None
        self._last_ms = 0.0

    def reset(self) -> None:
        """For another call."""
        self._offset_ms = None
        self._last_ms = 0.0

    def heard(self, clock_ms: float, now_ms: float) -> None:
        """The call was ``clock_ms`` old when the monotonic clock said ``now_ms``."""
        offset_ms = clock_ms - now_ms
        if self._offset_ms is None or abs(offset_ms - self._offset_ms) > CLOCK_JUMP_MS:
            self._offset_ms = offset_ms
            self._last_ms = clock_ms
        else:
            self._offset_ms += (offset_ms - self._offset_ms) * CLOCK_SHARE

    def at(self, now_ms: float) -> float:
        """The call's age now; 0 before the first reading."""
        if self._offset_ms is None:
            return 0.0
        self._last_ms = max(self._last_ms, now_ms + self._offset_ms)
        return self._last_ms


@dataclass(frozen=True)
class Ruler:
    """Time along a strip of pixels, in bars of one pitch.

    Bars stand at fixed times, so that their heights never shimmer while they move. ``px`` are
    device pixels counted from the call's first moment; nothing here knows of a screen.
    """

    span_ms: float
    width_px: int
    pitch_px: int

    @property
    def bar_ms(self) -> float:
        """Time under one bar."""
        return self.span_ms * self.pitch_px / self.width_px

    def px(self, ms: float) -> int:
        """How far a moment is from the call's first one."""
        return int(ms / self.bar_ms * self.pitch_px)

    def ms(self, px: float) -> float:
        """The moment at a distance from the call's first one."""
        return px / self.pitch_px * self.bar_ms

    def bar(self, ms: float) -> int:
        """The bar that a moment falls into."""
        return int(ms // self.bar_ms)


def whole_span_ms(duration_ms: float, live: bool) -> float:
    """The span that shows a whole call. A live one gets room to grow, so that it is drawn anew seldom."""
    span_ms = float(ZOOMS_MS[0])
    if not live:
        return max(span_ms, duration_ms)
    while span_ms < duration_ms:
        span_ms *= WHOLE_GROWTH
    return span_ms


def zoomed(zoom_ms: int, steps: int, duration_ms: float) -> int:
    """The zoom ``steps`` closer (positive) or wider; 0 stands for the whole call.

    Steps that would show more than the call has are passed over.
    """
    useful = [zoom for zoom in ZOOMS_MS if zoom < duration_ms or zoom <= DEFAULT_ZOOM_MS]
    ladder = [*useful, 0]
    # A zoom that the call has become too short for counts as the widest that it has.
    place = ladder.index(zoom_ms) if zoom_ms in ladder else len(useful) - 1
    return ladder[min(max(place - steps, 0), len(ladder) - 1)]


def ticks_ms(first_ms: float, last_ms: float, ms_per_px: float, apart_px: float) -> list[int]:
    """Round moments between two, no nearer to each other than ``apart_px``."""
    wanted_ms = apart_px * ms_per_px
    step_ms = next((step for step in TICKS_MS if step >= wanted_ms), TICKS_MS[-1])
    start_ms = max(0, -int(-first_ms // step_ms)) * step_ms
    return list(range(start_ms, int(last_ms) + 1, step_ms))


@dataclass(frozen=True)
class Place:
    """Where a marker's word goes: its row from the top, and how wide it may be (0: shape only).

    before: it stands before its shape, not after it.
    """

    row: int
    width_px: float
    before: bool = False


def placed(
    marks: Sequence[tuple[float, float]], rows: int, gap_px: float, least_px: float, end_px: float = float("inf")
) -> list[Place]:
    """Places for words that must not touch, each beginning at its own x.

    marks: (x, width wanted) with x never falling. Each takes the first row that is free there;
    where none is, the row whose word ends first gives way: that word is shortened, down to its
    shape alone when fewer than ``least_px`` would be left. Where the view begins plays no part,
    so words keep their rows while time moves on. A word that would reach beyond ``end_px``, where
    a call is over, stands before its shape, in the row where the most of it covers no other's.
    """
    places: list[Place] = []
    newest: list[int | None] = [None] * rows

    def free_px(row: int) -> float:
        index = newest[row]
        return float("-inf") if index is None else marks[index][0] + places[index].width_px + gap_px

    for index, (x, width) in enumerate(marks):
        row = next((row for row in range(rows) if free_px(row) <= x), None)
        if row is None:
            row = min(range(rows), key=free_px)
            before = newest[row]
            assert before is not None
            room = x - marks[before][0] - gap_px
            places[before] = Place(row, room if room >= least_px else 0.0)
        places.append(Place(row, width))
        newest[row] = index
    for index, (x, width) in enumerate(marks):
        place = places[index]
        if x + width <= end_px:
            continue
        rooms = dict.fromkeys((place.row, *range(rows)), width)
        for at in range(index):
            rooms[places[at].row] = min(rooms[places[at].row], x - marks[at][0] - gap_px)
        row = max(rooms, key=lambda row: rooms[row])
        width = rooms[row] if rooms[row] >= least_px else 0.0
        places[index] = Place(row, width, before=True)
        for at in [at for at in range(index) if places[at].row == row and not places[at].before]:
            left = x - width - gap_px - marks[at][0]
            if left < places[at].width_px:
                places[at] = Place(row, left if left >= least_px else 0.0)
    return places

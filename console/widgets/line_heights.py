"""Where each of thousands of lines begins, while most of them were only estimated. Pure arithmetic."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate


class LineHeights:
    """Heights of a column of lines, and their tops, kept up from the first change on only."""

    def __init__(self, margin: float) -> None:
        self._margin = margin
        self._heights: list[float] = []
        self._tops: list[float] = [margin]
        self._right_to = 0

    def __len__(self) -> int:
        return len(self._heights)

    def fill(self, heights: list[float]) -> None:
        """All of them anew."""
        self._heights = heights
        self._right_to = 0

    def append(self, height: float) -> None:
        """One more at the end."""
        self._heights.append(height)

    def __getitem__(self, index: int) -> float:
        return self._heights[index]

    def __setitem__(self, index: int, height: float) -> None:
        if self._heights[index] != height:
            self._heights[index] = height
            self._right_to = min(self._right_to, index)

    def top(self, index: int) -> float:
        """Where a line begins; ``len`` of them gives where the last one ends."""
        self._reckon()
        return self._tops[index]

    @property
    def total(self) -> float:
        """All lines and the margin above and below them."""
        self._reckon()
        return self._tops[-1] + self._margin

    def at(self, y: float) -> int:
        """The line at a distance from the top: the first one above all, the last one below all."""
        self._reckon()
        return max(0, min(bisect_right(self._tops, y) - 1, len(self._heights) - 1))

    def _reckon(self) -> None:
        first = self._right_to
        if first < len(self._heights) or len(self._tops) != len(self._heights) + 1:
            start = self._tops[first] if first < len(self._tops) else self._margin
            self._tops[first:] = accumulate(self._heights[first:], initial=start)
            self._right_to = len(self._heights)

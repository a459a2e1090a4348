"""The two lanes of a waveform on a ring of pixels: a bar is drawn once and then only moved."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPixmap

from console import peaks
from console.peaks import Voice
from console.store import Call
from console.theme import Theme, mixed
from console.timeline import Ruler

SPARE_BARS = 3


class WaveRing:
    """Bars of one call at one `Ruler`, on a pixmap that is used round and round.

    All lengths are device pixels; bar k stands at x = k * pitch, modulo the width of the ring.
    """

    def __init__(self, theme: Theme, ruler: Ruler, height_px: int, ratio: float) -> None:
        self.ruler = ruler
        self.bars_kept = -(-ruler.width_px // ruler.pitch_px) + SPARE_BARS
        self._theme = theme
        self._ratio = ratio
        self._thick_px = max(1, round(2 * ratio))
        self._dot_px = max(1, round(ratio))
        self._pixmap = QPixmap(QSize(self.bars_kept * ruler.pitch_px, max(1, height_px)))
        self._pixmap.fill(theme.panel)
        self._ghost = mixed(theme.panel, theme.ai, 0.26)
        self._silent = {voice: mixed(theme.panel, self._colour(voice), 0.62) for voice in Voice}
        self._caller_silent = mixed(theme.panel, theme.caller, 0.62)
        self._first = 0
        self._end = 0

    @property
    def first_bar(self) -> int:
        """The oldest bar that is still whole on the ring."""
        return max(self._first, self._end - self.bars_kept)

    def _colour(self, voice: Voice) -> QColor:
        match voice:
            case Voice.AI:
                return self._theme.ai
            case Voice.OPERATOR:
                return self._theme.operator
            case _:
                return self._theme.dim

    def reach(self, call: Call, first_bar: int, last_bar: int, resting: Voice) -> bool:
        """Have the bars from one to another drawn; returns whether anything had to be.

        resting: whose lane the lower one is while nobody is heard in it.
        """
        first_bar = max(0, first_bar)
        if last_bar < self._end and first_bar >= self.first_bar:
            return False
        if not self.first_bar <= first_bar <= self._end:
            self._pixmap.fill(self._theme.panel)
            self._first = self._end = first_bar
        self._draw(call, self._end, last_bar + 1, resting)
        self._end = max(self._end, last_bar + 1)
        return True

    def redraw(self, call: Call, from_column_ms: float, resting: Voice) -> None:
        """Columns from a moment on have changed: draw anew what stands on them."""
        self._draw(call, max(self.first_bar, self.ruler.bar(from_column_ms)), self._end, resting)

    def _draw(self, call: Call, first_bar: int, end_bar: int, resting: Voice) -> None:
        first_bar = max(first_bar, end_bar - self.bars_kept)
        if end_bar <= first_bar:
            return
        pitch, bar_ms, width = self.ruler.pitch_px, self.ruler.bar_ms, self._pixmap.width()
        height = self._pixmap.height()
        lane_px = height // 2
        panel = self._theme.panel
        painter = QPainter(self._pixmap)
        for bar in range(first_bar, end_bar):
            x = bar * pitch % width
            painter.fillRect(x, 0, pitch, height, panel)
            level = peaks.bar_level(call.caller, bar, bar_ms)
            self._bar(painter, x, lane_px // 2, lane_px, level, self._theme.caller, self._caller_silent)
            ghost = peaks.bar_level(call.ghost, bar, bar_ms)
            level, voice = peaks.bar_voice(call.line, call.voice, bar, bar_ms)
            if ghost:
                self._bar(painter, x, lane_px + lane_px // 2, lane_px, ghost, self._ghost, self._ghost)
            if level or not ghost:
                lower = self._colour(voice), self._silent[voice or resting]
                self._bar(painter, x, lane_px + lane_px // 2, lane_px, level, *lower)
        painter.end()

    def _bar(
        self, painter: QPainter, x: int, middle: int, lane_px: int, level: int, colour: QColor, silent: QColor
    ) -> None:
        half = round((lane_px / 2 - self._dot_px) * peaks.SHARES[level])
        if half <= self._dot_px:
            painter.fillRect(x, middle, self._thick_px, self._dot_px, silent)
        else:
            painter.fillRect(x, middle - half, self._thick_px, 2 * half, colour)

    def blit(self, painter: QPainter, left: float, top: float, first_px: int, width_px: int) -> None:
        """Copy ``width_px`` from ``first_px`` on to a place in logical pixels: two pieces at most."""
        if first_px < 0:
            left -= first_px / self._ratio
            width_px += first_px
            first_px = 0
        ring_px, height_px = self._pixmap.width(), self._pixmap.height()
        while width_px > 0:
            at = first_px % ring_px
            piece = min(width_px, ring_px - at)
            target = QRectF(left, top, piece / self._ratio, height_px / self._ratio)
            painter.drawPixmap(target, self._pixmap, QRectF(QRect(at, 0, piece, height_px)))
            left += piece / self._ratio
            first_px += piece
            width_px -= piece

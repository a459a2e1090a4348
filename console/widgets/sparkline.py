"""A call's newest seconds of sound as a small picture, for the list of calls."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from console import theme
from console.peaks import SHARES, Lane, Voice, spark_bars
from console.theme import Theme, px

BARS = 28
COLUMNS_PER_BAR = 10
"""So one bar stands for 200 ms, and the picture for under six seconds: it moves at 5 frames a second."""

VOICES = {Voice.OPERATOR: "operator", Voice.AI: "ai"}
"""Colour roles."""

Bars = list[tuple[int, int, Voice]]


def newest_bars(caller: Lane, line: Lane, voice: Lane) -> Bars:
    """What `paint_bars` paints, from a call's waveform columns."""
    return spark_bars(caller, line, voice, BARS, COLUMNS_PER_BAR)


def paint_bars(painter: QPainter, area: QRectF, bars: Bars, live: bool, colours: Theme) -> None:
    """Paint bars into any place, newest at the right; a call that is over is grey throughout."""
    pitch = area.width() / BARS
    thick = max(1.0, pitch * 0.55)
    middle = area.center().y()
    tallest = area.height() / 2
    # By colour: a call into Qt for each bar is dear where many rows are painted.
    shapes: dict[str, list[QRectF]] = {}
    for place in range(BARS):
        index = place - (BARS - len(bars))
        caller, line, voice = bars[index] if index >= 0 else (0, 0, Voice.NOBODY)
        half = tallest * SHARES[max(caller, line)]
        role = "faint" if half < 1 or not live else "caller" if caller > line else VOICES.get(voice, "dim")
        half = half if half >= 1 else 0.5
        shapes.setdefault(role, []).append(QRectF(area.left() + place * pitch, middle - half, thick, 2 * half))
    painter.setPen(Qt.PenStyle.NoPen)
    for role, rects in shapes.items():
        painter.setBrush(colours.role(role))
        painter.drawRects(rects)


class Sparkline(QWidget):
    """Colour tells who is louder: the caller, the AI or the operator."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: Bars = []
        self._live = True
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(px(84), px(24))

    def set_columns(self, caller: Lane, line: Lane, voice: Lane, live: bool) -> None:
        """Show the end of these columns; paints only when the picture differs."""
        bars = newest_bars(caller, line, voice)
        if (bars, live) != (self._bars, self._live):
            self._bars, self._live = bars, live
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_bars(painter, QRectF(self.rect()), self._bars, self._live, theme.current())
        painter.end()

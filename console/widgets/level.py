"""How loud a sound is, as a row of bars: more bars are louder, the last ones are too loud."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from console import theme
from console.peaks import SHARES
from console.theme import px

BARS = 14
TOO_LOUD_FROM = 13
FALL_PER_TICK = 12
"""A peak stays to be seen for some frames: a meter that follows every syllable only flickers."""


class Level(QWidget):
    """role: the colour role of the bars. name: what it measures, for a screen reader."""

    def __init__(self, role: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = role
        self._level = 0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(name)
        self.setToolTip(name)
        theme.notifier().changed.connect(self.update)

    @property
    def bars(self) -> int:
        """How many bars are lit."""
        return min(BARS, round(SHARES[self._level] * BARS)) or (1 if self._level else 0)

    def set_level(self, level: int) -> None:
        """The newest peak, 0..255; called once a frame."""
        before = self.bars
        self._level = max(level, self._level - FALL_PER_TICK, 0)
        if self.bars != before:
            self.update()

    def clear(self) -> None:
        """Nothing is measured any more."""
        self._level = 0
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(BARS * px(6), px(16))

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        step = self.width() / BARS
        for bar in range(BARS):
            lit = bar < self.bars
            role = "danger" if bar >= TOO_LOUD_FROM else self._role
            painter.setBrush(colours.role(role if lit else "line"))
            # Higher to the right, so that loudness is a shape too.
            height = self.height() * (0.4 + 0.6 * bar / (BARS - 1))
            painter.drawRoundedRect(QRectF(bar * step, self.height() - height, step * 0.62, height), 1, 1)
        painter.end()

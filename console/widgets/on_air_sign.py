"""The sign over an open microphone: a shape and words, red only while a caller hears this room."""

from __future__ import annotations

from enum import StrEnum

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from console import theme
from console.theme import px


class Shape(StrEnum):
    """DISC: on air. RING: waits for the key, the device or the bridge. CROSSED: muted. TRIANGLE: does not work."""

    DISC = "disc"
    RING = "ring"
    CROSSED = "crossed"
    TRIANGLE = "triangle"


class OnAirSign(QWidget):
    """`set` gives it words and a shape; only DISC is filled."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = ""
        self.shape = Shape.RING
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self.update)

    def set(self, text: str, shape: Shape) -> None:
        """Another state; nothing happens when it is as it was."""
        if (text, shape) != (self.text, self.shape):
            self.text, self.shape = text, shape
            self.setAccessibleName(text)
            self.updateGeometry()
            self.update()

    @property
    def role(self) -> str:
        """The colour role: red for what is on air and for what does not work."""
        return "danger" if self.shape in (Shape.DISC, Shape.TRIANGLE) else "operator"

    def sizeHint(self) -> QSize:
        words = QFontMetrics(theme.font(15, 700)).horizontalAdvance(self.text)
        return QSize(px(14) + px(13) + px(9) + words + px(15), px(34))

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        filled = self.shape is Shape.DISC
        role = self.role
        ink = colours.on_fill if filled else colours.role(role)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colours.role(role), px(1.5)))
        painter.setBrush(colours.role(role) if filled else colours.panel)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), px(7), px(7))
        size, middle = float(px(13)), self.height() / 2
        box = QRectF(px(14), middle - size / 2, size, size)
        painter.setPen(QPen(ink, px(2)))
        painter.setBrush(ink if self.shape in (Shape.DISC, Shape.TRIANGLE) else Qt.BrushStyle.NoBrush)
        if self.shape is Shape.TRIANGLE:
            corners = [box.bottomLeft(), box.bottomRight(), QPointF(box.center().x(), box.top())]
            painter.drawPolygon(QPolygonF(corners))
        else:
            painter.drawEllipse(box)
        if self.shape is Shape.CROSSED:
            painter.drawLine(box.bottomLeft(), box.topRight())
        painter.setFont(theme.font(15, 700))
        painter.setPen(ink)
        left = px(14) + size + px(9)
        words = QRectF(left, 0, self.width() - left, self.height())
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), self.text)
        painter.end()

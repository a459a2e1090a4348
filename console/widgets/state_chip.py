"""A word with a dot of its role's colour: "AI has the floor", "Recording"."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from console import theme
from console.theme import px

DOT_PX = 7


class StateChip(QWidget):
    """role: a colour role's name ("ai", "operator", "danger", "dim" …). strong: in semi-bold."""

    def __init__(self, text: str = "", role: str = "dim", strong: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._role = ""
        self._weight = 600 if strong else 400
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.set(text, role)
        theme.notifier().changed.connect(self._restyle)

    @property
    def text(self) -> str:
        """The word in it."""
        return self._text

    @property
    def role(self) -> str:
        """The colour role of its dot."""
        return self._role

    def set(self, text: str, role: str) -> None:
        """Another word or role; nothing happens when both are as they were."""
        if (text, role) == (self._text, self._role):
            return
        self._text, self._role = text, role
        self.setAccessibleName(text)
        self.setToolTip(text)
        self._restyle()

    def _restyle(self) -> None:
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(theme.font(12, self._weight))
        wide = px(DOT_PX) + px(6) + metrics.horizontalAdvance(self._text) + 2
        return QSize(int(wide), int(max(metrics.height(), px(18))))

    def minimumSizeHint(self) -> QSize:
        return QSize(px(DOT_PX) + px(30), self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._text:
            return
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.role(self._role))
        dot = px(DOT_PX)
        painter.drawEllipse(QPointF(dot / 2, self.height() / 2), dot / 2, dot / 2)
        painter.setFont(theme.font(12, self._weight))
        painter.setPen(colours.role(self._role))
        left = dot + px(6)
        box = QRectF(left, 0, self.width() - left, self.height())
        word = painter.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, int(box.width()) + 1)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), word)
        painter.end()

"""How long the caller waited for each answer, as bars made of stages, with the sum in words.

A stage is known by its colour, its pattern and its place. A filler is no stage: it stands under
its bar as a dotted line, with its word.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from bridge.control import AnswerView
from console import theme
from console.stages import Stage, answer_lines, answer_words, filler_words, parts, total_ms
from console.theme import px
from console.timeline import clock_text, span_text

SHOWN = 8
ROW_PX = 21
FILLER_PX = 15
LEGEND_PX = 17
LEAST_SCALE_MS = 2000.0

SOLID = Qt.BrushStyle.SolidPattern
LOOKS = {
    Stage.END_OF_SPEECH: ("faint", SOLID),
    Stage.WORDS: ("ai", Qt.BrushStyle.BDiagPattern),
    Stage.TOKEN: ("ai", SOLID),
    Stage.VOICE: ("ai", Qt.BrushStyle.VerPattern),
    Stage.MODEL: ("ai", SOLID),
    Stage.TOOL: ("fine", Qt.BrushStyle.FDiagPattern),
    Stage.EAR: ("caller", SOLID),
}
"""Colour role and pattern of each stage; the model is the model, whether or not the engine tells its steps."""


class AnswerBars(QWidget):
    """The newest answers, oldest first, over a legend."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._answers: list[AnswerView] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        theme.notifier().changed.connect(self._restyle)

    def set_answers(self, answers: Sequence[AnswerView]) -> None:
        """Show the newest of these, which come in the order in which they were timed."""
        newest = sorted(answers, key=lambda answer: answer.at_ms)[-SHOWN:]
        if newest != self._answers:
            self._answers = newest
            self.setAccessibleName(self.words)
            self._restyle()

    @property
    def words(self) -> str:
        """The same as text: one line per answer, with its stages."""
        return "\n".join(answer_words(answer) for answer in self._answers)

    def words_at(self, y: float) -> str:
        """One answer with a line for each stage; all of them where there is no bar."""
        top = 0.0
        for answer in self._answers:
            top += self._row_px(answer)
            if y < top:
                return "\n".join(answer_lines(answer))
        return self.words

    def event(self, event: QEvent) -> bool:
        """A tooltip tells the bar under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.words_at(event.pos().y()), self)
            return True
        return super().event(event)

    def _restyle(self) -> None:
        self.updateGeometry()
        self.update()

    # ── measures ──────────────────────────────────────────────────────────────────────────

    @staticmethod
    def _row_px(answer: AnswerView) -> int:
        return px(ROW_PX) + (px(FILLER_PX) if answer.filler_ms else 0)

    def _stages(self) -> list[Stage]:
        """Those that occur."""
        seen = {part.stage for answer in self._answers for part in parts(answer)}
        return [stage for stage in Stage if stage in seen]

    def _legend(self, width: float) -> list[tuple[float, int, Stage]]:
        """Where each stage's word goes: x, row."""
        metrics = QFontMetricsF(theme.font(11))
        x, row, made = 0.0, 0, []
        for stage in self._stages():
            wide = px(13) + metrics.horizontalAdvance(self.tr(stage.value))
            if x and x + wide > width:
                x, row = 0.0, row + 1
            made.append((x, row, stage))
            x += wide + px(8)
        return made

    def _height_for(self, width: float) -> int:
        legend_rows = max((row for _, row, _ in self._legend(width)), default=-1) + 1
        return sum(self._row_px(answer) for answer in self._answers) + px(4) + px(LEGEND_PX) * legend_rows

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._height_for(width)

    def sizeHint(self) -> QSize:
        return QSize(px(240), self._height_for(px(240)))

    def minimumSizeHint(self) -> QSize:
        return QSize(px(160), self._height_for(self.width() or px(240)))

    # ── painting ──────────────────────────────────────────────────────────────────────────

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        face = theme.font(12, tabular=True)
        metrics = QFontMetricsF(face)
        left = metrics.horizontalAdvance("00:00") + px(10)
        sums = [span_text(total_ms(answer)) for answer in self._answers]
        right = self.width() - max((metrics.horizontalAdvance(told) for told in sums), default=0.0) - px(10)
        longest_ms = max([LEAST_SCALE_MS, *(float(total_ms(answer)) for answer in self._answers)])
        ms_px = max(px(20), right - left) / longest_ms
        top = 0.0
        for answer, told in zip(self._answers, sums, strict=True):
            baseline = top + (px(ROW_PX) + metrics.ascent() - metrics.descent()) / 2
            painter.setFont(face)
            painter.setPen(theme.current().dim)
            painter.drawText(QPointF(0, baseline), clock_text(answer.at_ms))
            painter.drawText(QPointF(self.width() - metrics.horizontalAdvance(told), baseline), told)
            x = left
            for part in parts(answer):
                wide = max(2.0, part.ms * ms_px)
                self._fill(painter, QRectF(x, top + px(ROW_PX) / 2 - px(4), wide - 1, px(9)), part.stage)
                x += wide
            if answer.filler_ms:
                self._paint_filler(painter, answer, left, top + px(ROW_PX), ms_px)
            top += self._row_px(answer)
        self._paint_legend(painter, top + px(4))
        painter.end()

    def _paint_filler(self, painter: QPainter, answer: AnswerView, left: float, top: float, ms_px: float) -> None:
        """Dots from its first sound until the answer's, and what they are in words."""
        colours = theme.current()
        painter.setFont(theme.font(11, tabular=True))
        metrics = QFontMetricsF(painter.font())
        begin, end = left + answer.filler_ms * ms_px, left + total_ms(answer) * ms_px
        painter.setPen(QPen(colours.text, px(2), Qt.PenStyle.DotLine))
        y = top - px(3)
        painter.drawLine(QPointF(begin, y), QPointF(max(end, begin + px(4)), y))
        painter.setPen(colours.dim)
        word = metrics.elidedText(filler_words(answer), Qt.TextElideMode.ElideRight, self.width() - left)
        painter.drawText(QPointF(left, top + px(FILLER_PX) - metrics.descent() - px(1)), word)

    def _paint_legend(self, painter: QPainter, top: float) -> None:
        painter.setFont(theme.font(11))
        metrics = QFontMetricsF(painter.font())
        for x, row, stage in self._legend(self.width()):
            middle = top + px(LEGEND_PX) * (row + 0.5)
            self._fill(painter, QRectF(x, middle - px(4), px(8), px(8)), stage)
            painter.setPen(theme.current().dim)
            baseline = middle + (metrics.ascent() - metrics.descent()) / 2
            painter.drawText(QPointF(x + px(13), baseline), self.tr(stage.value))

    @staticmethod
    def _fill(painter: QPainter, box: QRectF, stage: Stage) -> None:
        role, pattern = LOOKS[stage]
        colour = theme.current().role(role)
        if pattern is not SOLID:
            painter.fillRect(box, theme.mixed(QColor(theme.current().panel), colour, 0.35))
        painter.fillRect(box, QBrush(colour, pattern))

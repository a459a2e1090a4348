"""How long the caller waited for each answer, as bars made of stages, with the sum in words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from bridge.control import AnswerView
from console import theme
from console.theme import px
from console.timeline import clock_text, span_text

SHOWN = 8
ROW_PX = 21
LEAST_SCALE_MS = 2000.0
STAGES = (("end of speech", "faint"), ("model", "ai"), ("tool", "fine"), ("to the ear", "caller"))
"""The stages in their order, each with its colour role."""


def stages_ms(answer: AnswerView) -> tuple[int, int, int, int]:
    """The lengths of the stages, in the order of `STAGES`."""
    return answer.end_of_speech_ms, answer.model_ms, answer.tool_ms, answer.ear_ms


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
            self.setToolTip(self.words)
            self._restyle()

    @property
    def words(self) -> str:
        """The same as text: one line per answer, with its stages."""
        return "\n".join(
            f"{clock_text(answer.at_ms)}  {span_text(sum(stages_ms(answer)))}: "
            + ", ".join(
                f"{self.tr(name)} {span_text(ms)}"
                for (name, _), ms in zip(STAGES, stages_ms(answer), strict=True)
                if ms
            )
            for answer in self._answers
        )

    def _restyle(self) -> None:
        self.updateGeometry()
        self.update()

    def _legend(self, width: float) -> list[tuple[float, int, str, str]]:
        """Where each stage's word goes: x, row, word, role."""
        metrics = QFontMetricsF(theme.font(11))
        x, row, made = 0.0, 0, []
        for name, role in STAGES:
            word = self.tr(name)
            wide = px(13) + metrics.horizontalAdvance(word)
            if x and x + wide > width:
                x, row = 0.0, row + 1
            made.append((x, row, word, role))
            x += wide + px(8)
        return made

    def _height_for(self, width: float) -> int:
        legend_rows = self._legend(width)[-1][1] + 1
        return px(ROW_PX) * len(self._answers) + px(4) + px(17) * legend_rows

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._height_for(width)

    def sizeHint(self) -> QSize:
        return QSize(px(240), self._height_for(px(240)))

    def minimumSizeHint(self) -> QSize:
        return QSize(px(160), self._height_for(self.width() or px(240)))

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        face = theme.font(12, tabular=True)
        metrics = QFontMetricsF(face)
        left = metrics.horizontalAdvance("00:00") + px(10)
        right = self.width() - max((metrics.horizontalAdvance(self._sum(one)) for one in self._answers), default=0.0)
        room = max(px(20), right - px(10) - left)
        full_ms = max([LEAST_SCALE_MS, *(float(sum(stages_ms(answer))) for answer in self._answers)])
        for row, answer in enumerate(self._answers):
            top = row * px(ROW_PX)
            baseline = top + (px(ROW_PX) + metrics.ascent() - metrics.descent()) / 2
            painter.setFont(face)
            painter.setPen(colours.dim)
            painter.drawText(QPointF(0, baseline), clock_text(answer.at_ms))
            told = self._sum(answer)
            painter.drawText(QPointF(self.width() - metrics.horizontalAdvance(told), baseline), told)
            x = left
            for (_, role), ms in zip(STAGES, stages_ms(answer), strict=True):
                if ms > 0:
                    wide = max(2.0, ms / full_ms * room)
                    painter.fillRect(QRectF(x, top + px(ROW_PX) / 2 - px(4), wide - 1, px(9)), colours.role(role))
                    x += wide
        top = px(ROW_PX) * len(self._answers) + px(4)
        painter.setFont(theme.font(11))
        metrics = QFontMetricsF(painter.font())
        for x, row, word, role in self._legend(self.width()):
            middle = top + px(17) * (row + 0.5)
            painter.fillRect(QRectF(x, middle - px(4), px(8), px(8)), colours.role(role))
            painter.setPen(colours.dim)
            painter.drawText(QPointF(x + px(13), middle + (metrics.ascent() - metrics.descent()) / 2), word)
        painter.end()

    @staticmethod
    def _sum(answer: AnswerView) -> str:
        return span_text(sum(stages_ms(answer)))

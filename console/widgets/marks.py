"""The marks under a waveform: a shape by kind, so that no meaning hangs on colour, and a word.

What is said of a mark beyond its name, after " · ", gives way first; a tooltip tells it all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPolygonF, QStaticText

from bridge.control import MarkerKind, MarkerView
from console import theme, timeline
from console.names import told
from console.theme import px
from console.timeline import Place
from console.transcript_model import HIDDEN_KEY, MASK

SHAPE_PX = 9.0
ROW_PX = 14
LEAST_WORD_PX = 26
REACH_PX = 4
"""How far beside a shape the mouse still finds it."""

ROLES = {
    MarkerKind.BARGE_IN: "caller",
    MarkerKind.OPERATOR: "operator",
    MarkerKind.TOOL: "fine",
    MarkerKind.DTMF: "dim",
    MarkerKind.ENGINE: "ai",
    MarkerKind.TROUBLE: "danger",
}
"""The colour role of each kind."""


def draw_shape(painter: QPainter, kind: MarkerKind, colour: QColor, x: float, middle: float, size: float) -> None:
    """One mark's shape, its left edge at ``x``.

    A triangle, a disc, a diamond, a square, a bow tie (one engine here, another there) or an inverted triangle.
    """
    half = size / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    corners: tuple[tuple[float, float], ...]
    match kind:
        case MarkerKind.BARGE_IN:
            corners = ((0, half), (size, half), (half, -half))
        case MarkerKind.TROUBLE:
            corners = ((0, -half), (size, -half), (half, half))
        case MarkerKind.TOOL:
            corners = ((0, 0), (half, -half), (size, 0), (half, half))
        case MarkerKind.DTMF:
            corners = ((1, 1 - half), (size - 1, 1 - half), (size - 1, half - 1), (1, half - 1))
        case MarkerKind.ENGINE:
            corners = ((0, -half), (size, half), (size, -half), (0, half))
        case MarkerKind.OPERATOR:
            painter.drawEllipse(QRectF(x, middle - half, size, size))
            return
    painter.drawPolygon(QPolygonF([QPointF(x + dx, middle + dy) for dx, dy in corners]))


@dataclass(frozen=True)
class Mark:
    """A marker at its place: ``at_px`` device pixels from the call's first moment."""

    marker: MarkerView
    at_px: int
    place: Place
    text: QStaticText | None

    @property
    def words(self) -> str:
        """All that is said of it."""
        return f"{timeline.clock_text(self.marker.at_ms)}  {_label(self.marker)}"

    def _left(self, x: float) -> float:
        """Where its word begins, with its shape at ``x``."""
        width = self.text.size().width() if self.text is not None else 0.0
        return x - width - px(5) if self.place.before else x + px(SHAPE_PX) + px(5)

    def paint(self, painter: QPainter, x: float, top: float) -> None:
        """Shape and word, in the rows that begin at ``top``."""
        middle = top + self.place.row * px(ROW_PX)
        colour = theme.current().role(ROLES[self.marker.kind])
        draw_shape(painter, self.marker.kind, colour, x, middle, px(SHAPE_PX))
        if self.text is not None:
            painter.setPen(colour)
            painter.drawStaticText(QPointF(self._left(x), middle - self.text.size().height() / 2), self.text)

    def holds(self, point: QPointF, x: float, top: float) -> bool:
        """Whether a point is on its shape or its word."""
        middle, reach = top + self.place.row * px(ROW_PX), px(REACH_PX)
        left, right = x, x + px(SHAPE_PX)
        if self.text is not None:
            left, right = min(left, self._left(x)), max(right, self._left(x) + self.text.size().width())
        return abs(point.y() - middle) <= px(ROW_PX) / 2 and left - reach <= point.x() <= right + reach


def placed_marks(
    markers: Sequence[MarkerView], to_px: Callable[[float], int], ratio: float, rows: int, end_ms: float | None
) -> list[Mark]:
    """Markers at their places, in the order of time.

    to_px: a moment in ms as device pixels, ``ratio`` of which are a logical one. end_ms: where the call is over.
    """
    face = theme.font(11)
    metrics = QFontMetricsF(face)
    ordered = sorted(markers, key=lambda marker: marker.at_ms)
    labels = [_label(marker) for marker in ordered]
    at_px = [to_px(marker.at_ms) for marker in ordered]
    lead, gap = px(SHAPE_PX) + px(5), px(10)
    wanted = [
        (at / ratio, lead + metrics.horizontalAdvance(_name(label))) for at, label in zip(at_px, labels, strict=True)
    ]
    end_px = to_px(end_ms) / ratio if end_ms is not None else float("inf")
    places = timeline.placed(wanted, rows, gap, lead + px(LEAST_WORD_PX), end_px)
    free_px = [end_px] * rows
    made: list[Mark] = []
    for marker, label, at, place, (x, width) in reversed(
        list(zip(ordered, labels, at_px, places, wanted, strict=True))
    ):
        text = None
        if place.width_px:
            word = metrics.elidedText(_name(label), Qt.TextElideMode.ElideRight, place.width_px - lead + 0.5)
            if not place.before and x + lead + metrics.horizontalAdvance(label) <= free_px[place.row]:
                word = label
            text = QStaticText(word)
            text.setTextFormat(Qt.TextFormat.PlainText)
            text.prepare(font=face)
        free_px[place.row] = (x - width if place.before else x) - gap
        made.append(Mark(marker, at, place, text))
    return made[::-1]


def _label(marker: MarkerView) -> str:
    """What is said of a marker; of hidden keys not even how many."""
    return told(re.sub(f"{HIDDEN_KEY}+", MASK, marker.label), "")


def _name(label: str) -> str:
    """What is left where there is no room for the whole."""
    return label.partition(" · ")[0]

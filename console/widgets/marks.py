"""The marks under a waveform: a shape by kind, so that no meaning hangs on colour, and a word."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPolygonF

from bridge.control import MarkerKind

SHAPE_PX = 9.0

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

"""Widgets in a row that goes on in the next line where there is no room."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Each widget has the width of its hint, or of the whole line where that is wider; hidden ones take no room.

    gap_px: between widgets and between lines. ends: the last one stands at the right end of its line.
    No margins of its own.
    """

    def __init__(self, gap_px: int, parent: QWidget | None = None, *, ends: bool = False) -> None:
        super().__init__(parent)
        self._ends = ends
        self._items: list[QLayoutItem] = []
        self._gap_px = gap_px

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        lines = self._lines(width)
        return sum(height for height, _ in lines) + self._gap_px * max(0, len(lines) - 1)

    def sizeHint(self) -> QSize:
        """All in one line."""
        shown = self._shown()
        width = sum(item.sizeHint().width() for item in shown) + self._gap_px * max(0, len(shown) - 1)
        return QSize(width, max((item.sizeHint().height() for item in shown), default=0))

    def minimumSize(self) -> QSize:
        """The widest of them alone."""
        size = QSize()
        for item in self._shown():
            size = size.expandedTo(item.minimumSize())
        return size

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        top = rect.top()
        last = next(reversed(self._shown()), None)
        for height, line in self._lines(rect.width()):
            left = rect.left()
            for item, width in line:
                if self._ends and item is last:
                    left = rect.right() + 1 - width
                tall = item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
                item.setGeometry(QRect(QPoint(left, top + (height - tall) // 2), QSize(width, tall)))
                left += width + self._gap_px
            top += height + self._gap_px

    def lines(self, width: int) -> int:
        """How many lines it takes in this width, px."""
        return len(self._lines(width))

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _lines(self, width: int) -> list[tuple[int, list[tuple[QLayoutItem, int]]]]:
        """Each line: its height and its items with their widths, px."""
        lines: list[tuple[int, list[tuple[QLayoutItem, int]]]] = []
        left = 0
        for item in self._shown():
            wide = min(item.sizeHint().width(), max(width, item.minimumSize().width()))
            tall = item.heightForWidth(wide) if item.hasHeightForWidth() else item.sizeHint().height()
            if not lines or left + wide > width:
                lines.append((tall, [(item, wide)]))
                left = 0
            else:
                height, line = lines[-1]
                lines[-1] = (max(height, tall), [*line, (item, wide)])
            left += wide + self._gap_px
        return lines

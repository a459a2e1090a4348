"""Words for a `FlowLayout`: in one line where they fit, in several where they do not."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QLabel


class FlowingLabel(QLabel):
    """Asks for one line; wrapped, its height follows from the width it gets."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.setProperty("role", role)
        self.setWordWrap(True)

    def say(self, words: str) -> None:
        """Other words, none to be hidden; cheap when they are the same."""
        if words != self.text():
            self.setText(words)
        self.setHidden(not words)

    def sizeHint(self) -> QSize:
        self.ensurePolished()
        # A pixel more than the words measure: rounding must not break the line.
        width = self.fontMetrics().horizontalAdvance(self.text()) + 2
        return QSize(width, self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self.fontMetrics().averageCharWidth() * 12, self.fontMetrics().height())

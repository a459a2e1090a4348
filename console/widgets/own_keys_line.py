"""A text field that leaves the desk's keys to the desk."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QKeyCombination, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLineEdit, QWidget

from console.actions import ACTIONS


class OwnKeysLine(QLineEdit):
    """A QLineEdit without the editing keys (such as Ctrl+K) that the table of actions claims."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._claimed = [QKeySequence(action.ctrl_key) for action in ACTIONS if action.ctrl_key]

    def event(self, event: QEvent) -> bool:
        """Plain typing stays here; claimed keys go to their shortcuts."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            pressed = QKeyCombination(event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier, Qt.Key(event.key()))
            if QKeySequence(pressed) in self._claimed:
                event.ignore()
                return False
        return super().event(event)

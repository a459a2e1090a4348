"""All keys on one sheet, made from the table of actions."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from console import theme
from console.actions import ACTIONS, CONTEXT, HELD_KEYS, LINE_KEYS, Menu
from console.widgets.key_button import KeyButton, key_words


class ShortcutSheet(QDialog):
    """Opened with `open()`; Esc or ? closes it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Shortcuts"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        body = QFrame()
        grid = QGridLayout(body)
        grid.setContentsMargins(theme.px(22), theme.px(18), theme.px(22), theme.px(18))
        grid.setHorizontalSpacing(theme.px(18))
        grid.setVerticalSpacing(theme.px(7))
        grid.setColumnStretch(2, 1)
        intro = QLabel(self.tr("Single keys work while no text field has the focus; the others work everywhere."))
        intro.setProperty("role", "dim")
        grid.addWidget(intro, 0, 0, 1, 4)
        for menu in Menu:
            rows = [action for action in ACTIONS if action.menu is menu and (action.key or action.ctrl_key)]
            self._heading(grid, QCoreApplication.translate(CONTEXT, menu.value))
            for action in rows:
                titles = [look.title for look in (action.look, action.other) if look is not None]
                title = " / ".join(QCoreApplication.translate(CONTEXT, title) for title in titles)
                self._row(grid, title, action.key, action.ctrl_key, action.look.tooltip)
        self._heading(grid, self.tr("In the text line"))
        for key, words in LINE_KEYS:
            self._row(grid, "", key, "", words)
        self._heading(grid, self.tr("Besides"))
        for key, name, words in HELD_KEYS:
            self._row(grid, QCoreApplication.translate(CONTEXT, name), key, "", words)
        scroll = QScrollArea()
        scroll.setWidget(body)
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close = KeyButton()
        close.set_face(self.tr("Close"), "Esc")
        close.clicked.connect(self.accept)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, theme.px(14))
        column.addWidget(scroll, 1)
        column.addWidget(close, 0, Qt.AlignmentFlag.AlignHCenter)
        room_px = parent.height() - theme.px(80) if parent is not None else theme.px(640)
        self.resize(theme.px(720), min(room_px, body.sizeHint().height() + theme.px(80)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The key that opened it also closes it."""
        if event.text() == "?":
            self.accept()
            return
        super().keyPressEvent(event)

    def _heading(self, grid: QGridLayout, words: str) -> None:
        label = QLabel(words)
        label.setProperty("role", "heading")
        label.setContentsMargins(0, theme.px(10), 0, 0)
        grid.addWidget(label, grid.rowCount(), 0, 1, 4)

    def _row(self, grid: QGridLayout, title: str, key: str, ctrl_key: str, words: str) -> None:
        row = grid.rowCount()
        keys = QLabel("   ".join(key_words(each) for each in (key, ctrl_key) if each))
        keys.setProperty("role", "mono")
        name = QLabel(title)
        name.setProperty("role", "strong")
        about = QLabel(QCoreApplication.translate(CONTEXT, words))
        about.setWordWrap(True)
        about.setProperty("role", "dim")
        grid.addWidget(keys, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(name, row, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(about, row, 2, 1, 2)

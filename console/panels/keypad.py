"""The keypad: twelve keys to click or to type, over the conversation."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bridge.control import Verb
from console import theme
from console.actions import BY_NAME
from console.desk import Desk
from console.widgets.elided_label import ElidedLabel
from console.widgets.key_button import KeyButton

KEYS = ("123", "456", "789", "*0#")
SPACES = " -().\n\t"
"""What people write between digits."""

SHOWN_KEYS = 24
HIDDEN = "•"


class Keypad(QFrame):
    """A part of the window that has the keyboard while it is open; the desk's own keys go on working.

    typed(): a key of the keyboard was sent; its repeats are not to be. left(): it was closed.
    """

    typed = Signal()
    left = Signal()

    def __init__(self, desk: Desk, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("keypad")
        self.setProperty("role", "card")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Keypad"))
        self._desk = desk
        self._call_id = ""
        self._sent = ""
        self._hidden = False
        self.sent = ElidedLabel()
        self.hint = QLabel()
        self.keys: dict[str, KeyButton] = {}
        self._build()
        desk.done.connect(self._on_done)
        desk.selection_changed.connect(self._on_selection)
        self.hide()

    def _build(self) -> None:
        self.sent.setFont(theme.font(18, 600, mono=True))
        self.sent.setMinimumHeight(theme.px(30))
        self.hint.setProperty("role", "faint")
        self.hint.setWordWrap(True)
        grid = QGridLayout()
        grid.setSpacing(theme.px(6))
        for row, line in enumerate(KEYS):
            for column, key in enumerate(line):
                button = KeyButton()
                button.set_face(key)
                button.setMinimumSize(theme.px(66), theme.px(36))
                button.clicked.connect(lambda _=False, key=key: self.press(key))
                grid.addWidget(button, row, column)
                self.keys[key] = button
        close = KeyButton("quiet")
        close.set_compact()
        close.set_face(self.tr("Close"), "Esc")
        close.clicked.connect(self.close_now)
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(*(theme.px(14),) * 4)
        column_layout.setSpacing(theme.px(9))
        top = QHBoxLayout()
        top.addWidget(self.sent, 1)
        top.addWidget(close)
        column_layout.addLayout(top)
        column_layout.addLayout(grid)
        column_layout.addWidget(self.hint)

    # ── intents ──

    def toggle(self) -> None:
        """Open it for the selected call, or close it."""
        if not self.isHidden():
            self.close_now()
            return
        if self._call_id != self._desk.selected:
            self._call_id, self._sent = self._desk.selected, ""
        self.refresh()
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def stand_above(self, panel: QWidget, button: QWidget) -> None:
        """Above a panel of its window, where the button is, and inside the window."""
        if self.isHidden():
            return
        self.adjustSize()
        window = self.window()
        left = button.mapTo(window, button.rect().topLeft()).x()
        top = panel.mapTo(window, panel.rect().topLeft()).y() - self.height() - theme.px(8)
        right = window.width() - self.width() - theme.px(8)
        self.move(max(0, min(left, right)), max(0, top))

    def close_now(self) -> None:
        """Close it; what was sent is still known when it opens again for the same call."""
        if not self.isHidden():
            self.hide()
            self.left.emit()

    def press(self, keys: str) -> None:
        """Send these keys, 0-9, * and #; whether that is possible is the bridge's to say."""
        self._desk.do("keys", text=keys)
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Digits are sent at once, a pasted number whole."""
        if event.key() == Qt.Key.Key_Escape and not event.modifiers():
            self.close_now()
        elif event.matches(QKeySequence.StandardKey.Paste):
            pasted = QGuiApplication.clipboard().text().translate({ord(each): None for each in SPACES})
            if pasted:
                self.press(pasted)
        elif event.text() in self.keys:
            self.press(event.text())
            self.typed.emit()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Pasting is for the keypad."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.matches(QKeySequence.StandardKey.Paste)
        ):
            event.accept()
            return True
        return super().event(event)

    # ── looks ──

    def refresh(self) -> None:
        """Show what was sent; cheap when it is closed."""
        view = self._desk.view
        face = self._desk.face(BY_NAME["keys"])
        for button in self.keys.values():
            button.setEnabled(face.enabled)
        self._hidden = view is not None and view.private
        shown = HIDDEN * len(self._sent) if self._hidden else self._sent
        self.sent.set_whole(shown[-SHOWN_KEYS:])
        self.sent.setAccessibleName(self.tr("Sent: {keys}").format(keys=" ".join(shown)))
        if not face.enabled:
            hint = face.why_not
        elif self._hidden:
            hint = self.tr("Privacy: the keys are sent, but written down nowhere.")
        else:
            hint = self.tr("Click or type; paste a longer number. The other side hears the tones.")
        self.hint.setText(hint)

    def _on_done(self, call_id: str, verb: str, text: str) -> None:
        if verb == Verb.KEYS and call_id == self._call_id:
            # What was sent in privacy stays hidden when the privacy is over.
            self._sent += HIDDEN * len(text) if self._hidden else text
            self.refresh()

    def _on_selection(self, _: str) -> None:
        self.close_now()

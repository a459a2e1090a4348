"""A key that is held to speak: a shortcut only tells of its going down."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QWindow

from console.link import monotonic_ms

TAP_MS = 250.0
"""Let go sooner than that, it was pressed and not held."""


class TalkKey(QObject):
    """talk(pressed): the held key began or ended. tapped(): it was let go at once.

    key: in Qt's portable form. Speech always ends with the key, with the window's focus, or by
    `let_go`.
    """

    talk = Signal(bool)
    tapped = Signal()

    def __init__(self, key: str, tap_ms: float = TAP_MS) -> None:
        super().__init__()
        self._key = QKeySequence(key)
        self.tap_ms = tap_ms
        self.is_down = False
        self._talking = False
        self._tap_until_ms = 0.0

    def watch(self, window: QWindow) -> None:
        """Look at the keys that reach this window."""
        window.removeEventFilter(self)
        window.installEventFilter(self)

    def hold(self, may_tap: bool) -> None:
        """The key that is down now means speech until it is let go. may_tap: soon let go, it means `tapped`."""
        self._tap_until_ms = monotonic_ms() + self.tap_ms if may_tap else 0.0
        self._talk(True)

    def let_go(self) -> None:
        """Speech ends, wherever the key is."""
        self.is_down = False
        self._talk(False)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Nothing is kept from anybody. A held key's repeats are no news."""
        match event.type():
            case QEvent.Type.ShortcutOverride | QEvent.Type.KeyPress:
                if self._is_ours(event):
                    self.is_down = True
            case QEvent.Type.KeyRelease if self._is_ours(event):
                talking = self._talking
                self.let_go()
                if talking and monotonic_ms() < self._tap_until_ms:
                    self.tapped.emit()
            case QEvent.Type.FocusOut:
                self.let_go()
        return False

    def _is_ours(self, event: QEvent) -> bool:
        return isinstance(event, QKeyEvent) and QKeySequence(event.key()) == self._key and not event.isAutoRepeat()

    def _talk(self, talking: bool) -> None:
        if talking is not self._talking:
            self._talking = talking
            self.talk.emit(talking)

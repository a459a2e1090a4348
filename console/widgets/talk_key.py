"""A key that is held to speak: a shortcut only tells of its going down."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QWindow

from console.link import monotonic_ms

TAP_MS = 250.0
"""Let go sooner than that, it was pressed and not held."""

RELEASE_MS = 20
"""How long a released key may still turn out to be held."""

SOONEST_REPEAT_MS = 100
"""No system repeats a key that was not held for so long."""


class TalkKey(QObject):
    """talk(pressed): the held key began or ended. tapped(): it was let go at once.

    key: in Qt's portable form. Speech always ends with the key, with the window's focus, or by
    `let_go`. repeats: the press that is dealt with now, of any key, is only the repeat of a held one.

    X11 tells of a held key as let go and pressed anew at the same moment. Qt often takes that for
    what it says; and where the key is let go in another window, it takes the next press for one
    more repeat. So `QKeyEvent.isAutoRepeat` and `QAction.autoRepeat` are of no use there (x11).
    """

    talk = Signal(bool)
    tapped = Signal()

    def __init__(self, key: str, tap_ms: float = TAP_MS, x11: bool | None = None) -> None:
        super().__init__()
        self._key = QKeySequence(key)
        self._x11 = QGuiApplication.platformName() == "xcb" if x11 is None else x11
        self.tap_ms = tap_ms
        self.is_down = False
        self.repeats = False
        self._talking = False
        self._tap_until_ms = self._released_ms = 0.0
        # Key and time, by the system's clock: of the newest press that is no repeat, of the newest release, and
        # of the press that somebody has acted on.
        self._pressed = self._released = (0, 0)
        self._spent: tuple[int, int] | None = None
        self._releasing = QTimer(self, singleShot=True, interval=RELEASE_MS)
        self._releasing.timeout.connect(self._release)
        self._dealing = QTimer(self, singleShot=True, interval=0)
        self._dealing.timeout.connect(self._dealt)

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
        self._releasing.stop()
        self.is_down = False
        self._talk(False)

    def spend(self) -> None:
        """Somebody acted on the newest press: however long that key is held, nobody is told of it again."""
        self._spent = self._pressed

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Nothing is kept from anybody, but the repeats of a spent key."""
        match event.type():
            case QEvent.Type.ShortcutOverride | QEvent.Type.KeyPress if isinstance(event, QKeyEvent):
                self._press(event)
                return self.repeats and self._spent == self._pressed
            case QEvent.Type.KeyRelease if isinstance(event, QKeyEvent):
                self._released = (event.key(), event.timestamp())
                if self._is_ours(event) and not event.isAutoRepeat():
                    self._released_ms = monotonic_ms()
                    self._releasing.start()
            case QEvent.Type.FocusOut:
                self.let_go()
        return False

    def _press(self, event: QKeyEvent) -> None:
        press = (event.key(), event.timestamp())
        key, since_ms = self._pressed
        held = key == press[0] and press[1] - since_ms >= SOONEST_REPEAT_MS
        at_once = press == self._released
        self.repeats = (held and at_once) or (event.isAutoRepeat() and (at_once or not self._x11))
        if self.repeats:
            self._dealing.start()
        else:
            self._pressed = press
        if self._is_ours(event):
            self._releasing.stop()
            self.is_down = self.is_down or not self.repeats

    def _dealt(self) -> None:
        self.repeats = False

    def _is_ours(self, event: QKeyEvent) -> bool:
        return QKeySequence(event.key()) == self._key

    def _release(self) -> None:
        talking = self._talking
        self.let_go()
        if talking and self._released_ms < self._tap_until_ms:
            self.tapped.emit()

    def _talk(self, talking: bool) -> None:
        if talking is not self._talking:
            self._talking = talking
            self.talk.emit(talking)

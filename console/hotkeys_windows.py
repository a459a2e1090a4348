"""The two hotkeys on Windows: RegisterHotKey, whose messages come through Qt's own queue."""

from __future__ import annotations

import ctypes
import ctypes.wintypes
import sys
from typing import Any

from PySide6.QtCore import QAbstractNativeEventFilter, QCoreApplication, QObject, QTimer, Signal

from console.hotkeys import Hotkey, NoKeys, Taken

WM_HOTKEY = 0x0312
NO_REPEAT = 0x4000
LOOK_MS = 20
"""Windows tells no release; a held key is looked at this often."""

MASKS = {"Alt": 0x1, "Ctrl": 0x2, "Shift": 0x4}
NUMBERS = {number: hotkey for number, hotkey in enumerate(Hotkey, start=1)}


def _user32() -> Any:
    if sys.platform == "win32":
        return ctypes.WinDLL("user32")
    raise NoKeys("this is not Windows")


class _Filter(QAbstractNativeEventFilter):
    """Sees WM_HOTKEY before Qt does."""

    def __init__(self, pressed: Any) -> None:
        super().__init__()
        self._pressed = pressed

    def nativeEventFilter(self, kind: Any, message: int) -> object:
        """Qt's own signature; the first of the answer: the message goes no further."""
        if bytes(kind).startswith(b"windows_"):
            told = ctypes.wintypes.MSG.from_address(int(message))
            if told.message == WM_HOTKEY and told.wParam in NUMBERS:
                self._pressed(NUMBERS[told.wParam])
                return True, 0
        return False, 0


class WindowsKeyboard(QObject):
    """user32: the system's library; on any system, something that behaves like it."""

    pressed = Signal(object)
    released = Signal(object)
    gone = Signal()

    def __init__(self, user32: Any = None) -> None:
        super().__init__()
        self._user32 = user32 if user32 is not None else _user32()
        self._filter = _Filter(self._on_pressed)
        self._registered: list[int] = []
        self._down: Hotkey | None = None
        self._look = QTimer(self, interval=LOOK_MS)
        self._look.timeout.connect(self._on_look)

    def grab(self) -> None:
        """Raises Taken, and has none of the keys then."""
        for number, hotkey in NUMBERS.items():
            held = sum(MASKS[name] for name in hotkey.held)
            if not self._user32.RegisterHotKey(None, number, held | NO_REPEAT, ord(hotkey.character)):
                self.close()
                raise Taken(hotkey)
            self._registered.append(number)
        if (app := QCoreApplication.instance()) is not None:
            app.installNativeEventFilter(self._filter)

    def close(self) -> None:
        """Give the keys back."""
        self._look.stop()
        self._down = None
        for number in self._registered:
            self._user32.UnregisterHotKey(None, number)
        self._registered.clear()
        if (app := QCoreApplication.instance()) is not None:
            app.removeNativeEventFilter(self._filter)

    def _on_pressed(self, hotkey: Hotkey) -> None:
        if self._down is not None and hotkey is not self._down:
            self._on_up()
        if self._down is None:
            self._down = hotkey
            self._look.start()
            self.pressed.emit(hotkey)

    def _on_look(self) -> None:
        if self._down is not None and not self._user32.GetAsyncKeyState(ord(self._down.character)) & 0x8000:
            self._on_up()

    def _on_up(self) -> None:
        self._look.stop()
        hotkey, self._down = self._down, None
        if hotkey is not None:
            self.released.emit(hotkey)

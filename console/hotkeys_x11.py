"""The two hotkeys on X11: passive grabs on the root window, over a connection of their own."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

from PySide6.QtCore import QObject, QSocketNotifier, QTimer, Signal
from Xlib import XK, X, error
from Xlib.display import Display

from console.hotkeys import Hotkey, NoKeys, Taken

REPEAT_MS = 20
"""X11 tells a held key as released and pressed again at once; a release is one when nothing follows this soon."""

MASKS = {"Ctrl": X.ControlMask, "Alt": X.Mod1Mask, "Shift": X.ShiftMask}


class X11Keyboard(QObject):
    """Grabs on the display that DISPLAY names. Nothing waits: the connection is read when it has something."""

    pressed = Signal(object)
    released = Signal(object)
    gone = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._display: Display | None = None
        self._notifier: QSocketNotifier | None = None
        self._keys: dict[int, Hotkey] = {}
        self._down: Hotkey | None = None
        self._up = QTimer(self, interval=REPEAT_MS, singleShot=True)
        self._up.timeout.connect(self._on_up)

    def grab(self) -> None:
        """Raises NoKeys or Taken, and has none of the keys then."""
        try:
            self._display = Display()
            for hotkey in Hotkey:
                self._grab(self._display, hotkey)
        except (error.DisplayError, error.ConnectionClosedError, OSError) as refused:
            self.close()
            raise NoKeys(str(refused).strip().rstrip(".")) from refused
        except (NoKeys, Taken):
            self.close()
            raise
        self._notifier = QSocketNotifier(self._display.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._read)
        self._read()

    def close(self) -> None:
        """Give the keys back; the server forgets the grabs with the connection."""
        self._up.stop()
        self._down = None
        notifier, self._notifier = self._notifier, None
        if notifier is not None:
            notifier.setEnabled(False)
            notifier.deleteLater()
        display, self._display = self._display, None
        if display is not None:
            with suppress(error.ConnectionClosedError):
                display.close()

    def _grab(self, display: Display, hotkey: Hotkey) -> None:
        code = display.keysym_to_keycode(ord(hotkey.character.lower()))
        if not code:
            raise NoKeys(f"this keyboard has no {hotkey.value}")
        self._keys[code] = hotkey
        held = sum(MASKS[name] for name in hotkey.held)
        refusal = error.CatchError(error.BadAccess)
        # Num Lock and Caps Lock count as held; a key is to work with and without them.
        for locks in product((0, X.LockMask), {0, _num_lock(display)}):
            display.screen().root.grab_key(
                code, held | sum(locks), False, X.GrabModeAsync, X.GrabModeAsync, onerror=refusal
            )
        display.sync()
        if refusal.get_error() is not None:
            raise Taken(hotkey)

    def _read(self) -> None:
        try:
            # Whoever is told may close us.
            while self._display is not None and self._display.pending_events():
                event = self._display.next_event()
                if event.type in (X.KeyPress, X.KeyRelease):
                    self._on_key(event.type == X.KeyPress, event.detail)
        except (error.ConnectionClosedError, OSError):
            self.close()
            self.gone.emit()

    def _on_key(self, is_press: bool, code: int) -> None:
        hotkey = self._keys.get(code)
        if hotkey is None:
            return
        if not is_press:
            if hotkey is self._down:
                self._up.start()
            return
        if self._up.isActive():
            self._up.stop()
            if hotkey is self._down:
                return
            self._on_up()
        if hotkey is not self._down:
            self._down = hotkey
            self.pressed.emit(hotkey)

    def _on_up(self) -> None:
        hotkey, self._down = self._down, None
        if hotkey is not None:
            self.released.emit(hotkey)


def _num_lock(display: Display) -> int:
    code = display.keysym_to_keycode(XK.XK_Num_Lock)
    for index, codes in enumerate(display.get_modifier_mapping()):
        if code and code in codes:
            return 1 << index
    return 0

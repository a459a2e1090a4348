"""Keys that work while another program has the keyboard: push-to-talk and panic. Off by default.

Only where a program may have such keys: X11 and Windows. Elsewhere `Hotkeys.available` is False
and `why_not` says so. Nothing but these two keys is ever read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from PySide6.QtCore import QObject, Signal, SignalInstance
from PySide6.QtGui import QGuiApplication

from console.settings import Settings


class Hotkey(StrEnum):
    """The keys, in Qt's portable form: of Ctrl, Alt and Shift what is held, then a letter, a digit or Space."""

    TALK = "Ctrl+Alt+Space"
    PANIC = "Ctrl+Alt+T"

    @property
    def held(self) -> list[str]:
        """Names of the modifiers."""
        return self.value.split("+")[:-1]

    @property
    def character(self) -> str:
        """The key itself; a letter is a capital."""
        key = self.value.split("+")[-1]
        return " " if key == "Space" else key


class NoKeys(Exception):
    """The system gives this program no keys of its own; the text is its reason."""


class Taken(Exception):
    """Another program has this key; args: the `Hotkey`."""


class Keyboard(Protocol):
    """The system's end: pressed(hotkey) and released(hotkey) without the repeats of a held key."""

    pressed: SignalInstance
    released: SignalInstance
    gone: SignalInstance
    """The system took the keys away."""

    def grab(self) -> None:
        """Raises NoKeys or Taken, and has none of the keys then."""

    def close(self) -> None:
        """Give the keys back."""


class Hotkeys(QObject):
    """talk(pressed), panic(): pressed anywhere on this computer. changed(): `on` or `why_not` did.

    platform: Qt's name of the window system.
    """

    talk = Signal(bool)
    panic = Signal()
    changed = Signal()

    def __init__(self, settings: Settings, platform: str = "", environment: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._settings = settings
        self._platform = platform or QGuiApplication.platformName()
        self._environment = environment
        self._keyboard: Keyboard | None = None
        self._talking = False
        self.why_not = self._unavailable()
        self.available = not self.why_not
        if settings.hotkeys and self.available:
            self._grab()

    @property
    def on(self) -> bool:
        """Whether the keys are ours now. Setting it is remembered; `why_not` says why it stayed off."""
        return self._keyboard is not None

    @on.setter
    def on(self, wanted: bool) -> None:
        self._settings.hotkeys = wanted
        if wanted and self.available and not self.on:
            self._grab()
        elif not wanted:
            self.why_not = self._unavailable()
            self.close()
        self.changed.emit()

    def close(self) -> None:
        """Give the keys back; what is remembered stays."""
        keyboard, self._keyboard = self._keyboard, None
        if keyboard is not None:
            keyboard.close()
        self._talk(False)

    def _grab(self) -> None:
        try:
            keyboard = _keyboard(self._platform)
            keyboard.grab()
        except Taken as taken:
            words = self.tr("Another program has {key}. End it or change its keys, then switch this on again.")
            self.why_not = words.format(key=taken.args[0].value)
        except NoKeys as refused:
            words = self.tr("The system gives this window no keys outside of it: {reason}.")
            self.why_not = words.format(reason=refused)
        else:
            self.why_not = ""
            self._keyboard = keyboard
            keyboard.pressed.connect(self._on_pressed)
            keyboard.released.connect(self._on_released)
            keyboard.gone.connect(self._on_gone)

    def _on_pressed(self, hotkey: Hotkey) -> None:
        if hotkey is Hotkey.PANIC:
            self.panic.emit()
        else:
            self._talk(True)

    def _on_released(self, hotkey: Hotkey) -> None:
        if hotkey is Hotkey.TALK:
            self._talk(False)

    def _on_gone(self) -> None:
        self.close()
        self.why_not = self.tr("The connection to the window system was lost. Switch this on again.")
        self.changed.emit()

    def _talk(self, pressed: bool) -> None:
        if pressed is not self._talking:
            self._talking = pressed
            self.talk.emit(pressed)

    def _unavailable(self) -> str:
        environment = self._environment
        if self._platform == "windows":
            return ""
        wayland = environment.get("WAYLAND_DISPLAY") or environment.get("XDG_SESSION_TYPE") == "wayland"
        if self._platform == "wayland" or (self._platform == "xcb" and wayland):
            return self.tr("Wayland gives a program no keys outside of its window. In the window T always works.")
        if self._platform == "xcb" and sys.platform == "linux":
            return ""
        return self.tr("This system gives a program no keys outside of its window. In the window T always works.")


def _keyboard(platform: str) -> Keyboard:
    if platform == "windows":
        from console.hotkeys_windows import WindowsKeyboard

        return WindowsKeyboard()
    # Only Linux has this library.
    from console.hotkeys_x11 import X11Keyboard

    return X11Keyboard()

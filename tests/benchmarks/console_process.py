"""The window as it ships, offscreen, in a process of its own: its keys are pressed and it says what it shows.

``python -m tests.benchmarks.console_process HOME``: the bridge is the one whose lock file is in HOME, the devices
are the sound server's that the environment names. It obeys lines on its standard input: ``select CALL_SID``,
``listen``, ``take_over``, ``hand_back``. It tells in lines of JSON ``[monotonic seconds, kind, what]``: "pressed"
right before a key goes down, and "state".
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from console.app import App, make_qt, run_in
from console.settings import Settings

KEYS = {
    "listen": (Qt.Key.Key_L, Qt.KeyboardModifier.NoModifier),
    "take_over": (Qt.Key.Key_T, Qt.KeyboardModifier.NoModifier),
    "hand_back": (Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier),
}


def say(kind: str, what: object) -> None:
    """To whoever started this."""
    sys.stdout.write(json.dumps([time.monotonic(), kind, what]) + "\n")
    sys.stdout.flush()


class PressedApp(App):
    """The whole of it; what follows is its operator."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._wanted = ""
        self._unread = b""
        self._told: dict[str, object] = {}
        for changed in (self.link.state_changed, self.sound.changed, self.on_air.changed, self.desk.selection_changed):
            changed.connect(self._tell)
        self.link.call_changed.connect(self._select)
        self.desk.refused.connect(lambda *what: say("refused", what))

    async def run(self) -> None:
        """Until the standard input ends."""
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self._obey)
        self.window.resize(1440, 900)
        self._tell()
        try:
            await super().run()
        finally:
            loop.remove_reader(sys.stdin.fileno())

    def _obey(self) -> None:
        received = os.read(sys.stdin.fileno(), 65536)
        if not received:
            self.end_now()
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            what, _, argument = line.decode().partition(" ")
            if what == "select":
                self._wanted = argument
                self._select()
            else:
                self._press(what)

    def _select(self, *_: str) -> None:
        for call_id, call in self.store.calls.items():
            if self._wanted and call.view.call_sid == self._wanted:
                self._wanted = ""
                self.desk.select(call_id)

    def _press(self, what: str) -> None:
        self.window.activateWindow()
        key, modifiers = KEYS[what]
        say("pressed", what)
        QTest.keyClick(self.window.focusWidget() or self.window, key, modifiers)

    def _tell(self, *_: object) -> None:
        silent_ms, voice_ms = self.on_air.timing
        view = self.desk.view
        now = {
            "attached": not self.link.lost,
            "selected": view.call_sid if view is not None else "",
            "listens": bool(self.on_air.listening_to),
            "mic": self.sound.mic,
            "speaker": self.sound.speaker,
            "on_air": self.on_air.on_air,
            "silent_ms": silent_ms,
            "voice_ms": voice_ms,
        }
        if now != self._told:
            self._told = now
            say("state", now)


def main() -> int:
    """Returns the exit status."""
    home = Path(sys.argv[1])
    settings = Settings(home / "console.ini")
    settings.split = True
    return run_in(make_qt(), PressedApp, home, (), settings)


if __name__ == "__main__":
    sys.exit(main())

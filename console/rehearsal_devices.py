"""Sound devices for a rehearsal that nobody sits at: a microphone that speaks by itself, a loudspeaker for nobody.

A scripted operator must not put this machine's real microphone on the line.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from console.devices import STEP_MS, Access, Capture, Device, Playback
from console.mulaw import PER_MS, RATE_HZ, decode
from console.resampling import Format

FORMAT = Format(RATE_HZ, 1)
SPOKEN_MS = 20
DEVICE = Device("rehearsal", "Rehearsal", True)


class RehearsalDevices(QObject):
    """speech: mu-law at 8 kHz that is spoken each time the microphone opens, once; then it is silent."""

    def __init__(self, speech: bytes = b"") -> None:
        super().__init__()
        self.access = Access.OK
        self.inputs: tuple[Device, ...] = (DEVICE,)
        self.outputs: tuple[Device, ...] = (DEVICE,)
        self._speech = speech

    def now_ms(self) -> float:
        """See `Devices.now_ms`."""
        return time.monotonic() * 1000

    def look(self) -> None:
        """Nothing ever changes."""

    def ask_for_microphone(self, answer: Callable[[bool], None]) -> None:
        """There is nobody to ask."""
        answer(True)

    def open_input(self, id: str, due: Callable[[], None]) -> Capture | None:
        """See `Devices.open_input`."""
        return _Speaker(self, self._speech, due)

    def open_output(self, id: str, due: Callable[[], None]) -> Playback | None:
        """See `Devices.open_output`."""
        return _Nobody(self, due)

    def close(self) -> None:
        """There is nothing to let go of."""


class _Speaker:
    format = FORMAT

    def __init__(self, devices: RehearsalDevices, speech: bytes, due: Callable[[], None]) -> None:
        self._devices = devices
        self._samples = decode(speech).tobytes()
        self._spoken_ms = devices.now_ms()
        self._timer = QTimer(devices, interval=SPOKEN_MS)
        self._timer.timeout.connect(due)
        self._timer.start()

    def read(self) -> bytes:
        steps = int((self._devices.now_ms() - self._spoken_ms) // SPOKEN_MS)
        self._spoken_ms += steps * SPOKEN_MS
        count = steps * SPOKEN_MS * PER_MS * FORMAT.frame_bytes
        sound, self._samples = self._samples[:count], self._samples[count:]
        return sound.ljust(count, b"\0")

    def works(self) -> bool:
        return True

    def close(self) -> None:
        self._timer.stop()
        self._timer.deleteLater()


class _Nobody:
    format = FORMAT

    def __init__(self, devices: RehearsalDevices, due: Callable[[], None]) -> None:
        self._devices = devices
        self._until_ms = devices.now_ms()
        self._timer = QTimer(devices, interval=STEP_MS)
        self._timer.timeout.connect(due)
        self._timer.start()

    def waiting_ms(self) -> float:
        return max(0.0, self._until_ms - self._devices.now_ms())

    def write(self, sound: bytes) -> None:
        played_ms = len(sound) / FORMAT.frame_bytes / PER_MS
        self._until_ms = max(self._until_ms, self._devices.now_ms()) + played_ms

    def works(self) -> bool:
        return True

    def close(self) -> None:
        self._timer.stop()
        self._timer.deleteLater()

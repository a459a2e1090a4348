"""The machine's sound devices, through QtMultimedia.

Facts, of PySide6 6.11 on PulseAudio 16: the import fails without libpulse; it binds to the sound server
that answers then; opened at 8 kHz a device gives nothing, at its own rate all is well; a removed
device stays in Qt's lists (see `console.pulse`); a server that goes away while a device is open is lost to
the process for good, and opening a device then aborts it: Qt asks a connection that it no longer has.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Generic, TypeVar

from PySide6.QtCore import (
    QCoreApplication,
    QIODevice,
    QLoggingCategory,
    QMicrophonePermission,
    QObject,
    Qt,
    QThread,
    QTimer,
)

from console.devices import STEP_MS, Access, Capture, Device, Playback
from console.pulse import Answer, Pulse
from console.resampling import Format

if TYPE_CHECKING:
    from PySide6.QtMultimedia import QAudioDevice, QAudioFormat, QAudioSink, QAudioSource

ASK_AGAIN_MS = 1000
"""Between two attempts to find a sound server."""

PATIENCE_MS = 3000
"""A server that has said nothing for so long does not answer."""

# It tells on stderr which libraries it did not find and which codecs it has; no sound needs them.
QUIET = "qt.multimedia.symbolsresolver=false\nqt.multimedia.ffmpeg.info=false"


class QtDevices(QObject):
    """See `console.devices.Devices`. QtMultimedia is imported as soon as a sound server answers."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.access = Access.LOADING
        self.inputs: tuple[Device, ...] = ()
        self.outputs: tuple[Device, ...] = ()
        self._loaded = False
        self._asks_pulse = sys.platform == "linux" and os.environ.get("QT_AUDIO_BACKEND", "pulseaudio") == "pulseaudio"
        self._pulse: Pulse | None = None
        self._asked_ms = -float(ASK_AGAIN_MS)
        # Devices that the sound server has or had: of these it is asked whether they are still there.
        self._known: set[str] = set()

    def now_ms(self) -> float:
        """Monotonic."""
        return time.monotonic() * 1000.0

    def look(self) -> None:
        """Load, or list anew."""
        if self.access in (Access.NO_LIBRARY, Access.SERVER_LOST):
            return
        try:
            if not self._server_answers():
                self.inputs = self.outputs = ()
                return
            if not self._loaded:
                QLoggingCategory.setFilterRules(QUIET)
            from PySide6.QtMultimedia import QMediaDevices
        except (ImportError, OSError):
            self.access = Access.NO_LIBRARY
            return
        self._loaded, self.access = True, Access.OK
        self.inputs = self._listed(QMediaDevices.audioInputs())
        self.outputs = self._listed(QMediaDevices.audioOutputs())

    def ask_for_microphone(self, answer: Callable[[bool], None]) -> None:
        """Where the system asks nobody it is allowed."""
        app = QCoreApplication.instance()
        assert app is not None
        permission = QMicrophonePermission()

        def is_granted() -> bool:
            return app.checkPermission(permission) == Qt.PermissionStatus.Granted

        if app.checkPermission(permission) == Qt.PermissionStatus.Undetermined:
            app.requestPermission(permission, self, lambda *_: answer(is_granted()))
        else:
            answer(is_granted())

    def open_input(self, id: str, due: Callable[[], None]) -> Capture | None:
        """At the device's own rate."""
        from PySide6.QtMultimedia import QAudioSource, QMediaDevices

        device = _find(QMediaDevices.audioInputs(), id)
        return _opened(_QtCapture(QAudioSource, device, due)) if device is not None else None

    def open_output(self, id: str, due: Callable[[], None]) -> Playback | None:
        """At the device's own rate."""
        from PySide6.QtMultimedia import QAudioSink, QMediaDevices

        device = _find(QMediaDevices.audioOutputs(), id)
        return _opened(_QtPlayback(QAudioSink, device, due)) if device is not None else None

    def close(self) -> None:
        """What is open was closed before; nothing can be opened any more."""
        self._hang_up()
        self.access, self.inputs, self.outputs = Access.NO_SERVER, (), ()

    def _server_answers(self) -> bool:
        """Raises OSError without libpulse. Sets `access` when not."""
        if not self._asks_pulse:
            return True
        if self._pulse is None:
            if self.now_ms() - self._asked_ms < ASK_AGAIN_MS:
                return False
            self._asked_ms = self.now_ms()
            self._pulse = Pulse()
        self._pulse.look()
        if self._pulse.names is not None and self._pulse.answer is Answer.READY:
            self._known |= self._pulse.names
            return True
        is_overdue = self.now_ms() - self._asked_ms > PATIENCE_MS
        if self._pulse.answer is Answer.NONE or is_overdue:
            self.access = Access.SERVER_LOST if self._loaded else Access.NO_SERVER
            self._hang_up()
        return False

    def _hang_up(self) -> None:
        if self._pulse is not None:
            self._pulse.close()
            self._pulse = None

    def _listed(self, devices: list[QAudioDevice]) -> tuple[Device, ...]:
        """Without those that are gone, nor those that Qt lists twice after the server was started anew."""
        there = self._pulse.names if self._pulse is not None else None
        listed: dict[str, Device] = {}
        for device in devices:
            id = device.id().toStdString()
            if there is None or id in there or id not in self._known:
                listed[id] = Device(id, device.description(), device.isDefault())
        return tuple(listed.values())


Audio = TypeVar("Audio", "QAudioSource", "QAudioSink")


class _QtDevice(QThread, Generic[Audio]):
    """An open device has a thread of its own: its sound must not wait while the window is busy painting.

    What Qt has of it lives in the thread: made, used and stopped there. Only `works` is asked from outside.
    """

    def __init__(self, make: type[Audio], device: QAudioDevice, due: Callable[[], None]) -> None:
        super().__init__()
        self._make: type[Audio] = make
        self._device, self._due = device, due
        self._spoken = _spoken(device)
        self.format = _format(self._spoken)
        self._audio: Audio | None = None
        self._stream: QIODevice | None = None
        self._tried = Event()
        self.start()
        self._tried.wait()

    def run(self) -> None:
        audio = self._make(self._device, self._spoken)
        self._stream = audio.start()
        if self._stream is not None and audio.error() == audio.error().NoError:
            self._audio = audio
        self._tried.set()
        if self._audio is not None:
            steps = QTimer(interval=STEP_MS, timerType=Qt.TimerType.PreciseTimer)
            steps.timeout.connect(self._due, Qt.ConnectionType.DirectConnection)
            steps.start()
            self.exec()
            steps.stop()
        audio.stop()
        self._audio = self._stream = None

    def works(self) -> bool:
        audio = self._audio
        return audio is not None and audio.state() != audio.state().StoppedState

    def close(self) -> None:
        self.quit()
        self.wait()


class _QtCapture(_QtDevice["QAudioSource"]):
    def read(self) -> bytes:
        # Qt deletes the stream of a source that it stopped by itself.
        return bytes(self._stream.readAll().data()) if self._stream is not None and self.works() else b""


class _QtPlayback(_QtDevice["QAudioSink"]):
    def waiting_ms(self) -> float:
        if self._audio is None:
            return 0.0
        waiting_bytes = self._audio.bufferSize() - self._audio.bytesFree()
        return waiting_bytes / self.format.frame_bytes * 1000 / self.format.rate_hz

    def write(self, sound: bytes) -> None:
        if self._stream is not None and self.works():
            self._stream.write(sound)


Opened = TypeVar("Opened", _QtCapture, _QtPlayback)


def _opened(device: Opened) -> Opened | None:
    if device.works():
        return device
    device.close()
    return None


def _find(devices: list[QAudioDevice], id: str) -> QAudioDevice | None:
    """The newest of that id."""
    return next((device for device in reversed(devices) if device.id().toStdString() == id), None)


def _spoken(device: QAudioDevice) -> QAudioFormat:
    """The device's own format; 16-bit integers unless it prefers floats."""
    format = device.preferredFormat()
    if format.sampleFormat() != format.SampleFormat.Float:
        format.setSampleFormat(format.SampleFormat.Int16)
    return format


def _format(format: QAudioFormat) -> Format:
    return Format(format.sampleRate(), format.channelCount(), format.sampleFormat() == format.SampleFormat.Float)

"""The sound desk: the microphone, the loudspeaker and what is known of both.

Says which devices there are, which are chosen and what state they are in. The microphone is open
only between `open_microphone` and `close_microphone`, and for the three seconds of a check that was asked
for; a device is only switched by an explicit choice.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from bridge import control
from console.devices import Access, Device, Devices
from console.loudspeaker import Loudspeaker, SpeakerState
from console.microphone import Microphone, MicState
from console.mulaw import PER_MS, RATE_HZ, Samples, decode
from console.qt_devices import QtDevices
from console.settings import Settings

__all__ = ["Device", "MicState", "Sound", "SpeakerState"]

LOOK_MS = 100
FIRST_LOOKS_MS = 10
"""Between two looks at the devices, later and while they are being found."""

HEARS = (MicState.OPENING, MicState.ON_AIR, MicState.MUTED)
CHECK_BYTES = 3000 * PER_MS
TONE_HZ = (523.25, 659.25, 783.99)
TONE_MS = 1000
TONE_AMPLITUDE = 5000


class Sound(QObject):
    """What the panels see of the sound devices.

    devices: the machine's own, unless given.
    changed: any state, device list or choice changed. captured: 20 ms of mu-law at 8 kHz from the
    microphone, only while ON_AIR, emitted by the microphone's thread. A check of the microphone is
    not on air: `checking` tells of it.
    """

    changed = Signal()
    captured = Signal(bytes)
    _sensed = Signal()

    def __init__(self, settings: Settings, devices: Devices | None = None) -> None:
        super().__init__()
        self._settings = settings
        self._devices = devices if devices is not None else QtDevices(self)
        self._microphone = Microphone(self._devices, lambda: self.input, self._heard, self._sensed.emit)
        self._loudspeaker = Loudspeaker(self._devices, lambda: self.output, self._tell)
        self._loudspeaker.split = settings.split
        self._recorded = bytearray()
        self._checking = ""
        self._check_failed: MicState | None = None
        self._told: tuple[object, ...] = ()
        # From the microphone's thread to the window's.
        self._sensed.connect(self._tell)
        self._looks = QTimer(self, interval=FIRST_LOOKS_MS)
        self._looks.timeout.connect(self.look)
        self._looks.start()
        self.look()

    @property
    def mic(self) -> MicState:
        """Of the microphone as far as calls are concerned: OFF during a check."""
        return MicState.OFF if self._checking == "recording" else self._microphone.state

    @property
    def speaker(self) -> SpeakerState:
        """Of the loudspeaker."""
        return self._loudspeaker.state

    @property
    def mic_level(self) -> int:
        """0..255, the newest peak as the bridge draws it; also while muted and during a check."""
        return self._microphone.level

    @property
    def caller_level(self) -> int:
        """0..255: the caller, as loud as it plays now."""
        return self._loudspeaker.caller_level

    @property
    def line_level(self) -> int:
        """0..255: what the caller hears, as loud as it plays now."""
        return self._loudspeaker.line_level

    @property
    def inputs(self) -> tuple[Device, ...]:
        """The microphones that there are."""
        return self._devices.inputs

    @property
    def outputs(self) -> tuple[Device, ...]:
        """The loudspeakers that there are."""
        return self._devices.outputs

    @property
    def input(self) -> Device | None:
        """The chosen microphone; None while it is absent or there is none."""
        return _chosen(self.inputs, self._settings.input_id)

    @property
    def output(self) -> Device | None:
        """The chosen loudspeaker; None while it is absent or there is none."""
        return _chosen(self.outputs, self._settings.output_id)

    def choose_input(self, id: str) -> None:
        """Use this microphone from now on, in a take-over at once; "" for whichever is the system's default."""
        self._settings.input_id = id
        self._check_failed = None
        if self._microphone.wanted:
            self._microphone.open()
        self._tell()

    def choose_output(self, id: str) -> None:
        """Use this loudspeaker from now on, for what plays too; "" for whichever is the system's default."""
        self._settings.output_id = id
        self._loudspeaker.reopen()
        self._tell()

    @property
    def muted(self) -> bool:
        """A muted microphone sends nothing."""
        return self._microphone.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._microphone.muted = muted
        self._tell()

    @property
    def split(self) -> bool:
        """The caller left and the others right, instead of both mixed."""
        return self._loudspeaker.split

    @split.setter
    def split(self, wanted: bool) -> None:
        self._settings.split = self._loudspeaker.split = wanted
        self._tell()

    def open_microphone(self) -> None:
        """Go on air; the state says whether that worked. After a loss this tries again."""
        self._check_failed = None
        self._end_check()
        if not self._microphone.wanted or self._microphone.state not in HEARS:
            self._microphone.open()
        self._tell()

    def close_microphone(self) -> None:
        """Nothing is captured after this returns."""
        if self._checking != "recording":
            self._microphone.close()
        self._tell()

    def start_listening(self) -> None:
        """Open the loudspeaker for a call; again for another call."""
        self._loudspeaker.start_listening()
        self._tell()

    def stop_listening(self) -> None:
        """Close the loudspeaker and forget what waited for it."""
        self._loudspeaker.stop_listening()
        self._tell()

    def play(self, frame: control.HeardFrame) -> None:
        """Sound of the call that is listened to. From any thread."""
        self._loudspeaker.hear(frame)

    def play_tone(self) -> None:
        """One pleasant second to the chosen loudspeaker."""
        self._end_check()
        self._loudspeaker.play_clip(_tone(), self._tell)
        self._tell()

    @property
    def checking(self) -> str:
        """ "recording" or "playing" while the microphone is checked, else ""."""
        return self._checking

    @property
    def check_failed(self) -> MicState | None:
        """Why the newest check ended by itself, one of the troubles; None where it did not."""
        return self._check_failed

    def check_microphone(self) -> None:
        """Record three seconds and play them back; they are sent nowhere. Again: stop that. Not while on air."""
        if self._checking:
            self._end_check()
        elif not self._microphone.wanted:
            self._recorded.clear()
            self._check_failed = None
            self._checking = "recording"
            self._microphone.open()
        self._tell()

    def look(self) -> None:
        """Notice what changed; called by a timer of its own."""
        self._devices.look()
        self._looks.setInterval(FIRST_LOOKS_MS if self._devices.access is Access.LOADING else LOOK_MS)
        self._microphone.look()
        self._loudspeaker.look()
        if self._checking == "recording" and len(self._recorded) >= CHECK_BYTES:
            self._microphone.close()
            self._checking = "playing"
            self._loudspeaker.play_clip(decode(bytes(self._recorded[:CHECK_BYTES])), self._end_check)
        self._tell()

    def close(self) -> None:
        """Close both devices for good."""
        self._looks.stop()
        self._end_check()
        self._microphone.close()
        self._loudspeaker.close()
        self._devices.close()

    def _heard(self, piece: bytes) -> None:
        """In the microphone's thread."""
        if self._checking == "recording":
            self._recorded += piece
        elif not self._microphone.muted:
            self.captured.emit(piece)

    def _end_check(self) -> None:
        checking, self._checking = self._checking, ""
        if checking == "recording":
            self._microphone.close()
        elif checking == "playing":
            self._loudspeaker.stop_clip()
        self._recorded.clear()
        self._tell()

    def _tell(self) -> None:
        """Say that something changed, if so."""
        self._stay()
        if self._checking == "recording" and self._microphone.state not in HEARS:
            self._check_failed = self._microphone.state
            self._end_check()
        now = (
            *(self.mic, self.speaker, self.inputs, self.outputs, self.input, self.output),
            *(self.muted, self.split, self.checking, self.check_failed),
        )
        if now != self._told:
            self._told = now
            self.changed.emit()

    def _stay(self) -> None:
        """A device lost in use is the chosen one from then on: no new default of the system takes its place."""
        if self._microphone.state is MicState.LOST and not self._settings.input_id:
            self._settings.input_id = self._microphone.id
        if self._loudspeaker.state is SpeakerState.LOST and not self._settings.output_id:
            self._settings.output_id = self._loudspeaker.id


def _chosen(devices: tuple[Device, ...], id: str) -> Device | None:
    """The remembered device; the system's default only where none was ever chosen."""
    for device in devices:
        if device.id == id if id else device.is_default:
            return device
    return None


def _tone() -> Samples:
    """A soft chord that swells and fades."""
    at_s = np.arange(TONE_MS * RATE_HZ // 1000) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * at_s) for hz in TONE_HZ)
    swell = np.sin(np.pi * at_s * 1000 / TONE_MS)
    return np.asarray(chord * swell * TONE_AMPLITUDE, np.int16)

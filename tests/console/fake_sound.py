"""A sound desk without devices: what was asked of it is seen, and what it is to say is set."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from bridge import control
from console.settings import Settings
from console.sound import Device, MicState, SpeakerState

HEADSET = Device("headset", "Headset", True)
WEBCAM = Device("webcam", "Webcam microphone", False)
LOUDSPEAKER = Device("loudspeaker", "Loudspeaker", True)

OPEN = (MicState.ON_AIR, MicState.MUTED, MicState.OPENING)


class FakeSound(QObject):
    """Behaves as `console.sound.Sound` does; a device opens at once.

    opens_as, plays_as: the state that opening leads to, MicState.ON_AIR and SpeakerState.PLAYING
    where nothing is wrong. wanted: between opening and closing the microphone. opened: the ids of
    the microphones that were opened, in order. played: the frames that came out of the
    loudspeaker, forgotten when it is closed. toned: how often the tone was played.
    """

    changed = Signal()
    captured = Signal(bytes)

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.mic = MicState.OFF
        self.speaker = SpeakerState.OFF
        self.mic_level = 0
        self.caller_level = 0
        self.line_level = 0
        self.inputs: tuple[Device, ...] = (HEADSET, WEBCAM)
        self.outputs: tuple[Device, ...] = (LOUDSPEAKER,)
        self.checking = ""
        self.check_failed: MicState | None = None
        self.opens_as = MicState.ON_AIR
        self.plays_as = SpeakerState.PLAYING
        self.opened: list[str] = []
        self.played: list[control.HeardFrame] = []
        self.toned = 0
        self.wanted = False
        self._muted = False

    # ── what a test does ──

    def speak(self, mulaw: bytes) -> None:
        """The operator says something; it is captured if the microphone is on air."""
        if self.mic is MicState.ON_AIR:
            self.captured.emit(mulaw)

    def unplug(self, device: Device = HEADSET) -> None:
        """A microphone is pulled out; one that is in use is lost."""
        in_use = self.is_open and self.input == device
        self.inputs = tuple(other for other in self.inputs if other != device)
        self.tell(MicState.LOST if in_use else self.mic)

    def plug(self, device: Device = HEADSET) -> None:
        """A microphone is plugged in."""
        self.inputs = (*self.inputs, device)
        self.tell(self.mic)

    def tell(self, mic: MicState) -> None:
        """The microphone's state becomes this."""
        self.mic = mic
        self.changed.emit()

    @property
    def is_open(self) -> bool:
        """Whether the microphone's device is open, muted or not."""
        return self.mic in OPEN

    @property
    def is_listening(self) -> bool:
        """Whether the loudspeaker is open for a call."""
        return self.speaker is not SpeakerState.OFF

    # ── the interface ──

    @property
    def input(self) -> Device | None:
        return _chosen(self.inputs, self._settings.input_id)

    @property
    def output(self) -> Device | None:
        return _chosen(self.outputs, self._settings.output_id)

    def choose_input(self, id: str) -> None:
        self._settings.input_id = id
        if self.wanted:
            self.tell(MicState.OPENING)
            self.open_microphone()
        self.changed.emit()

    def choose_output(self, id: str) -> None:
        self._settings.output_id = id
        self.changed.emit()

    @property
    def muted(self) -> bool:
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._muted = muted
        if self.mic in (MicState.ON_AIR, MicState.MUTED):
            self.mic = MicState.MUTED if muted else MicState.ON_AIR
        self.changed.emit()

    @property
    def split(self) -> bool:
        return self._settings.split

    @split.setter
    def split(self, wanted: bool) -> None:
        self._settings.split = wanted
        self.changed.emit()

    def open_microphone(self) -> None:
        self.wanted = True
        if self.mic in (MicState.ON_AIR, MicState.MUTED):
            return
        if self.opens_as is MicState.ON_AIR and self.input is not None:
            self.opened.append(self.input.id)
            self.tell(MicState.MUTED if self._muted else MicState.ON_AIR)
        else:
            self.tell(MicState.NONE if self.opens_as is MicState.ON_AIR else self.opens_as)

    def close_microphone(self) -> None:
        self.wanted = False
        self.tell(MicState.OFF)

    def start_listening(self) -> None:
        self.speaker = self.plays_as
        self.changed.emit()

    def stop_listening(self) -> None:
        self.speaker = SpeakerState.OFF
        self.played.clear()
        self.changed.emit()

    def play(self, frame: control.HeardFrame) -> None:
        self.played.append(frame)

    def play_tone(self) -> None:
        self.toned += 1

    def check_microphone(self) -> None:
        self.checking = "" if self.checking else "recording"
        self.changed.emit()

    def close(self) -> None:
        self.close_microphone()
        self.stop_listening()


def _chosen(devices: tuple[Device, ...], id: str) -> Device | None:
    return next((device for device in devices if (device.id == id if id else device.is_default)), None)

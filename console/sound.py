"""The sound desk: the microphone, the loudspeaker and what is known of both.

Says which devices there are, which are chosen and what state they are in. The microphone is open
only between `open_microphone` and `close_microphone`; a device is only switched by an explicit
choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Signal

from bridge import control
from console.settings import Settings


class MicState(StrEnum):
    """LOST: it was unplugged or stopped. NONE: there is no microphone. DENIED: the system does not allow its use.
    NO_SERVER: no sound server answers. NO_LIBRARY: Qt's sound library cannot be loaded (libpulse is missing)."""

    OFF = "off"
    OPENING = "opening"
    ON_AIR = "on_air"
    MUTED = "muted"
    LOST = "lost"
    NONE = "none"
    DENIED = "denied"
    NO_SERVER = "no_server"
    NO_LIBRARY = "no_library"


class SpeakerState(StrEnum):
    """As `MicState`, for the loudspeaker."""

    OFF = "off"
    PLAYING = "playing"
    LOST = "lost"
    NONE = "none"
    NO_SERVER = "no_server"
    NO_LIBRARY = "no_library"


@dataclass(frozen=True)
class Device:
    """A microphone or a loudspeaker. id: the system's own, the same after a restart."""

    id: str
    name: str
    is_default: bool


class Sound(QObject):
    """What the panels see of the sound devices.

    changed: any state, device list or choice changed. captured: 20 ms of mu-law at 8 kHz from the
    microphone, only while ON_AIR. Levels are 0..255, the newest peak as the bridge draws it.

    Only the choices and the split are kept so far: no device is opened, listed or heard yet, and
    the states say NO_LIBRARY.
    """

    changed = Signal()
    captured = Signal(bytes)

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.mic = MicState.NO_LIBRARY
        self.speaker = SpeakerState.NO_LIBRARY
        self.mic_level = 0
        self.caller_level = 0
        self.line_level = 0
        self.inputs: tuple[Device, ...] = ()
        self.outputs: tuple[Device, ...] = ()
        self.checking = ""
        self._muted = False

    @property
    def input(self) -> Device | None:
        """The chosen microphone; None while it is absent or there is none."""
        return _chosen(self.inputs, self._settings.input_id)

    @property
    def output(self) -> Device | None:
        """The chosen loudspeaker; None while it is absent or there is none."""
        return _chosen(self.outputs, self._settings.output_id)

    def choose_input(self, id: str) -> None:
        """Use this microphone from now on."""
        self._settings.input_id = id
        self.changed.emit()

    def choose_output(self, id: str) -> None:
        """Use this loudspeaker from now on."""
        self._settings.output_id = id
        self.changed.emit()

    @property
    def muted(self) -> bool:
        """A muted microphone sends nothing."""
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._muted = muted
        self.changed.emit()

    @property
    def split(self) -> bool:
        """The caller left and the others right, instead of both mixed."""
        return self._settings.split

    @split.setter
    def split(self, wanted: bool) -> None:
        self._settings.split = wanted
        self.changed.emit()

    def open_microphone(self) -> None:
        """Go on air; the state says whether that worked."""

    def close_microphone(self) -> None:
        """Nothing is captured after this returns."""

    def start_listening(self) -> None:
        """Open the loudspeaker for a call."""

    def stop_listening(self) -> None:
        """Close the loudspeaker and forget what waited for it."""

    def play(self, frame: control.HeardFrame) -> None:
        """Sound of the call that is listened to."""

    def play_tone(self) -> None:
        """One pleasant second to the chosen loudspeaker."""

    def check_microphone(self) -> None:
        """Record three seconds and play them back; they are sent nowhere."""

    def close(self) -> None:
        """Close both devices for good."""


def _chosen(devices: tuple[Device, ...], id: str) -> Device | None:
    """The remembered device; the system's default only where none was ever chosen."""
    for device in devices:
        if device.id == id if id else device.is_default:
            return device
    return None

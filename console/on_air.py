"""Taking over by voice, and listening in: the floor, the microphone and the loudspeaker together."""

from __future__ import annotations

from enum import StrEnum

from PySide6.QtCore import QObject, Signal

from console.desk import Desk
from console.settings import Settings
from console.sound import Device, Sound


class TalkMode(StrEnum):
    """OPEN: the microphone sends all the time. PUSH: only while the key is held."""

    OPEN = "open"
    PUSH = "push"


class OnAir(QObject):
    """What this window says to a call, and what it hears of one.

    has_floor_of: call_id whose floor this window holds. timing: ms from the key to a silent AI and
    to the own voice on the wire, for the newest take-over; upper bounds, None: not yet.
    listening_to: call_id. queue: calls to be listened to next. lost_since_ms: when the microphone
    was lost in a take-over (monotonic). other_input: what `use_other_input` would switch to.

    Only the talk mode is kept so far: nothing opens the microphone or listens yet.
    """

    changed = Signal()

    def __init__(self, desk: Desk, sound: Sound, settings: Settings) -> None:
        super().__init__()
        self._desk = desk
        self._sound = sound
        self._settings = settings
        self.on_air = False
        self.has_floor_of = ""
        self.timing: tuple[float | None, float | None] = (None, None)
        self.listening_to = ""
        self.queue: tuple[str, ...] = ()
        self.lost_since_ms: float | None = None
        self.other_input: Device | None = None

    @property
    def mode(self) -> TalkMode:
        """Remembered between runs."""
        return TalkMode(self._settings.talk_mode)

    @mode.setter
    def mode(self, mode: TalkMode) -> None:
        self._settings.talk_mode = mode.value
        self.changed.emit()

    @property
    def muted(self) -> bool:
        """The microphone sends nothing."""
        return self._sound.muted

    def toggle_mute(self) -> None:
        """Mute the microphone, or speak again."""
        self._sound.muted = not self._sound.muted
        self.changed.emit()

    def talk(self, pressed: bool) -> None:
        """The push-to-talk key went down or up."""

    def key_pressed(self) -> None:
        """The take-over key went down now; `timing` counts from here."""

    def toggle_listen(self) -> None:
        """Listen to the selected call, or stop."""

    def toggle_queue(self) -> None:
        """Put the selected call into the listening queue, or take it out."""

    def use_other_input(self) -> None:
        """Switch to `other_input`; only ever by a person's click."""

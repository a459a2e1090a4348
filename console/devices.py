"""What the sound desk needs of a machine's sound devices: which there are, and opening one.

`console.qt_devices` is the real one; tests have one that they turn by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from console.resampling import Format

STEP_MS = 10
"""How often an open device has its sound fetched or brought."""


class Access(StrEnum):
    """To the devices. LOADING: not known yet, for a moment after the start. NO_SERVER: no sound server answers.
    SERVER_LOST: it went away while in use, and this process can use no other. NO_LIBRARY: Qt's sound library
    cannot be loaded."""

    LOADING = "loading"
    OK = "ok"
    NO_SERVER = "no_server"
    SERVER_LOST = "server_lost"
    NO_LIBRARY = "no_library"


@dataclass(frozen=True)
class Device:
    """A microphone or a loudspeaker. id: the system's own, the same after a restart."""

    id: str
    name: str
    is_default: bool


class Capture(Protocol):
    """A microphone that is open. `read` is for whoever is called when it is due."""

    format: Format

    def read(self) -> bytes:
        """What came since the last time."""

    def works(self) -> bool:
        """False once it stopped by itself."""

    def close(self) -> None:
        """Nothing comes any more."""


class Playback(Protocol):
    """A loudspeaker that is open. `waiting_ms` and `write` are for whoever is called when it is due."""

    format: Format

    def waiting_ms(self) -> float:
        """How much was written and is not played yet."""

    def write(self, sound: bytes) -> None:
        """More to play."""

    def works(self) -> bool:
        """False once it stopped by itself."""

    def close(self) -> None:
        """Silence."""


class Devices(Protocol):
    """access, inputs, outputs: as of the newest look. No call waits for a device or a server."""

    access: Access
    inputs: tuple[Device, ...]
    outputs: tuple[Device, ...]

    def now_ms(self) -> float:
        """A clock that never goes back."""

    def look(self) -> None:
        """Find out what changed; called ten times a second, and more often while LOADING."""

    def ask_for_microphone(self, answer: Callable[[bool], None]) -> None:
        """Whether the system allows its use: answered at once, or when the person has decided."""

    def open_input(self, id: str, due: Callable[[], None]) -> Capture | None:
        """None when it cannot be opened. due: called every STEP_MS until `close`, by a thread of the device's own."""

    def open_output(self, id: str, due: Callable[[], None]) -> Playback | None:
        """As `open_input`."""

    def close(self) -> None:
        """For good: from now on there are none."""

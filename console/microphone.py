"""The microphone: what state it is in, and what it hears in pieces of 20 ms of mu-law.

It is open only between `open` and `close`. A device that vanishes, stops or falls silent is LOST; no
other takes its place. Its sound is fetched by the device's own thread (`_take`), however busy the window is;
all else is the window's.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from threading import RLock

from console.devices import Access, Capture, Device, Devices
from console.mulaw import decode, height
from console.resampling import ToTelephone

SILENT_MS = 400
"""A device that gives nothing at all for so long is lost."""

WAKING_MS = 5000
"""And for so long when it was just opened: some have to wake up."""


class MicState(StrEnum):
    """LOST: it was unplugged or stopped. NONE: there is no microphone. DENIED: the system does not allow its use.
    NO_SERVER: no sound server answers. SERVER_LOST: it went away, and only a new window can use sound again.
    NO_LIBRARY: Qt's sound library cannot be loaded (libpulse is missing)."""

    OFF = "off"
    OPENING = "opening"
    ON_AIR = "on_air"
    MUTED = "muted"
    LOST = "lost"
    NONE = "none"
    DENIED = "denied"
    NO_SERVER = "no_server"
    SERVER_LOST = "server_lost"
    NO_LIBRARY = "no_library"


class Microphone:
    """chosen: the device to open, None while there is none. heard: gets each piece, in the device's thread.
    changed: called when the state may have changed, by either thread.

    wanted: between `open` and `close`. level: 0..255, the newest piece's peak, as the bridge draws it.
    """

    def __init__(
        self,
        devices: Devices,
        chosen: Callable[[], Device | None],
        heard: Callable[[bytes], None],
        changed: Callable[[], None],
    ) -> None:
        self.muted = False
        self.wanted = False
        self.level = 0
        self._devices = devices
        self._chosen = chosen
        self._heard = heard
        self._changed = changed
        self._id = ""
        self._trouble: MicState | None = None
        self._capture: Capture | None = None
        self._converter: ToTelephone | None = None
        self._hears = False
        # When the device was asked last, and when it last had something.
        self._asked_ms = self._heard_ms = 0.0
        # Held while a piece is handed out: once closed nothing more is.
        self._lock = RLock()

    @property
    def state(self) -> MicState:
        """Now."""
        match self._devices.access:
            case Access.NO_LIBRARY:
                return MicState.NO_LIBRARY
            case Access.NO_SERVER:
                return MicState.NO_SERVER
            case Access.SERVER_LOST:
                return MicState.SERVER_LOST
            case Access.LOADING:
                return MicState.OPENING if self.wanted else MicState.OFF
        if self._hears:
            return MicState.MUTED if self.muted else MicState.ON_AIR
        if self._trouble is not None:
            return self._trouble
        if self.wanted:
            return MicState.OPENING
        return MicState.OFF if self._chosen() is not None else MicState.NONE

    @property
    def id(self) -> str:
        """Of the device that is or was open; "" since `close`."""
        return self._id

    def open(self) -> None:
        """Whether it works shows in the state. Before the devices are known it waits for them."""
        self.close()
        self.wanted = True
        self.look()

    def close(self) -> None:
        """Nothing is heard after this returns."""
        self._let_go()
        self.wanted = False
        self._id, self._trouble = "", None

    def look(self) -> None:
        """Open what is wanted; notice that it is gone."""
        if self._capture is not None:
            if self._is_gone(self._capture):
                self._fail(MicState.LOST)
        elif self.wanted and self._devices.access is Access.OK and not self._id and self._trouble is None:
            self._ask()

    def _is_gone(self, capture: Capture) -> bool:
        # Not until now: all of this process may have stood still.
        silent_ms = self._asked_ms - self._heard_ms
        return (
            all(there.id != self._id for there in self._devices.inputs)
            or not capture.works()
            or silent_ms > (SILENT_MS if self._hears else WAKING_MS)
        )

    def _ask(self) -> None:
        device = self._chosen()
        if device is None:
            self._fail(MicState.NONE)
            return
        self._id = id = device.id
        self._devices.ask_for_microphone(lambda granted: self._decided(id, granted))

    def _decided(self, id: str, granted: bool) -> None:
        # The person may have taken long, and everything may be different now.
        if not self.wanted or self._id != id or self._capture is not None:
            return
        if not granted:
            self._fail(MicState.DENIED)
            return
        capture = self._devices.open_input(id, self._take)
        if capture is None:
            self._fail(MicState.LOST)
            return
        with self._lock:
            self._capture, self._converter = capture, ToTelephone(capture.format)
            self._asked_ms = self._heard_ms = self._devices.now_ms()
        self._changed()

    def _take(self) -> None:
        with self._lock:
            capture, converter = self._capture, self._converter
            if capture is None or converter is None:
                return
            self._asked_ms = self._devices.now_ms()
            sound = capture.read()
            if not sound:
                return
            self._heard_ms = self._asked_ms
            if not self._hears:
                self._hears = True
                self._changed()
            for piece in converter.take(sound):
                # Whoever is told may close the microphone: then the rest is not heard.
                if self._capture is not capture:
                    return
                self.level = height(decode(piece))
                self._heard(piece)

    def _let_go(self) -> None:
        with self._lock:
            capture, self._capture, self._converter = self._capture, None, None
            self._hears, self.level = False, 0
        if capture is not None:
            capture.close()

    def _fail(self, trouble: MicState) -> None:
        self._let_go()
        self._trouble = trouble
        self._changed()

"""Sound devices that are turned by hand: nothing is heard, plugged in or delayed unless a test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from console.devices import Access, Device
from console.mulaw import Samples
from console.resampling import Format
from console.settings import Settings
from console.sound import LOOK_MS, Sound

HEADSET = Device("headset", "Headset", True)
BUILT_IN = Device("built-in", "Built-in", False)
FORMAT = Format(48_000, 2)
LOUD = 16_000
TURN_MS = 10


class FakeCapture:
    """An open microphone."""

    def __init__(self, format: Format, due: Callable[[], None]) -> None:
        self.format = format
        self.is_open = True
        self.broken = False
        self._due = due
        self._sound = b""

    def hear(self, ms: int, amplitude: int = LOUD, *, told: bool = True) -> None:
        """Sound reaches the microphone. told: and the program has the time to take note."""
        self._sound += np.full(self.format.rate_hz * ms // 1000 * self.format.channels, amplitude, np.int16).tobytes()
        if told:
            self.ask()

    def ask(self) -> None:
        """For what there is, as every STEP_MS."""
        if self.is_open:
            self._due()

    def read(self) -> bytes:
        sound, self._sound = self._sound, b""
        return sound

    def works(self) -> bool:
        return not self.broken

    def close(self) -> None:
        self.is_open = False


class FakePlayback:
    """An open loudspeaker. played: what it got, shape (samples, channels)."""

    def __init__(self, format: Format, due: Callable[[], None]) -> None:
        self.format = format
        self.is_open = True
        self.broken = False
        self.stuck = False
        self._due = due
        self._sound = bytearray()
        self._waiting_ms = 0.0

    @property
    def played(self) -> Samples:
        return np.frombuffer(bytes(self._sound), np.int16).reshape(-1, self.format.channels)

    def pass_time(self, ms: float) -> None:
        if not self.stuck:
            self._waiting_ms = max(0.0, self._waiting_ms - ms)

    def ask(self) -> None:
        """For more, as every STEP_MS."""
        if self.is_open:
            self._due()

    def waiting_ms(self) -> float:
        return self._waiting_ms

    def write(self, sound: bytes) -> None:
        assert self.is_open
        self._sound += sound
        self._waiting_ms += len(sound) / self.format.frame_bytes * 1000 / self.format.rate_hz

    def works(self) -> bool:
        return not self.broken

    def close(self) -> None:
        self.is_open = False


class FakeDevices:
    """Two microphones and two loudspeakers. fails: nothing can be opened. permits: None leaves the person undecided."""

    def __init__(self) -> None:
        self.access = Access.OK
        self.inputs: tuple[Device, ...] = (HEADSET, BUILT_IN)
        self.outputs: tuple[Device, ...] = (HEADSET, BUILT_IN)
        self.format = FORMAT
        self.fails = False
        self.permits: bool | None = True
        self.closed = False
        self.captures: list[FakeCapture] = []
        self.playbacks: list[FakePlayback] = []
        self.opened: list[str] = []
        self._now_ms = 0.0
        self._answers: list[Callable[[bool], None]] = []

    @property
    def capture(self) -> FakeCapture | None:
        """The microphone that is open."""
        found = [capture for capture in self.captures if capture.is_open]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def playback(self) -> FakePlayback | None:
        """The loudspeaker that is open."""
        found = [playback for playback in self.playbacks if playback.is_open]
        assert len(found) <= 1
        return found[0] if found else None

    def unplug(self, id: str) -> None:
        """It is not there any more; what remains is the system's new default."""
        self.inputs, self.outputs = (_without(devices, id) for devices in (self.inputs, self.outputs))

    def plug(self, device: Device) -> None:
        self.inputs += (device,)
        self.outputs += (device,)

    def decide(self, granted: bool) -> None:
        """The person answers what the system asked."""
        answers, self._answers = self._answers, []
        for answer in answers:
            answer(granted)

    def pass_time(self, ms: float) -> None:
        self._now_ms += ms
        for playback in self.playbacks:
            playback.pass_time(ms)

    def now_ms(self) -> float:
        return self._now_ms

    def look(self) -> None:
        """All is known already."""

    def ask_for_microphone(self, answer: Callable[[bool], None]) -> None:
        if self.permits is None:
            self._answers.append(answer)
        else:
            answer(self.permits)

    def open_input(self, id: str, due: Callable[[], None]) -> FakeCapture | None:
        if self.fails:
            return None
        self.opened.append(id)
        self.captures.append(FakeCapture(self.format, due))
        return self.captures[-1]

    def open_output(self, id: str, due: Callable[[], None]) -> FakePlayback | None:
        if self.fails:
            return None
        self.opened.append(id)
        self.playbacks.append(FakePlayback(self.format, due))
        return self.playbacks[-1]

    def close(self) -> None:
        self.closed = True
        self.access, self.inputs, self.outputs = Access.NO_SERVER, (), ()


def _without(devices: tuple[Device, ...], id: str) -> tuple[Device, ...]:
    left = [device for device in devices if device.id != id]
    return tuple(replace(device, is_default=number == 0) for number, device in enumerate(left))


class SoundDesk:
    """A sound desk on fake devices. captured: the pieces that would be sent. told: how often it said `changed`."""

    def __init__(self, path: Path, devices: FakeDevices | None = None) -> None:
        self.devices = devices or FakeDevices()
        self.settings = Settings(path)
        self.sound = Sound(self.settings, self.devices)
        self.captured: list[bytes] = []
        self.told = 0
        self.sound.captured.connect(self.captured.append)
        self.sound.changed.connect(self._count)

    def pass_time(self, ms: int, *, speaking: bool = False) -> None:
        """As the timers of the real desk would have it. speaking: into the open microphone."""
        for _ in range(ms // TURN_MS):
            self.devices.pass_time(TURN_MS)
            if speaking and self.devices.capture is not None:
                self.devices.capture.hear(TURN_MS)
            for device in (self.devices.capture, self.devices.playback):
                if device is not None:
                    device.ask()
            if self.devices.now_ms() % LOOK_MS == 0:
                self.sound.look()

    def _count(self) -> None:
        self.told += 1

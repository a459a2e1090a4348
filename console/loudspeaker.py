"""The loudspeaker: the call that is listened to, and short clips.

Sound is written a little ahead, a few hundredths of a second, so that it is never far behind the call. It is
written by the device's own thread (`_push`), however busy the window is; all else is the window's.
As with the microphone no other device takes the place of one that is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from threading import Lock

import numpy as np

from bridge.control import HeardFrame, Side
from console.devices import STEP_MS, Access, Device, Devices, Playback
from console.monitor import Lanes, Monitor
from console.mulaw import PER_MS, Samples, height
from console.resampling import FromTelephone

AHEAD_MS, MOST_AHEAD_MS = 50, 60
"""Written and not played yet: more each time the machine was too busy to keep up, less again after CALM_MS."""

CALM_MS = 10_000
RESERVE_MS = 20
"""As long as so much waits to be played, what the call lacks is waited for: it may just be late."""

LATE_MS = 25
"""When the machine was too busy to come by for so long, what came meanwhile was not read either."""

STUCK_MS = 400
"""A device that plays nothing at all for so long is lost."""

WAKING_MS = 5000
"""And for so long when it was just opened."""


class SpeakerState(StrEnum):
    """As `MicState`, for the loudspeaker."""

    OFF = "off"
    PLAYING = "playing"
    LOST = "lost"
    NONE = "none"
    NO_SERVER = "no_server"
    SERVER_LOST = "server_lost"
    NO_LIBRARY = "no_library"


class Loudspeaker:
    """chosen: the device to open, None while there is none. changed: called when the state may have changed.

    split: the caller left and the others right, instead of both mixed. caller_level, line_level: 0..255, of what
    is being played.
    """

    def __init__(self, devices: Devices, chosen: Callable[[], Device | None], changed: Callable[[], None]) -> None:
        self.split = False
        self.listening = False
        self.caller_level = 0
        self.line_level = 0
        self._devices = devices
        self._chosen = chosen
        self._changed = changed
        self._id = ""
        self._trouble: SpeakerState | None = None
        # What both threads use is used under it; neither waits for a device meanwhile, nor paints.
        self._lock = Lock()
        self._playback: Playback | None = None
        self._converter: FromTelephone | None = None
        self._monitor = Monitor()
        self._clip: Samples = np.zeros(0, np.int16)
        self._clip_ended: Callable[[], None] | None = None
        self._is_mono = False
        # Whether the device got something, and whether it asked for more.
        self._supplied = self._plays = False
        self._played_ms = self._pushed_ms = 0.0
        self._ahead_ms = AHEAD_MS
        self._calm_since_ms = 0.0

    @property
    def state(self) -> SpeakerState:
        """Now."""
        match self._devices.access:
            case Access.NO_LIBRARY:
                return SpeakerState.NO_LIBRARY
            case Access.NO_SERVER:
                return SpeakerState.NO_SERVER
            case Access.SERVER_LOST:
                return SpeakerState.SERVER_LOST
        if self._playback is not None:
            return SpeakerState.PLAYING
        if self._trouble is not None:
            return self._trouble
        if self._devices.access is Access.LOADING or self._chosen() is not None:
            return SpeakerState.OFF
        return SpeakerState.NONE

    @property
    def id(self) -> str:
        """Of the device that is or was open; "" since it was not needed any more."""
        return self._id

    @property
    def in_use(self) -> bool:
        """A call is listened to, or a clip plays."""
        return self.listening or self._clip_ended is not None

    def start_listening(self) -> None:
        """To a call, from its next frame on."""
        with self._lock:
            self._monitor = Monitor()
        self.listening = True
        self.open()

    def stop_listening(self) -> None:
        """Silence, unless a clip plays."""
        self.listening = False
        with self._lock:
            self._monitor = Monitor()
        self._rest()

    def hear(self, frame: HeardFrame) -> None:
        """Sound of the call."""
        if self.listening and self._playback is not None:
            with self._lock:
                self._monitor.put(frame)

    def play_clip(self, samples: Samples, ended: Callable[[], None]) -> None:
        """8 kHz, on both sides and over a call. ended: called when it was played, or cannot be."""
        self.stop_clip()
        with self._lock:
            # The silence is for what is still on its way when the last of the clip is written.
            self._clip = np.concatenate([samples, np.zeros((MOST_AHEAD_MS + STEP_MS) * PER_MS, np.int16)])
        self._clip_ended = ended
        self.open()

    def stop_clip(self) -> None:
        """The rest of it is not played."""
        with self._lock:
            self._clip = self._clip[:0]
        ended, self._clip_ended = self._clip_ended, None
        self._rest()
        if ended is not None:
            ended()

    def open(self) -> None:
        """What is open stays open; after a loss this tries again."""
        if self._playback is None:
            self._id, self._trouble = "", None
            self.look()

    def reopen(self) -> None:
        """On the device that is chosen now, if anything is to be played."""
        self._let_go()
        self._id, self._trouble = "", None
        self.look()

    def close(self) -> None:
        """Silence, at once."""
        self.stop_listening()
        self.stop_clip()

    def look(self) -> None:
        """Open what is wanted; notice that it is gone, or that a clip was played."""
        if self._playback is not None:
            if self._is_gone(self._playback):
                self._fail(SpeakerState.LOST)
            elif self._clip_ended is not None and not len(self._clip):
                self.stop_clip()
        elif self.in_use and self._devices.access is Access.OK and not self._id and self._trouble is None:
            self._open_chosen()

    def _push(self) -> None:
        """Keep the device supplied; called every STEP_MS by its thread."""
        with self._lock:
            if self._playback is not None and self._converter is not None:
                self._supply(self._playback, self._converter)

    def _supply(self, playback: Playback, converter: FromTelephone) -> None:
        waiting_ms, now_ms = playback.waiting_ms(), self._devices.now_ms()
        is_late, self._pushed_ms = now_ms - self._pushed_ms > LATE_MS, now_ms
        if self._plays and waiting_ms <= 0:
            self._ahead_ms, self._calm_since_ms = min(self._ahead_ms + STEP_MS, MOST_AHEAD_MS), now_ms
        elif now_ms - self._calm_since_ms >= CALM_MS:
            self._ahead_ms, self._calm_since_ms = max(self._ahead_ms - STEP_MS, AHEAD_MS), now_ms
        lacking = math.ceil((self._ahead_ms - waiting_ms) / STEP_MS)
        if lacking <= 0:
            return
        self._plays = self._supplied
        self._supplied, self._played_ms = True, now_ms
        for step in range(lacking):
            in_hand_ms = waiting_ms + step * STEP_MS
            if (is_late or in_hand_ms >= RESERVE_MS) and self._monitor.lacks(STEP_MS * PER_MS):
                break
            short_ms = max(0, self._ahead_ms - STEP_MS - in_hand_ms)
            lanes = self._monitor.take(STEP_MS * PER_MS, round(short_ms * PER_MS))
            self.caller_level, self.line_level = height(lanes[Side.CALLER]), height(lanes[Side.LINE])
            playback.write(converter.make(*self._mixed(lanes)))

    def _mixed(self, lanes: Lanes) -> tuple[Samples, Samples]:
        """Left and right."""
        piece, self._clip = self._clip[: lanes.shape[1]], self._clip[lanes.shape[1] :]
        sides = lanes.astype(np.int32)
        if not self.split or self._is_mono:
            sides = np.repeat(sides.sum(axis=0, keepdims=True), 2, axis=0)
        sides[:, : len(piece)] += piece
        left, right = sides.clip(-32768, 32767).astype(np.int16)
        return left, right

    def _is_gone(self, playback: Playback) -> bool:
        # Not until now: all of this process may have stood still.
        stuck_ms = self._pushed_ms - self._played_ms
        return (
            all(there.id != self._id for there in self._devices.outputs)
            or not playback.works()
            or stuck_ms > (STUCK_MS if self._plays else WAKING_MS)
        )

    def _open_chosen(self) -> None:
        device = self._chosen()
        if device is None:
            self._fail(SpeakerState.NONE)
            return
        self._id = device.id
        playback = self._devices.open_output(device.id, self._push)
        if playback is None:
            self._fail(SpeakerState.LOST)
            return
        with self._lock:
            self._playback, self._converter = playback, FromTelephone(playback.format)
            self._is_mono = playback.format.channels == 1
            self._supplied = self._plays = False
            now_ms = self._devices.now_ms()
            self._ahead_ms, self._calm_since_ms, self._played_ms, self._pushed_ms = AHEAD_MS, now_ms, now_ms, now_ms
        self._changed()

    def _rest(self) -> None:
        """Let go when nothing is to be played any more."""
        if not self.in_use:
            self._let_go()
            self._id, self._trouble = "", None
            self._changed()

    def _let_go(self) -> None:
        with self._lock:
            playback, self._playback, self._converter = self._playback, None, None
        if playback is not None:
            playback.close()
        self.caller_level = self.line_level = 0

    def _fail(self, trouble: SpeakerState) -> None:
        self._let_go()
        self._trouble = trouble
        self._changed()
        self.stop_clip()

"""The person at the other end: does the steps of a scenario, listening to what is played to them.

No sockets and no clock: `tick` is called every 20 ms with what is heard, and says what is spoken.
"""

from __future__ import annotations

import binascii
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from bridge.audio import FRAME_BYTES, FRAME_MS, SILENT_FRAME, peak
from bridge.rehearsal.scenario import CallerStep, Wait

LOUD = 36
"""Height (`bridge.audio.peak`) from which a frame is speech: 34 dB below full scale."""

SPEECH_FRAMES = 3
PAUSE_MS = 600
"""Quiet for this long ends what the other side says; less is a breath."""

CARRIED_ON_MS = 1000
"""Speech that began before our own last step ended is a reply only if it goes on for this long."""

KEY_MS = 200


class Frame(NamedTuple):
    """20 ms of mu-law, and the same as base64."""

    audio: bytes
    text: str


def _frame(audio: bytes) -> Frame:
    audio += SILENT_FRAME[len(audio) :]
    return Frame(audio, binascii.b2a_base64(audio, newline=False).decode())


SILENCE = _frame(SILENT_FRAME)


@lru_cache(maxsize=256)
def frames_of(audio: bytes) -> tuple[Frame, ...]:
    """A clip cut every 160 bytes from its first byte, the last frame filled with silence."""
    return tuple(_frame(audio[i : i + FRAME_BYTES]) for i in range(0, len(audio), FRAME_BYTES))


class Ear:
    """When the other side spoke. Times are ms since the stream began."""

    def __init__(self) -> None:
        self.began_ms = 0
        self.last_loud_ms = -PAUSE_MS
        self._loud_frames = 0

    @property
    def heard_speech(self) -> bool:
        """Whether the last sound was speech and not a click."""
        return self._loud_frames >= SPEECH_FRAMES

    def hear(self, frame: bytes, now_ms: int) -> None:
        """20 ms that end at ``now_ms``."""
        if frame is SILENT_FRAME or peak(frame) < LOUD:
            return
        if now_ms - self.last_loud_ms >= PAUSE_MS:
            self.began_ms = now_ms - FRAME_MS
            self._loud_frames = 0
        self.last_loud_ms = now_ms
        self._loud_frames += 1


class Caller:
    """Does one step after the other.

    digits: keys pressed and not yet taken off by the line. wants_to_hang_up: a step said so.
    gave_up: numbers of the steps that were done although what they waited for never came. told: is
    called with what happens, in words.
    """

    def __init__(self, steps: Iterable[CallerStep], told: Callable[[str, str], None]) -> None:
        self.digits = ""
        self.wants_to_hang_up = False
        self.gave_up: list[int] = []
        self._steps = deque(steps)
        self._told = told
        self._number = 0
        self._now_ms = 0
        self._since_ms = 0
        self._ear = Ear()
        self._speaking: deque[Frame] = deque()
        self._keys: deque[str] = deque()
        self._next_key_ms = 0
        self._doing: CallerStep | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do, or only to hang up on somebody who was quicker."""
        return self._doing is None and all(s.hang_up and not s.audio and not s.digits for s in self._steps)

    @property
    def is_speaking(self) -> bool:
        """Whether a clip is on its way."""
        return bool(self._speaking)

    def then(self, step: CallerStep) -> None:
        """One more step, after those there are."""
        self._steps.append(step)

    def begin_again(self) -> None:
        """A new stream begins: what was heard before it is past, a step in progress is done."""
        self._ear = Ear()
        self._now_ms = self._since_ms = self._next_key_ms = 0
        self._speaking.clear()
        self._keys.clear()
        self._doing = None

    def tick(self, heard: bytes) -> Frame:
        """Hear 20 ms; what is spoken in the next 20 ms."""
        self._now_ms += FRAME_MS
        self._ear.hear(heard, self._now_ms)
        if self._doing is None and self._steps:
            self._consider(self._steps[0])
        frame = self._speaking.popleft() if self._speaking else SILENCE
        if self._doing is not None and not self._speaking:
            self._finish(self._doing)
        return frame

    def _consider(self, step: CallerStep) -> None:
        if not self._due(step):
            if step.wait is Wait.PAUSE or self._now_ms - self._since_ms < step.give_up_ms:
                return
            self.gave_up.append(self._number)
            self._told("gave-up", f"step {self._number}: waited {step.give_up_ms} ms for {step.wait}")
        self._steps.popleft()
        self._number += 1
        self._doing = step
        self._speaking.extend(frames_of(step.audio))
        self._keys.extend(step.digits)
        self._next_key_ms = self._now_ms
        if step.audio:
            self._told("speaks", step.text)

    def _due(self, step: CallerStep) -> bool:
        now_ms, ear = self._now_ms, self._ear
        match step.wait:
            case Wait.PAUSE:
                return now_ms - self._since_ms >= step.ms
            case Wait.REPLY_END:
                fresh = ear.began_ms >= self._since_ms or ear.last_loud_ms - self._since_ms >= CARRIED_ON_MS
                return ear.heard_speech and fresh and now_ms - ear.last_loud_ms >= step.ms
            case Wait.REPLY_MS:
                still = ear.heard_speech and now_ms - ear.last_loud_ms < PAUSE_MS
                return still and ear.last_loud_ms - max(ear.began_ms, self._since_ms) >= step.ms

    def _finish(self, step: CallerStep) -> None:
        if self._keys:
            if self._now_ms >= self._next_key_ms:
                self.digits += self._keys.popleft()
                self._next_key_ms = self._now_ms + KEY_MS
            return
        self._doing = None
        self._since_ms = self._now_ms
        self.wants_to_hang_up = step.hang_up

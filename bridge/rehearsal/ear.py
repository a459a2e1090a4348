"""The rehearsal AI's hearing: when somebody speaks, and which rehearsed line it was.

No understanding of speech: lines are known again by their very frames, which cross the bridge
untouched, or by how they run (`recall`). Everything else is "[speech, 2.3 s]".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENT_FRAME
from bridge.engines.speech.sound import STRENGTH
from bridge.rehearsal.mind import Heard
from bridge.rehearsal.recall import Recall
from bridge.rehearsal.scenario import Reply
from bridge.rehearsal.speech import word_starts

START_FRAMES = 3
"""60 ms of sound are speech; less is a click."""

_FLOOR_MARGIN = 1.7
"""Speech is this much above the line's noise, as `STRENGTH`: about 9 dB."""

_PAUSE_SHARE = 0.2
"""A pause is at most this loud beside the voice it interrupts, as `STRENGTH`: 28 dB below it."""

_PAUSE_BREAK = 5
"""How many quiet frames one loud frame in a pause undoes: crackle does not make speech."""

_LOUD = 45 * FRAME_BYTES
"""Summed loudness above which a frame is a line's own, not silence that all lines share."""

_KNOWN_FRAMES = 6
_KNOWN_SHARE = 0.4
_LOST_FRAMES = 5


@dataclass(frozen=True)
class Vad:
    """When speech begins and ends. threshold: 0 takes everything for speech, 1 only shouting.

    unfinished_ms: silence that ends speech which is the beginning of a rehearsed line, if it is longer.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    unfinished_ms: int = 0


@dataclass(frozen=True)
class Started:
    """Speech began; audio from ``at_ms`` of the stream on belongs to it (the padding included)."""

    at_ms: int


@dataclass(frozen=True)
class Stopped:
    """Speech ended; its audio reaches to ``at_ms`` of the stream (the silence included)."""

    at_ms: int
    audio: bytes


class Ear:
    """Finds turns in one stream of mu-law. With no `Vad` it only keeps what it hears, for `take`.

    lines: to tell by what was said whether a turn is over, where `Vad.unfinished_ms` asks for that.
    """

    def __init__(self, vad: Vad | None, lines: Lines | None = None) -> None:
        self.position_ms = 0
        self._lines = lines
        self._unfinished = False
        self.speaking = False
        self._rest = b""
        self._kept: deque[bytes] = deque()
        self._noise = 0.0
        self._voice = 0.0
        self._run = 0
        self.listen_for(vad)

    def listen_for(self, vad: Vad | None) -> None:
        """Changes the settings from now on; a turn that goes on, goes on."""
        self._vad = vad
        # In decibels: threshold 0 is -65, 0.5 is -42.5, 1 is -20; STRENGTH grows with the root.
        on = 0.0 if vad is None else 255 * 10 ** ((45 * vad.threshold - 65) / 40) * FRAME_BYTES
        self._on, self._off = on, 0.7 * on

    def hear(self, audio: bytes) -> Iterator[Started | Stopped]:
        """What begins or ends in the next bytes of the stream. Any length."""
        if self._rest:
            audio = self._rest + audio
        whole = len(audio) - len(audio) % FRAME_BYTES
        self._rest = audio[whole:]
        for at in range(0, whole, FRAME_BYTES):
            event = self._frame(audio[at : at + FRAME_BYTES])
            if event is not None:
                yield event

    def take(self) -> bytes:
        """All audio kept since the last turn, which ends with this call."""
        audio = b"".join(self._kept)
        self._kept.clear()
        self.speaking = False
        self._run = 0
        return audio

    @property
    def kept(self) -> bytes:
        """What `take` would give."""
        return b"".join(self._kept)

    @property
    def kept_ms(self) -> int:
        """How much `take` would give."""
        return len(self._kept) * FRAME_MS

    @property
    def quiet_ms(self) -> int:
        """For how long there has been nothing to hear in a turn that goes on."""
        return self._run * FRAME_MS if self.speaking else 0

    def _frame(self, frame: bytes) -> Started | Stopped | None:
        self.position_ms += FRAME_MS
        self._kept.append(frame)
        vad = self._vad
        if vad is None:
            return None
        level = 0 if frame == SILENT_FRAME else sum(frame.translate(STRENGTH))
        if self.speaking:
            self._voice = max(level, 0.995 * self._voice)
            quiet = level < max(self._off, 1.3 * self._noise, _PAUSE_SHARE * self._voice)
            if quiet:
                self._learn_noise(level)
            self._run = self._run + 1 if quiet else max(0, self._run - _PAUSE_BREAK)
            return None if self._goes_on(vad) else Stopped(self.position_ms, self.take())
        self._learn_noise(level)
        if level > max(self._on, min(self._noise * _FLOOR_MARGIN, 3 * self._on)):
            self._run += 1
        else:
            self._run = 0
        if self._run < START_FRAMES:
            while len(self._kept) > vad.prefix_padding_ms // FRAME_MS + START_FRAMES:
                self._kept.popleft()
            return None
        self.speaking = True
        self._run = 0
        self._voice = float(level)
        return Started(max(0, self.position_ms - self.kept_ms))

    def _goes_on(self, vad: Vad) -> bool:
        """Whether the silence so far does not end the turn."""
        quiet_ms = self._run * FRAME_MS
        if quiet_ms < vad.silence_duration_ms:
            return True
        if quiet_ms < vad.silence_duration_ms + FRAME_MS:
            self._unfinished = self._lines is not None and self._lines.is_unfinished(self.kept)
        return self._unfinished and quiet_ms < vad.unfinished_ms

    def _learn_noise(self, level: int) -> None:
        """Slowly louder, quickly softer: speech must not pass for noise."""
        self._noise += (level - self._noise) * (0.02 if level > self._noise else 0.2)


class Lines:
    """The rehearsed lines, to know them again; one serves all sessions."""

    def __init__(self, replies: Iterable[Reply]) -> None:
        self.learned = False
        self._others = Recall()
        self._frames: dict[bytes, tuple[str, int]] = {}
        self._probes: list[bytes] = []
        self._spans: dict[str, tuple[int, int, int]] = {}
        shared: set[bytes] = set()
        for reply in replies:
            frames = [reply.audio[at : at + FRAME_BYTES] for at in range(0, len(reply.audio), FRAME_BYTES)]
            loud = [(index, frame) for index, frame in enumerate(frames) if sum(frame.translate(STRENGTH)) > _LOUD]
            self._spans[reply.line] = (loud[0][0], loud[-1][0], len(frames))
            self._probes += [frame for _, frame in loud[len(loud) // 4 :: max(1, len(loud) // 4)]]
            for index, frame in loud:
                if frame in self._frames:
                    shared.add(frame)
                self._frames[frame] = (reply.line, index)
        for frame in shared:
            del self._frames[frame]

    def learn(self, text: str, audio: bytes) -> None:
        """One more line, said by nobody in a scenario, which may come by way of a microphone. audio: mu-law.

        From then on `recognise` may take a tenth of a second: call it off the loop.
        """
        self._others.learn(text, audio)
        self.learned = True

    def recognise(self, audio: bytes) -> list[Heard]:
        """The lines in a turn, in order; one entry with no line when none is known.

        audio: mu-law that may begin anywhere, also inside a frame.
        """
        found = self._known(audio)
        if not found and (text := self._others.recognise(audio)):
            return [Heard(None, text)]
        return found or [Heard(None, f"[speech, {_sounding_s(audio):.1f} s]")]

    def so_far(self, audio: bytes) -> str:
        """The words of the scenarios' lines in a turn that goes on; "" when there are none."""
        return " ".join(heard.transcript for heard in self._known(audio))

    def is_unfinished(self, audio: bytes) -> bool:
        """Whether this ends in the middle of a scenario's line."""
        text = self.so_far(audio)
        return bool(text) and not text.endswith((".", "!", "?"))

    def _known(self, audio: bytes) -> list[Heard]:
        hits = self._hits(audio, 0)
        if not hits:
            hits = self._hits(audio, self._shift(audio))
        places: dict[str, list[int]] = {}
        for line, index in hits:
            places.setdefault(line, []).append(index)
        return [self._heard(line, indices) for line, indices in places.items() if len(indices) >= _KNOWN_FRAMES]

    def _hits(self, audio: bytes, start: int) -> list[tuple[str, int]]:
        frames = (audio[at : at + FRAME_BYTES] for at in range(start, len(audio), FRAME_BYTES))
        return [hit for frame in frames if (hit := self._frames.get(frame))]

    def _shift(self, audio: bytes) -> int:
        """How far into a frame the audio begins, if it holds a line at all."""
        return next((at % FRAME_BYTES for probe in self._probes if (at := audio.find(probe)) >= 0), 0)

    def _heard(self, line: str, indices: list[int]) -> Heard:
        first, last = min(indices), max(indices)
        first_loud, last_loud, length = self._spans[line]
        whole = first <= first_loud + _LOST_FRAMES and last >= last_loud - _LOST_FRAMES
        words = [word for word, begin in word_starts(line, length) if first - 10 <= begin <= last] or [line]
        known = (last - first) / length >= _KNOWN_SHARE
        return Heard(line if known else None, line if whole else "".join(words).strip())


def _sounding_s(audio: bytes) -> float:
    """Seconds from the first sound to the last."""
    step = 10 * BYTES_PER_MS
    loud = [at for at in range(0, len(audio), step) if sum(audio[at : at + step].translate(STRENGTH)) > 15 * step]
    return (loud[-1] + step - loud[0]) / 8000 if loud else 0.0

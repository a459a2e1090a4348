"""The call that is taken over, both its ends, and everything that is measured on it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import numpy as np

from console.mulaw import PER_MS, RATE_HZ, decode
from tests.benchmarks.load import FRAME_BYTES, LONG_FRAMES, QUIET, STAMP, Call, Load, now
from tests.benchmarks.pulses import Pulse, code, found, lags_ms, level

PATIENCE_S = 3.0
PULSE_FRAMES = 23
"""The caller's pulses are that far apart: no multiple of a tenth of a second, in which the bridge counts."""


@dataclass
class Seen:
    """Everything that was measured; times in ms.

    lost_at_ear: the caller's pulses that did not come to the operator's ear whole. echoes: the operator's that did.
    """

    silent_ms: list[float] = field(default_factory=list)
    voice_ms: list[float] = field(default_factory=list)
    mouth_ms: list[float] = field(default_factory=list)
    ear_ms: list[float] = field(default_factory=list)
    gap_ms: list[float] = field(default_factory=list)
    line_ms: list[float] = field(default_factory=list)
    open_ms: list[float] = field(default_factory=list)
    told_silent_ms: list[float] = field(default_factory=list)
    told_voice_ms: list[float] = field(default_factory=list)
    late_ai_frames: int = 0
    lost_at_ear: int = 0
    echoes: int = 0
    faults: list[str] = field(default_factory=list)


class Moments:
    """Things that are waited for, each with the time at which it came."""

    def __init__(self) -> None:
        self._expected: dict[str, asyncio.Future[float]] = {}

    def expect(self, *names: str) -> None:
        """From now on the next of each counts."""
        for name in names:
            self._expected[name] = asyncio.get_running_loop().create_future()

    def came(self, name: str, at_s: float) -> None:
        """It is here."""
        future = self._expected.get(name)
        if future is not None and not future.done():
            future.set_result(at_s)

    async def when(self, name: str) -> float:
        """When it came. Raises TimeoutError, which names it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._expected[name]
        except TimeoutError:
            raise TimeoutError(f"{name}: not within {PATIENCE_S:.0f} s") from None


class TakenCall(Call):
    """Its AI talks on and on, and answers whenever it is asked to; its caller, while ``calls``, says a pulse at times.

    called: the caller's pulses, at the time their frame was handed to its socket.
    """

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(load, number)
        self.call_sid = f"CA{number:032x}"
        self.moments = Moments()
        self.seen = Seen()
        self.calls = False
        self.called: list[Pulse] = []
        self.answer_out_ms = 0.0
        self._silenced = False
        # What came of the operator's: when, when the carrier began to play it, and mu-law.
        self._operators: list[tuple[float, float, bytes]] = []

    # ── the AI ──

    def _script(self, ai: object) -> None:
        for _ in range(2):
            self._speech(self.ai)

    def ai_told(self, text: bytes, came_s: float) -> None:
        if b'"type":"response.create"' in text:
            self._silenced = False
            self.moments.came("asked to answer", came_s)
            self.talk(json.dumps(json.loads(text)["response"]["metadata"]).encode())
        elif b'"type":"response.cancel"' in text and self._reply_made < self._reply_frames:
            # What was on its way comes all the same.
            self._speech(self.ai)
            if self._reply_made < self._reply_frames:
                self._reply_frames = self._reply_made
                self._emit(
                    b'{"type":"response.done","event_id":"e","response":{"id":"r%d","object":"realtime.response",'
                    b'"status":"cancelled","status_details":{"type":"cancelled","reason":"client_cancelled"},'
                    b'"conversation_id":"c1","output":[],"usage":null}}' % self._reply
                )

    def talk(self, metadata: bytes = b"null") -> None:
        """The AI begins to talk, for five seconds if nobody cuts it."""
        self.begin_reply(LONG_FRAMES, metadata)

    # ── the caller ──

    def _sound(self, number: int) -> bytes:
        if not self.calls or number % PULSE_FRAMES:
            return QUIET
        # Its frame's stamp is loud too, but short: a pulse is what comes after it.
        spoken = len(self.called)
        self.called.append(Pulse(now(), level(spoken)))
        return code(spoken) * len(QUIET)

    # ── the telephone company ──

    def on_text(self, text: bytes) -> None:
        if b'"event":"clear"' in text:
            self._silenced = True
            self.moments.came("silence", now())
        super().on_text(text)

    def _play(self, audio: bytes, came_s: float) -> None:
        call_number, reply, first = STAMP.unpack_from(audio)
        if call_number != self.number or not 0 < reply <= self._reply:
            begins_s = max(came_s, self._playing_until_s)
            self._playing_until_s = begins_s + len(audio) / RATE_HZ
            self._operators.append((came_s, begins_s, audio))
            self.moments.came("voice", came_s)
            return
        if self._silenced:
            self.seen.late_ai_frames += len(audio) // FRAME_BYTES
        super()._play(audio, came_s)
        if first == 0 and reply == self._reply:
            self.answer_out_ms = (came_s - self._reply_sent_s) * 1000
            self.moments.came("AI", came_s)

    # ── when all is over ──

    def take_stock(self, said: list[Pulse], heard: list[Pulse]) -> None:
        """said: the operator's pulses; heard: the caller's, at the operator's ear. at: seconds."""
        pieces = self._operators
        ends = np.cumsum([len(audio) for _, _, audio in pieces])
        came, played = [], []
        for pulse in found(decode(b"".join(audio for _, _, audio in pieces)), RATE_HZ):
            index = int(np.searchsorted(ends, pulse.at, side="right"))
            came_s, begins_s, audio = pieces[index]
            inside_s = (pulse.at - float(ends[index]) + len(audio)) / PER_MS / 1000
            came.append(Pulse(came_s, pulse.level))
            played.append(Pulse(begins_s + inside_s, pulse.level))
        self.seen.mouth_ms = lags_ms(said, came)
        self.seen.line_ms = lags_ms(said, played)
        self.seen.ear_ms = lags_ms(self.called, heard)
        self.seen.lost_at_ear = len(self.called) - len(self.seen.ear_ms)

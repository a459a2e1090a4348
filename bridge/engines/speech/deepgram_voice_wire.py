"""Deepgram's speaking socket (aura) as messages out and sound in. Knows no sockets, clocks or files.

One socket speaks one text at a time. Its sound carries no name, so what is still under way when a
text is given up is thrown away until the peer says that it has cleared its own.
Source: deepgram-sdk 7.17 types, Deepgram's documentation (read 2026-11).
"""

from __future__ import annotations

from collections import Counter, deque

import msgspec

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech import deepgram_messages as told
from bridge.engines.speech.deepgram_wire import KEPT_NAMES, UNREADABLE
from bridge.engines.speech.voice_wire import Sound, VoiceWire

MOST_CHARACTERS = 2000

MOST_FLUSHES, FLUSHES_WITHIN_TICKS = 18, 120
"""The peer takes 20 in a minute and then none for a while; two are left for clocks that differ."""

CLEAR_TICKS = 4
"""A socket that has not cleared a text in so many ticks of half a second is not waited for."""

_FLUSH, _CLEAR = b'{"type":"Flush"}', b'{"type":"Clear"}'

_encode = msgspec.json.encode
_decode_name = msgspec.json.Decoder(told.Named).decode
_decode_problem = msgspec.json.Decoder(told.Problem).decode


class AuraWire(VoiceWire):
    """See `VoiceWire`.

    clearing: a text that nobody wants is still under way. malformed, unknown, complaints: see
    `deepgram_wire.Wire`.
    """

    def __init__(self) -> None:
        self.ready = False
        self.clearing = False
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self.complaints: Counter[str] = Counter()
        self._sound: Sound | None = None
        self._tick = 0
        self._cleared_by_tick = 0
        self._flushed_at_ticks: deque[int] = deque(maxlen=MOST_FLUSHES)

    @property
    def full(self) -> bool:
        """See `VoiceWire.full`."""
        return self.wanted or self.clearing or self._many_flushes

    @property
    def wanted(self) -> bool:
        """See `VoiceWire.wanted`."""
        return self._sound is not None

    @property
    def resting(self) -> bool:
        """See `VoiceWire.resting`."""
        return self._many_flushes and not (self.wanted or self.clearing)

    @property
    def _many_flushes(self) -> bool:
        flushed = self._flushed_at_ticks
        # The first tick after a flush may follow at once.
        return len(flushed) == MOST_FLUSHES and self._tick - flushed[0] <= FLUSHES_WITHIN_TICKS

    def open(self) -> list[bytes]:
        """See `VoiceWire.open`: the address says all."""
        self.ready = True
        return []

    def speak(self, text: str, sound: Sound, speed: float) -> list[bytes]:
        """See `VoiceWire.speak`. text: `MOST_CHARACTERS` at most. speed: aura has but one."""
        self._sound = sound
        self._flushed_at_ticks.append(self._tick)
        return [_encode({"type": "Speak", "text": text}), _FLUSH]

    def leave(self, sound: Sound) -> list[bytes]:
        """See `VoiceWire.leave`."""
        if self._sound is not sound:
            return []
        return self._clear()

    def hear(self, mulaw: bytes) -> None:
        """See `VoiceWire.hear`."""
        if self._sound is not None:
            self._sound.give(mulaw)

    def receive(self, data: bytes) -> list[bytes]:
        """See `VoiceWire.receive`."""
        try:
            name = _decode_name(data).type
            if name in ("Warning", "Error"):
                return self._complained(_decode_problem(data).name)
        except UNREADABLE:
            self.malformed += 1
            return []
        if name == "Flushed":
            self._end()
        elif name == "Cleared":
            self.clearing = False
        elif name != "Metadata":
            self._count(self.unknown, name)
        return []

    def tick(self) -> None:
        """See `VoiceWire.tick`."""
        self._tick += 1
        if self.clearing and self._tick >= self._cleared_by_tick:
            raise VoiceFailed("Deepgram's voice did not stop when it was told to.")

    def give_up(self, why: VoiceFailed) -> None:
        """See `VoiceWire.give_up`."""
        self._end(why)

    def _clear(self) -> list[bytes]:
        self._sound, self.clearing = None, True
        self._cleared_by_tick = self._tick + CLEAR_TICKS
        return [_CLEAR]

    def _complained(self, code: str) -> list[bytes]:
        self._count(self.complaints, code)
        if self._sound is None or "FLUSH" not in code.upper():
            return []
        self._end(VoiceFailed("Deepgram asks for fewer sentences at a time."))
        # It still has the text, and would speak it before the next one.
        return self._clear()

    def _end(self, failure: VoiceFailed | None = None) -> None:
        if self._sound is not None:
            sound, self._sound = self._sound, None
            sound.end(failure)

    def _count(self, counter: Counter[str], name: str) -> None:
        counter[name if name in counter or len(counter) < KEPT_NAMES else "(others)"] += 1

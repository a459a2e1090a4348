"""Deepgram's speaking socket (aura) as messages out and sound in. Knows no sockets, clocks or files.

One socket speaks one text at a time. Its sound carries no name, so what is still under way when a
text is given up is thrown away until the peer says that it has cleared its own.
Source: deepgram-sdk 7.17 types, Deepgram's documentation (read 2026-11).
"""

from __future__ import annotations

from collections import Counter, deque
from enum import Enum, auto

import msgspec

from bridge.engines.speech import deepgram_messages as told
from bridge.engines.speech.deepgram_wire import KEPT_NAMES, UNREADABLE

MOST_CHARACTERS = 2000

MOST_FLUSHES, FLUSHES_WITHIN_MS = 18, 60_000
"""The peer takes 20 in a minute and then none for a while; two are left for clocks that differ."""

CLEAR = b'{"type":"Clear"}'
_FLUSH = b'{"type":"Flush"}'

_encode = msgspec.json.encode
_decode_name = msgspec.json.Decoder(told.Named).decode
_decode_problem = msgspec.json.Decoder(told.Problem).decode


class Said(Enum):
    """What a message from the peer means for the text that is spoken."""

    NOTHING = auto()
    ALL = auto()
    """The whole of it has come."""

    REFUSED = auto()
    """Its sound will not come."""

    CLEARED = auto()
    """The text that was given up is gone: the socket is free."""


class AuraWire:
    """One socket's side of the protocol.

    speaking: a text is under way; clearing: one that was given up still is. malformed, unknown, complaints:
    see `deepgram_wire.Wire`.
    """

    def __init__(self) -> None:
        self.speaking = False
        self.clearing = False
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self.complaints: Counter[str] = Counter()
        self._flushes_ms: deque[int] = deque(maxlen=MOST_FLUSHES)

    def may_speak(self, now_ms: int) -> bool:
        """Whether it is free, and the peer takes another text on this socket."""
        full = len(self._flushes_ms) == MOST_FLUSHES and now_ms - self._flushes_ms[0] < FLUSHES_WITHIN_MS
        return not (self.speaking or self.clearing or full)

    def speak(self, text: str, now_ms: int) -> list[bytes]:
        """What to send for this text, `MOST_CHARACTERS` at most."""
        self.speaking = True
        self._flushes_ms.append(now_ms)
        return [_encode({"type": "Speak", "text": text}), _FLUSH]

    def give_up(self) -> bytes | None:
        """What to send, so that no more of the text comes."""
        if not self.speaking:
            return None
        self.speaking, self.clearing = False, True
        return CLEAR

    def sound(self, mulaw: bytes) -> bytes:
        """What there is of it for the text that is spoken."""
        return mulaw if self.speaking else b""

    def receive(self, data: bytes) -> Said:
        """One message from the peer."""
        try:
            name = _decode_name(data).type
            if name in ("Warning", "Error"):
                return self._complained(_decode_problem(data).name)
        except UNREADABLE:
            self.malformed += 1
            return Said.NOTHING
        if name == "Flushed" and self.speaking:
            self.speaking = False
            return Said.ALL
        if name == "Cleared" and self.clearing:
            self.clearing = False
            return Said.CLEARED
        if name not in ("Metadata", "Flushed", "Cleared"):
            self._count(self.unknown, name)
        return Said.NOTHING

    def _complained(self, code: str) -> Said:
        self._count(self.complaints, code)
        if not self.speaking or "FLUSH" not in code.upper():
            return Said.NOTHING
        self.speaking = False
        return Said.REFUSED

    def _count(self, counter: Counter[str], name: str) -> None:
        counter[name if name in counter or len(counter) < KEPT_NAMES else "(others)"] += 1

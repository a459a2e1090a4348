"""Whoever is told what Deepgram's wires make of its messages."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from bridge.engines.speech import Words
from bridge.engines.speech.deepgram_wire import Wire

Tested = TypeVar("Tested", bound=Wire)


class DeepgramDesk(Words, Generic[Tested]):
    """A socket's wire, and what it told, in order."""

    def __init__(self, wire: Tested) -> None:
        self.wire = wire
        self.told: list[tuple[Any, ...]] = []

    def started(self, turn_id: str, at_ms: int) -> None:
        self.told.append(("started", turn_id, at_ms))

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        self.told.append(("final" if final else "heard", turn_id, text))

    def failed(self, turn_id: str, reason: str) -> None:
        self.told.append(("failed", turn_id, reason))

    def may_end(self, turn_id: str) -> None:
        self.told.append(("may_end", turn_id))

    def goes_on(self, turn_id: str) -> None:
        self.told.append(("goes_on", turn_id))

    def ended(self, turn_id: str, at_ms: int) -> None:
        self.told.append(("ended", turn_id, at_ms))

    def gets(self, *lines: str) -> None:
        for line in lines:
            self.wire.receive(line.encode(), self)

"""The rehearsal's Deepgram as flux, `/v2/listen`: turns.

How sure it is that a turn is over grows with the silence after it.
Shapes: deepgram-sdk 7.17, listen/v2/types. Manners: Deepgram's documentation of flux (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bridge.rehearsal.deepgram_listen import Listener
from bridge.rehearsal.deepgram_socket import Fields
from bridge.rehearsal.ear import Ear, Started, Stopped, Vad

UPDATE_MS = 240
SURE_MS = 600
"""Silence after which it would be quite sure; half as sure after half of it."""


class FluxSocket(Listener):
    """One client's socket."""

    clients: ClassVar[Mapping[str, frozenset[str]]] = dict.fromkeys(("ForceEndTurn", "CloseStream"), frozenset())

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        sure, eager = float(self.query.get("eot_threshold", 0.7)), self.query.get("eager_eot_threshold")
        self._longest_ms = int(self.query.get("eot_timeout_ms", 5000))
        self._silence_ms = self._longest_ms if sure >= 1 else min(round(sure * SURE_MS), self._longest_ms)
        self.ear.listen_for(Vad(silence_duration_ms=self._silence_ms))
        self._eager_ms = round(float(eager) * SURE_MS) if eager else 0
        self._eager = Ear(Vad(silence_duration_ms=self._eager_ms or self._silence_ms))
        self._sequence = 0
        self._turn = 0
        self._text = ""
        self._on = False
        self._awaiting = False
        self._told_ms = 0

    async def begin(self) -> None:
        """See `Socket.begin`."""
        self.emit("Connected", {"request_id": self.request_id, **self._numbered()})

    async def listen(self, piece: bytes) -> None:
        """See `Listener.listen`."""
        for event in self.ear.hear(piece):
            if isinstance(event, Started):
                self.began(event)
            else:
                self.over_ms = self.ear.position_ms - self._silence_ms
                await self._end(event.audio, "timeout" if self._silence_ms == self._longest_ms else "model")
        await self._look()
        for wavering in self._eager.hear(piece):
            if self._eager_ms:
                await self._waver(wavering)

    async def obey(self, message: Fields) -> None:
        """See `Socket.obey`. No turn to end is no matter."""
        if self.ear.speaking:
            self.over_ms = self.ear.position_ms
            await self._end(self.ear.take(), "manual")
            self._eager.take()
        if message["type"] == "CloseStream":
            await self.leave(1000)

    async def complain(self, text: str, why: str) -> None:
        """See `Socket.complain`."""
        problem = {"code": "UNPARSABLE_CLIENT_MESSAGE", "description": why}
        self.emit("Error", {**self._numbered(), **problem})
        await self.leave(1008, "UNPARSABLE_CLIENT_MESSAGE")

    async def _look(self) -> None:
        """Four times a second: a turn begins with its first word, and grows."""
        position_ms = self.ear.position_ms
        if position_ms - self._told_ms < UPDATE_MS or self._awaiting:
            return
        self._told_ms = position_ms
        if not self.ear.speaking:
            self._tell("Update")
            return
        self.over_ms = position_ms
        self._text = await self.understood(self.ear.kept, over=False) or self._text
        unknown = position_ms - self.begun_ms >= 2 * UPDATE_MS
        if not self._on and (self._text or unknown):
            self._on = True
            self._tell("StartOfTurn")
        else:
            self._tell("Update")

    async def _waver(self, event: Started | Stopped) -> None:
        """The turn may be over, or it was not after all."""
        if isinstance(event, Stopped) and self.ear.speaking:
            self.over_ms = self.ear.position_ms - self._eager_ms
            self._text = await self.understood(self.ear.kept, over=True)
            if not self._on:
                self._tell("StartOfTurn")
            self._on = self._awaiting = True
            self._tell("EagerEndOfTurn")
        elif isinstance(event, Started) and self._awaiting:
            self._awaiting = False
            self._tell("TurnResumed")

    async def _end(self, audio: bytes, trigger: str) -> None:
        if not self._awaiting:
            self._text = await self.understood(audio, over=True)
        if not self._on:
            self._tell("StartOfTurn")
        self.heard.append(self._text)
        self._tell("EndOfTurn", trigger=trigger)
        self._turn += 1
        self._text, self._on, self._awaiting = "", False, False

    def _tell(self, event: str, **more: str) -> None:
        timed = self.timed(self._text, self.over_ms) if self._text else []
        begun_ms = self.begun_ms if self._on or self._text else self.ear.position_ms
        sure = {"EndOfTurn": 0.9, "EagerEndOfTurn": 0.5}.get(event, 0.05)
        self.emit(
            "TurnInfo",
            {
                "request_id": self.request_id,
                **self._numbered(),
                "event": event,
                "turn_index": self._turn,
                "audio_window_start": begun_ms / 1000,
                "audio_window_end": self.ear.position_ms / 1000,
                "transcript": self._text,
                "words": [{"word": word, "confidence": 0.98, "start": start, "end": end} for word, start, end in timed],
                "end_of_turn_confidence": sure,
                **more,
            },
            self.model.stt_delay_ms,
        )

    def _numbered(self) -> Fields:
        self._sequence += 1
        return {"sequence_id": self._sequence - 1}

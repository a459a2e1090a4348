"""flux, Deepgram's listener that takes turns by itself. Knows no sockets, clocks or files.

A turn's text is whole in each message. Of its end it may warn (`Words.may_end`), and take that back.
Source: deepgram-sdk 7.17 types, Deepgram's documentation of flux (read 2026-11).
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from bridge.engines import EngineLost
from bridge.engines.speech import Words
from bridge.engines.speech import deepgram_messages as told
from bridge.engines.speech.deepgram_wire import Handlers, Wire, span

_FORCE_END = '{"type":"ForceEndTurn"}'
_EVENTS = frozenset({"StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"})


class FluxWire(Wire):
    """flux on `/v2/listen`. It has no message to keep the socket open: without sound it gets silence."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._may_end = False
        self._index = -1

    def pause(self) -> None:
        """Pauses are its own to judge."""

    def _end_turn(self) -> str:
        return _FORCE_END

    def _keep_alive(self) -> bytes:
        return self._silence(100)

    def _on_turn(self, message: told.TurnInfo, words: Words) -> None:
        event, text = message.event, message.transcript.strip()
        if event not in _EVENTS:
            self._count(self.unknown, f"TurnInfo {event}"[:60])
            return
        start_ms, end_ms = span(message.words, message.audio_window_start, message.audio_window_end)
        if message.turn_index > self._index and (text or event == "StartOfTurn"):
            if self._turn:
                self._end(words)
            self._index, self._may_end = message.turn_index, False
            self._begin(f"{self._name}-{self._index}", start_ms, words)
        if not self._turn or message.turn_index != self._index:
            return
        if text:
            self._spoken_ms = end_ms
        if self._may_end and event == "TurnResumed":
            self._may_end = False
            words.goes_on(self._turn)
        if event == "EndOfTurn":
            self._text = text or self._text
            self._end(words)
            return
        if text:
            self._heard(text, words)
        if event == "EagerEndOfTurn" and self._text and not self._may_end:
            self._may_end = True
            words.may_end(self._turn)

    def _on_error(self, problem: told.Problem, words: Words) -> None:
        self._complained(problem, words)
        raise EngineLost(f"Deepgram stopped listening ({problem.name}). It may pass; try again.", fatal=False)

    _handlers: ClassVar[Handlers] = {
        "TurnInfo": (msgspec.json.Decoder(told.TurnInfo), _on_turn),
        "Error": (msgspec.json.Decoder(told.Problem), _on_error),
        "Warning": (msgspec.json.Decoder(told.Problem), Wire._complained),
    }
    _quiet = frozenset({"Connected"})

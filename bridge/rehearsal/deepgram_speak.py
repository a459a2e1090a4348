"""The rehearsal's Deepgram as a speaker: aura (`/v1/speak`).

Shapes: deepgram-sdk 7.17, speak/v1/types. Manners: Deepgram's documentation; text is spoken when it
is flushed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from bridge.audio import BYTES_PER_MS
from bridge.rehearsal.deepgram_socket import MODEL_UUID, Fields, Socket

MOST_CHARACTERS = 2000
MOST_FLUSHES, FLUSHES_WITHIN_S = 20, 60.0
_PIECE_BYTES = 997
"""About an eighth of a second: the real one's pieces respect no frames either."""


class AuraSocket(Socket):
    """One voice, one sentence after the other."""

    clients: ClassVar[Mapping[str, frozenset[str]]] = {
        "Speak": frozenset({"text"}),
        **{name: frozenset[str]() for name in ("Flush", "Clear", "Close")},
    }

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._text = ""
        self._flushes_s: deque[float] = deque()
        self._sequence = 0
        self._speaking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """See `Socket.begin`."""
        made = {"model_name": self.query["model"], "model_version": "2025-04-07.0", "model_uuid": MODEL_UUID}
        self.emit("Metadata", {"request_id": self.request_id, **made})

    async def hear(self, sound: bytes) -> None:
        """See `Socket.hear`: there is nothing to hear."""
        await self.leave(1008, "DATA-0000: Send text messages, not binary ones.")

    async def obey(self, message: Fields) -> None:
        """See `Socket.obey`."""
        match message["type"]:
            case "Speak" if len(self._text) + len(message["text"]) > MOST_CHARACTERS:
                await self.leave(1008, "DATA-0001: The text is longer than 2000 characters.")
            case "Speak":
                self._text += message["text"]
            case "Flush":
                self._flush()
            case "Clear":
                self._text = ""
                if self._speaking is not None:
                    self._speaking.cancel()
                    self._speaking = None
                self.emit("Cleared", self._numbered())
            case "Close":
                if self._speaking is not None:
                    await asyncio.wait([self._speaking])
                await self.leave(1000)

    async def complain(self, text: str, why: str) -> None:
        """See `Socket.complain`."""
        await self.leave(1008, "DATA-0000: The message cannot be parsed.")

    def _flush(self) -> None:
        now_s = asyncio.get_running_loop().time()
        while self._flushes_s and now_s - self._flushes_s[0] >= FLUSHES_WITHIN_S:
            self._flushes_s.popleft()
        if len(self._flushes_s) >= MOST_FLUSHES:
            self.emit("Warning", {"description": "Too many Flush messages.", "code": "EXCESSIVE_FLUSH"})
            return
        self._flushes_s.append(now_s)
        text, self._text = self._text, ""
        self._speaking = self.start(self._speak(text, self._speaking))

    async def _speak(self, text: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if text.strip():
            mulaw = (await self.model.voice.speak(text)).audio
            await asyncio.sleep(self.chance.uniform(*self.model.aura_delay_ms) / 1000)
            for at in range(0, len(mulaw), _PIECE_BYTES):
                piece = mulaw[at : at + _PIECE_BYTES]
                self.sound(piece)
                if self.model.speed:
                    await asyncio.sleep(len(piece) / BYTES_PER_MS / 1000 / self.model.speed)
            self.model.deepgram.spoken.append(text)
        self.emit("Flushed", self._numbered())

    def _numbered(self) -> Fields:
        self._sequence += 1
        return {"sequence_id": self._sequence - 1}

"""The words of what the rehearsal AI hears: some time after each turn, or with some models as they are spoken."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from bridge.rehearsal.ear import Ear

if TYPE_CHECKING:
    from bridge.rehearsal.model_session import Session

CALLER_TOKENS_PER_S = 10
_LIVE_STEP_MS = 200
_EVENT = "conversation.item.input_audio_transcription"
_WORD = re.compile(r"\s*\S+")


class Scribe:
    """Writes down one session's caller."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._item_id = ""
        self._written = ""
        self._next_ms = 0

    async def listen(self, ear: Ear) -> None:
        """More sound came: the words so far, with a model that does not wait for the end of a turn."""
        if not self._session.settings.writes_live or ear.position_ms < self._next_ms:
            return
        self._next_ms = ear.position_ms + _LIVE_STEP_MS
        text = self._session.model.lines.so_far(ear.kept)
        if text.startswith(self._written) and text != self._written:
            self._item_id = self._item_id or self._session.new_id("item")
            await self._delta(self._item_id, text[len(self._written) :])
            self._written = text

    def take(self) -> tuple[str, str]:
        """The turn that is being written, which ends with this call: its item ("" for none) and words so far."""
        taken = self._item_id, self._written
        self._item_id = self._written = ""
        return taken

    async def write(self, item_id: str, text: str, length_s: float, written: str) -> None:
        """The rest of a turn's words, later: often after the answer began, or after the next turn's."""
        model, chance = self._session.model, self._session.chance
        await asyncio.sleep(chance.uniform(*model.transcript_delay_ms) / 1000)
        if model.faults.no_transcripts:
            error = {"type": "server_error", "code": "transcription_failed", "message": "Transcription failed."}
            await self._emit("failed", item_id, error=error)
            return
        rest = text.removeprefix(written) if text.startswith(written) else ""
        for word in _WORD.findall(rest):
            await self._delta(item_id, word)
            if model.transcript_delay_ms[1]:
                await asyncio.sleep(chance.uniform(0.005, 0.03))
        tokens = {"audio_tokens": round(length_s * CALLER_TOKENS_PER_S), "text_tokens": 0}
        words = len(text.split())
        usage = {
            "type": "tokens",
            "total_tokens": tokens["audio_tokens"] + words,
            "input_tokens": tokens["audio_tokens"],
            "input_token_details": tokens,
            "output_tokens": words,
        }
        if item := self._session.items.find(item_id):
            item["content"][0]["transcript"] = text
        await self._emit("completed", item_id, transcript=text, usage=usage)

    async def _delta(self, item_id: str, delta: str) -> None:
        await self._emit("delta", item_id, delta=delta)

    async def _emit(self, name: str, item_id: str, **fields: object) -> None:
        await self._session.emit(f"{_EVENT}.{name}", item_id=item_id, content_index=0, **fields)

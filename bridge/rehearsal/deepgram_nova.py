"""The rehearsal's Deepgram as nova, `/v1/listen`: stretches of speech, told in pieces.

Shapes: deepgram-sdk 7.17, listen/v1/types. Manners: Deepgram's documentation (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from bridge.audio import BYTES_PER_MS
from bridge.rehearsal.deepgram_listen import Listener
from bridge.rehearsal.deepgram_socket import MODEL_UUID, Fields
from bridge.rehearsal.ear import Started, Vad

NEVER_MS = 3_600_000
INTERIM_MS = 300
"""How often it tells what it has so far."""

FINAL_PIECE_MS = 3500
"""So much speech is written down for good even if it goes on."""

EMPTY_MS = 3000
"""How often it tells that nothing was said."""


class NovaSocket(Listener):
    """One client's socket."""

    clients: ClassVar[Mapping[str, frozenset[str]]] = dict.fromkeys(
        ("KeepAlive", "Finalize", "CloseStream"), frozenset()
    )

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        asked = self.query.get("endpointing", "true")
        self._silence_ms = {"true": 10, "false": NEVER_MS}.get(asked) or int(asked)
        self.ear.listen_for(Vad(silence_duration_ms=self._silence_ms))
        self._interims = self.query.get("interim_results") == "true"
        self._window_ms = 0
        self._told_ms = 0
        self._written = 0
        self._ends_at_ms: int | None = None

    async def listen(self, piece: bytes) -> None:
        """See `Listener.listen`."""
        for event in self.ear.hear(piece):
            if isinstance(event, Started):
                self.began(event)
                self._written = 0
                self._told_ms = self.ear.position_ms
                self._ends_at_ms = None
                if self.query.get("vad_events") == "true":
                    self.emit("SpeechStarted", {"channel": [0, 1], "timestamp": self.begun_ms / 1000})
            else:
                self.over_ms = self.ear.position_ms - self._silence_ms
                await self._written_down(event.audio, speech_final=True)
        if self.ear.speaking:
            await self._go_on()
        else:
            self._be_quiet()

    async def obey(self, message: Fields) -> None:
        """See `Socket.obey`."""
        match message["type"]:
            case "KeepAlive":
                self.is_alive()
            case "Finalize" if self.ear.speaking:
                self.over_ms = self.ear.position_ms
                await self._written_down(self.ear.take(), from_finalize=True)
            case "CloseStream":
                await self._close()

    async def complain(self, text: str, why: str) -> None:
        """See `Socket.complain`."""
        self.emit("Error", {"variant": "SchemaError", "description": why, "message": text[:500]})

    async def _close(self) -> None:
        if self.ear.speaking:
            self.over_ms = self.ear.position_ms
            await self._written_down(self.ear.take())
        said = {"transaction_key": "deprecated", "request_id": self.request_id, "sha256": "0" * 64}
        duration = {"duration": self.heard_bytes / BYTES_PER_MS / 1000, "channels": 1}
        self.emit("Metadata", said | {"created": datetime.now(UTC).isoformat()} | duration)
        await self.leave(1000)

    async def _go_on(self) -> None:
        """Somebody speaks: now and then what is known so far, and long speech for good, piece by piece."""
        position_ms = self.ear.position_ms
        if position_ms - self._told_ms < INTERIM_MS:
            return
        self._told_ms = position_ms
        text = await self.understood(self.ear.kept, over=False)
        final = position_ms - max(self._window_ms, self.begun_ms) >= FINAL_PIECE_MS
        if text and (final or self._interims):
            self._results(self.timed(text, position_ms), is_final=final)

    def _be_quiet(self) -> None:
        position_ms = self.ear.position_ms
        if self._ends_at_ms is not None and position_ms >= self._ends_at_ms:
            self._ends_at_ms = None
            self.emit(
                "UtteranceEnd", {"channel": [0, 1], "last_word_end": self.over_ms / 1000}, self.model.stt_delay_ms
            )
        if position_ms - self._window_ms >= EMPTY_MS:
            self._results([], is_final=True)

    async def _written_down(self, audio: bytes, **how: bool) -> None:
        text = await self.understood(audio, over=True)
        if text:
            self.heard.append(text)
        if text or how.get("from_finalize"):
            self._results(self.timed(text, self.over_ms), is_final=True, **how)
        wait_ms = self.query.get("utterance_end_ms")
        self._ends_at_ms = self.over_ms + int(wait_ms) if wait_ms and text else None

    def _results(
        self,
        timed: list[tuple[str, float, float]],
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> None:
        """The words that were not written down for good yet."""
        timed = timed[self._written :]
        words = [
            {
                "word": word.strip(".,?!").lower(),
                "start": start,
                "end": end,
                "confidence": 0.98,
                "punctuated_word": word,
            }
            for word, start, end in timed
        ]
        text = " ".join(word for word, _, _ in timed)
        start_ms, self_ms = self._window_ms, self.ear.position_ms
        if is_final:
            self._written += len(timed)
            self._window_ms = self_ms
        info = {"name": "general-nova-3", "version": "2025-07-31.0", "arch": "nova-3"}
        self.emit(
            "Results",
            {
                "channel_index": [0, 1],
                "start": start_ms / 1000,
                "duration": (self_ms - start_ms) / 1000,
                "is_final": is_final,
                "speech_final": speech_final,
                "channel": {
                    "alternatives": [{"transcript": text, "confidence": 0.98 if text else 0.0, "words": words}]
                },
                "metadata": {"request_id": self.request_id, "model_info": info, "model_uuid": MODEL_UUID},
                "from_finalize": from_finalize,
            },
            self.model.stt_delay_ms,
        )

"""One response of the rehearsal AI, as the events of the Realtime protocol.

Its audio comes faster than real time, its words a little ahead of their sound. However it ends,
every part that was opened is closed and `response.done` is last.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec

from bridge.audio import BYTES_PER_MS
from bridge.rehearsal.mind import Plan
from bridge.rehearsal.scenario import ToolUse
from bridge.rehearsal.voice import Spoken

if TYPE_CHECKING:
    from bridge.rehearsal.model_session import Session

AUDIO_TOKENS_PER_S = 20
"""What the real one counts for its speech, about."""

_ARGUMENT_PIECES = 4


class Reply:
    """One response. beside: out of band, not part of the conversation."""

    def __init__(
        self, session: Session, plan: Plan, *, metadata: dict[str, str] | None, beside: bool, modality: str
    ) -> None:
        self.id = session.new_id("resp")
        self.beside = beside
        self.stopped_by = ""
        self._session = session
        self._plan = plan
        self._metadata = metadata
        self._modality = modality
        self._output: list[dict[str, Any]] = []
        self._generated_bytes = 0
        self._text_tokens = 0
        self._first = True
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Announces it and lets it run."""
        await self._session.emit("response.created", response=self._response("in_progress"))
        await self._session.emit("rate_limits.updated", rate_limits=self._session.rate_limits())
        self._task = self._session.start(self._run())

    def stop(self, reason: str) -> None:
        """Ends it early. reason: client_cancelled or turn_detected."""
        if not self.stopped_by:
            self.stopped_by = reason
            if self._task and not self._first:
                self._task.cancel()

    @property
    def untold(self) -> Plan | None:
        """What it was to answer, when nothing of it was generated."""
        return self._plan if not self._output else None

    async def _run(self) -> None:
        self._first = False
        try:
            if not self.stopped_by:
                await self._produce()
        except asyncio.CancelledError:
            if not self.stopped_by:
                raise
            if task := asyncio.current_task():
                task.uncancel()
        await self._finish()

    async def _produce(self) -> None:
        model, plan = self._session.model, self._plan
        faults = model.faults
        if faults.fail_response:
            return
        spoken, _ = await asyncio.gather(
            model.voice.speak(plan.says), asyncio.sleep((model.model_delay_ms + faults.first_byte_delay_ms) / 1000)
        )
        if faults.never_done:
            await self._session.gone.wait()
        if plan.says and not faults.no_audio:
            await self._message(spoken)
        if plan.tool:
            await self._function_call(plan.tool)

    async def _message(self, spoken: Spoken) -> None:
        item: dict[str, Any] = self._item("message", role="assistant", content=[])
        await self._open(item)
        part = {"type": "audio", "transcript": ""} if self._modality == "audio" else {"type": "text", "text": ""}
        self._part = {"item_id": item["id"], "output_index": len(self._output) - 1, "content_index": 0}
        await self._emit("response.content_part.added", **self._part, part=part)
        self._said: list[str] = []
        self._left = (spoken.audio, 0)
        if self._modality == "audio":
            await self._audio(spoken, item["id"])
        else:
            for word, _ in spoken.words:
                self._said.append(word)
                await self._emit("response.output_text.delta", **self._part, delta=word)
        await self._close_message(item, "completed")

    async def _audio(self, spoken: Spoken, item_id: str) -> None:
        """Chunks of 100 to 200 ms, each after the words that begin in it."""
        words = iter(spoken.words)
        word = next(words, None)
        at = 0
        while at < len(spoken.audio):
            length = self._session.chance.randrange(100, 200) * BYTES_PER_MS
            while word and word[1] < at + length:
                self._said.append(word[0])
                await self._emit("response.output_audio_transcript.delta", **self._part, delta=word[0])
                word = next(words, None)
            await self._delta(spoken.audio[at : at + length], item_id)
            at += length
            self._left = (spoken.audio, at)
            if self._session.model.speed:
                await asyncio.sleep(length / BYTES_PER_MS / 1000 / self._session.model.speed)

    async def _delta(self, audio: bytes, item_id: str) -> None:
        self._generated_bytes += len(audio)
        generated_ms = self._session.items.generated_ms
        generated_ms[item_id] = generated_ms.get(item_id, 0.0) + len(audio) / BYTES_PER_MS
        await self._emit("response.output_audio.delta", **self._part, delta=b64encode(audio).decode())

    async def _close_message(self, item: dict[str, Any], status: str) -> None:
        text = "".join(self._said)
        self._text_tokens += len(text) // 4
        if self._modality == "audio":
            await self._emit("response.output_audio.done", **self._part)
            await self._emit("response.output_audio_transcript.done", **self._part, transcript=text)
            part, content = {"type": "audio", "transcript": text}, {"type": "output_audio", "transcript": text}
        else:
            await self._emit("response.output_text.done", **self._part, text=text)
            part, content = {"type": "text", "text": text}, {"type": "output_text", "text": text}
        await self._emit("response.content_part.done", **self._part, part=part)
        item["content"] = [content]
        await self._close(item, status)
        self._session.said.append(text)

    async def _function_call(self, tool: ToolUse) -> None:
        call_id = self._session.new_id("call")
        arguments = msgspec.json.encode(tool.arguments).decode()
        item = self._item("function_call", name=tool.name, call_id=call_id, arguments="")
        await self._open(item)
        place = {"item_id": item["id"], "output_index": len(self._output) - 1, "call_id": call_id}
        step = -(-len(arguments) // _ARGUMENT_PIECES)
        for at in range(0, len(arguments), step):
            delta = arguments[at : at + step]
            await self._emit("response.function_call_arguments.delta", **place, delta=delta)
        done = {"name": tool.name, "arguments": arguments}
        await self._emit("response.function_call_arguments.done", **place, **done)
        item["arguments"] = arguments
        self._text_tokens += len(arguments) // 3
        self._session.mind.used(call_id, tool)
        await self._close(item, "completed")

    async def _finish(self) -> None:
        """Closes what is open; after a stop, what was on its way comes first."""
        if self._output and (item := self._output[-1])["status"] == "in_progress" and item["type"] == "message":
            audio, at = self._left
            for _ in range(self._session.chance.randrange(1, 4) if self._modality == "audio" else 0):
                if late := audio[at : at + 100 * BYTES_PER_MS]:
                    await self._delta(late, item["id"])
                    at += len(late)
            await self._close_message(item, "incomplete")
        status = "cancelled" if self.stopped_by else "completed"
        if self._session.model.faults.fail_response:
            status = "failed"
        self._session.ended(self, self._generated_bytes / BYTES_PER_MS)
        await self._session.emit("response.done", response=self._response(status))

    async def _open(self, item: dict[str, Any]) -> None:
        self._output.append(item)
        await self._emit("response.output_item.added", output_index=len(self._output) - 1, item=item)
        if not self.beside:
            await self._session.add_item(item, self._session.items.last_id)

    async def _close(self, item: dict[str, Any], status: str) -> None:
        item["status"] = status
        if not self.beside:
            await self._session.item_done(item)
        await self._emit("response.output_item.done", output_index=self._output.index(item), item=item)

    async def _emit(self, name: str, /, **fields: Any) -> None:
        await self._session.emit(name, response_id=self.id, **fields)

    def _item(self, kind: str, **fields: Any) -> dict[str, Any]:
        item = {"id": self._session.new_id("item"), "object": "realtime.item", "type": kind, "status": "in_progress"}
        return item | fields

    def _response(self, status: str) -> dict[str, Any]:
        details: dict[str, Any] | None = None
        if status == "cancelled":
            details = {"type": "cancelled", "reason": self.stopped_by}
        elif status == "failed":
            details = {"type": "failed", "error": {"type": "server_error", "code": "server_error"}}
        output = self._session.settings.value["audio"]["output"]
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": self._output,
            "conversation_id": None if self.beside else self._session.conversation_id,
            "output_modalities": [self._modality],
            "max_output_tokens": self._session.settings.value["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": None if status == "in_progress" else self._usage(),
            "metadata": self._metadata,
        }

    def _usage(self) -> dict[str, Any]:
        text_in, audio_in, cached_text, cached_audio = self._session.context_tokens()
        audio_out = self._generated_bytes * AUDIO_TOKENS_PER_S // 8000
        return {
            "total_tokens": text_in + audio_in + audio_out + self._text_tokens,
            "input_tokens": text_in + audio_in,
            "output_tokens": audio_out + self._text_tokens,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {"text_tokens": cached_text, "audio_tokens": cached_audio, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": self._text_tokens, "audio_tokens": audio_out},
        }

"""One client's session with the rehearsal AI: the conversation, its turns and its rules."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiohttp import web
from msgspec import UNSET

from bridge.audio import BYTES_PER_MS
from bridge.rehearsal import model_beta as beta
from bridge.rehearsal import model_wire as wire
from bridge.rehearsal.ear import Ear, Started, Stopped
from bridge.rehearsal.mind import unsaid
from bridge.rehearsal.model_items import Items, text_of
from bridge.rehearsal.model_reply import AUDIO_TOKENS_PER_S, Reply
from bridge.rehearsal.model_scribe import CALLER_TOKENS_PER_S, Scribe
from bridge.rehearsal.model_settings import Settings, Transcribing
from bridge.rehearsal.model_socket import Socket
from bridge.rehearsal.model_wire import Refused

if TYPE_CHECKING:
    from bridge.rehearsal.model import Model

SHORTEST_COMMIT_MS = 100


class Truncation(NamedTuple):
    """What a client said was heard of an item."""

    item_id: str
    audio_end_ms: int


class Session(Socket):
    """See `Socket`.

    name: of the model, "" for a session that only writes down.

    truncations and cancels: those that were in order.
    """

    def __init__(self, model: Model, ws: web.WebSocketResponse, request: web.Request, name: str, seed: int) -> None:
        super().__init__(model, ws, request, seed)
        self.conversation_id = self.new_id("conv")
        expires_at = model.expires_at()
        self.settings = Settings(self.id, name, expires_at) if name else Transcribing(self.id, expires_at)
        self.settings.mulaw = not model.faults.pcm16_only
        self._beta = model.faults.beta
        self.truncations: list[Truncation] = []
        self.cancels = 0
        self.items = Items()
        self.active: Reply | None = None
        self._beside: dict[str, Reply] = {}
        self._ear = Ear(self.settings.vad, model.lines)
        self._scribe = Scribe(self)
        self._speech_item = ""
        self._heard: dict[str, float] = {}
        self._idle_at_ms: int | None = None
        self._tokens = (0, 0)

    # ── life ──────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """See `Socket.begin`."""
        await self.emit("session.created", session=self.settings.value)

    async def error(
        self, code: str | None, message: str, *, param: str | None = None, event_id: str | None = None
    ) -> None:
        """Sends an `error` event."""
        kind = "server_error" if code == "server_error" else "invalid_request_error"
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        self.refusals.append(error)
        await self.emit("error", error=error)

    def shaped(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """See `Socket.shaped`."""
        return beta.told(event) if self._beta else event

    async def expire(self) -> None:
        """See `Socket.expire`."""
        minutes = self.model.expires_s / 60
        await self.error("session_expired", f"Your session hit the maximum duration of {minutes:g} minutes.")
        await self.leave(1001, "session_expired")

    # ── what clients send ─────────────────────────────────────────────────────────────────

    async def obey(self, text: str) -> None:
        """See `Socket.obey`."""
        try:
            message = beta.decode(text) if self._beta else wire.decode(text)
            if isinstance(message, wire.Append):
                await self._append(message.audio)
                return
            self.received.append(msgspec.json.decode(text))
            await self._act(message)
        except Refused as refused:
            await self.refuse(refused, wire.event_id_of(text))
        self.model.noted()

    async def refuse(self, refused: Refused, event_id: str | None) -> None:
        """See `Socket.refuse`."""
        await self.error(refused.code, refused.message, param=refused.param, event_id=event_id)

    async def _act(self, message: wire.Client) -> None:
        if self.writes_only and not isinstance(message, wire.SessionUpdate | wire.Commit | wire.ClearInput):
            name = msgspec.to_builtins(message)["type"]
            raise Refused("invalid_value", f"'{name}' is not supported in a transcription session.", "type")
        match message:
            case wire.SessionUpdate(session=sent):
                await self._update(sent)
            case wire.Commit():
                await self._commit_by_hand()
            case wire.ClearInput():
                self._ear.take()
                self._scribe.take()
                await self.emit("input_audio_buffer.cleared")
            case wire.ItemCreate():
                await self._create_item(message)
            case wire.ItemTruncate():
                await self._truncate(message)
            case wire.ItemDelete(item_id=item_id):
                self.items.delete(item_id)
                await self.emit("conversation.item.deleted", item_id=item_id)
            case wire.ItemRetrieve(item_id=item_id):
                await self.emit("conversation.item.retrieved", item=self.items.existing(item_id, "retrieve"))
            case wire.ResponseCreate(response=settings):
                await self._create_response(wire.ResponseCreate.NOTHING if settings is UNSET else settings)
            case wire.ResponseCancel(response_id=response_id):
                self._cancel(None if response_id is UNSET else response_id)

    @property
    def writes_only(self) -> bool:
        """Whether it never speaks, but writes down what it hears."""
        return isinstance(self.settings, Transcribing)

    async def _update(self, sent: wire.SessionSettings | wire.TranscriptionSettings) -> None:
        if self._beta and isinstance(sent, wire.SessionSettings) and not self.settings.mulaw:
            await self._keep_sound(sent)
        self.settings.update(sent, has_spoken=bool(self.items.generated_ms), is_speaking=self.active is not None)
        self._ear.listen_for(self.settings.vad)
        await self.emit("session.updated", session=self.settings.value)

    async def _keep_sound(self, sent: wire.SessionSettings) -> None:
        """As speaches does it: each form of sound that is asked for is called impossible, all else is taken."""
        for name, side in beta.SOUND_FIELDS.items():
            part = UNSET if sent.audio is UNSET else getattr(sent.audio, side)
            if part is not UNSET and part.format is not UNSET:
                part.format = UNSET
                await self.error(None, f"Specifying `session.{name}` is not supported.")

    async def _append(self, text: str) -> None:
        self.settings.check_audio("input")
        try:
            audio = a2b_base64(text, strict_mode=True)
        except Base64Error as error:
            raise Refused("invalid_value", f"Invalid base64 audio: {error}.", "audio") from error
        if len(audio) > wire.MAX_APPEND_BYTES:
            raise Refused("invalid_value", "The audio is longer than 15 MiB.", "audio")
        self.appended_bytes += len(audio)
        for event in self._ear.hear(audio):
            match event:
                case Started():
                    await self._speech_started(event)
                case Stopped():
                    await self._speech_stopped(event)
        await self._scribe.listen(self._ear)
        if self._idle_at_ms is not None and self._ear.position_ms >= self._idle_at_ms:
            await self._caller_idle()

    # ── turns of the caller ───────────────────────────────────────────────────────────────

    async def _speech_started(self, event: Started) -> None:
        self._idle_at_ms = None
        self._speech_item = self.new_id("item")
        await self.emit("input_audio_buffer.speech_started", audio_start_ms=event.at_ms, item_id=self._speech_item)
        if self.active and self.settings.turns and self.settings.turns.interrupt_response:
            self.active.stop("turn_detected")

    async def _speech_stopped(self, event: Stopped) -> None:
        await self.emit("input_audio_buffer.speech_stopped", audio_end_ms=event.at_ms, item_id=self._speech_item)
        await self._commit(self._speech_item, event.audio)
        if self.settings.turns and self.settings.turns.create_response and not self.writes_only:
            await self._answer()

    async def _commit_by_hand(self) -> None:
        if self._ear.kept_ms < SHORTEST_COMMIT_MS:
            problem = (
                f"Error committing input audio buffer: buffer too small. Expected at least {SHORTEST_COMMIT_MS}ms of"
                f" audio, but buffer only has {self._ear.kept_ms:.2f}ms of audio."
            )
            raise Refused("input_audio_buffer_commit_empty", problem)
        live_item, written = self._scribe.take()
        item_id = self._speech_item if self._ear.speaking else live_item or self.new_id("item")
        await self._commit(item_id, self._ear.take(), written)

    async def _commit(self, item_id: str, audio: bytes, written: str = "") -> None:
        heard = await self.model.understand(audio)
        self.heard += heard
        for one in heard:
            self.mind.hear(one)
        await self._add_caller_item(item_id, len(audio) / BYTES_PER_MS)
        if self.settings.value["audio"]["input"]["transcription"]:
            text = " ".join(one.transcript for one in heard)
            self.start(self._scribe.write(item_id, text, len(audio) / BYTES_PER_MS / 1000, written))

    async def _add_caller_item(self, item_id: str, length_ms: float) -> None:
        await self.emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=self.items.last_id)
        content = [{"type": "input_audio", "transcript": None}]
        item: dict[str, Any] = {"id": item_id, "object": "realtime.item", "type": "message", "status": "completed"}
        self._tokens = (self._tokens[0], self._tokens[1] + round(length_ms / 1000 * CALLER_TOKENS_PER_S))
        item |= {"role": "user", "content": content}
        await self.add_item(item, self.items.last_id)
        await self.item_done(item)

    async def _caller_idle(self) -> None:
        """The caller has been quiet for as long as the settings allow, and is spoken to again."""
        self._idle_at_ms = None
        item_id, end_ms = self.new_id("item"), self._ear.position_ms
        audio = self._ear.take()
        start_ms = end_ms - len(audio) // BYTES_PER_MS
        self.mind.hear_nothing()
        span = {"audio_start_ms": start_ms, "audio_end_ms": end_ms}
        await self.emit("input_audio_buffer.timeout_triggered", item_id=item_id, **span)
        await self._add_caller_item(item_id, end_ms - start_ms)
        await self._answer()

    # ── responses ─────────────────────────────────────────────────────────────────────────

    async def _answer(self) -> None:
        """An answer that nobody asked for by hand; not while another one runs."""
        if self.active is None and not self.model.faults.silent:
            await self._begin(wire.ResponseCreate.NOTHING)

    async def _create_response(self, settings: wire.ResponseSettings) -> None:
        for key, value in (settings.metadata or {}).items():
            if len(key) > 64 or len(value) > 512:
                problem = "Metadata keys have at most 64 characters, values 512."
                raise Refused("invalid_value", problem, "response.metadata")
        if settings.output_modalities is not UNSET and len(settings.output_modalities) != 1:
            problem = "Invalid modalities: supported combinations are ['text'] and ['audio']."
            raise Refused("invalid_value", problem, "response.output_modalities")
        for item in () if settings.input is UNSET else settings.input:
            if isinstance(item, wire.ItemReference):
                self.items.existing(item.id, "reference")
        if settings.conversation == "auto" and self.active:
            problem = (
                f"Conversation already has an active response in progress: {self.active.id}. Wait until the response"
                " is finished before creating a new one."
            )
            raise Refused("conversation_already_has_active_response", problem)
        if not self.model.faults.silent:
            await self._begin(settings)

    async def _begin(self, settings: wire.ResponseSettings) -> None:
        modalities = self.settings.value["output_modalities"]
        modality = modalities[0] if settings.output_modalities is UNSET else settings.output_modalities[0]
        if modality == "audio":
            self.settings.check_audio("output")
        tools = self.settings.tools(settings.tools, settings.tool_choice)
        instructions = None if settings.instructions is UNSET else settings.instructions
        beside = settings.conversation == "none"
        plan = self.mind.aside(instructions) if beside else self.mind.plan(instructions, tools)
        metadata = None if settings.metadata is UNSET else settings.metadata
        reply = Reply(self, plan, metadata=metadata, beside=beside, modality=modality)
        if beside:
            self._beside[reply.id] = reply
        else:
            self._idle_at_ms = None
            self.active = reply
        await reply.begin()

    def _cancel(self, response_id: str | None) -> None:
        if response_id in self._beside:
            self._beside[response_id].stop("client_cancelled")
        elif self.active and response_id in (None, self.active.id):
            self.cancels += 1
            self.active.stop("client_cancelled")
        else:
            raise Refused("response_cancel_not_active", "Cancellation failed: no active response found")

    def ended(self, reply: Reply, spoken_ms: float) -> None:
        """A reply is over (its `response.done` comes next)."""
        self._beside.pop(reply.id, None)
        if reply is self.active:
            self.active = None
            if reply.stopped_by and reply.untold:
                self.mind.take_back(reply.untold)
            if idle_ms := self.settings.idle_timeout_ms:
                # Counted in audio that came in: on a telephone that never stops.
                self._idle_at_ms = self._ear.position_ms + round(spoken_ms) + idle_ms

    def context_tokens(self) -> tuple[int, int, int, int]:
        """Text and audio tokens of what a reply reads, and how many of each were cached."""
        text, audio = self._tokens
        text += len(self.settings.value["instructions"]) // 4
        audio += round(sum(self.items.generated_ms.values()) / 1000 * AUDIO_TOKENS_PER_S)
        cached = (text // 64 * 64, audio // 64 * 64) if self.said else (0, 0)
        return text, audio, *cached

    def rate_limits(self) -> list[dict[str, Any]]:
        """As `rate_limits.updated` tells them."""
        used = sum(self._tokens)
        return [
            {"name": "requests", "limit": 500, "remaining": 499, "reset_seconds": 0.12},
            {"name": "tokens", "limit": 250000, "remaining": max(0, 245500 - used), "reset_seconds": 1.08},
        ]

    # ── items ─────────────────────────────────────────────────────────────────────────────

    async def add_item(self, item: dict[str, Any], after: str | None) -> None:
        """Puts an item into the conversation, behind another (None: at the start)."""
        self.items.place(item, after)
        await self.emit("conversation.item.added", item=item, previous_item_id=after)

    async def item_done(self, item: dict[str, Any]) -> None:
        """An item has all its content."""
        await self.emit("conversation.item.done", item=item, previous_item_id=self.items.before(item["id"]))
        if item["id"] in self._heard:
            self._forget_unheard(item)

    def _forget_unheard(self, item: dict[str, Any]) -> None:
        """The AI remembers what it did not get to say; the item's text is lost, as with the real one."""
        self.mind.cut(unsaid(item["content"][0]["transcript"], self._heard[item["id"]]))
        item["content"] = [{"type": "output_audio", "transcript": ""}]

    async def _create_item(self, message: wire.ItemCreate) -> None:
        item, after = self.items.of_client(message, self.new_id("item"), self.new_id("call"))
        match message.item:
            case wire.MessageItem(role=role) as wanted:
                text = text_of(wanted)
                self.mind.read(role, text)
                self._tokens = (self._tokens[0] + len(text) // 4, self._tokens[1])
            case wire.FunctionCallItem(name=name):
                self.mind.recall_tool(item["call_id"], name)
            case wire.FunctionOutputItem(call_id=call_id, output=output):
                self.mind.result(call_id, output)
        await self.add_item(item, after)
        await self.item_done(item)

    async def _truncate(self, message: wire.ItemTruncate) -> None:
        item = self.items.check_truncation(message)
        self.truncations.append(Truncation(message.item_id, message.audio_end_ms))
        self._heard[message.item_id] = message.audio_end_ms / max(1, self.items.generated_ms[message.item_id])
        if item["content"]:
            self._forget_unheard(item)
        place = {"item_id": message.item_id, "content_index": 0, "audio_end_ms": message.audio_end_ms}
        await self.emit("conversation.item.truncated", **place)

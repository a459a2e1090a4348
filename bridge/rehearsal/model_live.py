"""A strict GPT-Live on loopback, part of the rehearsal's `Model`: it listens and speaks at the same time.

There are no turns on its wire: it speaks when it has something to say, and stops by itself when the
caller speaks over it. It refuses what the real one refuses, and stays stricter where it can do less.
Source: the official `openai` package, types/live (read 2026-11).
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from bridge.audio import BYTES_PER_MS, silence
from bridge.rehearsal import model_live_wire as wire
from bridge.rehearsal.ear import Ear, Started, Stopped, Vad
from bridge.rehearsal.mind import Plan
from bridge.rehearsal.model_live_mouth import Mouth
from bridge.rehearsal.model_live_tasks import Tasks
from bridge.rehearsal.model_socket import Socket
from bridge.rehearsal.model_wire import ClientEvent, Refused, event_id_of
from bridge.rehearsal.scenario import ToolUse

if TYPE_CHECKING:
    from bridge.rehearsal.model import Model

YIELDS_AFTER_MS = 240
"""So much speech over its own makes it stop: less is a murmur."""

_ONLY_LISTEN = re.compile(r"only listen\b", re.IGNORECASE)
_SPEAK_AGAIN = re.compile(r"you may speak again\b", re.IGNORECASE)
_WORDS = "session.input_transcript.delta"
_WORDS_EVERY_MS = 200
_VAD = Vad(silence_duration_ms=400, unfinished_ms=1500)
_CONTEXT_TOKENS = 128_000
_TOKENS_PER_S = 25


class LiveSession(Socket):
    """See `Socket`. config: the session as it was told, {} before its start.

    muted: the client had its input muted. fixtures: how many were played, or begun. yielded: how often it
    stopped because the caller spoke over it.
    """

    def __init__(self, model: Model, ws: web.WebSocketResponse, request: web.Request, seed: int) -> None:
        super().__init__(model, ws, request, seed)
        self.config: dict[str, Any] = {}
        self.muted = False
        self.fixtures = self.yielded = 0
        self._ear = Ear(_VAD, model.lines)
        self._mouth = Mouth(self)
        self._tasks_given = Tasks(self)
        self._begun_s = 0.0
        self._lag_ms = 0
        self._speech_ms = 0
        self._yields = False
        self._written = ""
        self._written_to_ms = 0
        self._next_words_ms = 0

    # ── life ──────────────────────────────────────────────────────────────────────────────

    def now_ms(self) -> int:
        """Time of the session."""
        return round((asyncio.get_running_loop().time() - self._begun_s) * 1000)

    @property
    def caller_speaks(self) -> bool:
        """Whether the caller is in the middle of something."""
        return self._ear.speaking

    def shaped(self, event: dict[str, Any]) -> dict[str, Any]:
        """See `Socket.shaped`: sound has no identity, and what is not known is left out."""
        if event["type"] == "session.output_audio.delta":
            del event["event_id"]
        if event.get("client_event_id", "") is None:
            del event["client_event_id"]
        return event

    async def expire(self) -> None:
        """See `Socket.expire`."""
        await self._close("expired", None)

    async def _close(self, reason: str, event_id: str | None) -> None:
        if self.config:
            fields = {"session": self.config, "usage": self._usage(), "client_event_id": event_id}
            await self.emit("session.closed", reason=reason, **fields)
        await self.leave(1000, reason)

    def _usage(self) -> dict[str, Any]:
        return {"seconds": self.now_ms() / 1000}

    async def _tell_usage(self) -> None:
        while True:
            await asyncio.sleep(self.model.live_usage_s)
            used = min(1.0, self.now_ms() / 1000 * _TOKENS_PER_S / _CONTEXT_TOKENS)
            await self.emit("session.usage.updated", usage=self._usage(), context_window={"usage_ratio": used})

    # ── what clients send ─────────────────────────────────────────────────────────────────

    async def obey(self, text: str) -> None:
        """See `Socket.obey`."""
        try:
            message = wire.decode(text)
            if not isinstance(message, wire.Append):
                self.received.append(msgspec.json.decode(text))
            if not self.config:
                await self._begin_session(message)
            else:
                await self._act(message)
        except Refused as refused:
            await self.refuse(refused, event_id_of(text))
            if not self.config:
                await self.leave(1008, refused.code)
        self.model.noted()

    async def refuse(self, refused: Refused, event_id: str | None) -> None:
        """See `Socket.refuse`."""
        error = {"type": "invalid_request_error", "code": refused.code, "message": refused.message}
        error |= {"param": refused.param} if refused.param else {}
        error |= {"client_event_id": event_id} if event_id else {}
        self.refusals.append(error)
        await self.emit("error", error=error)

    async def _begin_session(self, message: wire.Client) -> None:
        if not isinstance(message, wire.SessionStart):
            raise Refused("session_not_started", "The first event of a session must be session.start.", "type")
        self.config = wire.resource(message.session, self.id, int(time.time() + self.model.expires_s))
        self._tasks_given.configure(self.config.get("delegation"))
        for past in self.config.get("input", ()):
            role, said = past["role"], past["content"][0]["text"]
            if role == "developer":
                self._read(said)
            else:
                self.mind.read(role, said)
        self._begun_s = asyncio.get_running_loop().time()
        await self.emit("session.started", session=self.config, client_event_id=_id(message))
        self.start(self._mouth.run())
        self.start(self._tell_usage())

    async def _act(self, message: wire.Client) -> None:
        event_id = _id(message)
        match message:
            case wire.Append(audio=audio):
                await self._append(wire.sound(audio))
            case wire.Instructions() | wire.Thinking() | wire.Commentary():
                await self._append_text(message)
            case wire.FixturePlay(audio=audio):
                await self._play(wire.fixture(audio), event_id)
            case wire.Mute():
                self.muted = True
                await self._stop_listening()
                await self.emit("session.input_audio.muted", client_event_id=event_id)
            case wire.Unmute():
                self.muted = False
                await self.emit("session.input_audio.unmuted", client_event_id=event_id)
            case wire.ItemCreate(item=item):
                self._tasks_given.take(item)
            case wire.ResponseCreate():
                await self._tasks_given.go_on()
                self._mouth.answer()
            case wire.SessionUpdate(session=change):
                self._tasks_given.change(change)
                await self.emit("session.updated", session=self.config, client_event_id=event_id)
            case wire.Close():
                await self._close("close_requested", event_id)
            case wire.SessionStart():
                raise Refused("session_already_started", "The session was started before.", "type")

    async def _append_text(self, message: wire.AppendText) -> None:
        wire.check_content(message, by_responses=self._tasks_given.by_responses)
        if self._mouth.plays_fixture:
            raise Refused("fixture_active", "Nothing can be appended while an audio fixture is active.", "type")
        kind = msgspec.to_builtins(message)["type"]
        at_ms = self.now_ms()
        await self.emit(f"{kind}ed", start_ms=at_ms, end_ms=at_ms, client_event_id=_id(message))
        if isinstance(message, wire.Commentary):
            self._mouth.comment(message.content)
        else:
            self._read(message.content)

    def _read(self, text: str) -> None:
        self.mind.read("system", text)
        if _ONLY_LISTEN.match(text) and not self.model.faults.live_talkative:
            self._mouth.hold()
        elif _SPEAK_AGAIN.match(text):
            self._mouth.holds = False

    async def _play(self, pcm: bytes, event_id: str | None) -> None:
        if self._mouth.plays_fixture:
            raise Refused("fixture_active", "Another audio fixture is active.", "type")
        self.fixtures += 1
        self._mouth.make_way()
        self.mind.begun()
        await self._stop_listening()
        await self.emit("session.output_audio.fixture.playing", client_event_id=event_id)
        self.start(self._mouth.play(pcm, event_id))

    # ── what it hears ─────────────────────────────────────────────────────────────────────

    async def _append(self, audio: bytes) -> None:
        self.appended_bytes += len(audio)
        if self.muted or self._mouth.plays_fixture:
            audio = silence(len(audio) // BYTES_PER_MS)
        for event in self._ear.hear(audio):
            match event:
                case Started():
                    self._lag_ms = max(0, self.now_ms() - self._ear.position_ms)
                    self._speech_ms, self._yields = self._ear.position_ms, True
                    self._written, self._written_to_ms = "", event.at_ms + _VAD.prefix_padding_ms
                    self._next_words_ms = self._ear.position_ms + _WORDS_EVERY_MS
                case Stopped():
                    await self._heard(event)
        if not self._ear.speaking:
            return
        if self._yields and self._ear.position_ms - self._ear.quiet_ms >= self._speech_ms + YIELDS_AFTER_MS:
            self._yields = False
            self.yielded += self._mouth.yields()
        if self._ear.position_ms >= self._next_words_ms:
            self._next_words_ms += _WORDS_EVERY_MS
            await self._write(self.model.lines.so_far(self._ear.kept), self._ear.position_ms)

    async def _stop_listening(self) -> None:
        """What is being said ends here, for the AI."""
        if self._ear.speaking:
            await self._heard(Stopped(self._ear.position_ms, self._ear.take()))

    async def _heard(self, event: Stopped) -> None:
        heard = await self.model.understand(event.audio)
        self.heard += heard
        for one in heard:
            self.mind.hear(one)
        until_ms = max(self._written_to_ms, event.at_ms - _VAD.silence_duration_ms)
        await self._write(" ".join(one.transcript for one in heard), until_ms)
        self._mouth.answer()

    async def _write(self, text: str, until_ms: int) -> None:
        """Tells what came to the words of what is being said."""
        if not text.startswith(self._written) or text == self._written or self.model.faults.no_transcripts:
            return
        span = {"start_ms": self._lag_ms + self._written_to_ms, "end_ms": self._lag_ms + until_ms}
        delta = text[len(self._written) :]
        if not self._written and self.sent[_WORDS]:
            delta = f" {delta}"
        self._written, self._written_to_ms = text, until_ms
        await self.emit(_WORDS, delta=delta, **span)

    # ── what it says ──────────────────────────────────────────────────────────────────────

    def plan(self, content: str | None) -> Plan:
        """What to say: about a commentary, or (None) to all that waits for an answer."""
        tools = self._tasks_given.tools()
        return self.mind.plan(None, tools) if content is None else self.mind.comment(content, tools)

    async def delegate(self, tool: ToolUse) -> None:
        """Has a task done."""
        await self._tasks_given.give(tool)


def _id(message: ClientEvent) -> str | None:
    return None if message.event_id is UNSET else message.event_id

"""OpenAI's GPT-Live protocol as messages out and events in. Knows no sockets, clocks or files.

A session hears and speaks at the same time and tells of no turns; `gpt_live_turns` makes them. What it is
told in words is added to it (`session.instructions.append`), what it is to say too (`session.commentary.append`).
Nothing of it can be cancelled or taken back: to stop it, a moment of silence is played in its place.
``now_ms`` is any clock that only goes forward, ``at_ms`` call time.
Source: openai-python 3.52 types/live (read 2026-11).
"""

from __future__ import annotations

from base64 import b64encode
from binascii import a2b_base64
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bridge.audio import FRAME_MS
from bridge.engines import (
    KEPT_MS,
    Listener,
    Ready,
    Remembered,
    ReplyKind,
    ToolAsked,
    Trouble,
    Used,
    notes,
)
from bridge.engines import gpt_live_messages as told
from bridge.engines import openai_messages as openai
from bridge.engines.gpt_live_messages import Config
from bridge.engines.gpt_live_turns import Turns
from bridge.engines.prices import Rates, minutes_usd, rates_for, tokens_usd

APPEND = "session.input_audio.append"
_APPEND = b'{"type":"session.input_audio.append","audio":'

STOP_MS = 2000
"""What is told while the AI is being stopped waits for that, but no longer."""

KEPT_NAMES = 100

_STOP_SOUND = b64encode(bytes(2 * 24 * 40)).decode()
"""40 ms of silence as PCM16 at 24 kHz, which is what a fixture is, whatever the session's sound."""

_HUSH = bytes((*range(0x70, 0x80), *range(0xF0, 0x100)))
"""The mu-law codes that are too soft to hear."""

ONLY_LISTEN = "Only listen from now on and say nothing, until you are told that you may speak again."
SPEAK_AGAIN = "You may speak again. Of what you said in the meantime the caller heard nothing."
ANSWER = "Answer the caller now, going by what was said last."

_decode = msgspec.json.Decoder(told.Delta).decode
_encode = msgspec.json.encode

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Wire:
    """One session's side of the protocol.

    ready: the session has begun. malformed: messages that could not be read. unknown: names of messages
    that we do not know, with how often they came.
    """

    def __init__(self, config: Config, prices: Mapping[str, Rates] | None = None) -> None:
        self.ready = False
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self.turns = Turns()
        self.out: list[tuple[str, bytes]] = []
        self._config = config
        self._rates = rates_for(config.model, prices or {})
        self._backend_rates = rates_for(config.backend, prices or {})
        self._before: list[tuple[str, str]] = []
        self._opened = False
        self._held: list[dict[str, Any]] = []
        """Texts that wait until the AI has stopped, or the session has begun."""

        self._stopping = ""
        self._stop_until_ms = 0
        self._opening: tuple[str, bytes] | None = None
        self._kept: deque[tuple[str, int]] = deque()
        self._began_ms: int | None = None
        self._heard_ms = 0
        self._numbered = 0
        self._seconds = 0.0
        self._tools: set[str] = set()
        """Those that were asked for and have no answer yet."""

        self._asking: set[str] = set()
        """Delegations that asked for a tool, and may ask for more."""

        self._pauses = False
        """Whether the backend waits for tools; it goes on once all are answered, whoever asked."""

    # ── what goes out ─────────────────────────────────────────────────────────────────────

    def take(self) -> list[tuple[str, bytes]]:
        """What to send now, in order: (message name, JSON text in UTF-8)."""
        out, self.out = self.out, []
        return out

    def open(self) -> None:
        """The socket is open: begin the session. All else waits for the peer's word on it."""
        self._opened = True
        self._send(self._message("session.start", session=told.session(self._config, self._before)))

    def hear(self, payload: str, at_ms: int) -> bytes | None:
        """The message that carries this frame, or None when it is kept until the session is ready."""
        if not self.ready:
            self._kept.append((payload, at_ms))
            while at_ms - self._kept[0][1] >= KEPT_MS:
                self._kept.popleft()
            return None
        if self._began_ms is None:
            self._began_ms = at_ms
        self._heard_ms = at_ms + FRAME_MS
        return _APPEND + _encode(payload) + b"}"

    def greet(self, text: str, mulaw: bytes) -> None:
        """The conversation opens with these words, in a voice that is not the session's; see `give_greeting`."""
        self._opening = text, mulaw

    def give_greeting(self, now_ms: int, listener: Listener) -> None:
        """Pass it on if there is one and the session is ready."""
        if self.ready and self._opening is not None:
            (text, mulaw), self._opening = self._opening, None
            self.tell(f'The call was opened for you, so do not say it again, with the words: "{text}"')
            self.turns.opened(text, mulaw, now_ms, listener)

    def say(self, text: str, request: str, now_ms: int, kind: ReplyKind = ReplyKind.SAY) -> None:
        """See `Engine.say`. It may say it differently all the same."""
        self._speak(kind, f'Say exactly, word for word, nothing else: "{text}"', request, now_ms)

    def ask(self, text: str, request: str, now_ms: int) -> None:
        """See `Engine.ask`."""
        self._speak(ReplyKind.ASK, f'Tell the caller, in your own words: "{text}"', request, now_ms)

    def answer_now(self, now_ms: int) -> None:
        """See `Engine.answer_now`."""
        self._speak(ReplyKind.ANSWER, ANSWER, "", now_ms)

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`."""
        self.tell(notes.guidance(text))

    def tell(self, text: str) -> None:
        """See `Engine.tell`."""
        self._told("developer", text)

    def recall(self, turns: Sequence[Remembered]) -> None:
        """See `Engine.recall`. Once the session is asked for, all is told."""
        for turn in turns:
            role, text = told.recalled(turn)
            if text and role == "developer":
                self.tell(text)
            elif text:
                self._told(role, text)

    def _told(self, role: str, text: str) -> None:
        if not self._opened:
            self._before.append((role, text))
            return
        whose = {"user": "The caller said: ", "assistant": "You said: "}.get(role, "")
        for piece in told.in_pieces(f"{whose}{text}"):
            self._text("session.instructions.append", piece)

    def _speak(self, kind: ReplyKind, content: str, request: str, now_ms: int) -> None:
        self.turns.ask(kind, request, now_ms)
        for piece in told.in_pieces(content):
            self._text("session.commentary.append", piece)

    def _text(self, name: str, content: str) -> None:
        message = self._message(name, content=content, delegation_id=None)
        if self.ready and not self._stopping:
            self._send(message)
        else:
            self._held.append(message)

    def cut(self, item_id: str, heard_ms: int, now_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`. Who speaks over it stops it by themselves; for an operator it is stopped."""
        heard, is_at_it = self.turns.heard_of(item_id, heard_ms), self.turns.is_at_it(now_ms)
        self.turns.cut(now_ms, by_caller=by_caller)
        if heard is not None:
            self.tell(f'You were cut short. Of what you said last the caller heard only: "{heard}"')
        if not by_caller:
            self._opening = None
            self._held = [message for message in self._held if message["type"] != "session.commentary.append"]
            if is_at_it:
                self._stop(now_ms)

    def may_answer(self, allowed: bool, now_ms: int) -> None:
        """See `Engine.may_answer`."""
        if allowed == self.turns.allowed:
            return
        is_at_it = self.turns.is_at_it(now_ms)
        self.turns.may_answer(allowed, now_ms)
        self._opening = None
        # Told before it is stopped: it must not begin anew in between.
        self.tell(SPEAK_AGAIN if allowed else ONLY_LISTEN)
        if is_at_it:
            self._stop(now_ms)

    def _stop(self, now_ms: int) -> None:
        """Whatever it says, it says no more. What the caller says meanwhile it does not hear."""
        if not self.ready or self._stopping:
            return
        message = self._message("session.output_audio.fixture.play", audio=_STOP_SOUND)
        self._stopping, self._stop_until_ms = message["event_id"], now_ms + STOP_MS
        self._send(message)

    def _stopped(self, now_ms: int) -> None:
        self._stopping = ""
        self.turns.stopped(now_ms)
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for message in held:
            self._send(message)

    def unhear(self) -> None:
        """See `Engine.unhear`. What the session has heard it has heard."""
        self._kept.clear()
        self.turns.unhear()

    def answer_tool(self, tool_id: str, output: str) -> None:
        """See `Engine.answer_tool`."""
        if tool_id not in self._tools:
            return
        self._tools.discard(tool_id)
        item = {"type": "function_call_output", "call_id": tool_id, "output": output}
        self._send(self._message("response.item.create", item=item))
        self._go_on()

    def _go_on(self) -> None:
        if self._pauses and not self._tools and not self._asking:
            self._pauses = False
            self._send(self._message("response.create"))

    def close(self) -> None:
        """The session is to end."""
        if self._opened:
            self._send(self._message("session.close"))

    def tick(self, now_ms: int, listener: Listener) -> None:
        """Let time pass; call it a few times a second."""
        self.turns.tick(now_ms, listener)
        if self._stopping and now_ms >= self._stop_until_ms:
            self._stopped(now_ms)

    def _message(self, name: str, **fields: Any) -> dict[str, Any]:
        """Its event_id is its name and a number, for the peer's errors to point at."""
        self._numbered += 1
        return {"type": name, "event_id": f"{name}-{self._numbered}", **fields}

    def _send(self, message: Mapping[str, Any]) -> None:
        self.out.append((message["type"], _encode(message)))

    # ── what comes in ─────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes, now_ms: int, listener: Listener) -> None:
        """One message from the peer. Raises EngineLost when it means the end of the session."""
        try:
            message = _decode(data)
        except UNREADABLE:
            self.malformed += 1
            listener.on_message(False, "unreadable", str(data, "utf-8", "replace"))
            return
        name, delta = message.type, message.delta or ""
        if name == "session.output_audio.delta":
            try:
                loud = is_loud(delta)
            except ValueError:
                self.malformed += 1
            else:
                self.turns.sound(delta, loud, now_ms, listener)
            return
        listener.on_message(False, name, str(data, "utf-8", "replace"))
        match name:
            case "session.output_transcript.delta":
                self.turns.words(delta, now_ms, listener)
            case "session.input_transcript.delta":
                start_ms, end_ms = self._call_ms(message.start_ms), self._call_ms(message.end_ms)
                self.turns.caller(delta, start_ms, end_ms, now_ms, listener)
            case _ if name in _HANDLERS:
                decoder, handle = _HANDLERS[name]
                try:
                    whole = decoder.decode(data)
                except UNREADABLE:
                    self.malformed += 1
                else:
                    handle(self, whole, now_ms, listener)
            case _ if name not in _QUIET:
                known = name in self.unknown or len(self.unknown) < KEPT_NAMES
                self.unknown[name if known else "(others)"] += 1

    def _call_ms(self, session_ms: int) -> int:
        """Call time of a moment of the session, which began with the first sound: nothing is heard ahead of time."""
        return min((self._began_ms or 0) + session_ms, self._heard_ms)

    def _on_started(self, message: told.Started, now_ms: int, listener: Listener) -> None:
        if self.ready:
            return
        self.ready = True
        expires = message.session.expires_at
        expires_ms = None if expires is None else expires * 1000
        listener.on_event(Ready(message.session.model or self._config.model, expires_ms))
        self._release()
        for payload, at_ms in self._kept:
            self.out.append((APPEND, self.hear(payload, at_ms) or b""))
        self._kept.clear()
        self.give_greeting(now_ms, listener)

    def _on_usage(self, message: told.UsageTold, now_ms: int, listener: Listener) -> None:
        self._used(message.usage, listener)

    def _used(self, usage: told.Seconds, listener: Listener) -> None:
        more, self._seconds = usage.seconds - self._seconds, max(self._seconds, usage.seconds)
        if more > 0:
            listener.on_event(Used(cost_usd=minutes_usd(self._rates, more)))

    def _on_closed(self, message: told.ClosedTold, now_ms: int, listener: Listener) -> None:
        if message.usage is not None:
            self._used(message.usage, listener)
        if message.reason != "close_requested":
            raise told.ended(message.reason)

    def _on_nested(self, message: told.NestedTold, now_ms: int, listener: Listener) -> None:
        event, delegation = message.event, message.delegation_id or ""
        match event.type:
            case "response.output_item.done" if event.item is not None and event.item.type == "function_call":
                self._tools.add(event.item.call_id)
                self._asking.add(delegation)
                listener.on_event(ToolAsked(event.item.call_id, event.item.name, event.item.arguments))
            case "response.completed" | "response.incomplete" | "response.failed":
                self._backend_done(event, delegation, listener)

    def _backend_done(self, event: told.Nested, delegation: str, listener: Listener) -> None:
        response = event.response or told.Response()
        if (used := response.usage) is not None:
            cached = (used.input_tokens_details or told.CachedTokens()).cached_tokens or 0
            cost_usd = tokens_usd(
                self._backend_rates, text_in=used.input_tokens, text_cached=cached, text_out=used.output_tokens
            )
            listener.on_event(Used(used.total_tokens, cost_usd))
        if event.type == "response.failed":
            words = response.error.words if response.error is not None else "no reason was given"
            text = f"{self._config.backend}, which uses the AI's tools, failed: {words}"
            listener.on_event(Trouble("delegation_failed", text))
        if delegation in self._asking:
            self._asking.discard(delegation)
            self._pauses = True
            self._go_on()

    def _on_played(self, message: told.Echo, now_ms: int, listener: Listener) -> None:
        if self._stopping and message.client_event_id in (self._stopping, None):
            self._stopped(now_ms)

    def _on_error(self, message: told.ErrorTold, now_ms: int, listener: Listener) -> None:
        problem = message.error
        if (lost := openai.ended_by(problem)) is not None:
            raise lost
        if not self.ready:
            raise openai.unconfigured(problem)
        if self._stopping and problem.client_event_id == self._stopping:
            self._stopped(now_ms)
        quiet = problem.code in openai.OUR_CODES
        listener.on_event(Trouble(problem.name, "" if quiet else f"OpenAI reports a problem: {problem.words}"))


def is_loud(payload: str) -> bool:
    """Whether there is anything to hear in a piece of sound. payload: base64 of mu-law. Raises ValueError."""
    return bool(a2b_base64(payload).translate(None, _HUSH))


_Handler = Callable[[Wire, Any, int, Listener], None]
_HANDLERS: dict[str, tuple[msgspec.json.Decoder[Any], _Handler]] = {
    "session.started": (msgspec.json.Decoder(told.Started), Wire._on_started),
    "session.usage.updated": (msgspec.json.Decoder(told.UsageTold), Wire._on_usage),
    "session.closed": (msgspec.json.Decoder(told.ClosedTold), Wire._on_closed),
    "session.output_audio.fixture.played": (msgspec.json.Decoder(told.Echo), Wire._on_played),
    "response.event": (msgspec.json.Decoder(told.NestedTold), Wire._on_nested),
    "error": (msgspec.json.Decoder(told.ErrorTold), Wire._on_error),
}

_QUIET = frozenset(
    {
        "info",
        "session.commentary.appended",
        "session.delegation.created",
        "session.input_audio.muted",
        "session.input_audio.unmuted",
        "session.instructions.appended",
        "session.output_audio.fixture.playing",
        "session.thinking.appended",
        "session.updated",
    }
)
"""Known, and nothing to do."""

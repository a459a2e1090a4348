"""OpenAI's Realtime protocol as messages out and events in. Knows no sockets, clocks or files.

Tell `Wire` what is wanted (`greet`, `say`, `cut` …) and what arrived (`receive`), turn its
clock (`tick`), and send what `take` returns, in order. Whose reply may run is decided by
`openai_arbiter`; here messages are written and read, words collected, and clocks compared.

Today's protocol (GA) is spoken, and the beta's to a peer that answers in it (`openai_beta`).
``now_ms`` is any clock that only goes forward, ``at_ms`` call time. The peer counts the audio
that it was sent; the frames' own ``at_ms`` turn that into call time.
Source: openai-python 3.52 types, OpenAI's Realtime guides (read 2026-11).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bridge.engines import (
    KEPT_MS,
    CallerStarted,
    CallerStopped,
    CallerWords,
    CallerWordsFailed,
    EngineLost,
    Listener,
    Ready,
    Remembered,
    ReplyKind,
    ReplyWords,
    ReplyWordsDone,
    Role,
    SpeechDone,
    Trouble,
    Used,
    notes,
)
from bridge.engines import openai_beta as beta
from bridge.engines import openai_messages as told
from bridge.engines import openai_settings as settings
from bridge.engines.openai_arbiter import BYTES_PER_MS, Arbiter
from bridge.engines.openai_settings import PREFIX_MS, SILENCE_MS, TRANSCRIBER, Config
from bridge.engines.prices import Rates, rates_for

KEPT_WORDS = 64
KEPT_NAMES = 100
CLOCK_SLACK_MS = 20

AUDIO = frozenset({"response.output_audio.delta", "response.audio.delta"})
"""Today's and the beta's name: some compatible servers still speak the latter."""

APPEND = "input_audio_buffer.append"
_APPEND = b'{"type":"input_audio_buffer.append","audio":'

_decode = msgspec.json.Decoder(told.Delta).decode
_decode_name = msgspec.json.Decoder(told.Named).decode
_encode = msgspec.json.encode

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that reading a message of theirs may raise."""


class Wire:
    """One session's side of the protocol.

    ready: configured. out: what `take` will return. dropped_deltas, malformed: speech of cut or
    foreign replies, and messages that could not be read. unknown: names of messages we do not
    know, with how often they came.
    """

    def __init__(self, config: Config, prices: Mapping[str, Rates] | None = None) -> None:
        self.ready = False
        self.dropped_deltas = 0
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self._config = config
        self._rates = rates_for(config.model, prices or {})
        self._transcriber_rates = rates_for(TRANSCRIBER, prices or {})
        self._arbiter = Arbiter(self._put)
        self.out: list[tuple[str, bytes]] = []
        self._early: list[Mapping[str, Any]] = []
        self._beta = False
        self._transcribes = False
        self._without_mulaw = 0
        self._configured_by = ""
        self._kept: deque[tuple[str, int]] = deque()
        self._numbered = 0
        self._expires_unix_ms: int | None = None
        self._words: dict[str, str | None] = {}
        self._sent_bytes = 0
        self._shift_ms = 0
        self._shifts: deque[tuple[int, int]] = deque([(0, 0)], maxlen=128)

    # ── what goes out ─────────────────────────────────────────────────────────────────────

    def take(self) -> list[tuple[str, bytes]]:
        """What to send now, in order: (message name, JSON text in UTF-8)."""
        out, self.out = self.out, []
        return out

    def open(self) -> None:
        """The socket is open: configure the session. All else waits for the peer's word on it."""
        session = settings.session(self._config, answers=self._arbiter.allowed)
        message = self._message("session.update", session=session)
        self._configured_by = message["event_id"]
        self._send(message)

    def hear(self, payload: str, at_ms: int) -> bytes | None:
        """The message that carries this frame, or None when it is kept until the session is ready."""
        if not self.ready:
            self._kept.append((payload, at_ms))
            while at_ms - self._kept[0][1] >= KEPT_MS:
                self._kept.popleft()
            return None
        sent_ms = self._sent_bytes // BYTES_PER_MS
        shift_ms = at_ms - sent_ms
        if not -CLOCK_SLACK_MS <= shift_ms - self._shift_ms <= CLOCK_SLACK_MS:
            self._shift_ms = shift_ms
            self._shifts.append((sent_ms, shift_ms))
        self._sent_bytes += len(payload) * 3 // 4 - payload.count("=", -2)
        return _APPEND + _encode(payload) + b"}"

    def greet(self, first_line: str, now_ms: int) -> None:
        """See `Engine.greet`."""
        self._speak(ReplyKind.GREETING, first_line, "", now_ms)

    def say(self, text: str, request: str, now_ms: int) -> None:
        """See `Engine.say`."""
        self._speak(ReplyKind.SAY, text, request, now_ms)

    def ask(self, text: str, request: str, now_ms: int) -> None:
        """See `Engine.ask`."""
        instructions = f'Tell the caller, in your own words: "{text}"'
        self._arbiter.ask(ReplyKind.ASK, request, now_ms, instructions=instructions, tool_choice="none")

    def unhear(self, now_ms: int) -> None:
        """See `Engine.unhear`."""
        self._kept.clear()
        self._arbiter.caller_stopped(now_ms)
        self._put("input_audio_buffer.clear")

    def answer_now(self, now_ms: int) -> None:
        """See `Engine.answer_now`."""
        self._arbiter.answer_now(now_ms)

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`."""
        self.tell(notes.guidance(text))

    def tell(self, text: str) -> None:
        """See `Engine.tell`."""
        self._item("message", role="system", content=[{"type": "input_text", "text": text}])

    def recall(self, turns: Sequence[Remembered]) -> None:
        """See `Engine.recall`. Its own words and the caller's are items of theirs, all else is told."""
        for turn in turns:
            match turn.role:
                case role if not turn.text and role is not Role.TOOL:
                    # Nothing of it was heard, or understood.
                    continue
                case Role.CALLER:
                    self._item("message", role="user", content=[{"type": "input_text", "text": turn.text}])
                case Role.AI:
                    self._item("message", role="assistant", content=[{"type": "output_text", "text": turn.text}])
                case Role.OPERATOR:
                    self.tell(notes.colleague_said(turn.text))
                case Role.TOOL:
                    self._numbered += 1
                    call_id = f"recalled-{self._numbered}"
                    self._item("function_call", call_id=call_id, name=turn.name, arguments=turn.arguments)
                    self._item("function_call_output", call_id=call_id, output=turn.text)
                case _:
                    self.tell(turn.text)

    def _item(self, kind: str, **fields: Any) -> None:
        self._put("conversation.item.create", item={"type": kind, **fields})

    def may_answer(self, allowed: bool) -> None:
        """See `Engine.may_answer`."""
        if allowed != self._arbiter.allowed:
            self._arbiter.may_answer(allowed)
            self._put("session.update", session=settings.turns(self._config, answers=allowed))

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`."""
        self._arbiter.cut(item_id, heard_ms, by_caller=by_caller)

    def answer_tool(self, tool_id: str, output: str, now_ms: int) -> None:
        """See `Engine.answer_tool`."""
        self._arbiter.answer_tool(tool_id, output, now_ms)

    def tick(self, now_ms: int, listener: Listener) -> None:
        """Let time pass; call it a few times a second."""
        self._arbiter.tick(now_ms, listener)

    def waits(self, now_ms: int) -> bool:
        """Whether something of the peer is due now: a live one says something within a second."""
        return self._arbiter.waits(now_ms)

    def _speak(self, kind: ReplyKind, text: str, request: str, now_ms: int) -> None:
        """Exactly these words; without the conversation as context there is less to drift to."""
        instructions = f'Say exactly, word for word, nothing else: "{text}"'
        self._arbiter.ask(kind, request, now_ms, instructions=instructions, tool_choice="none", input=[])

    def _put(self, name: str, **fields: Any) -> str:
        """Queue a message, until the session is ready if it is not; returns its event_id."""
        message = self._message(name, **fields)
        if self.ready:
            self._send(message)
        else:
            self._early.append(message)
        return str(message["event_id"])

    def _message(self, name: str, **fields: Any) -> dict[str, Any]:
        """Its event_id is its name and a number, for the peer's errors to point at."""
        self._numbered += 1
        return {"type": name, "event_id": f"{name}-{self._numbered}", **fields}

    def _send(self, message: Mapping[str, Any]) -> None:
        shaped = beta.said(message, transcribes=self._transcribes) if self._beta else message
        self.out.append((message["type"], _encode(shaped)))

    # ── what comes in ─────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes, now_ms: int, listener: Listener) -> None:
        """One message from the peer. Raises EngineLost when it means the end of the session."""
        try:
            message = _decode(data)
        except UNREADABLE:
            self._strange(data, listener)
            return
        if message.type not in AUDIO:
            self._other(message.type, data, now_ms, listener)
            return
        arbiter, delta, item_id = self._arbiter, message.delta, message.item_id
        reply = arbiter.active
        if reply is None or message.response_id != reply.reply_id:
            self.dropped_deltas += 1
        elif not delta or len(delta) % 4 or not item_id:
            self.malformed += 1
        else:
            speech = arbiter.speech.get(item_id) or arbiter.new_speech(item_id, reply)
            speech.received_bytes += len(delta) * 3 // 4 - delta.count("=", -2)
            reply.seen_ms = now_ms
            if reply.cut:
                self.dropped_deltas += 1
                return
            reply.spoke = True
            listener.on_speech(item_id, delta)

    def _strange(self, data: bytes, listener: Listener) -> None:
        """Not JSON, or not as expected where we looked; a new message of theirs is no mistake."""
        try:
            name = _decode_name(data).type
        except UNREADABLE:
            name = ""
        if not name or name in _HANDLERS or name in AUDIO:
            self.malformed += 1
        else:
            self._count(name)
        listener.on_message(False, name or "unreadable", _text(data))

    def _other(self, name: str, data: bytes, now_ms: int, listener: Listener) -> None:
        listener.on_message(False, name, _text(data))
        if self._arbiter.active is not None and name.startswith("response."):
            self._arbiter.active.seen_ms = now_ms
        if name not in _HANDLERS:
            self._count(name)
            return
        decoder, handle = _HANDLERS[name]
        try:
            message = decoder.decode(data)
        except UNREADABLE:
            self.malformed += 1
            return
        handle(self, message, now_ms, listener)
        self._arbiter.pump(now_ms)

    def _count(self, name: str) -> None:
        if name not in _QUIET:
            self.unknown[name if name in self.unknown or len(self.unknown) < KEPT_NAMES else "(others)"] += 1

    def _on_session_created(self, message: told.SessionTold, now_ms: int, listener: Listener) -> None:
        session = message.session
        if session.expires_at is not None:
            self._expires_unix_ms = session.expires_at * 1000
        if not self.ready and not self._beta and beta.is_spoken(session):
            # What was sent on opening was not in its language.
            self._beta = self._arbiter.anonymous = True
            self._transcribes = session.input_audio_transcription is not None
            self.open()

    def _on_session_updated(self, message: told.SessionTold, now_ms: int, listener: Listener) -> None:
        self._on_session_created(message, now_ms, listener)
        if self.ready:
            return
        if self._beta and not beta.carries_mulaw(message.session):
            # The first such answer may be to what was sent on opening.
            self._without_mulaw += 1
            if self._without_mulaw > 1:
                raise EngineLost(told.NO_TELEPHONE_SOUND, fatal=True)
            return
        self.ready = True
        self._arbiter.ready()
        for early in self._early:
            self._send(early)
        self._early.clear()
        for payload, at_ms in self._kept:
            self.out.append((APPEND, self.hear(payload, at_ms) or b""))
        self._kept.clear()
        listener.on_event(Ready(message.session.model or self._config.model, self._expires_unix_ms))

    def _on_speech_started(self, message: told.CallerEdge, now_ms: int, listener: Listener) -> None:
        self._arbiter.caller_started()
        # The peer counts from the padding that it put before the speech.
        listener.on_event(CallerStarted(message.item_id, self._call_ms(message.audio_start_ms + PREFIX_MS)))

    def _on_speech_stopped(self, message: told.CallerEdge, now_ms: int, listener: Listener) -> None:
        self._arbiter.caller_stopped(now_ms)
        # And up to the end of the silence that it waited for, unless it went by the sense of the words.
        silence_ms = 0 if self._config.turn_detection == "semantic" and not self._beta else SILENCE_MS
        listener.on_event(CallerStopped(message.item_id, self._call_ms(message.audio_end_ms - silence_ms)))

    def _call_ms(self, audio_ms: int) -> int:
        """Call time of a moment in the audio that was sent."""
        audio_ms = max(0, min(audio_ms, self._sent_bytes // BYTES_PER_MS))
        since = [shift_ms for start_ms, shift_ms in self._shifts if start_ms <= audio_ms]
        return audio_ms + (since[-1] if since else self._shifts[0][1])

    def _on_caller_delta(self, message: told.CallerText, now_ms: int, listener: Listener) -> None:
        so_far = self._words.get(message.item_id, "")
        if so_far is not None and message.delta:
            self._keep_words(message.item_id, so_far + message.delta)
            listener.on_event(CallerWords(message.item_id, so_far + message.delta, final=False))

    def _on_caller_text(self, message: told.CallerText, now_ms: int, listener: Listener) -> None:
        self._keep_words(message.item_id, None)
        listener.on_event(CallerWords(message.item_id, message.transcript or "", final=True))
        if message.usage is not None:
            listener.on_event(Used(*told.transcript_cost(message.usage, self._transcriber_rates)))

    def _on_caller_text_failed(self, message: told.CallerText, now_ms: int, listener: Listener) -> None:
        self._keep_words(message.item_id, None)
        reason = message.error.words if message.error is not None else "no reason was given"
        listener.on_event(CallerWordsFailed(message.item_id, reason))

    def _keep_words(self, item_id: str, text: str | None) -> None:
        """The caller's words so far; None once they are final."""
        self._words[item_id] = text
        if len(self._words) > KEPT_WORDS:
            del self._words[next(iter(self._words))]

    def _on_response_created(self, message: told.ResponseTold, now_ms: int, listener: Listener) -> None:
        self._arbiter.created(message.response, now_ms, listener)

    def _on_response_done(self, message: told.ResponseTold, now_ms: int, listener: Listener) -> None:
        response = message.response
        tokens, cost_usd = told.reply_cost(response.usage, self._rates)
        self._arbiter.done(response, tokens, cost_usd, now_ms, listener)
        problem = response.status_details.error if response.status_details is not None else None
        if problem is not None and (lost := told.ended_by(problem)) is not None:
            raise lost

    def _on_words(self, message: told.Part, now_ms: int, listener: Listener) -> None:
        if self._wanted(message.response_id) and message.delta:
            listener.on_event(ReplyWords(message.response_id, message.item_id, message.delta))

    def _on_words_done(self, message: told.Part, now_ms: int, listener: Listener) -> None:
        if self._wanted(message.response_id):
            listener.on_event(ReplyWordsDone(message.response_id, message.item_id, message.transcript or ""))

    def _on_audio_done(self, message: told.Part, now_ms: int, listener: Listener) -> None:
        speech = self._arbiter.speech.get(message.item_id)
        if speech is not None and self._wanted(message.response_id) and not speech.complete:
            speech.complete = True
            listener.on_event(SpeechDone(message.item_id))

    def _wanted(self, response_id: str) -> bool:
        """Whether this is the running reply, and it was not cut."""
        reply = self._arbiter.active
        return reply is not None and not reply.cut and reply.reply_id == response_id

    def _on_reply_item(self, message: told.ItemTold, now_ms: int, listener: Listener) -> None:
        """Tools are called for here only: other messages tell of the same, perhaps incomplete."""
        reply = self._arbiter.active
        if message.item.type == "function_call" and reply is not None and message.response_id == reply.reply_id:
            self._arbiter.tool_called(message.item, listener)

    def _on_item_added(self, message: told.ItemTold, now_ms: int, listener: Listener) -> None:
        if message.item.type == "function_call_output":
            self._arbiter.tool_answer_known(message.item.call_id or "")

    def _on_item_deleted(self, message: told.ItemGone, now_ms: int, listener: Listener) -> None:
        if (speech := self._arbiter.speech.get(message.item_id)) is not None:
            speech.settled = True

    def _on_error(self, message: told.ErrorTold, now_ms: int, listener: Listener) -> None:
        problem = message.error
        cause = (problem.event_id or "").rpartition("-")[0]
        if (lost := told.ended_by(problem)) is not None:
            raise lost
        if not self.ready:
            unmarked = problem.event_id is None
            if problem.event_id == self._configured_by or (unmarked and told.about_sound(problem)):
                raise told.unconfigured(problem)
            if self._beta:
                # About what was sent on opening, or a detail of the settings: what comes of them is told next.
                listener.on_event(Trouble(problem.name))
                return
        if problem.code in told.EXPECTED_CODES or self._arbiter.refused(problem, now_ms, listener):
            return
        quiet = problem.code in told.OUR_CODES or cause in ("conversation.item.truncate", "response.create")
        listener.on_event(Trouble(problem.name, "" if quiet else f"OpenAI reports a problem: {problem.words}"))


def _text(data: bytes) -> str:
    return str(data, "utf-8", "replace")


_Handler = Callable[[Wire, Any, int, Listener], None]


def _handlers() -> dict[str, tuple[msgspec.json.Decoder[Any], _Handler]]:
    caller = "conversation.item.input_audio_transcription"
    table: dict[str, tuple[Any, _Handler]] = {
        "session.created": (told.SessionTold, Wire._on_session_created),
        "session.updated": (told.SessionTold, Wire._on_session_updated),
        "input_audio_buffer.speech_started": (told.CallerEdge, Wire._on_speech_started),
        "input_audio_buffer.speech_stopped": (told.CallerEdge, Wire._on_speech_stopped),
        f"{caller}.delta": (told.CallerText, Wire._on_caller_delta),
        f"{caller}.completed": (told.CallerText, Wire._on_caller_text),
        f"{caller}.failed": (told.CallerText, Wire._on_caller_text_failed),
        "conversation.item.added": (told.ItemTold, Wire._on_item_added),
        "conversation.item.created": (told.ItemTold, Wire._on_item_added),
        "conversation.item.deleted": (told.ItemGone, Wire._on_item_deleted),
        "response.created": (told.ResponseTold, Wire._on_response_created),
        "response.done": (told.ResponseTold, Wire._on_response_done),
        "response.output_item.done": (told.ItemTold, Wire._on_reply_item),
        "error": (told.ErrorTold, Wire._on_error),
    }
    for audio in ("response.output_audio", "response.audio"):
        table[f"{audio}.done"] = (told.Part, Wire._on_audio_done)
        table[f"{audio}_transcript.delta"] = (told.Part, Wire._on_words)
        table[f"{audio}_transcript.done"] = (told.Part, Wire._on_words_done)
    return {name: (msgspec.json.Decoder(shape), handle) for name, (shape, handle) in table.items()}


_HANDLERS = _handlers()

_QUIET = frozenset(
    {
        "conversation.created",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "input_audio_buffer.timeout_triggered",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.text.delta",
        "response.text.done",
    }
)
"""Known, and nothing to do."""

"""The Realtime protocol without a socket: each test plays the peer, in messages the official types know."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

from bridge.engines import (
    KEPT_MS,
    CallerStarted,
    CallerStopped,
    CallerWords,
    CallerWordsFailed,
    EngineLost,
    Event,
    Ready,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    Role,
    SpeechDone,
    ToolAsked,
    Trouble,
    Used,
)
from bridge.engines import openai_messages as told
from bridge.engines.openai_arbiter import EXPIRY_MS, KEPT_ITEMS, QUIET_MS
from bridge.engines.openai_wire import Config, Wire
from bridge.engines.prices import Rates

CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)

FRAME = b64encode(bytes(160)).decode()
TOOL = {
    "type": "function",
    "name": "find_payments",
    "description": "Payments of an order.",
    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
}
CONFIG = Config("gpt-realtime-2.1", "marin", "You answer for Northgate.", (TOOL,))
PRICES = {
    "gpt-realtime-2.1": Rates(text_in=4, text_cached=0.4, text_out=24, audio_in=32, audio_cached=0.4, audio_out=64),
    "gpt-realtime-2.1-mini": Rates(audio_out=20),
    "gpt-transcribe": Rates(minute=0.006),
}
CALLER = "conversation.item.input_audio_transcription"


def official(model: BaseModel) -> None:
    """Fails on any field that the official types do not know, however deep."""
    assert not model.model_extra, f"{type(model).__name__} knows no {model.model_extra}"
    for value in dict(model).values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, BaseModel):
                official(part)


class Line:
    """A wire, whoever listens to it, and the peer that the test plays; all on one clock."""

    def __init__(self, config: Config = CONFIG, *, ready: bool = True) -> None:
        self.wire = Wire(config, PRICES)
        self.now_ms = 1000
        self.heard: dict[str, int] = {}
        self.events: list[Event] = []
        self.seen: list[tuple[bool, str]] = []
        self.sent: list[dict[str, Any]] = []
        self.called = 0
        if ready:
            self.wire.open()
            self.told("session.updated", session={"type": "realtime"})
            self.take()
            self.events.clear()

    # the listener

    def on_speech(self, item_id: str, payload: str) -> None:
        self.heard[item_id] = self.heard.get(item_id, 0) + len(payload) * 3 // 4 // 8

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        self.seen.append((outbound, name))

    # the peer

    def told(self, name: str, **fields: Any) -> None:
        """The peer says something that the official types allow."""
        message = {"type": name, "event_id": "event_1", **fields}
        SERVER.validate_python(message)
        self.raw(json.dumps(message))

    def raw(self, text: str | bytes) -> None:
        self.wire.receive(text if isinstance(text, bytes) else text.encode(), self.now_ms, self)

    def take(self) -> list[dict[str, Any]]:
        """What the wire has sent since; every message as the official types want it."""
        taken = []
        for name, text in self.wire.take():
            message = json.loads(text)
            assert message["type"] == name
            official(CLIENT.validate_python(message))
            taken.append(message)
        self.sent += taken
        return taken

    def names(self) -> list[str]:
        return [message["type"] for message in self.take()]

    def taken_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    # what peers do

    def begins(
        self, reply_id: str = "r1", *, kind: str = "", request: str = "", conversation: str | None = "c"
    ) -> None:
        metadata = {"kind": kind, "request": request} if kind else None
        response = {"id": reply_id, "object": "realtime.response", "status": "in_progress", "metadata": metadata}
        self.told("response.created", response=response | {"conversation_id": conversation})

    def speaks(self, ms: int, item_id: str = "i1", reply_id: str = "r1", *, beta: bool = False) -> None:
        name = "response.audio.delta" if beta else "response.output_audio.delta"
        fields = {"response_id": reply_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        message = {"type": name, "event_id": "e", **fields, "delta": b64encode(bytes(ms * 8)).decode()}
        if not beta:
            SERVER.validate_python(message)
        self.raw(json.dumps(message))

    def finishes(self, item_id: str = "i1", reply_id: str = "r1") -> None:
        place = {"response_id": reply_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        self.told("response.output_audio.done", **place)

    def ends(self, reply_id: str = "r1", status: str = "completed", **response: Any) -> None:
        self.told("response.done", response={"id": reply_id, "status": status, **response})

    def calls_tool(self, call_id: str = "t1", reply_id: str = "r1", status: str = "completed") -> None:
        item = {"type": "function_call", "name": "find_payments", "call_id": call_id, "arguments": "{}"}
        self.told("response.output_item.done", response_id=reply_id, output_index=0, item=item | {"status": status})

    def knows_answer(self, call_id: str = "t1") -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
        self.told("conversation.item.added", item=item)

    def refuses(self, code: str | None, event_id: str | None = None, message: str = "No.") -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
        self.told("error", error=error)

    def caller_starts(self) -> None:
        self.told("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u1")

    def caller_stops(self) -> None:
        self.told("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id="u1")

    def passes(self, ms: int) -> None:
        self.now_ms += ms
        self.wire.tick(self.now_ms, self)


@pytest.fixture
def line() -> Line:
    return Line()


def last(line: Line) -> Event:
    return line.events[-1]


# ── opening ───────────────────────────────────────────────────────────────────────────────


def test_the_session_is_configured_for_the_telephone() -> None:
    line = Line(ready=False)
    line.wire.open()
    (update,) = line.take()
    session = update["session"]
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-transcribe"}
    assert session["audio"]["input"]["turn_detection"]["create_response"] is True
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["tools"] == [TOOL]
    assert session["reasoning"] == {"effort": "low"}
    assert "tracing" not in session and "model" not in session


def test_the_profile_decides_who_ends_turns_and_what_is_filtered() -> None:
    line = Line(Config("gpt-realtime-2.1", "marin", "", (), "semantic", "near"), ready=False)
    line.wire.open()
    (update,) = line.take()
    hears = update["session"]["audio"]["input"]
    answers = {"create_response": True, "interrupt_response": True}
    assert hears["turn_detection"] == {"type": "semantic_vad", "eagerness": "auto", **answers}
    assert hears["noise_reduction"] == {"type": "near_field"}
    line.told("session.updated", session={"type": "realtime"})
    line.wire.may_answer(False)
    (muted,) = line.take()
    turns = muted["session"]["audio"]["input"]["turn_detection"]
    assert (turns["type"], turns["create_response"]) == ("semantic_vad", False)
    for at_ms in range(0, 3000, 20):
        line.wire.hear(FRAME, at_ms)
    line.told("input_audio_buffer.speech_stopped", audio_end_ms=2000, item_id="u1")
    assert last(line) == CallerStopped("u1", 2000)


@pytest.mark.parametrize("model", ["gpt-realtime", "gpt-realtime-1.5", "gpt-realtime-2025-08-28", "local-voice"])
def test_only_models_that_reason_are_asked_to(model: str) -> None:
    line = Line(Config(model, "marin", ""), ready=False)
    line.wire.open()
    (update,) = line.take()
    assert "reasoning" not in update["session"]


def test_what_is_wanted_early_waits_for_the_session_and_keeps_its_order() -> None:
    line = Line(ready=False)
    for at_ms in range(0, KEPT_MS + 1000, 20):
        assert line.wire.hear(FRAME, at_ms) is None
    line.wire.greet("Hello.", line.now_ms)
    line.wire.tell("The caller was on hold.")
    line.wire.may_answer(False)
    line.wire.open()
    assert line.names() == ["session.update"]
    line.told("session.created", session={"type": "realtime", "expires_at": 1900000000} | {"id": "s", "object": "x"})
    line.told("session.updated", session={"type": "realtime", "model": "gpt-realtime-2.1-2026"})
    assert line.taken_events() == [Ready("gpt-realtime-2.1-2026", 1_900_000_000_000)]
    names = line.names()
    assert names[:2] == ["conversation.item.create", "session.update"]
    assert names[2:-1] == ["input_audio_buffer.append"] * (KEPT_MS // 20)
    assert names[-1] == "response.create"
    line.told("session.updated", session={"type": "realtime"})
    assert not line.events


def test_a_refused_profile_ends_it_for_good() -> None:
    line = Line(ready=False)
    line.wire.open()
    (update,) = line.take()
    with pytest.raises(EngineLost, match="did not accept the call's profile: Bad voice") as lost:
        line.refuses("invalid_value", update["event_id"], "Bad voice.")
    assert lost.value.fatal


@pytest.mark.parametrize(
    ("problem", "words", "fatal"),
    [
        ({"type": "server_error"}, "could not begin", False),
        ({"code": "rate_limit_exceeded"}, "could not begin", False),
        ({"code": "invalid_value", "param": "session.audio.input.format"}, "no telephone sound", True),
        ({"message": "session.input_audio_format cannot be set."}, "no telephone sound", True),
    ],
)
def test_settings_that_were_not_taken_say_why(problem: dict[str, str], words: str, fatal: bool) -> None:
    line = Line(ready=False)
    line.wire.open()
    (update,) = line.take()
    with pytest.raises(EngineLost, match=words) as lost:
        line.raw(json.dumps({"type": "error", "error": problem | {"event_id": update["event_id"]}}))
    assert lost.value.fatal is fatal


def test_an_error_that_is_about_nothing_of_ours_is_no_end_before_the_session_is_ready() -> None:
    line = Line(ready=False)
    line.wire.open()
    line.raw('{"type":"error","error":{"type":"invalid_request_error","message":"No noise reduction here."}}')
    line.told("session.updated", session={"type": "realtime"})
    assert [type(event) for event in line.events] == [Trouble, Ready]


# ── peers that speak the beta ─────────────────────────────────────────────────────────────


BETA = {"id": "s", "modalities": ["audio", "text"], "input_audio_format": "pcm16", "output_audio_format": "pcm16"}
MULAW = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}


class BetaLine(Line):
    """A peer that speaks the beta: it shows so at once, and was sent its settings in its own shape then."""

    def __init__(self, **session: Any) -> None:
        super().__init__(ready=False)
        self.wire.open()
        (self.todays,) = self.take()
        self.beta_told("session.created", session=BETA | session)
        ((_, update),) = self.wire.take()
        self.update = json.loads(update)

    def beta_told(self, name: str, **fields: Any) -> None:
        self.raw(json.dumps({"type": name, "event_id": "e", **fields}))

    def beta_take(self) -> list[dict[str, Any]]:
        return [json.loads(text) for _, text in self.wire.take()]

    def complains(self, message: str, event_id: str | None = None) -> None:
        error = {"type": "invalid_request_error", "message": message, "event_id": event_id}
        self.beta_told("error", error=error)


def test_a_peer_that_speaks_the_beta_is_spoken_to_in_it() -> None:
    line = BetaLine()
    assert line.update["session"]["input_audio_format"] == "g711_ulaw"
    assert line.update["session"]["input_audio_transcription"] == {"model": "whisper-1"}
    line.wire.recall([Remembered(Role.AI, "Hello.")])
    line.wire.answer_now(line.now_ms)
    line.beta_told("session.created", session=BETA)
    line.complains("Unknown parameter: 'session.audio.input.format'.", line.todays["event_id"])
    line.complains("Specifying `session.turn_detection.prefix_padding_ms` is not supported.")
    assert line.taken_events() == [Trouble("invalid_request_error")] * 2
    line.beta_told("session.updated", session=BETA | MULAW | {"model": "local"})
    assert line.taken_events() == [Ready("local")]
    item, answer = line.beta_take()
    assert answer["type"] == "response.create"
    assert item["item"]["content"] == [{"type": "text", "text": "Hello."}]
    line.beta_told("response.created", response={"id": "r1"})
    line.speaks(100, beta=True)
    place = {"response_id": "r1", "item_id": "i1"}
    line.beta_told("response.audio_transcript.delta", **place, delta="Go on.")
    line.beta_told("response.audio_transcript.done", **place, transcript="Go on.")
    line.beta_told("response.audio.done", **place)
    usage = {
        "total_tokens": 30,
        "input_tokens_details": {"audio_tokens": 10},
        "output_tokens_details": {"audio_tokens": 20},
    }
    line.beta_told("response.done", response={"id": "r1", "status": "completed", "usage": usage})
    assert line.heard == {"i1": 100}
    assert line.taken_events() == [
        ReplyStarted("r1", ReplyKind.ANSWER),
        ReplyWords("r1", "i1", "Go on."),
        ReplyWordsDone("r1", "i1", "Go on."),
        SpeechDone("i1"),
        ReplyDone("r1", ReplyKind.ANSWER, "completed", "", True, 30, 0.0016),
    ]
    line.wire.may_answer(False)
    assert line.beta_take()[0]["session"]["turn_detection"]["create_response"] is False
    assert not line.wire.unknown


def test_a_peer_that_gives_no_metadata_back_still_says_what_was_asked_of_it() -> None:
    line = BetaLine()
    line.beta_told("session.updated", session=BETA | MULAW)
    line.taken_events()
    line.wire.say("Your parcel is in Leeds.", "c1", line.now_ms)
    line.beta_told("response.created", response={"id": "r1"})
    assert last(line) == ReplyStarted("r1", ReplyKind.SAY, "c1")
    line.beta_told("response.done", response={"id": "r1"})
    line.beta_told("response.created", response={"id": "r2"})
    assert last(line) == ReplyStarted("r2", ReplyKind.ANSWER)


def test_a_beta_peers_own_transcriber_is_kept() -> None:
    line = BetaLine(input_audio_transcription={"model": "Systran/faster-whisper-small"})
    assert "input_audio_transcription" not in line.update["session"]


def test_a_beta_peer_that_says_nothing_of_its_sound_is_believed_to_carry_ours() -> None:
    line = BetaLine()
    line.beta_told("session.updated", session={"id": "s", "modalities": ["audio"]})
    assert isinstance(last(line), Ready)


def test_a_beta_peer_without_telephone_sound_is_no_use() -> None:
    """It may say so, or just go on with its own."""
    with pytest.raises(EngineLost, match="no telephone sound") as lost:
        BetaLine().complains("Specifying `session.input_audio_format` is not supported.")
    assert lost.value.fatal
    line = BetaLine()
    line.beta_told("session.updated", session=BETA)
    assert not line.wire.ready
    with pytest.raises(EngineLost, match="no telephone sound"):
        line.beta_told("session.updated", session=BETA)


# ── hearing ───────────────────────────────────────────────────────────────────────────────


def test_frames_go_out_as_they_came(line: Line) -> None:
    message = json.loads(line.wire.hear(FRAME, 0) or b"")
    official(CLIENT.validate_python(message))
    assert message == {"type": "input_audio_buffer.append", "audio": FRAME}


def test_a_frame_cannot_break_out_of_its_message(line: Line) -> None:
    nasty = '","type":"response.create","x":"\\\n'
    assert json.loads(line.wire.hear(nasty, 0) or b"")["audio"] == nasty


def test_the_peers_clock_becomes_call_time(line: Line) -> None:
    """A second of call time was not heard after 600 ms, and the padding and the silence are not speech."""
    for at_ms in [*range(5000, 5600, 20), *range(6600, 8600, 20)]:
        line.wire.hear(FRAME, at_ms)
    line.told("input_audio_buffer.speech_started", audio_start_ms=100, item_id="u1")
    line.told("input_audio_buffer.speech_stopped", audio_end_ms=2000, item_id="u1")
    line.told("input_audio_buffer.speech_started", audio_start_ms=99999, item_id="u2")
    line.told("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id="u2")
    assert line.taken_events() == [
        CallerStarted("u1", 5400),
        CallerStopped("u1", 7500),
        CallerStarted("u2", 8600),
        CallerStopped("u2", 5000),
    ]


def test_many_holes_in_what_was_heard_keep_the_newest_times_right(line: Line) -> None:
    for hole in range(200):
        line.wire.hear(FRAME, hole * 1000)
    line.told("input_audio_buffer.speech_started", audio_start_ms=3999 - 300, item_id="u1")
    line.told("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u2")
    assert line.taken_events()[0] == CallerStarted("u1", 199_019)


def test_caller_words_grow_by_item_and_the_whole_replaces_them(line: Line) -> None:
    usage = {"type": "duration", "seconds": 30.0}
    line.told(f"{CALLER}.delta", item_id="u1", delta="I was")
    line.told(f"{CALLER}.delta", item_id="u2", delta="Yes")
    line.told(f"{CALLER}.delta", item_id="u1", delta=" charged")
    line.told(f"{CALLER}.delta", item_id="u1")
    line.told(f"{CALLER}.completed", item_id="u1", content_index=0, transcript="I was charged twice.", usage=usage)
    line.told(f"{CALLER}.delta", item_id="u1", delta="late")
    assert line.taken_events() == [
        CallerWords("u1", "I was", final=False),
        CallerWords("u2", "Yes", final=False),
        CallerWords("u1", "I was charged", final=False),
        CallerWords("u1", "I was charged twice.", final=True),
        Used(0, 0.003),
    ]


def test_transcription_told_in_tokens_is_counted(line: Line) -> None:
    usage = {"type": "tokens", "input_tokens": 100, "output_tokens": 8, "total_tokens": 108}
    usage |= {"input_token_details": {"audio_tokens": 100, "text_tokens": 0}}
    line.told(f"{CALLER}.completed", item_id="u1", content_index=0, transcript="Hi.", usage=usage)
    assert last(line) == Used(108, pytest.approx(0.001))
    line.raw(json.dumps({"type": f"{CALLER}.completed", "item_id": "u2", "transcript": None}))
    assert last(line) == CallerWords("u2", "", final=True)


def test_a_turn_without_transcript_is_said_to_have_failed(line: Line) -> None:
    line.told(f"{CALLER}.failed", item_id="u1", content_index=0, error={"message": "Too noisy."})
    line.raw(json.dumps({"type": f"{CALLER}.failed", "item_id": "u2"}))
    assert line.taken_events() == [
        CallerWordsFailed("u1", "Too noisy."),
        CallerWordsFailed("u2", "no reason was given"),
    ]


def test_a_long_call_forgets_old_words(line: Line) -> None:
    for turn in range(200):
        line.told(f"{CALLER}.delta", item_id=f"u{turn}", delta="a")
    line.told(f"{CALLER}.delta", item_id="u0", delta="b")
    assert last(line) == CallerWords("u0", "b", final=False)


# ── replies ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("verb", "kind", "instructions"),
    [
        ("greet", "greeting", 'Say exactly, word for word, nothing else: "Hello."'),
        ("say", "say", 'Say exactly, word for word, nothing else: "Hello."'),
        ("ask", "ask", 'Tell the caller, in your own words: "Hello."'),
    ],
)
def test_spoken_requests_say_what_they_are(line: Line, verb: str, kind: str, instructions: str) -> None:
    request = "" if verb == "greet" else "c7"
    if verb == "greet":
        line.wire.greet("Hello.", line.now_ms)
    else:
        getattr(line.wire, verb)("Hello.", request, line.now_ms)
    (create,) = line.take()
    assert create["response"]["instructions"] == instructions
    assert create["response"]["metadata"] == {"kind": kind, "request": request}
    assert create["response"].get("input") == ([] if verb != "ask" else None)
    line.begins(kind=kind, request=request)
    assert last(line) == ReplyStarted("r1", ReplyKind(kind), request)


def test_guidance_and_news_are_hidden_and_start_nothing(line: Line) -> None:
    line.wire.whisper("Offer a refund.")
    line.wire.tell("A colleague said: hold on.")
    whisper, news = line.take()
    text = "Guidance from your supervisor, not to be read out: Offer a refund."
    assert whisper["item"] == {
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": text}],
    }
    assert news["item"]["content"][0]["text"] == "A colleague said: hold on."


@pytest.mark.parametrize("beta", [False, True])
def test_a_reply_is_heard_and_read(line: Line, beta: bool) -> None:
    audio = "response.audio" if beta else "response.output_audio"
    place = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}
    line.begins()
    line.raw(json.dumps({"type": f"{audio}_transcript.delta", **place, "delta": "Good"}))
    line.speaks(200, beta=beta)
    line.raw(json.dumps({"type": f"{audio}.done", **place}))
    line.raw(json.dumps({"type": f"{audio}.done", **place}))
    line.raw(json.dumps({"type": f"{audio}_transcript.done", **place, "transcript": "Good day."}))
    usage = {
        "total_tokens": 1000,
        "input_tokens": 700,
        "output_tokens": 300,
        "input_token_details": {
            "text_tokens": 300,
            "audio_tokens": 400,
            "cached_tokens": 300,
            "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 200},
        },
        "output_token_details": {"text_tokens": 100, "audio_tokens": 200},
    }
    line.ends(usage=usage)
    cost_usd = (200 * 4 + 100 * 0.4 + 200 * 32 + 200 * 0.4 + 100 * 24 + 200 * 64) / 1e6
    assert line.taken_events() == [
        ReplyStarted("r1", ReplyKind.ANSWER),
        ReplyWords("r1", "i1", "Good"),
        SpeechDone("i1"),
        ReplyWordsDone("r1", "i1", "Good day."),
        ReplyDone("r1", ReplyKind.ANSWER, "completed", spoke=True, tokens=1000, cost_usd=pytest.approx(cost_usd)),
    ]
    assert line.heard == {"i1": 200}
    assert not any(name.endswith("audio.delta") for _, name in line.seen)


def test_a_reply_that_ends_without_a_word_on_its_audio_still_ends_it(line: Line) -> None:
    line.begins()
    line.speaks(100)
    line.ends(status="cancelled", status_details={"type": "cancelled", "reason": "turn_detected"})
    assert line.taken_events()[1:] == [
        SpeechDone("i1"),
        ReplyDone("r1", ReplyKind.ANSWER, "cancelled", "turn_detected", spoke=True),
    ]


def test_replies_outside_the_conversation_are_nobodys_business(line: Line) -> None:
    line.begins("side", conversation=None)
    line.speaks(100, "side-item", "side")
    line.ends("side", usage={"total_tokens": 5})
    line.ends("side")
    assert line.taken_events() == [Used(5, 0.0)]
    assert line.wire.dropped_deltas == 1
    line.wire.say("Hello.", "c1", line.now_ms)
    assert line.names() == ["response.create"]


def test_the_next_request_waits_for_the_end_of_the_reply(line: Line) -> None:
    line.begins()
    line.wire.say("One.", "c1", line.now_ms)
    line.wire.ask("Two.", "c2", line.now_ms)
    assert line.names() == []
    line.ends()
    (create,) = line.take()
    assert create["response"]["metadata"]["request"] == "c1"
    line.begins("r2", kind="say", request="c1")
    line.ends("r2")
    assert line.take()[0]["response"]["metadata"]["request"] == "c2"


def test_a_refused_request_waits_again__livekit_6817(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    (create,) = line.take()
    line.begins()
    line.refuses("conversation_already_has_active_response", create["event_id"])
    assert line.names() == []
    assert last(line) == Trouble("conversation_already_has_active_response")
    line.ends()
    (again,) = line.take()
    assert again["response"] == create["response"] and again["event_id"] != create["event_id"]


def test_a_request_refused_for_a_reply_we_know_nothing_of_is_tried_again_soon(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    line.take()
    line.refuses("conversation_already_has_active_response")
    assert line.names() == []
    line.passes(499)
    assert line.names() == []
    line.passes(1)
    assert line.names() == ["response.create"]


def test_a_refused_request_that_is_not_wanted_any_more_is_forgotten(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    (create,) = line.take()
    line.wire.cut("", 0, by_caller=False)
    line.refuses("conversation_already_has_active_response", create["event_id"])
    line.passes(1000)
    assert line.names() == []


def test_a_request_refused_for_good_is_told(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    (create,) = line.take()
    line.refuses("invalid_value", create["event_id"], "Too long.")
    assert last(line) == Trouble("invalid_value", "Your words were not spoken: Too long.")
    line.wire.say("Two.", "c2", line.now_ms)
    assert line.names() == ["response.create"]
    line.refuses("invalid_value", "response.create-0")
    assert last(line) == Trouble("invalid_value")


def test_a_request_that_waits_too_long_is_told__hashintel_9399(line: Line) -> None:
    line.begins()
    line.wire.ask("One.", "c1", line.now_ms)
    for _ in range(EXPIRY_MS // 5000):
        line.told(
            "response.output_text.delta", response_id="r1", item_id="x", output_index=0, content_index=0, delta=""
        )
        line.passes(5000)
    text = "The AI did not say what you asked it to: no room for it came in 20 s."
    assert last(line) == Trouble("request_expired", text)
    line.ends()
    assert line.names() == []


def test_a_reply_that_never_ends_is_given_up(line: Line) -> None:
    line.begins()
    line.speaks(100)
    line.wire.say("One.", "c1", line.now_ms)
    line.passes(QUIET_MS - 1)
    assert line.names() == []
    line.passes(1)
    assert line.names() == ["response.cancel", "response.create"]
    assert line.taken_events()[1:] == [
        Trouble("reply_without_end", "The AI stopped in the middle of a reply; it can go on."),
        SpeechDone("i1"),
        ReplyDone("r1", ReplyKind.ANSWER, "failed", "its end was never told", spoke=True),
    ]
    line.speaks(100)
    assert line.wire.dropped_deltas == 1


@pytest.mark.parametrize("cut", [False, True])
def test_a_request_that_is_never_answered_is_given_up_and_its_late_reply_unheard(line: Line, cut: bool) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    line.take()
    if cut:
        line.wire.cut("", 0, by_caller=False)
    line.passes(QUIET_MS)
    text = "" if cut else "Your words were not spoken: OpenAI did not react for 10 s."
    assert last(line) == Trouble("request_lost", text)
    line.events.clear()
    line.begins(kind="say", request="c1")
    assert line.names() == ["response.cancel"]
    assert not line.events


def test_a_reply_that_begins_before_the_end_of_another_was_told(line: Line) -> None:
    line.begins("r1")
    line.begins("r2")
    assert line.taken_events() == [
        ReplyStarted("r1", ReplyKind.ANSWER),
        ReplyDone("r1", ReplyKind.ANSWER, "incomplete", "another reply began"),
        ReplyStarted("r2", ReplyKind.ANSWER),
    ]


def test_three_silent_replies_are_told(line: Line) -> None:
    for turn in range(3):
        line.begins(f"r{turn}")
        line.ends(f"r{turn}")
    text = "The AI answered with silence three times in a row. Ask it again, or take over."
    assert last(line) == Trouble("empty_replies", text)


# ── failures of replies ───────────────────────────────────────────────────────────────────

RATE = {"type": "failed", "error": {"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."}}


def test_a_rate_limit_is_waited_for_once(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    line.take()
    line.begins(kind="say", request="c1")
    line.ends(status="failed", status_details=RATE)
    text = "OpenAI's rate limit holds the AI back; it tries again in 1.5 s."
    assert line.taken_events()[1] == Trouble("rate_limit_exceeded", text)
    line.passes(1499)
    assert line.names() == []
    line.passes(1)
    assert line.names() == ["response.create"]
    line.begins("r2", kind="say", request="c1")
    line.ends("r2", status="failed", status_details=RATE)
    assert Trouble("rate_limit_exceeded", "Your words were not spoken: Please try again in 1.5s.") in line.events
    line.passes(5000)
    assert line.names() == []


def test_the_peers_own_answer_is_tried_again_too(line: Line) -> None:
    line.begins()
    line.ends(status="failed", status_details=RATE)
    line.passes(1500)
    (create,) = line.take()
    assert create["response"] == {"metadata": {"kind": "answer", "request": ""}}


@pytest.mark.parametrize(
    ("message", "delay_ms"),
    [("try again in 300ms", 300), ("try again in 20s", 10_000), ("slow down", 2000), (None, 2000)],
)
def test_how_long_a_rate_limit_asks_to_wait(message: str | None, delay_ms: int) -> None:
    assert told.retry_delay_ms(told.Problem(message=message)) == delay_ms


def test_other_failures_are_told(line: Line) -> None:
    line.begins()
    line.ends(status="failed", status_details={"type": "failed", "error": {"type": "server_error"}})
    assert line.taken_events()[1:] == [
        Trouble("server_error", "The AI did not answer: server_error"),
        ReplyDone("r1", ReplyKind.ANSWER, "failed", "server_error"),
    ]


def test_no_credit_ends_it_for_good(line: Line) -> None:
    line.begins()
    error = {"code": "insufficient_quota", "message": "You exceeded your current quota."}
    with pytest.raises(EngineLost, match="no credit left") as lost:
        line.ends(status="failed", status_details={"type": "failed", "error": error})
    assert lost.value.fatal


# ── cutting ───────────────────────────────────────────────────────────────────────────────


def test_the_operator_cuts_a_reply(line: Line) -> None:
    line.begins()
    line.speaks(1000)
    line.wire.cut("i1", 420, by_caller=False)
    cancel, truncate = line.take()
    assert (cancel["type"], cancel["response_id"]) == ("response.cancel", "r1")
    assert (truncate["item_id"], truncate["content_index"], truncate["audio_end_ms"]) == ("i1", 0, 420)
    line.events.clear()
    place = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}
    line.speaks(100)
    line.told("response.output_audio_transcript.delta", **place, delta="late")
    line.told("response.output_audio_transcript.done", **place, transcript="late")
    line.finishes()
    assert not line.events
    line.ends(status="cancelled", status_details={"type": "cancelled", "reason": "client_cancelled"})
    assert line.taken_events() == [ReplyDone("r1", ReplyKind.ANSWER, "cancelled", "client_cancelled", spoke=True)]
    assert line.heard == {"i1": 1000}
    assert line.wire.dropped_deltas == 1
    line.wire.cut("i1", 420, by_caller=False)
    assert line.names() == []


def test_the_caller_cuts_a_reply_and_the_peer_cancels_by_itself(line: Line) -> None:
    line.begins()
    line.speaks(1000)
    line.caller_starts()
    line.wire.say("Wait.", "c1", line.now_ms)
    line.wire.cut("i1", 420, by_caller=True)
    assert line.names() == ["conversation.item.truncate"]
    line.ends(status="cancelled")
    assert line.names() == ["response.create"]


def test_the_caller_cuts_a_reply_that_the_peer_would_let_run(line: Line) -> None:
    """One begun while the caller spoke, and any while the AI may not be interrupted."""
    line.caller_starts()
    line.begins()
    line.wire.cut("", 0, by_caller=True)
    line.wire.cut("", 0, by_caller=True)
    assert line.names() == ["response.cancel"]
    line.ends()
    line.wire.may_answer(False)
    line.wire.say("One.", "c1", line.now_ms)
    line.begins("r2", kind="say", request="c1")
    line.wire.cut("", 0, by_caller=True)
    assert line.names() == ["session.update", "response.create", "response.cancel"]


def test_a_cut_before_the_reply_was_told_of__livekit_6244(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    line.wire.say("Two.", "c2", line.now_ms)
    line.take()
    line.wire.cut("", 0, by_caller=False)
    line.begins(kind="say", request="c1")
    (cancel,) = line.take()
    assert cancel["response_id"] == "r1"
    line.speaks(200)
    line.ends(status="cancelled", usage={"total_tokens": 7})
    assert line.taken_events() == [Used(7, 0.0)]
    assert not line.heard
    (truncate,) = line.take()
    assert (truncate["item_id"], truncate["audio_end_ms"]) == ("i1", 0)


def test_a_caller_does_not_cut_what_has_not_begun(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    line.wire.cut("", 0, by_caller=True)
    line.begins(kind="say", request="c1")
    line.speaks(100)
    assert line.heard == {"i1": 100}


@pytest.mark.parametrize(("heard_ms", "end_ms"), [(-20, 0), (0, 0), (999, 999), (1000, 1000), (5000, 1000)])
def test_truncation_never_leaves_what_arrived__pipecat_1963(line: Line, heard_ms: int, end_ms: int) -> None:
    line.begins()
    line.speaks(1000)
    line.wire.cut("i1", heard_ms, by_caller=True)
    (truncate,) = line.take()
    assert truncate["audio_end_ms"] == end_ms


@pytest.mark.parametrize("by_end", [False, True])
def test_what_was_heard_to_its_end_is_left_alone(line: Line, by_end: bool) -> None:
    line.begins()
    line.speaks(1000)
    if by_end:
        line.ends()
    else:
        line.finishes()
    line.wire.cut("i1", 1000, by_caller=True)
    assert line.names() == []


def test_items_after_the_one_in_play_were_not_heard_at_all(line: Line) -> None:
    line.begins()
    for item_id in ("i1", "i2", "i3"):
        line.speaks(500, item_id)
    line.ends()
    line.wire.cut("i2", 100, by_caller=True)
    assert [(message["item_id"], message["audio_end_ms"]) for message in line.take()] == [("i2", 100), ("i3", 0)]


def test_unknown_and_deleted_items_are_not_truncated(line: Line) -> None:
    line.begins()
    line.speaks(500)
    line.told("conversation.item.deleted", item_id="i1")
    line.told("conversation.item.deleted", item_id="other")
    line.wire.cut("i1", 100, by_caller=True)
    line.wire.cut("other", 100, by_caller=True)
    assert line.names() == []


def test_a_long_call_forgets_old_items(line: Line) -> None:
    line.begins()
    for item in range(KEPT_ITEMS + 1):
        line.speaks(20, f"i{item}")
    line.wire.cut("i0", 10, by_caller=True)
    assert line.names() == []


@pytest.mark.parametrize("code", ["invalid_value", "item_truncate_invalid_item_id", "something_new"])
def test_a_truncation_that_was_refused_troubles_nobody(line: Line, code: str) -> None:
    line.refuses(code, "conversation.item.truncate-9")
    assert last(line) == Trouble(code)


def test_a_cancel_that_came_too_late_troubles_nobody__pipecat_3755(line: Line) -> None:
    line.refuses("response_cancel_not_active", "response.cancel-9")
    assert not line.events


# ── whether it may answer ─────────────────────────────────────────────────────────────────


def test_the_ai_is_muted_and_listens_on(line: Line) -> None:
    line.wire.may_answer(True)
    line.wire.may_answer(False)
    (update,) = line.take()
    turns = update["session"]["audio"]["input"]["turn_detection"]
    assert (turns["create_response"], turns["interrupt_response"]) == (False, False)
    line.begins()
    assert line.names() == ["response.cancel"]
    line.speaks(100)
    line.ends(status="cancelled")
    assert not line.heard and not line.events


def test_muting_calls_off_answers_but_not_what_the_operator_wants(line: Line) -> None:
    line.begins()
    line.wire.answer_now(line.now_ms)
    line.wire.answer_now(line.now_ms)
    line.wire.say("One.", "c1", line.now_ms)
    line.wire.may_answer(False)
    line.ends()
    update, create = line.take()
    assert update["type"] == "session.update" and create["response"]["metadata"]["kind"] == "say"


def test_muting_calls_off_an_answer_on_its_way(line: Line) -> None:
    line.wire.answer_now(line.now_ms)
    line.wire.answer_now(line.now_ms)
    line.wire.may_answer(False)
    assert line.names() == ["response.create", "session.update"]
    line.begins(kind="answer")
    assert line.names() == ["response.cancel"]


def test_unmuted_it_answers_again(line: Line) -> None:
    line.wire.may_answer(False)
    line.wire.may_answer(True)
    _, update = line.take()
    assert update["session"]["audio"]["input"]["turn_detection"]["create_response"] is True
    line.begins()
    line.speaks(100)
    assert line.heard == {"i1": 100}


def test_muting_lets_the_operators_words_on_their_way_be_spoken(line: Line) -> None:
    line.wire.say("One.", "c1", line.now_ms)
    line.wire.may_answer(False)
    line.begins(kind="say", request="c1")
    assert last(line) == ReplyStarted("r1", ReplyKind.SAY, "c1")


def test_an_answer_waits_while_the_caller_speaks_and_is_served_by_the_peers_own(line: Line) -> None:
    line.caller_starts()
    line.wire.answer_now(line.now_ms)
    line.passes(5000)
    line.caller_stops()
    assert line.names() == []
    line.begins()
    line.ends()
    assert line.names() == []


def test_an_answer_is_asked_for_when_the_peer_does_not_give_its_own(line: Line) -> None:
    line.caller_starts()
    line.caller_stops()
    line.wire.answer_now(line.now_ms)
    line.passes(999)
    assert line.names() == []
    line.passes(1)
    assert line.names() == ["response.create"]


def test_an_answer_refused_because_the_peer_gives_its_own_is_not_asked_for_again(line: Line) -> None:
    line.wire.answer_now(line.now_ms)
    (create,) = line.take()
    line.begins()
    line.refuses("conversation_already_has_active_response", create["event_id"])
    line.ends()
    assert line.names() == []


# ── tools ─────────────────────────────────────────────────────────────────────────────────


def test_after_all_tools_and_the_end_of_the_reply_the_ai_goes_on_once(line: Line) -> None:
    line.begins()
    line.calls_tool("t1")
    line.calls_tool("t1")
    line.calls_tool("t2")
    line.calls_tool("t3", status="incomplete")
    line.calls_tool("t4", "foreign")
    asked = [event for event in line.taken_events() if isinstance(event, ToolAsked)]
    assert asked == [ToolAsked("t1", "find_payments", "{}"), ToolAsked("t2", "find_payments", "{}")]
    line.wire.answer_tool("t1", '{"sum":48}', line.now_ms)
    line.wire.answer_tool("t1", '{"sum":48}', line.now_ms)
    line.ends()
    (output,) = line.take()
    assert output["item"] == {"type": "function_call_output", "call_id": "t1", "output": '{"sum":48}'}
    line.wire.answer_tool("t2", "{}", line.now_ms)
    assert line.names() == ["conversation.item.create", "response.create"]
    line.begins("r2", kind="answer")
    line.ends("r2")
    assert line.names() == []


def test_tools_answered_before_the_end_of_the_reply(line: Line) -> None:
    line.begins()
    line.calls_tool()
    line.wire.answer_tool("t1", "{}", line.now_ms)
    assert line.names() == ["conversation.item.create"]
    line.ends()
    assert line.names() == ["response.create"]


@pytest.mark.parametrize("known", [False, True])
def test_the_peers_own_answer_counts_if_it_knew_what_the_tool_found(line: Line, known: bool) -> None:
    line.begins()
    line.calls_tool()
    line.ends()
    line.caller_starts()
    line.wire.answer_tool("t1", "{}", line.now_ms)
    if known:
        line.knows_answer()
    line.told("conversation.item.added", item={"type": "message", "role": "user", "content": []})
    line.caller_stops()
    line.take()
    line.begins("r2")
    line.ends("r2")
    line.passes(1000)
    assert line.names() == ([] if known else ["response.create"])


def test_a_tool_of_a_reply_that_was_cut_is_answered_but_not_run(line: Line) -> None:
    line.begins()
    line.wire.cut("", 0, by_caller=True)
    line.calls_tool()
    line.ends(status="cancelled")
    (output,) = line.take()
    assert "interrupted" in output["item"]["output"]
    assert not any(isinstance(event, ToolAsked) for event in line.events)


def test_after_the_operator_cut_in_tools_are_answered_and_the_ai_waits(line: Line) -> None:
    line.begins()
    line.calls_tool()
    line.ends()
    line.wire.cut("", 0, by_caller=False)
    line.wire.answer_tool("t1", "{}", line.now_ms)
    assert line.names() == ["conversation.item.create"]


def test_while_muted_tools_are_answered_and_the_ai_stays_silent(line: Line) -> None:
    line.begins()
    line.calls_tool()
    line.ends()
    line.wire.may_answer(False)
    line.wire.answer_tool("t1", "{}", line.now_ms)
    assert line.names() == ["session.update", "conversation.item.create"]


def test_tools_outside_any_reply_are_not_run(line: Line) -> None:
    line.calls_tool()
    item = {"type": "message", "role": "assistant", "content": [], "status": "completed"}
    line.told("response.output_item.done", response_id="r1", output_index=0, item=item)
    assert not line.events


# ── what peers do wrong ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '"x"',
        b"\xff\xfe",
        "[" * 100_000,
        b'{"type":"\xff"}',
        b'{"type":"response.output_audio.delta","delta":"\xff"}',
        b'{"type":"response.created","response":{"id":"\xff"}}',
        '{"type":"response.created","response":{"x":' + "[" * 100_000,
        '{"type":null}',
        '{"type":"response.output_audio.delta","delta":7}',
        '{"type":"error","item_id":7}',
        '{"type":"error","error":"no"}',
        '{"type":"response.created","response":{}}',
    ],
)
def test_what_cannot_be_read_is_counted_and_the_call_goes_on(line: Line, text: str | bytes) -> None:
    line.raw(text)
    assert line.wire.malformed + sum(line.wire.unknown.values()) == 1
    line.wire.say("One.", "c1", line.now_ms)
    assert line.names() == ["response.create"]


def test_speech_that_is_none_is_counted(line: Line) -> None:
    line.begins()
    for delta, item_id in [(None, "i1"), ("", "i1"), ("AAA", "i1"), ("AAAA", None)]:
        message = {"type": "response.output_audio.delta", "response_id": "r1", "item_id": item_id, "delta": delta}
        line.raw(json.dumps(message))
    assert line.wire.malformed == 4 and not line.heard


def test_new_message_types_are_counted_by_name__litellm_30581(line: Line) -> None:
    for _ in range(3):
        line.raw('{"type":"response.smell.delta","delta":{"rose":1}}')
    line.raw('{"type":"response.smell.done"}')
    line.told("rate_limits.updated", rate_limits=[])
    assert line.wire.unknown == {"response.smell.delta": 3, "response.smell.done": 1}
    for number in range(200):
        line.raw(json.dumps({"type": f"flood.{number}"}))
    assert len(line.wire.unknown) == 101 and line.wire.unknown["(others)"] == 102
    assert line.wire.malformed == 0


@pytest.mark.parametrize("code", sorted(told._FATAL))
def test_errors_that_no_second_try_helps(line: Line, code: str) -> None:
    with pytest.raises(EngineLost) as lost:
        line.refuses(code)
    assert lost.value.fatal


@pytest.mark.parametrize(
    ("code", "message"), [("session_expired", "Over."), (None, "Your session hit the maximum duration of 60 minutes.")]
)
def test_the_end_of_a_session_is_no_reason_to_give_up(line: Line, code: str | None, message: str) -> None:
    with pytest.raises(EngineLost) as lost:
        line.refuses(code, message=message)
    assert lost.value.expired and not lost.value.fatal


def test_other_errors_are_told_and_the_session_goes_on(line: Line) -> None:
    line.refuses("something_new", message="x" * 500)
    assert last(line) == Trouble("something_new", "OpenAI reports a problem: " + "x" * 200)
    line.raw(json.dumps({"type": "error", "error": {}}))
    assert last(line) == Trouble("error", "OpenAI reports a problem: error")


@pytest.mark.parametrize(
    ("status", "body", "fatal"),
    [
        (401, '{"error":{"code":"insufficient_quota"}}', True),
        (402, "", True),
        (403, '{"error":{"code":"unsupported_country_region_territory"}}', True),
        (404, "", True),
        (429, "", True),
        (429, '{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}', True),
        (429, '{"error":{"code":"rate_limit_exceeded"}}', False),
        (400, '{"error":{"code":"model_not_found"}}', True),
        (302, "", False),
        (0, "", False),
        (408, "", False),
        (500, "", False),
        (503, "insufficient_quota", False),
    ],
)
def test_refused_handshakes_say_what_to_do(status: int, body: str, fatal: bool) -> None:
    lost = told.refused(status, body)
    assert lost.fatal is fatal and str(lost).endswith(".")


def test_a_refused_key_is_called_so_whatever_else_is_said() -> None:
    assert "OPENAI_API_KEY" in str(told.refused(401, "insufficient_quota"))
    assert "credit" in str(told.refused(429, "insufficient_quota"))
    assert "country" in str(told.refused(403, "unsupported_country_region_territory"))


@pytest.mark.parametrize(
    ("code", "reason", "fatal"),
    [
        *((code, "", False) for code in (1000, 1001, 1002, 1005, 1006, 1009, 1011, 1012, 1013, 1015, 4000)),
        *((code, "", True) for code in (1003, 1007, 1008, 1010)),
        (1001, "session_expired", False),
        (3000, "invalid_request_error.invalid_api_key", True),
        (4000, "invalid_request_error.beta_api_shape_disabled", True),
        (4000, "invalid_request_error.something_new", True),
        (4000, "server_error", False),
    ],
)
def test_closed_sockets_say_what_it_means(code: int, reason: str, fatal: bool) -> None:
    lost = told.closed(code, reason)
    assert lost.fatal is fatal
    assert lost.expired is (reason == "session_expired")


# ── signs of life ─────────────────────────────────────────────────────────────────────────


def test_something_is_due_while_a_reply_was_asked_for_or_runs(line: Line) -> None:
    assert not line.wire.waits(line.now_ms)
    line.wire.say("One.", "c1", line.now_ms)
    assert line.wire.waits(line.now_ms)
    line.begins(kind="say", request="c1")
    assert line.wire.waits(line.now_ms)
    line.ends()
    assert not line.wire.waits(line.now_ms)


def test_something_is_due_when_the_caller_has_spoken_and_may_be_answered(line: Line) -> None:
    line.caller_starts()
    assert not line.wire.waits(line.now_ms)
    line.caller_stops()
    assert line.wire.waits(line.now_ms + 999) and not line.wire.waits(line.now_ms + 1000)
    line.wire.may_answer(False)
    assert not line.wire.waits(line.now_ms)


def test_what_was_not_judged_yet_is_dropped_when_the_caller_is_not_to_be_heard(line: Line) -> None:
    line.wire.unhear(0)
    assert [name for name, _ in line.wire.take()] == ["input_audio_buffer.clear"]


def test_what_was_said_before_becomes_items_of_the_conversation(line: Line) -> None:
    line.wire.recall(
        [
            Remembered(Role.CALLER, "Where is my parcel?"),
            Remembered(Role.TOOL, '{"place": "Leeds"}', "find_parcel", '{"order": "4711"}'),
            Remembered(Role.AI, "It is in Leeds."),
            Remembered(Role.OPERATOR, "I am Ann."),
            Remembered(Role.NOTE, "The caller was on hold."),
        ]
    )
    items = [message["item"] for message in line.take()]
    assert [(item["type"], item.get("role")) for item in items] == [
        ("message", "user"),
        ("function_call", None),
        ("function_call_output", None),
        ("message", "assistant"),
        ("message", "system"),
        ("message", "system"),
    ]
    assert items[0]["content"] == [{"type": "input_text", "text": "Where is my parcel?"}]
    assert items[1]["call_id"] == items[2]["call_id"] and items[1]["name"] == "find_parcel"
    assert items[3]["content"] == [{"type": "output_text", "text": "It is in Leeds."}]
    assert "I am Ann." in items[4]["content"][0]["text"]


def test_an_ai_that_takes_over_knows_all_before_it_is_asked_to_answer() -> None:
    line = Line(ready=False)
    line.wire.recall([Remembered(Role.CALLER, "Where is my parcel?"), Remembered(Role.AI, "")])
    line.wire.answer_now(line.now_ms)
    line.wire.hear(FRAME, 0)
    line.wire.open()
    line.take()
    line.told("session.updated", session={"type": "realtime"})
    assert line.names() == ["conversation.item.create", "input_audio_buffer.append", "response.create"]
    line.begins(kind="answer")
    assert last(line) == ReplyStarted("r1", ReplyKind.ANSWER)

"""The GPT-Live protocol without a socket: each test plays the peer, in messages the official types know."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from bridge.audio import FRAME_MS
from bridge.engines import (
    KEPT_MS,
    CallerStarted,
    EngineLost,
    Event,
    Ready,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWordsDone,
    Role,
    SpeechDone,
    ToolAsked,
    Trouble,
    Used,
)
from bridge.engines.gpt_live_messages import STANDING, Config
from bridge.engines.gpt_live_turns import PAUSE_MS
from bridge.engines.gpt_live_wire import ANSWER, APPEND, KEPT_NAMES, ONLY_LISTEN, SPEAK_AGAIN, STOP_MS, Wire
from bridge.engines.prices import Rates
from tests.bridge.live_client import CLIENT_EVENTS, SERVER_EVENTS, check

FRAME = b64encode(bytes(160)).decode()
HUSH = b64encode(b"\xff" * 160).decode()
TOOL = {
    "type": "function",
    "name": "find_payments",
    "description": "Payments of an order.",
    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
}
CONFIG = Config("gpt-live-1", "marin", "You answer for Northgate.", "gpt-6-luna", (TOOL,))
PRICES = {"gpt-live-1": Rates(minute=0.06), "gpt-6-luna": Rates(text_in=10, text_cached=1, text_out=100)}
SESSION = {"id": "live_1", "expires_at": 1_800_000_000, "model": "gpt-live-1", "status": "active"}
INSTRUCTIONS, COMMENTARY = "session.instructions.append", "session.commentary.append"
STOP = "session.output_audio.fixture.play"


class Peer:
    """A session's other side, and all that the engine tells of it."""

    def __init__(self, *, ready: bool = True) -> None:
        self.wire = Wire(CONFIG, PRICES)
        self.now_ms = 5000
        self.events: list[Event] = []
        self.sound: list[tuple[str, str]] = []
        self.messages: list[str] = []
        if ready:
            self.wire.open()
            self.begins()
            self.sent()
            self.events.clear()

    def on_speech(self, item_id: str, payload: str) -> None:
        self.sound.append((item_id, payload))

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        assert not outbound
        self.messages.append(name)

    def sent(self) -> list[dict[str, Any]]:
        """What was sent since the last time."""
        out = [(name, json.loads(text)) for name, text in self.wire.take()]
        for name, message in out:
            assert message["type"] == name
            check(CLIENT_EVENTS, message)
        return [message for _, message in out]

    def told(self) -> list[tuple[str, str]]:
        """The texts among it."""
        return [(message["type"], message["content"]) for message in self.sent() if "content" in message]

    def says(self, name: str, **fields: Any) -> None:
        """The peer sends this."""
        unnamed = name == "session.output_audio.delta"
        message = {"type": name, **({} if unnamed else {"event_id": "event_1"}), **fields}
        check(SERVER_EVENTS, message)
        self.raw(json.dumps(message))

    def raw(self, text: str) -> None:
        self.wire.receive(text.encode(), self.now_ms, self)

    def begins(self) -> None:
        self.says("session.started", session=SESSION)

    def speaks(self, words: str, frames: int = 10, sound: str = FRAME) -> None:
        """The AI says this, and its sound takes so many frames."""
        if words:
            self.says("session.output_transcript.delta", delta=words, start_ms=0, end_ms=200)
        for _ in range(frames):
            self.says("session.output_audio.delta", delta=sound)
            self.now_ms += FRAME_MS

    def passes(self, ms: int) -> None:
        self.now_ms += ms
        self.wire.tick(self.now_ms, self)

    def nested(self, kind: str, delegation: str | None = "dlg_1", **fields: Any) -> None:
        """The backend says this; its own shapes are the rehearsal's tests'."""
        event = {"type": kind, **fields}
        message = {"type": "response.event", "event_id": "event_1", "event": event, "delegation_id": delegation}
        self.raw(json.dumps(message))

    def asks_for(self, call_id: str, delegation: str = "dlg_1") -> None:
        item = {"type": "function_call", "call_id": call_id, "name": "find_payments", "arguments": '{"order":"1"}'}
        self.nested("response.output_item.done", delegation, item=item)

    def fails(self, code: str, event_id: str | None = None, kind: str = "invalid_request_error") -> None:
        error = {"type": kind, "code": code, "message": "It went wrong.", "client_event_id": event_id}
        self.says("error", error=error)

    def of(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]


# ── the beginning ─────────────────────────────────────────────────────────────────────────


def test_a_session_begins_with_what_was_said_before_it() -> None:
    peer = Peer(ready=False)
    peer.wire.recall([Remembered(Role.CALLER, "Hello?"), Remembered(Role.AI, ""), Remembered(Role.NOTE, "Be quick.")])
    peer.wire.whisper("Offer a refund.")
    peer.wire.open()
    (start,) = peer.sent()
    session = start["session"]
    assert session["model"] == "gpt-live-1" and session["audio"]["format"] == {"type": "audio/pcmu", "rate": 8000}
    assert session["instructions"].endswith(STANDING) and session["instructions"].startswith(CONFIG.instructions)
    assert session["delegation"]["responses"]["tools"] == [TOOL]
    texts = [message["content"][0]["text"] for message in session["input"]]
    assert texts[:2] == ["Hello?", "Be quick."] and texts[2].endswith("Offer a refund.")


def test_what_is_wanted_while_it_begins_waits() -> None:
    peer = Peer(ready=False)
    peer.wire.ask("The office closes.", "r1", peer.now_ms)
    peer.wire.open()
    for at_ms in range(0, KEPT_MS + 100, FRAME_MS):
        assert peer.wire.hear(FRAME, at_ms) is None
    peer.wire.tell("Anna listens.")
    assert [message["type"] for message in peer.sent()] == ["session.start"]
    peer.begins()
    peer.begins()
    sent = peer.sent()
    assert [message["type"] for message in sent[:2]] == [COMMENTARY, INSTRUCTIONS]
    assert [message["type"] for message in sent[2:]] == [APPEND] * (KEPT_MS // FRAME_MS)
    assert peer.events == [Ready("gpt-live-1", SESSION["expires_at"] * 1000)]  # type: ignore[operator]


def test_a_session_that_tells_nothing_of_itself_is_ready_too() -> None:
    peer = Peer(ready=False)
    peer.wire.open()
    peer.raw('{"type":"session.started","session":{}}')
    assert peer.events == [Ready("gpt-live-1", None)]


def test_what_is_recalled_of_a_running_session_is_told() -> None:
    peer = Peer()
    peer.wire.recall([Remembered(Role.CALLER, "Hello?"), Remembered(Role.AI, "Northgate.")])
    assert peer.told() == [(INSTRUCTIONS, "The caller said: Hello?"), (INSTRUCTIONS, "You said: Northgate.")]


def test_a_greeting_is_passed_on_once_the_session_is_ready_and_the_ai_knows_of_it() -> None:
    peer = Peer(ready=False)
    peer.wire.greet("Hello, an AI here.", b"\x00" * 1600)
    peer.wire.give_greeting(peer.now_ms, peer)
    assert not peer.events
    peer.wire.open()
    peer.begins()
    _, started, _, done, spoken, over = peer.events
    assert isinstance(started, ReplyStarted) and started.kind is ReplyKind.GREETING
    assert isinstance(done, ReplyWordsDone) and done.text == "Hello, an AI here."
    assert isinstance(spoken, SpeechDone) and isinstance(over, ReplyDone) and over.status == "completed"
    assert len(peer.sound) == 1
    told = peer.told()
    assert len(told) == 1 and '"Hello, an AI here."' in told[0][1]
    peer.wire.cut(peer.sound[0][0], 120, peer.now_ms, by_caller=True)
    assert peer.told() == [
        (INSTRUCTIONS, 'You were cut short. Of what you said last the caller heard only: "Hello, an"')
    ]


def test_an_ai_that_spoke_first_is_followed_by_the_greeting() -> None:
    peer = Peer()
    peer.speaks("Yes?")
    peer.wire.greet("Hello, an AI here.", b"\x00" * 1600)
    peer.wire.give_greeting(peer.now_ms, peer)
    assert [event.kind for event in peer.of(ReplyStarted)] == [ReplyKind.ANSWER, ReplyKind.GREETING]  # type: ignore[union-attr]
    assert len(peer.of(ReplyDone)) == 2


# ── hearing ───────────────────────────────────────────────────────────────────────────────


def test_the_caller_is_heard_in_call_time_and_never_ahead_of_it() -> None:
    peer = Peer()
    message = peer.wire.hear(FRAME, 700)
    assert message is not None
    check(CLIENT_EVENTS, json.loads(message))
    for at_ms in range(720, 2000, FRAME_MS):
        peer.wire.hear(FRAME, at_ms)
    peer.says("session.input_transcript.delta", delta="Good", start_ms=300, end_ms=600)
    (started,) = peer.of(CallerStarted)
    assert isinstance(started, CallerStarted) and started.at_ms == 1000
    peer.wire.unhear()
    peer.says("session.input_transcript.delta", delta="Well", start_ms=9000, end_ms=9500)
    assert [event.at_ms for event in peer.of(CallerStarted)] == [1000, 2000]  # type: ignore[union-attr]


def test_what_a_caller_says_before_any_sound_was_sent_was_at_the_beginning() -> None:
    peer = Peer()
    peer.says("session.input_transcript.delta", delta="Good", start_ms=300, end_ms=600)
    assert [event.at_ms for event in peer.of(CallerStarted)] == [0]  # type: ignore[union-attr]


# ── speaking ──────────────────────────────────────────────────────────────────────────────


def test_what_it_says_is_passed_on_as_a_reply() -> None:
    peer = Peer()
    peer.speaks("", 5, HUSH)
    assert not peer.sound
    peer.speaks("Good morning.")
    assert [payload for _, payload in peer.sound] == [FRAME] * 10
    peer.passes(PAUSE_MS)
    assert [event.text for event in peer.of(ReplyWordsDone)] == ["Good morning."]  # type: ignore[union-attr]


def test_sound_that_is_none_is_passed_over() -> None:
    peer = Peer()
    for bad in ("A", "A==="):
        peer.raw(json.dumps({"type": "session.output_audio.delta", "delta": bad}))
    peer.raw('{"type":"session.output_audio.delta"}')
    assert peer.wire.malformed == 2 and not peer.sound


def test_ask_say_and_answer_are_comments_and_the_reply_is_theirs() -> None:
    peer = Peer()
    peer.wire.ask("The office closes.", "r1", peer.now_ms)
    peer.speaks("We close soon.")
    peer.passes(PAUSE_MS)
    peer.wire.say("One moment.", "r2", peer.now_ms)
    peer.speaks("One moment.")
    peer.passes(PAUSE_MS)
    peer.wire.answer_now(peer.now_ms)
    told = peer.told()
    assert [name for name, _ in told] == [COMMENTARY] * 3
    assert ['"The office closes."' in told[0][1], '"One moment."' in told[1][1], told[2][1] == ANSWER] == [True] * 3
    started = [(event.kind, event.request) for event in peer.of(ReplyStarted) if isinstance(event, ReplyStarted)]
    assert started == [(ReplyKind.ASK, "r1"), (ReplyKind.SAY, "r2")]


# ── stopping ──────────────────────────────────────────────────────────────────────────────


def test_an_operator_stops_it_by_a_moment_of_silence() -> None:
    peer = Peer()
    peer.speaks("Our prices are as follows.", 50)
    item = peer.sound[-1][0]
    peer.wire.ask("Never said.", "r1", peer.now_ms)
    peer.sent()
    peer.wire.cut(item, 450, peer.now_ms, by_caller=False)
    peer.wire.cut("", 0, peer.now_ms, by_caller=False)
    heard, stop = peer.sent()
    assert heard["content"].endswith('"Our prices"') and stop["type"] == STOP
    peer.wire.whisper("Be brief.")
    peer.wire.ask("Say goodbye.", "r2", peer.now_ms)
    peer.speaks("", 5)
    assert not peer.told() and len(peer.sound) == 50
    peer.says("session.output_audio.fixture.playing", client_event_id=stop["event_id"])
    peer.says("session.output_audio.fixture.played", client_event_id=stop["event_id"])
    assert [name for name, _ in peer.told()] == [INSTRUCTIONS, COMMENTARY]
    peer.speaks("Goodbye.")
    assert len(peer.sound) == 60
    peer.says("session.output_audio.fixture.played")


def test_what_was_asked_before_a_stop_is_not_told_any_more() -> None:
    peer = Peer()
    peer.speaks("Our prices are as follows.")
    peer.wire.cut("", 0, peer.now_ms, by_caller=False)
    peer.wire.ask("Never said.", "r1", peer.now_ms)
    peer.wire.cut("", 0, peer.now_ms, by_caller=False)
    assert [message["type"] for message in peer.sent()] == [STOP]
    peer.passes(STOP_MS)
    assert not peer.sent()


def test_a_stop_that_is_refused_or_never_told_of_holds_up_nothing() -> None:
    for ends in ("refused", "silent"):
        peer = Peer()
        peer.speaks("Our prices are as follows.")
        peer.wire.cut("", 0, peer.now_ms, by_caller=False)
        (stop,) = peer.sent()
        peer.wire.whisper("Be brief.")
        if ends == "refused":
            peer.fails("fixture_active", stop["event_id"])
        else:
            peer.passes(STOP_MS)
        assert [name for name, _ in peer.told()] == [INSTRUCTIONS]


def test_a_cut_where_nothing_is_said_needs_no_stop() -> None:
    peer = Peer()
    peer.wire.cut("", 0, peer.now_ms, by_caller=False)
    assert not peer.sent()
    early = Peer(ready=False)
    early.wire.ask("The office closes.", "r1", early.now_ms)
    early.wire.cut("", 0, early.now_ms, by_caller=False)
    early.wire.open()
    early.begins()
    assert [message["type"] for message in early.sent()] == ["session.start"]


def test_who_may_not_answer_is_told_to_listen_and_not_passed_on() -> None:
    peer = Peer()
    peer.wire.may_answer(True, peer.now_ms)
    assert not peer.sent()
    peer.wire.may_answer(False, peer.now_ms)
    peer.speaks("All the same.")
    assert peer.told() == [(INSTRUCTIONS, ONLY_LISTEN)] and not peer.sound
    peer.wire.may_answer(True, peer.now_ms)
    again, stop = peer.sent()
    assert again["content"] == SPEAK_AGAIN and stop["type"] == STOP


# ── tools ─────────────────────────────────────────────────────────────────────────────────


def test_the_backend_goes_on_once_all_its_tools_are_answered() -> None:
    peer = Peer()
    peer.asks_for("call_1")
    peer.asks_for("call_2")
    assert peer.events[0] == ToolAsked("call_1", "find_payments", '{"order":"1"}')
    peer.wire.answer_tool("call_1", "{}")
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    peer.nested("response.completed", response={"usage": usage})
    peer.wire.answer_tool("call_9", "{}")
    assert [message["type"] for message in peer.sent()] == ["response.item.create"]
    peer.wire.answer_tool("call_2", '{"paid":true}')
    item, go_on = peer.sent()
    assert item["item"] == {"type": "function_call_output", "call_id": "call_2", "output": '{"paid":true}'}
    assert go_on["type"] == "response.create"
    (used,) = peer.of(Used)
    assert isinstance(used, Used) and used.tokens == 1100 and used.cost_usd == pytest.approx(0.02)
    # And its answer asks for nothing more.
    cached = usage | {"input_tokens_details": {"cached_tokens": 1000}}
    peer.nested("response.completed", response={"usage": cached})
    assert not peer.sent()
    assert peer.of(Used)[1].cost_usd == pytest.approx(0.011)  # type: ignore[union-attr]


def test_a_tool_that_answers_before_the_backend_is_done_waits_for_it() -> None:
    peer = Peer()
    peer.asks_for("call_1")
    peer.wire.answer_tool("call_1", "{}")
    assert [message["type"] for message in peer.sent()] == ["response.item.create"]
    peer.nested("response.in_progress")
    peer.nested("response.completed")
    assert [message["type"] for message in peer.sent()] == ["response.create"]


def test_a_backend_that_fails_is_told_of() -> None:
    peer = Peer()
    peer.nested("response.failed", None, response={"error": {"code": "server_error", "message": "It fell over."}})
    peer.nested("response.failed", None)
    first, second = [event.text for event in peer.of(Trouble) if isinstance(event, Trouble)]
    assert "gpt-6-luna" in first and "It fell over." in first and "no reason" in second


# ── costs, ends and errors ────────────────────────────────────────────────────────────────


def test_the_session_costs_what_it_took_longer_each_time() -> None:
    peer = Peer()
    for seconds in (10.0, 30.0, 30.0, 20.0):
        peer.says("session.usage.updated", usage={"seconds": seconds})
    costs = [event.cost_usd for event in peer.of(Used) if isinstance(event, Used)]
    assert costs == pytest.approx([0.01, 0.02])


def test_a_session_that_is_closed_is_lost_unless_we_asked_for_it() -> None:
    peer = Peer()
    peer.wire.close()
    assert [message["type"] for message in peer.sent()] == ["session.close"]
    closed = {"session": SESSION, "usage": {"seconds": 60.0}}
    peer.says("session.closed", reason="close_requested", **closed)
    assert peer.of(Used) == [Used(cost_usd=0.06)]
    with pytest.raises(EngineLost) as lost:
        peer.says("session.closed", reason="expired", **closed)
    assert lost.value.expired
    with pytest.raises(EngineLost):
        peer.raw('{"type":"session.closed"}')
    unopened = Wire(CONFIG)
    unopened.close()
    assert not unopened.take()


def test_errors_that_end_it_are_apart_from_those_that_pass() -> None:
    peer = Peer()
    peer.fails("unknown_parameter")
    peer.fails("string_above_max_length")
    quiet, shown = [event.text for event in peer.of(Trouble) if isinstance(event, Trouble)]
    assert not quiet and "It went wrong." in shown
    with pytest.raises(EngineLost) as lost:
        peer.fails("insufficient_quota")
    assert lost.value.fatal


@pytest.mark.parametrize(("code", "fatal"), [("unknown_parameter", True), ("server_error", False)])
def test_a_session_that_may_not_begin_is_lost(code: str, fatal: bool) -> None:
    peer = Peer(ready=False)
    peer.wire.open()
    with pytest.raises(EngineLost) as lost:
        peer.fails(code)
    assert lost.value.fatal is fatal


def test_what_is_not_known_is_counted_and_passed_over() -> None:
    peer = Peer()
    for text in ("{", "[]", '{"type":7}', '{"type":"session.usage.updated"}'):
        peer.raw(text)
    assert peer.wire.malformed == 4
    for number in range(KEPT_NAMES + 2):
        peer.raw(json.dumps({"type": f"novelty.{number}"}))
    peer.raw('{"type":"novelty.0"}')
    assert peer.wire.unknown["novelty.0"] == 2 and peer.wire.unknown["(others)"] == 2
    peer.says("info", code="x", message="y")
    assert "info" not in peer.wire.unknown and not peer.events

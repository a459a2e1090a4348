"""Everything at once, in any order: one response at a time, nothing truncated that is not there,
nothing heard after a cut, and no words of the operator lost or said twice."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter, deque
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.engines import CallerStarted, Event, ReplyKind, ReplyStarted, ToolAsked, Trouble
from bridge.engines.openai_wire import Config, Wire

DELTA_MS = 100


class Peer:
    """Holds to the rules of the real one, and fails where the real one would have refused us wrongly asked."""

    def __init__(self) -> None:
        self.on_its_way: deque[dict[str, Any]] = deque()
        self.active = ""
        self.allowed = True
        self.caller_speaks = False
        self.spoken_ms: dict[str, int] = {}
        self.reply_of: dict[str, str] = {}
        self.calls: dict[str, bool] = {}
        self.own: set[str] = set()
        self._count = 0

    def says(self, name: str, **fields: Any) -> None:
        self.on_its_way.append({"type": name, **fields})

    def number(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def obeys(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "session.update":
                turns = message["session"]["audio"]["input"]["turn_detection"]
                self.allowed = turns["create_response"]
            case "response.create" if self.active:
                code = "conversation_already_has_active_response"
                self.says("error", error={"code": code, "event_id": message["event_id"]})
            case "response.create":
                self.begins(message["response"]["metadata"])
            case "response.cancel" if message["response_id"] == self.active:
                self.ends("cancelled")
            case "response.cancel":
                self.says("error", error={"code": "response_cancel_not_active", "event_id": message["event_id"]})
            case "conversation.item.truncate":
                assert 0 <= message["audio_end_ms"] <= self.spoken_ms[message["item_id"]]
            case "conversation.item.create":
                call_id = message["item"]["call_id"]
                assert self.calls[call_id] is False, "answered twice"
                self.calls[call_id] = True
                self.says("conversation.item.added", item=message["item"])

    def begins(self, metadata: dict[str, str] | None) -> None:
        self.active = self.number("r")
        if metadata is None:
            self.own.add(self.active)
        self.says("response.created", response={"id": self.active, "metadata": metadata, "conversation_id": "c"})

    def speaks(self) -> None:
        if self.active:
            item_id = f"i-{self.active}"
            self.reply_of[item_id] = self.active
            self.spoken_ms[item_id] = self.spoken_ms.get(item_id, 0) + DELTA_MS
            delta = b64encode(bytes(8 * DELTA_MS)).decode()
            self.says("response.output_audio.delta", response_id=self.active, item_id=item_id, delta=delta)

    def calls_tool(self) -> None:
        if self.active:
            call_id = self.number("t")
            self.calls[call_id] = False
            item = {"type": "function_call", "status": "completed", "call_id": call_id, "name": "look"}
            self.says("response.output_item.done", response_id=self.active, item=item)

    def ends(self, status: str = "completed") -> None:
        if self.active:
            reply_id, self.active = self.active, ""
            self.says("response.done", response={"id": reply_id, "status": status})

    def hears_caller(self, starts: bool) -> None:
        if starts == self.caller_speaks:
            return
        self.caller_speaks = starts
        if starts:
            self.says("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
            if self.allowed:
                self.ends("cancelled")
        else:
            self.says("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=0)
            if self.allowed and not self.active:
                self.begins(None)


class Call:
    """A wire, as a session uses it, and the peer at the end of a slow line."""

    def __init__(self) -> None:
        self.peer = Peer()
        self.wire = Wire(Config("gpt-realtime-2.1", "marin", ""))
        self.on_its_way: deque[dict[str, Any]] = deque()
        self.now_ms = 0
        self.started: Counter[str] = Counter()
        self.wanted: set[str] = set()
        self.dropped: set[str] = set()
        self.told_lost = 0
        self.tools: list[str] = []
        self.muted = False
        self.running = ""
        self.silenced: set[str] = set()
        self.in_play = ("", 0)
        self.asked = ""
        self.wire.open()
        self.wire.receive(b'{"type":"session.updated","session":{}}', 0, self)
        self.wire.take()

    # the listener

    def on_speech(self, item_id: str, payload: str) -> None:
        reply_id = self.peer.reply_of[item_id]
        assert reply_id == self.running and reply_id not in self.silenced
        self.in_play = (item_id, self.in_play[1] + DELTA_MS if self.in_play[0] == item_id else DELTA_MS)

    def on_event(self, event: Event) -> None:
        match event:
            case ReplyStarted():
                assert event.request not in self.dropped, "spoken after it was cut"
                assert not (self.muted and event.reply_id in self.peer.own), "answered while muted"
                self.running = event.reply_id
                if event.kind is not ReplyKind.ANSWER:
                    self.started[event.request] += 1
            case CallerStarted() if not self.muted:
                self.cut(self.in_play[1] // 2, by_caller=True)
            case ToolAsked():
                self.tools.append(event.tool_id)
            case Trouble(text=text) if "not spoken" in text or "did not say" in text:
                self.told_lost += 1

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        pass

    # what happens

    def step(self, what: str, how_much: int) -> None:
        wire, peer = self.wire, self.peer
        match what:
            case "say" | "ask":
                request = f"{what}{len(self.wanted)}"
                self.wanted.add(request)
                getattr(wire, what)("Hello.", request, self.now_ms)
            case "cut":
                self.dropped |= self.wanted - set(self.started)
                self.cut(how_much, by_caller=False)
            case "mute" | "unmute":
                self.muted = what == "mute"
                wire.may_answer(not self.muted)
            case "answer now":
                wire.answer_now(self.now_ms)
            case "tool answers":
                if self.tools:
                    wire.answer_tool(self.tools.pop(0), "{}", self.now_ms)
            case "caller starts" | "caller stops":
                peer.hears_caller(what == "caller starts")
            case "peer speaks":
                peer.speaks()
            case "peer calls":
                peer.calls_tool()
            case "peer ends":
                peer.ends()
            case "to peer" if self.on_its_way:
                peer.obeys(self.on_its_way.popleft())
            case "to us" if peer.on_its_way:
                self.arrives(peer.on_its_way.popleft())
            case "time":
                self.now_ms += how_much
                wire.tick(self.now_ms, self)
        self.collect()

    def cut(self, heard_ms: int, *, by_caller: bool) -> None:
        self.silenced.add(self.running)
        self.wire.cut(self.in_play[0], heard_ms, by_caller=by_caller)

    def arrives(self, message: dict[str, Any]) -> None:
        if message["type"] == "error" and message["error"]["event_id"] == self.asked:
            self.asked = ""
        if message["type"] == "response.created":
            self.running = message["response"]["id"]
            if message["response"]["metadata"] is not None:
                self.asked = ""
            elif self.muted:
                self.silenced.add(self.running)
        if message["type"] == "response.done" and message["response"]["id"] == self.running:
            self.running = ""
        self.wire.receive(json.dumps(message).encode(), self.now_ms, self)

    def collect(self) -> None:
        for name, text in self.wire.take():
            message = json.loads(text)
            if name == "response.create":
                assert not self.asked and not self.running, "asked for a second response"
                self.asked = message["event_id"]
            self.on_its_way.append(message)

    def settle(self) -> None:
        """Both sides read all that was sent, until nobody has anything to say."""
        for _ in range(400):
            if self.on_its_way:
                self.step("to peer", 0)
            elif self.peer.on_its_way:
                self.step("to us", 0)
            elif self.tools:
                self.step("tool answers", 0)
            elif self.peer.caller_speaks:
                self.step("caller stops", 0)
            elif self.peer.active:
                self.step("peer speaks", 0)
                self.step("peer ends", 0)
            else:
                self.step("time", 1000)
                if not self.on_its_way:
                    return
        raise AssertionError("they never come to rest")


STEPS = [
    "say",
    "ask",
    "cut",
    "mute",
    "unmute",
    "answer now",
    "tool answers",
    "caller starts",
    "caller stops",
    "peer speaks",
    "peer calls",
    "peer ends",
    "to peer",
    "to us",
    "time",
]
# Messages travel more often than anything else happens, or nothing would get far.
MIXED = st.sampled_from(STEPS + ["to peer", "to us", "to us", "peer speaks"] * 4)


@settings(max_examples=200)
@given(st.lists(st.tuples(MIXED, st.integers(0, 900)), min_size=50, max_size=150))
@example([("say", 0), ("to peer", 0), ("cut", 0), ("peer speaks", 0), ("to us", 0), ("to us", 0)])
@example([("caller starts", 0), ("caller stops", 0), ("say", 0), ("to peer", 0), ("to us", 0), ("to us", 0)])
def test_any_order_of_everything(steps: list[tuple[str, int]]) -> None:
    call = Call()
    for what, how_much in steps:
        call.step(what, how_much)
    call.settle()
    assert all(call.peer.calls.values()), "a tool was never answered"
    assert max(call.started.values(), default=0) <= 1, "said twice"
    lost = call.wanted - call.dropped - set(call.started)
    assert len(lost) <= call.told_lost, "words of the operator were lost without a word"

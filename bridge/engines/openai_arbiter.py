"""Who may speak in one Realtime session, and what the peer shall remember of it. Pure.

The one place that writes response.create, response.cancel and conversation.item.truncate, since
those race with the peer's own turn detection:

* One reply at a time. A request waits for the end of the running reply, whoever began it, and
  expires. When the peer has begun one meanwhile it refuses ours, which then waits again.
* A cut may come before the peer has told of the reply it created: that reply is cancelled when
  it shows up, and nothing of it is passed on.
* When a caller interrupts, the peer cancels its reply by itself; only the truncation is ours.
* Audio comes faster than it is heard. What the caller did not hear is truncated from the peer's
  memory, never beyond what arrived of it.
* After tools, one reply that speaks of what they found, unless the peer's own already does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bridge.engines import (
    Listener,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    SpeechDone,
    ToolAsked,
    Trouble,
    Used,
)
from bridge.engines import openai_messages as told

BYTES_PER_MS = 8
EXPIRY_MS = 20_000
QUIET_MS = 10_000
REFUSED_AGAIN_MS = 500
ANSWER_DUE_MS = 1000
KEPT_ITEMS = 64
EMPTY_REPLIES = 3

_UNTOLD = {
    ReplyKind.GREETING: "The greeting was not spoken",
    ReplyKind.ASK: "The AI did not say what you asked it to",
    ReplyKind.SAY: "Your words were not spoken",
    ReplyKind.ANSWER: "The AI did not answer",
}


@dataclass(slots=True)
class Request:
    """A reply that we want. after: the tool answers it is to speak of."""

    kind: ReplyKind
    request: str
    response: dict[str, Any]
    expires_ms: int
    after: tuple[str, ...] = ()
    not_before_ms: int = 0
    event_id: str = ""
    sent_ms: int = 0
    unwanted: bool = False
    served: bool = False
    retried: bool = False


@dataclass(slots=True)
class Reply:
    """A reply that the peer told of.

    seen_ms: its last sign of life. over_caller: begun while the caller spoke, so that the peer
    does not cancel it for that. told: the listener knows of it. goes_on: a reply follows its tools.
    """

    reply_id: str
    kind: ReplyKind
    seen_ms: int
    asked: Request | None = None
    over_caller: bool = False
    cut: bool = False
    cancelled: bool = False
    told: bool = True
    spoke: bool = False
    over: bool = False
    goes_on: bool = True
    tools: list[str] = field(default_factory=list)
    unanswered: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Speech:
    """Audio of one item. unheard: it came after the cut. settled: the peer's memory of it is final."""

    reply_id: str
    unheard: bool = False
    received_bytes: int = 0
    complete: bool = False
    settled: bool = False


class Arbiter:
    """One session's replies. put: queues a message to the peer and returns its event_id.

    anonymous: the peer does not give our metadata back, so that the next reply is taken for what was asked.
    """

    def __init__(self, put: Callable[..., str]) -> None:
        self.active: Reply | None = None
        self.speech: dict[str, Speech] = {}
        self.allowed = True
        self.anonymous = False
        self._put = put
        self._ready = False
        self._queue: deque[Request] = deque()
        self._asked: Request | None = None
        self._blocked_until_ms = 0
        self._tools: dict[str, Reply] = {}
        self._unconfirmed: set[str] = set()
        self._caller_speaks = False
        self._answer_due_ms = 0
        self._empty_replies = 0

    # ── what is wanted ────────────────────────────────────────────────────────────────────

    def ask(self, kind: ReplyKind, request: str, now_ms: int, *, after: tuple[str, ...] = (), **response: Any) -> None:
        """Queue a reply. response: fields of response.create besides the metadata that tells it apart."""
        response["metadata"] = {"kind": str(kind), "request": request}
        self._queue.append(Request(kind, request, response, now_ms + EXPIRY_MS, after))
        self.pump(now_ms)

    def answer_now(self, now_ms: int) -> None:
        """An answer to what was said last, unless one waits already."""
        if all(request.kind is not ReplyKind.ANSWER for request in self._waiting()):
            self.ask(ReplyKind.ANSWER, "", now_ms)

    def may_answer(self, allowed: bool) -> None:
        """Answers that were not begun yet are called off together with the right to them."""
        self.allowed = allowed
        if not allowed:
            self._queue = deque(request for request in self._queue if request.kind is not ReplyKind.ANSWER)
            if self._asked is not None and self._asked.kind is ReplyKind.ANSWER:
                self._asked.unwanted = True

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`."""
        if not by_caller:
            self._queue.clear()
            if self._asked is not None:
                self._asked.unwanted = True
            for reply in self._tools.values():
                reply.goes_on = False
        if (running := self.active) is not None:
            running.cut = True
            running.goes_on = running.goes_on and by_caller
            if not (by_caller and self.allowed) or running.over_caller:
                self._cancel(running)
        self._forget_unheard(item_id, heard_ms)

    def answer_tool(self, tool_id: str, output: str, now_ms: int) -> None:
        """See `Engine.answer_tool`. Ids that were not asked for, or are answered, are passed over."""
        reply = self._tools.pop(tool_id, None)
        if reply is not None:
            reply.unanswered.discard(tool_id)
            self._answer(tool_id, output)
            self._go_on(reply, now_ms)

    # ── what happens ──────────────────────────────────────────────────────────────────────

    def ready(self) -> None:
        """The session is configured: requests may go out."""
        self._ready = True

    def caller_started(self) -> None:
        """While the caller speaks, and just after, the peer is about to answer by itself."""
        self._caller_speaks = True

    def caller_stopped(self, now_ms: int) -> None:
        """See `caller_started`."""
        self._caller_speaks = False
        self._answer_due_ms = now_ms + ANSWER_DUE_MS

    def created(self, response: told.Response, now_ms: int, listener: Listener) -> None:
        """The peer began a reply: ours, one of its own, or one outside the conversation."""
        metadata = response.metadata or {}
        name, request = metadata.get("kind"), str(metadata.get("request", ""))
        kind = next((kind for kind in ReplyKind if kind == name), None)
        if self.anonymous and self._asked is not None and not metadata:
            kind, request = self._asked.kind, self._asked.request
        if response.conversation_id is None and kind is None:
            return
        if self.active is not None:
            self.end(self.active, "incomplete", "another reply began", now_ms, listener)
        reply = Reply(response.id, kind or ReplyKind.ANSWER, now_ms, over_caller=self._caller_speaks)
        self.active = reply
        asked = self._asked
        if asked is not None and (kind, request) == (asked.kind, asked.request):
            self._asked, reply.asked = None, asked
            unwanted = asked.unwanted
        else:
            # Ours, but given up already; or the peer's own, begun before it knew that it may not.
            unwanted = kind is not None or not self.allowed
        if unwanted:
            reply.cut, reply.told, reply.goes_on = True, False, False
            self._cancel(reply)
            return
        if kind is None:
            self._served_by_peer()
        listener.on_event(ReplyStarted(reply.reply_id, reply.kind, request))

    def done(self, response: told.Response, tokens: int, cost_usd: float, now_ms: int, listener: Listener) -> None:
        """The peer ended a reply."""
        reply = self.active
        if reply is None or reply.reply_id != response.id:
            if tokens:
                listener.on_event(Used(tokens, cost_usd))
            return
        status = response.status or "completed"
        details = response.status_details or told.StatusDetails()
        problem = details.error
        reason = details.reason or (problem.words if problem is not None else "")
        if status == "failed" and problem is not None:
            self._retry(reply, problem, now_ms, listener)
        silent = status == "completed" and not (reply.spoke or reply.tools or reply.cut)
        self._empty_replies = self._empty_replies + 1 if silent else 0
        self.end(reply, status, reason, now_ms, listener, tokens, cost_usd)
        if self._empty_replies == EMPTY_REPLIES:
            self._empty_replies = 0
            text = "The AI answered with silence three times in a row. Ask it again, or take over."
            listener.on_event(Trouble("empty_replies", text))

    def end(
        self,
        reply: Reply,
        status: str,
        reason: str,
        now_ms: int,
        listener: Listener,
        tokens: int = 0,
        cost_usd: float = 0.0,
    ) -> None:
        """The running reply is over; what it said without being heard is forgotten."""
        self.active = None
        reply.over = True
        finished = []
        for item_id, speech in self.speech.items():
            if speech.reply_id == reply.reply_id and not speech.complete:
                speech.complete = True
                if not reply.cut:
                    finished.append(item_id)
                elif speech.unheard:
                    self._forget(item_id, speech, 0)
        for item_id in finished:
            listener.on_event(SpeechDone(item_id))
        if reply.told:
            listener.on_event(ReplyDone(reply.reply_id, reply.kind, status, reason, reply.spoke, tokens, cost_usd))
        elif tokens:
            listener.on_event(Used(tokens, cost_usd))
        self._go_on(reply, now_ms)

    def tool_called(self, item: told.Item, listener: Listener) -> None:
        """The running reply asks for a tool. One of a reply that was cut is answered, not run."""
        reply = self.active
        if reply is None or item.status != "completed" or not item.call_id or item.call_id in reply.tools:
            return
        if reply.cut:
            self._answer(item.call_id, '{"error":"interrupted before it was run"}')
            return
        reply.tools.append(item.call_id)
        reply.unanswered.add(item.call_id)
        self._tools[item.call_id] = reply
        listener.on_event(ToolAsked(item.call_id, item.name or "", item.arguments or "{}"))

    def tool_answer_known(self, tool_id: str) -> None:
        """The peer has this tool's answer."""
        self._unconfirmed.discard(tool_id)

    def refused(self, problem: told.Problem, now_ms: int, listener: Listener) -> bool:
        """Whether this error was about our request for a reply; if so it is dealt with."""
        asked = self._asked
        busy = problem.code == told.BUSY_CODE
        if asked is None or not (problem.event_id == asked.event_id or (busy and problem.event_id is None)):
            return False
        self._asked = None
        if not busy:
            listener.on_event(Trouble(problem.name, f"{_UNTOLD[asked.kind]}: {problem.words}"))
            return True
        if not (asked.unwanted or asked.served):
            self._queue.appendleft(asked)
        if self.active is None:
            self._blocked_until_ms = now_ms + REFUSED_AGAIN_MS
        listener.on_event(Trouble(told.BUSY_CODE))
        return True

    def tick(self, now_ms: int, listener: Listener) -> None:
        """Gives up what the peer never began or ended, and what waited too long."""
        if self.active is not None and now_ms - self.active.seen_ms >= QUIET_MS:
            self._cancel(self.active)
            listener.on_event(Trouble("reply_without_end", "The AI stopped in the middle of a reply; it can go on."))
            self.end(self.active, "failed", "its end was never told", now_ms, listener)
        if self._asked is not None and now_ms - self._asked.sent_ms >= QUIET_MS:
            asked, self._asked = self._asked, None
            text = "" if asked.unwanted or asked.served else f"{_UNTOLD[asked.kind]}: OpenAI did not react for 10 s."
            listener.on_event(Trouble("request_lost", text))
        for request in [request for request in self._queue if now_ms >= request.expires_ms]:
            self._queue.remove(request)
            listener.on_event(Trouble("request_expired", f"{_UNTOLD[request.kind]}: no room for it came in 20 s."))
        self.pump(now_ms)

    def pump(self, now_ms: int) -> None:
        """Send the first request that may go, if no reply runs or is on its way."""
        if not self._ready or self.active or self._asked or now_ms < self._blocked_until_ms:
            return
        answering = self.allowed and (self._caller_speaks or now_ms < self._answer_due_ms)
        for request in self._queue:
            if now_ms >= request.not_before_ms and not (answering and request.kind is ReplyKind.ANSWER):
                self._queue.remove(request)
                self._asked = request
                request.sent_ms = now_ms
                request.event_id = self._put("response.create", response=request.response)
                return

    def waits(self, now_ms: int) -> bool:
        """Whether a reply runs, was asked for, or is due because the caller stopped."""
        return self.active is not None or self._asked is not None or (self.allowed and now_ms < self._answer_due_ms)

    # ── means ─────────────────────────────────────────────────────────────────────────────

    def new_speech(self, item_id: str, reply: Reply) -> Speech:
        """The first audio of an item."""
        if len(self.speech) >= KEPT_ITEMS:
            del self.speech[next(iter(self.speech))]
        return self.speech.setdefault(item_id, Speech(reply.reply_id, unheard=reply.cut))

    def _waiting(self) -> list[Request]:
        return [*self._queue, self._asked] if self._asked is not None else [*self._queue]

    def _cancel(self, reply: Reply) -> None:
        if not reply.cancelled:
            reply.cancelled = True
            self._put("response.cancel", response_id=reply.reply_id)

    def _forget_unheard(self, item_id: str, heard_ms: int) -> None:
        """Truncate this item where it was heard to, and all that came after it to nothing."""
        after = False
        for key, speech in self.speech.items():
            if key == item_id:
                after = True
                self._forget(key, speech, heard_ms)
            elif after:
                self._forget(key, speech, 0)

    def _forget(self, item_id: str, speech: Speech, heard_ms: int) -> None:
        received_ms = speech.received_bytes // BYTES_PER_MS
        if speech.settled or (speech.complete and heard_ms >= received_ms):
            return
        speech.settled = True
        end_ms = max(0, min(heard_ms, received_ms))
        self._put("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms)

    def _answer(self, tool_id: str, output: str) -> None:
        self._unconfirmed.add(tool_id)
        item = {"type": "function_call_output", "call_id": tool_id, "output": output}
        self._put("conversation.item.create", item=item)

    def _go_on(self, reply: Reply, now_ms: int) -> None:
        if reply.over and reply.tools and not reply.unanswered and reply.goes_on:
            reply.goes_on = False
            if self.allowed:
                self.ask(ReplyKind.ANSWER, "", now_ms, after=tuple(reply.tools))

    def _served_by_peer(self) -> None:
        """The peer answers by itself, and knows all: our own answers to the same are not needed."""
        for request in self._waiting():
            if request.kind is ReplyKind.ANSWER and self._unconfirmed.isdisjoint(request.after):
                request.served = True
        self._queue = deque(request for request in self._queue if not request.served)

    def _retry(self, reply: Reply, problem: told.Problem, now_ms: int, listener: Listener) -> None:
        """A reply failed: once more if a rate limit was the cause and it is still wanted."""
        metadata = {"kind": str(ReplyKind.ANSWER), "request": ""}
        asked = reply.asked or Request(ReplyKind.ANSWER, "", {"metadata": metadata}, 0)
        if told.RATE_CODE not in (problem.code, problem.type) or asked.retried or reply.cut or reply.spoke:
            listener.on_event(Trouble(problem.name, f"{_UNTOLD[reply.kind]}: {problem.words}"))
            return
        delay_ms = told.retry_delay_ms(problem)
        asked.retried = True
        asked.not_before_ms = now_ms + delay_ms
        asked.expires_ms = asked.not_before_ms + EXPIRY_MS
        self._queue.appendleft(asked)
        text = f"OpenAI's rate limit holds the AI back; it tries again in {delay_ms / 1000:.1f} s."
        listener.on_event(Trouble(problem.name, text))

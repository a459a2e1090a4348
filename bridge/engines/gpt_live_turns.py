"""Turns and replies out of a conversation in which both sides speak whenever they like. Pure.

GPT-Live tells of neither: it sends sound as it speaks it, and fragments of what both sides said. A reply
here is sound without a longer pause; a caller's turn is words without one, or up to the AI's next reply.
What a caller murmurs while the AI speaks ("mhm") is no interruption: it becomes a turn once the AI is done.

``now_ms`` is any clock that only goes forward, ``start_ms`` and ``end_ms`` are call time.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from dataclasses import dataclass

from bridge.audio import BYTES_PER_MS
from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    Event,
    Listener,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    SpeechDone,
    Trouble,
)
from bridge.engines.phrases import is_assent, words_of

PAUSE_MS = 700
"""Silence of the AI after which its next sound is another reply."""

ASKED_PAUSE_MS = 300
"""The same, before and after a reply that was asked for: it may be close to another."""

CALLER_PAUSE_MS = 1200
"""Without new words of the caller for so long, their turn is over."""

LATE_MS = 1500
"""For so long after a reply its missing last words are taken for its own."""

YIELDS_MS = 4000
"""An AI that was talked over and goes on for so long has its reasons, and is heard again."""

STOPPED_MS = 15_000
"""The same, of one that an operator stopped."""

EXPIRY_MS = 20_000
KEPT_CHARS = 2000
KEPT_REPLIES = 8
_SENTENCE_ENDS = (".", "!", "?", "…")


@dataclass(slots=True)
class _Reply:
    """The AI's speech. text, sound_bytes: what is known of it so far."""

    reply_id: str
    item_id: str
    kind: ReplyKind
    text: str = ""
    sound_bytes: int = 0


@dataclass(slots=True)
class _Turn:
    """The caller's. told: the listener knows of it."""

    item_id: str
    start_ms: int
    end_ms: int
    heard_ms: int
    text: str = ""
    told: bool = False


@dataclass(slots=True)
class _Asked:
    kind: ReplyKind
    request: str
    expires_ms: int


class Turns:
    """One conversation's. allowed: whether what the AI says is passed on. dropped: pieces of sound that were not."""

    def __init__(self) -> None:
        self.allowed = True
        self.dropped = 0
        self._number = 0
        self._reply: _Reply | None = None
        self._last: _Reply | None = None
        self._recent: deque[_Reply] = deque(maxlen=KEPT_REPLIES)
        self._loud_ms = -PAUSE_MS
        self._drop_until_ms = 0
        self._early_words = ""
        self._turn: _Turn | None = None
        self._asked: deque[_Asked] = deque()
        self._news: list[Event] = []

    @property
    def speaking(self) -> str:
        """The item that the AI speaks now, "" when it does not."""
        return self._reply.item_id if self._reply is not None else ""

    def is_at_it(self, now_ms: int) -> bool:
        """Whether the AI speaks, be it heard or not, or was asked to."""
        return now_ms - self._loud_ms < PAUSE_MS or bool(self._asked)

    # ── what is wanted ────────────────────────────────────────────────────────────────────

    def ask(self, kind: ReplyKind, request: str, now_ms: int) -> None:
        """A reply of this kind was asked for: the next one to begin is taken for it."""
        self._asked.append(_Asked(kind, request, now_ms + EXPIRY_MS))

    def cut(self, now_ms: int, *, by_caller: bool) -> None:
        """Nothing more of the running reply is passed on, nor of what the AI says before it pauses."""
        if not by_caller:
            self._asked.clear()
        if self._reply is not None:
            self._end("cancelled", self._news)
        self._early_words = ""
        if now_ms - self._loud_ms < PAUSE_MS:
            self._drop_until_ms = now_ms + (YIELDS_MS if by_caller else STOPPED_MS)

    def stopped(self, now_ms: int) -> None:
        """The AI has stopped, as it had to: whatever it says from now on is new."""
        self._drop_until_ms = 0
        self._loud_ms = now_ms - PAUSE_MS

    def heard_of(self, item_id: str, heard_ms: int) -> str | None:
        """What the caller heard of an item in so many ms, in whole words; None when it was all, or is not known."""
        reply = next((one for one in self._recent if one.item_id == item_id), None)
        if reply is None or not reply.text.strip() or heard_ms * BYTES_PER_MS >= reply.sound_bytes:
            return None
        text = reply.text.strip()
        begun = text[: len(text) * heard_ms * BYTES_PER_MS // reply.sound_bytes]
        return begun.rpartition(" ")[0]

    def may_answer(self, allowed: bool, now_ms: int) -> None:
        """Whether the AI is to be heard. Of what it says when it may again, the end alone is not passed on."""
        if allowed != self.allowed:
            self.allowed = allowed
            self.cut(now_ms, by_caller=True)

    def unhear(self) -> None:
        """The caller's turn that is under way is no more."""
        self._turn = None

    def opened(self, text: str, mulaw: bytes, now_ms: int, listener: Listener) -> None:
        """The conversation was opened with these words, in another voice: all of them at once."""
        if self._reply is not None:
            self._end("completed", self._news)
        self.tick(now_ms, listener)
        self._asked.appendleft(_Asked(ReplyKind.GREETING, "", now_ms))
        self._early_words = text
        reply = self._begin(now_ms, listener)
        reply.sound_bytes = len(mulaw)
        listener.on_speech(reply.item_id, b64encode(mulaw).decode())
        ended: list[Event] = []
        self._end("completed", ended)
        self._last = None
        for event in ended:
            listener.on_event(event)

    # ── what happens ──────────────────────────────────────────────────────────────────────

    def sound(self, payload: str, loud: bool, now_ms: int, listener: Listener) -> None:
        """A piece of the AI's sound. payload: base64. loud: whether there is anything to hear in it."""
        self.tick(now_ms, listener)
        if loud:
            self._loud_ms = now_ms
        if not self.allowed or now_ms < self._drop_until_ms:
            self.dropped += 1
            return
        if self._reply is None:
            if not loud:
                return
            self._begin(now_ms, listener)
        assert self._reply is not None
        self._reply.sound_bytes += len(payload) * 3 // 4 - payload.count("=", -2)
        listener.on_speech(self._reply.item_id, payload)

    def words(self, delta: str, now_ms: int, listener: Listener) -> None:
        """More of what the AI says, a little before or after its sound."""
        self.tick(now_ms, listener)
        if not self.allowed or now_ms < self._drop_until_ms:
            return
        reply, last = self._reply, self._last
        if reply is None and last is not None and not self._early_words and now_ms - self._loud_ms < LATE_MS + PAUSE_MS:
            reply = None if last.text.rstrip().endswith(_SENTENCE_ENDS) else last
        if reply is None:
            self._early_words = (self._early_words + delta)[-KEPT_CHARS:]
            return
        if not reply.text:
            delta = delta.lstrip()
        reply.text += delta
        listener.on_event(ReplyWords(reply.reply_id, reply.item_id, delta))
        if reply is last:
            listener.on_event(ReplyWordsDone(reply.reply_id, reply.item_id, reply.text.strip()))

    def caller(self, delta: str, start_ms: int, end_ms: int, now_ms: int, listener: Listener) -> None:
        """More of what the caller says, or said a moment ago."""
        self.tick(now_ms, listener)
        turn = self._turn
        if turn is None:
            if not delta.strip():
                return
            turn = self._turn = _Turn(self._new("caller"), start_ms, end_ms, now_ms)
        turn.text += delta
        turn.end_ms, turn.heard_ms = max(turn.end_ms, end_ms), now_ms
        if turn.told:
            listener.on_event(CallerWords(turn.item_id, turn.text.strip(), final=False))
        elif self._reply is None:
            self._tell(turn, listener)
        elif words_of(turn.text) and not is_assent(turn.text, ""):
            self._tell(turn, listener, over_ai=True)

    def tick(self, now_ms: int, listener: Listener) -> None:
        """Let time pass."""
        news, self._news = self._news, []
        apart = self._asked or (self._reply is not None and self._reply.kind is not ReplyKind.ANSWER)
        if now_ms - self._loud_ms >= (ASKED_PAUSE_MS if apart else PAUSE_MS):
            self._drop_until_ms = 0
            if self._reply is not None:
                self._end("completed", news)
        for event in news:
            listener.on_event(event)
        turn = self._turn
        if turn is not None and not turn.told and self._reply is None:
            self._tell(turn, listener)
        if turn is not None and turn.told and now_ms - turn.heard_ms >= CALLER_PAUSE_MS:
            self._finish(turn, listener)
        while self._asked and now_ms >= self._asked[0].expires_ms:
            self._asked.popleft()
            listener.on_event(Trouble("request_expired", "The AI did not say what it was asked to. Ask it again."))

    # ── means ─────────────────────────────────────────────────────────────────────────────

    def _new(self, kind: str) -> str:
        self._number += 1
        return f"live-{kind}-{self._number}"

    def _begin(self, now_ms: int, listener: Listener) -> _Reply:
        if self._turn is not None:
            # Told of already: it is as soon as no reply runs.
            self._finish(self._turn, listener)
        asked = self._asked.popleft() if self._asked else _Asked(ReplyKind.ANSWER, "", now_ms)
        reply = self._reply = _Reply(self._new("reply"), self._new("item"), asked.kind, self._early_words.lstrip())
        self._recent.append(reply)
        self._last, self._early_words = None, ""
        listener.on_event(ReplyStarted(reply.reply_id, reply.kind, asked.request))
        if reply.text:
            listener.on_event(ReplyWords(reply.reply_id, reply.item_id, reply.text))
        return reply

    def _end(self, status: str, news: list[Event]) -> None:
        reply = self._reply
        assert reply is not None
        self._reply = None
        if status == "completed":
            self._last = reply
            news.append(ReplyWordsDone(reply.reply_id, reply.item_id, reply.text.strip()))
            news.append(SpeechDone(reply.item_id))
        news.append(ReplyDone(reply.reply_id, reply.kind, status, spoke=True))

    def _tell(self, turn: _Turn, listener: Listener, *, over_ai: bool = False) -> None:
        # Words of the AI after the caller's are another reply's.
        turn.told, self._last = True, None
        words = turn.text.strip()
        why = (turn.end_ms - turn.start_ms, words) if over_ai else (0, "")
        listener.on_event(CallerStarted(turn.item_id, turn.start_ms, *why))
        listener.on_event(CallerWords(turn.item_id, words, final=False))

    def _finish(self, turn: _Turn, listener: Listener) -> None:
        self._turn = None
        listener.on_event(CallerStopped(turn.item_id, turn.end_ms))
        listener.on_event(CallerWords(turn.item_id, turn.text.strip(), final=True))

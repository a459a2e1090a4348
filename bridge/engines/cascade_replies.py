"""The replies of a cascade: which one runs, which wait, what is in play, and the tools they use.

One reply at a time, in the order in which they were wanted; an answer waits until the caller has
finished. One that is made ahead, while it is not sure that the caller has, is held back until then.
What was passed on is in play until the carrier confirms it: so long the AI speaks.
"""

from __future__ import annotations

import asyncio
from binascii import b2a_base64
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import Any, Protocol

import msgspec

from bridge.audio import BYTES_PER_MS
from bridge.engines import (
    EngineLost,
    Event,
    Reached,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    SpeechDone,
    Step,
    ToolAsked,
    Trouble,
)
from bridge.engines.cascade_bill import Bill
from bridge.engines.cascade_memory import FALSE_INTERRUPTION, Memory, Message
from bridge.engines.cascade_reply import Reply, Tempo, Wanted
from bridge.engines.chat import Chat, ChatFailed, ToolCall
from bridge.engines.speakable import speakable
from bridge.engines.speech import LiveVoice, VoiceFailed

UNCONFIRMED_MS = 3000
"""So long after its end an item counts as heard although the carrier did not confirm it."""

MOST_LEFT_OUT = 3
"""A voice that does not take so many sentences in a row takes none."""

MOST_WAITING = 8
SHOWN_MESSAGES = 4

SET_PACE = "set_speaking_pace"
_PACES = {"slower": 0.85, "normal": 1.0, "faster": 1.15}
_PACE_TOOL = {
    "type": "function",
    "name": SET_PACE,
    "description": "Change how fast you speak, when the caller asks for it.",
    "parameters": {
        "type": "object",
        "properties": {"pace": {"type": "string", "enum": list(_PACES), "description": "How fast from now on."}},
        "required": ["pace"],
        "additionalProperties": False,
    },
}

_INCOMPLETE = {"length": "its longest was reached", "content_filter": "the model's rules forbid it"}


class Does(Enum):
    """What the AI does, as the caller would say."""

    NOTHING = auto()
    THINKS = auto()
    SPEAKS = auto()


class Around(Protocol):
    """The cascade around the replies."""

    def report(self, event: Event) -> None:
        """Tell the listener."""

    def speak(self, item_id: str, payload: str) -> None:
        """Sound for the listener, base64 mu-law."""

    def show(self, outbound: bool, name: str, value: object) -> None:
        """For the operator's raw view."""

    def now_ms(self, at_s: float | None = None) -> int:
        """Call time, now or at a time of the loop."""

    def watch(self, task: asyncio.Task[None]) -> None:
        """See to it that a task ends with the engine, or the engine by its fault."""

    def fail(self, fault: Exception) -> None:
        """The end."""

    def does(self, does: Does) -> None:
        """The AI does something else now."""


@dataclass(slots=True)
class _Round:
    """Tools of one reply that have no result yet. over: the reply itself is. goes_on: a reply follows them."""

    waiting: set[str]
    over: bool = False
    goes_on: bool = True


@dataclass(frozen=True, slots=True)
class _Broken:
    """What a caller broke off. rest: known words that were not heard. whole: there are no others."""

    wanted: Wanted
    rest: str
    whole: bool
    begun: bool


class Replies:
    """One call's. name: begins all their ids. bill: what they cost is put there.

    allowed: answers may be given. caller_speaks: the caller's turn is open. closed: nothing more is begun.
    """

    def __init__(
        self,
        name: str,
        memory: Memory,
        around: Around,
        bill: Bill,
        *,
        chat: Chat,
        voice: LiveVoice,
        tools: Sequence[Mapping[str, Any]],
        language: str,
    ) -> None:
        self.allowed = True
        self.caller_speaks = False
        self.closed = True
        self._name = name
        self._memory, self._around, self._bill = memory, around, bill
        self._chat, self._voice = chat, voice
        self._tools = [*tools, _PACE_TOOL] if hasattr(voice, "speed") else [*tools]
        self._language = language
        self._tempo = Tempo()
        self._numbers = count(1)
        self._waiting: deque[Wanted] = deque()
        self._active: Reply | None = None
        self._held: Reply | None = None
        self._in_play: dict[str, asyncio.TimerHandle | None] = {}
        self._sound_ms: dict[str, float] = {}
        self._does = Does.NOTHING
        self._rounds: dict[str, _Round] = {}
        self._broken: _Broken | None = None
        self._owes_answer = False
        self._steps = set(Step)
        self._left_out = 0

    # ── what is wanted ────────────────────────────────────────────────────────────────────

    def exactly(self, kind: ReplyKind, text: str, request: str = "") -> None:
        """These words."""
        self._want(Wanted(kind, text, request))

    def in_own_words(self, text: str, request: str) -> None:
        """See `Engine.ask`."""
        self._want(self._thought(ReplyKind.ASK, last=f'Tell the caller, in your own words: "{text}"', request=request))

    def answer(self) -> None:
        """Reply to what was said last, unless that is wanted already."""
        if self.caller_speaks:
            # Their turn will be answered with it.
            self._owes_answer = True
        elif all(wanted.kind is not ReplyKind.ANSWER for wanted in self._waiting):
            self._want(self._thought(ReplyKind.ANSWER))

    def allow(self, allowed: bool) -> None:
        """See `Engine.may_answer`. Answers that were not begun are called off with the right to them."""
        self.allowed = allowed
        if not allowed:
            self.throw_away()
            self._broken = None
            self._owes_answer = False
            self._waiting = deque(wanted for wanted in self._waiting if wanted.kind is not ReplyKind.ANSWER)
            self._settle()

    def _thought(self, kind: ReplyKind, *, caller: str = "", last: str = "", request: str = "") -> Wanted:
        def messages() -> list[Message]:
            messages = self._memory.messages(caller=caller, last=last)
            self._around.show(True, "chat.completions", messages[-SHOWN_MESSAGES:])
            return messages

        choice = "none" if kind is ReplyKind.ASK else "auto"
        return Wanted(kind, None, request, messages, self._tools, choice)

    def _want(self, wanted: Wanted) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(wanted)
            self.pump()
        else:
            text = "Too much waits to be said already. Try again in a moment."
            self._around.report(Trouble("too_much_wanted", text))

    # ── the caller's turns ────────────────────────────────────────────────────────────────

    def caller_began(self) -> None:
        """They speak: what was made ahead is void. Before the listener is told, who may cut what plays."""
        self.caller_speaks = True
        self._steps.clear()
        self._broken = None
        self.throw_away()

    def caller_cuts_in(self) -> None:
        """After that: what runs is stopped, of which nothing was in play, or it would have been cut."""
        if self.allowed and self._active is not None:
            self._stop("", 0)

    def prepare(self, text: str) -> None:
        """They may have finished with these words: make the answer, but hold it back."""
        if self.allowed and not (self.closed or self._active or self._waiting or self._held):
            self._held = self._made(self._thought(ReplyKind.ANSWER, caller=text), held=True)
            self._around.watch(self._held.start())

    def throw_away(self) -> None:
        """What was made ahead is not wanted."""
        held, self._held = self._held, None
        if held is not None:
            held.stop()
            self._bill.throw_away(*self._cost(held))

    def caller_ended(self) -> None:
        """They have finished, and the memory has their words. Answer, with what was made ahead if it is there."""
        self.caller_speaks = False
        self._broken = None
        self._owes_answer = False
        held = self._held
        if not self.allowed or held is None or self._active is not None:
            self.throw_away()
            if self.allowed:
                self.answer()
            return
        self._held = None
        self._begin(held)
        held.release()
        self._settle()

    def false_alarm(self, resume: bool) -> None:
        """It was no turn of theirs. resume: what was stopped for it goes on."""
        self.caller_speaks = False
        self.throw_away()
        broken, self._broken = self._broken, None
        owed, self._owes_answer = self._owes_answer, False
        if resume and broken is not None and self.allowed:
            self._take_up(broken)
        elif owed and self.allowed:
            self.answer()
        self.pump()

    def _take_up(self, broken: _Broken) -> None:
        """Go on with what was broken off, before all else that waits."""
        thought = broken.wanted.text is None
        if not broken.begun:
            answer = thought and broken.wanted.kind is ReplyKind.ANSWER
            # Anew, since the caller's words may have been unsure when it was first wanted.
            self._waiting.appendleft(self._thought(ReplyKind.ANSWER) if answer else broken.wanted)
        elif not broken.whole:
            self._waiting.appendleft(self._thought(ReplyKind.ANSWER, last=FALSE_INTERRUPTION))
        elif broken.rest:
            self._waiting.appendleft(Wanted(ReplyKind.ANSWER, broken.rest))

    def step(self, step: Step, vendor: str, at_ms: int) -> None:
        """A step of the answer to the caller's last turn; told at its first time."""
        if step not in self._steps:
            self._steps.add(step)
            self._around.report(Reached(step, vendor, at_ms))

    # ── one after the other ───────────────────────────────────────────────────────────────

    def pump(self) -> None:
        """Begin the next reply, if none runs."""
        if self._active is None and not self.closed:
            for wanted in self._waiting:
                if not (self.caller_speaks and wanted.kind is ReplyKind.ANSWER):
                    self._waiting.remove(wanted)
                    self.throw_away()
                    reply = self._made(wanted)
                    self._begin(reply)
                    self._around.watch(reply.start())
                    break
        self._settle()

    def _made(self, wanted: Wanted, *, held: bool = False) -> Reply:
        return Reply(
            f"{self._name}-{next(self._numbers)}",
            wanted,
            chat=self._chat,
            voice=self._voice,
            telling=self,
            tempo=self._tempo,
            speakable=lambda text: speakable(text, self._language),
            language=self._language,
            held=held,
        )

    def _begin(self, reply: Reply) -> None:
        self._active = reply
        self._memory.spoke(reply.item_id, "", 0.0)
        self._around.report(ReplyStarted(reply.reply_id, reply.wanted.kind, reply.wanted.request))

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`."""
        if not by_caller:
            self._waiting.clear()
            self.throw_away()
            for round_ in self._rounds.values():
                round_.goes_on = False
        self._stop(item_id, heard_ms)
        if not by_caller:
            self._broken = None

    def _stop(self, item_id: str, heard_ms: int) -> None:
        """Stop what runs, and forget what was not heard."""
        reply, self._active = self._active, None
        unsaid: list[str] = []
        if reply is not None:
            reply.stop()
            unsaid.append(reply.unspoken)
            if not item_id:
                # With nothing in play, all that was made of it was heard.
                item_id, heard_ms = reply.item_id, round(self._sound_ms.get(reply.item_id, 0.0))
        unheard = [forgotten.text for forgotten in self._memory.cut(item_id, heard_ms)]
        for in_play in list(self._in_play):
            self._no_more_of(in_play)
        if item_id:
            self._broken = _Broken(
                wanted=reply.wanted if reply is not None else Wanted(ReplyKind.ANSWER, ""),
                rest=" ".join(text for text in (*unheard, *unsaid) if text),
                whole=reply is None or reply.thought,
                begun=reply is None or reply.spoke,
            )
        if reply is not None:
            self._done(reply, "cancelled", "")
        self._settle()

    def close(self) -> None:
        """Nothing more of any reply."""
        self.closed = True
        self._waiting.clear()
        for reply in (self._active, self._held):
            if reply is not None:
                reply.stop()
                self._bill.throw_away(*self._cost(reply))
        self._active = self._held = None
        for item_id in list(self._in_play):
            self._no_more_of(item_id)

    # ── what is in play ───────────────────────────────────────────────────────────────────

    def played(self, item_id: str) -> None:
        """See `Engine.played`."""
        if item_id in self._in_play and not (self._active and self._active.item_id == item_id):
            self._no_more_of(item_id)
            self._memory.heard(item_id)
            self._settle()

    def _no_more_of(self, item_id: str) -> None:
        timer = self._in_play.pop(item_id)
        if timer is not None:
            timer.cancel()
        del self._sound_ms[item_id]

    def _await_play(self, item_id: str) -> None:
        """The carrier confirms an item; where it does not, time does."""
        longest_s = (self._sound_ms[item_id] + UNCONFIRMED_MS) / 1000
        self._in_play[item_id] = asyncio.get_running_loop().call_later(longest_s, self.played, item_id)

    def _settle(self) -> None:
        """Tell what the AI does, if that is new."""
        busy = self._active is not None or self._waiting or self._rounds
        does = Does.SPEAKS if self._in_play else Does.THINKS if busy else Does.NOTHING
        if does is not self._does and not self.closed:
            self._does = does
            self._around.does(does)

    # ── what replies tell (`cascade_reply.Telling`) ───────────────────────────────────────

    def sound(self, reply: Reply, words: str, mulaw: bytes) -> None:
        """Words and sound leave."""
        item_id, sound_ms = reply.item_id, len(mulaw) / BYTES_PER_MS
        self._memory.spoke(item_id, words, sound_ms)
        if words:
            self._around.report(ReplyWords(reply.reply_id, item_id, words))
        if mulaw:
            self._left_out = 0
            self._sound_ms[item_id] = self._sound_ms.get(item_id, 0.0) + sound_ms
            self._in_play.setdefault(item_id, None)
            self._around.speak(item_id, b2a_base64(mulaw, newline=False).decode())
            self._settle()

    def reached(self, reply: Reply, step: Step, vendor: str, at_s: float) -> None:
        """A step was reached."""
        if reply.wanted.kind is ReplyKind.ANSWER:
            self.step(step, vendor, self._around.now_ms(at_s))

    def characters(self, count: int) -> None:
        """See `Telling`."""
        self._bill.spoken_chars += count

    def left_out(self, failure: VoiceFailed) -> None:
        """A sentence is not spoken; one after the other means that the voice is of no use."""
        self._left_out += 1
        if self._left_out >= MOST_LEFT_OUT:
            self._around.fail(EngineLost(str(failure), fatal=True))
        else:
            text = f"{failure} The AI left a sentence out and goes on. Say it yourself if the caller needs it."
            self._around.report(Trouble("sentence_left_out", text))

    def over(self, reply: Reply, failure: ChatFailed | VoiceFailed | None) -> None:
        """All of it left, or no more will."""
        if reply is self._held:
            # What failed ahead of time is tried in earnest.
            self.throw_away()
        elif reply is self._active and failure is not None:
            self._around.fail(EngineLost(str(failure), fatal=failure.fatal))
        elif reply is self._active:
            self._active = None
            self._memory.spoken(reply.item_id)
            if reply.spoke:
                exactly = reply.wanted.text if reply.whole else None
                text = exactly if exactly is not None else reply.told.rstrip()
                self._around.report(ReplyWordsDone(reply.reply_id, reply.item_id, text))
                self._await_play(reply.item_id)
                self._around.report(SpeechDone(reply.item_id))
            reason = _INCOMPLETE.get(reply.finish, "")
            self._done(reply, "incomplete" if reason else "completed", reason)
            self.pump()

    def _done(self, reply: Reply, status: str, reason: str) -> None:
        if reply.asked:
            calls = [f"{call.name} {call.arguments}" for call in reply.calls]
            value = {"text": reply.text, "tools": calls, "finish": reply.finish}
            self._around.show(False, "chat.completion", value)
        for used in self._bill.take():
            self._around.report(used)
        cost = self._cost(reply)
        self._around.report(ReplyDone(reply.reply_id, reply.wanted.kind, status, reason, reply.spoke, *cost))
        if (round_ := self._rounds.get(reply.reply_id)) is not None:
            round_.over = True
            self._go_on(reply.reply_id, round_)

    def _cost(self, reply: Reply) -> tuple[int, float]:
        usage = reply.usage
        counted = (usage.read, usage.cached, usage.written) if usage is not None else None
        return self._bill.reply(counted, reply.asked, reply.text)

    # ── tools ─────────────────────────────────────────────────────────────────────────────

    def tools(self, reply: Reply, calls: Sequence[ToolCall]) -> None:
        """The model wants these. Their ids are made here: a model's own may come again."""
        named = {f"{reply.reply_id}-{number}": call for number, call in enumerate(calls, 1)}
        self._memory.tools_called([(tool_id, call.name, call.arguments) for tool_id, call in named.items()])
        self._rounds[reply.reply_id] = _Round(set(named))
        for tool_id, call in named.items():
            if call.name == SET_PACE and hasattr(self._voice, "speed"):
                self.answer_tool(tool_id, self._set_pace(call.arguments))
            else:
                self._around.report(ToolAsked(tool_id, call.name, call.arguments))

    def answer_tool(self, tool_id: str, output: str) -> None:
        """See `Engine.answer_tool`. Ids that were not asked for, or are answered, are passed over."""
        for reply_id, round_ in list(self._rounds.items()):
            if tool_id in round_.waiting:
                round_.waiting.remove(tool_id)
                self._memory.tool_answered(tool_id, output)
                self._go_on(reply_id, round_)

    def _go_on(self, reply_id: str, round_: _Round) -> None:
        """Once a reply and its tools are over, another speaks of what they found."""
        if round_.over and not round_.waiting:
            del self._rounds[reply_id]
            if round_.goes_on and self.allowed:
                self.answer()
            self._settle()

    def _set_pace(self, arguments: str) -> str:
        with suppress(msgspec.DecodeError, KeyError, TypeError):
            self._voice.speed = _PACES[msgspec.json.decode(arguments)["pace"]]  # type: ignore[attr-defined]
            return '{"ok":true}'
        return '{"error":"there is no such pace"}'

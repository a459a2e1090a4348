"""A cascade as an engine: a transcriber, a model that chats and a voice, each of its own vendor.

`cascade_listening` hears, `turn_taking` judges whose turn it is, `cascade_memory` knows what was said,
`cascade_reply` makes one reply; here they are put together. Replies run one at a time, in the order in
which they were wanted. One reply is one item: an operator sees it as one line, and a cut names it.
"""

from __future__ import annotations

import asyncio
from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import msgspec

from bridge.audio import BYTES_PER_MS, FRAME_MS
from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    EngineLost,
    Event,
    Listener,
    Ready,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    SpeechDone,
    Step,
    ToolAsked,
    Trouble,
    Used,
)
from bridge.engines import Reached as StepReached
from bridge.engines.cascade_listening import Listening
from bridge.engines.cascade_memory import FALSE_INTERRUPTION, Memory, Message
from bridge.engines.cascade_reply import Reply, Tempo, Wanted
from bridge.engines.chat import Chat, ChatFailed, ToolCall
from bridge.engines.local_vad import SILENT_DB, LocalVad, level_db
from bridge.engines.openai import load_prices
from bridge.engines.prices import Rates, minutes_usd, rates_for, speech_usd, tokens_usd
from bridge.engines.speakable import speakable
from bridge.engines.speech import LiveVoice, MakeTranscriber, VoiceFailed, Words
from bridge.engines.turn_taking import (
    SILENCE_MS,
    AreYouThere,
    Began,
    Ended,
    FalseAlarm,
    FellSilent,
    GiveUp,
    MayAnswer,
    Outcome,
    TakeBack,
    TurnTaking,
)

WARM_S = 1.0
"""How long a call may wait for connections to be made ahead."""

CLOSE_S = 0.9
UNCONFIRMED_MS = 3000
"""So long after its end an item counts as heard although the carrier did not confirm it."""

MOST_WAITING = 8
CHARS_PER_TOKEN = 4
"""About; for what a model did not come to count."""

SHOWN_MESSAGES = 4
BILLED_AT_BYTES = 30 * 1000 * BYTES_PER_MS

SLOWER, FASTER = 0.85, 1.15
SET_PACE = "set_speaking_pace"
_PACES = {"slower": SLOWER, "normal": 1.0, "faster": FASTER}
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

_ARE_YOU_THERE = {
    "en": "Are you still there?",
    "de": "Sind Sie noch da?",
    "fr": "Vous êtes toujours là ?",
    "es": "¿Sigue usted ahí?",
}

Ear: TypeAlias = Callable[[bytes], tuple[bool, float]]
"""Whether a frame of mu-law holds speech, and how loud it is in dB below full scale (0 loudest)."""

_numbers = count(1)
"""Of engines in this process: a call that changes engines must not see the same id twice."""


@dataclass(frozen=True, slots=True)
class Config:
    """One cascade. tools: flat declarations. transcriber, transcriber_model: for figures and prices.

    vendor_knows, interim, eager: what the transcriber can, see `TurnTaking`; eager also asks for speculation.
    silence_ms: after which the caller is asked whether they are there.
    """

    instructions: str
    tools: tuple[Mapping[str, Any], ...] = ()
    language: str = "en"
    transcriber: str = ""
    transcriber_model: str = ""
    vendor_knows: bool = False
    interim: bool = True
    eager: bool = True
    silence_ms: int = SILENCE_MS


@dataclass(slots=True)
class _Round:
    """Tools of one reply that have no result yet. over: the reply itself is. goes_on: a reply follows them."""

    waiting: set[str]
    over: bool = False
    goes_on: bool = True


@dataclass(slots=True)
class _Broken:
    """What a caller broke off: to be taken up again if they did not mean to."""

    wanted: Wanted
    rest: str
    whole: bool
    begun: bool


class Cascade(Words):
    """One call's, used for one `run`; see `Engine`. Its transcriber and its voice end with it, the chat is shared.

    ear: tells speech from silence, this machine's detector if None. prices: instead of `load_prices`.
    """

    def __init__(
        self,
        config: Config,
        *,
        transcriber: MakeTranscriber,
        chat: Chat,
        voice: LiveVoice,
        ear: Ear | None = None,
        prices: Mapping[str, Rates] | None = None,
    ) -> None:
        prices = load_prices() if prices is None else prices
        self._config = config
        self._chat, self._voice = chat, voice
        self._ear = ear or _local_ear()
        self._memory = Memory(config.instructions)
        self._listening = Listening(transcriber, self)
        self._turns = TurnTaking(
            language=config.language,
            vendor_knows=config.vendor_knows,
            interim=config.interim,
            eager=config.eager,
            silence_ms=config.silence_ms,
        )
        self._tempo = Tempo()
        self._tools = [*config.tools, _PACE_TOOL] if hasattr(voice, "speed") else [*config.tools]
        self._chat_rates = rates_for(chat.model, prices)
        self._voice_rates = rates_for(voice.model, prices)
        self._ear_rates = rates_for(config.transcriber_model, prices)
        self._name = f"cascade-{next(_numbers)}"
        self._replies = count(1)
        self._listener: Listener | None = None
        self._over: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._closing = False
        self._at_ms, self._at_s = 0, 0.0
        self._unbilled_bytes = 0
        self._unbilled_chars = 0
        self._allowed = True
        self._waiting: deque[Wanted] = deque()
        self._active: Reply | None = None
        self._held: Reply | None = None
        self._unplayed: dict[str, asyncio.TimerHandle | None] = {}
        self._sound_ms: dict[str, float] = {}
        self._ai_is = "silent"
        self._rounds: dict[str, _Round] = {}
        self._broken: _Broken | None = None
        self._turn = ""
        self._loose = ("", "")
        self._parts: dict[str, str] = {}
        self._closed_parts: deque[str] = deque(maxlen=64)
        self._owes_answer = False
        self._steps: set[Step] = set(Step)
        self._tasks: set[asyncio.Task[None]] = set()

    # ── life ──────────────────────────────────────────────────────────────────────────────

    async def run(self, listener: Listener) -> None:
        """See `Engine.run`."""
        if self._closing:
            return
        self._listener = listener
        self._over = asyncio.get_running_loop().create_future()
        self._start(self._listening.run())
        self._start(self._warm_up())
        try:
            await self._over
        finally:
            self._closing = True
            self._quiet()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, self._voice.close(), return_exceptions=True)
            self._ended.set()

    async def close(self) -> None:
        """See `Engine.close`."""
        self._closing = True
        if self._over is None:
            return
        if not self._over.done():
            self._over.set_result(None)
        ending = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait([ending], timeout=CLOSE_S)
        ending.cancel()

    async def _warm_up(self) -> None:
        warming = [asyncio.ensure_future(warm) for warm in (self._chat.warm(), self._voice.warm())]
        try:
            await asyncio.wait(warming, timeout=WARM_S)
            self._tell(Ready(self._chat.model))
            self._pump()
            await asyncio.gather(*warming)
        finally:
            for task in warming:
                task.cancel()

    async def _warm_again(self) -> None:
        await asyncio.gather(self._chat.warm(), self._voice.warm())

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._watch(task)

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fail(fault)

    def _fail(self, fault: BaseException) -> None:
        self._quiet()
        if self._over is not None and not self._over.done():
            self._over.set_exception(fault)

    def _quiet(self) -> None:
        """Nothing more of any reply."""
        self._waiting.clear()
        for reply in (self._active, self._held):
            if reply is not None:
                reply.stop()
        self._active = self._held = None
        for item_id in list(self._unplayed):
            self._no_more_of(item_id)

    def _tell(self, event: Event) -> None:
        if self._listener is not None and not (self._over and self._over.done()):
            self._listener.on_event(event)

    def _now_ms(self, at_s: float | None = None) -> int:
        """Call time, now or at a time of the loop."""
        at_s = asyncio.get_running_loop().time() if at_s is None else at_s
        return self._at_ms + round((at_s - self._at_s) * 1000) if self._at_s else 0

    # ── what is heard ─────────────────────────────────────────────────────────────────────

    def hear(self, payload: str, at_ms: int) -> None:
        """See `Engine.hear`. Fifty times a second on every call."""
        try:
            mulaw = a2b_base64(payload)
        except NotBase64:
            return
        self._listening.hear(mulaw, at_ms)
        if self._over is None or self._closing:
            return
        self._at_ms, self._at_s = at_ms + FRAME_MS, asyncio.get_running_loop().time()
        self._unbilled_bytes += len(mulaw)
        speech, level_db = self._ear(mulaw)
        if outcomes := self._turns.frame(speech, level_db, at_ms):
            self._obey(outcomes)
        if self._unbilled_bytes > BILLED_AT_BYTES:
            self._bill_listening()

    def started(self, turn_id: str, at_ms: int) -> None:
        """See `Words.started`."""
        self._obey(self._turns.started(turn_id, at_ms))

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        """See `Words.heard`."""
        outcomes = self._turns.words(turn_id, text, final, self._now_ms())
        if turn_id in self._closed_parts:
            self._obey(outcomes)
            return
        self._parts[turn_id] = text
        if self._turn or any(isinstance(outcome, Began) for outcome in outcomes):
            self._obey(outcomes)
            if self._turn:
                self._tell(CallerWords(self._turn, " ".join(filter(None, self._parts.values())), final=False))
        else:
            # Perhaps never a turn ("mm-hm" while the AI speaks): an operator sees it all the same.
            if final and text:
                self._loose = (f"{self._name}-{turn_id}", text)
                self._tell(CallerWords(*self._loose, final=True))
                del self._parts[turn_id]
            self._obey(outcomes)

    def failed(self, turn_id: str, reason: str) -> None:
        """See `Words.failed`."""
        self._obey(self._turns.failed(turn_id, self._now_ms()))

    def may_end(self, turn_id: str) -> None:
        """See `Words.may_end`."""
        self._obey(self._turns.may_end(turn_id, self._now_ms()))

    def goes_on(self, turn_id: str) -> None:
        """See `Words.goes_on`."""
        self._obey(self._turns.goes_on(turn_id, self._now_ms()))

    def ended(self, turn_id: str, at_ms: int) -> None:
        """See `Words.ended`."""
        self._obey(self._turns.ended(turn_id, at_ms))

    def _obey(self, outcomes: Sequence[Outcome]) -> None:
        """Do what the taking of turns says."""
        for outcome in outcomes:
            match outcome:
                case Began():
                    self._caller_began(outcome)
                case FellSilent():
                    self._listening.pause()
                case MayAnswer(text=text):
                    self._prepare(text)
                case TakeBack():
                    self._throw_away()
                case Ended(text=text, at_ms=at_ms):
                    self._caller_ended(text, at_ms)
                case FalseAlarm(resume=resume):
                    self._false_alarm(resume)
                case AreYouThere():
                    language = self._config.language.partition("-")[0]
                    self._want(Wanted(ReplyKind.ANSWER, _ARE_YOU_THERE.get(language, _ARE_YOU_THERE["en"])))
                case GiveUp():
                    text = "The caller says nothing any more, and was asked twice. Speak to them, or hang up."
                    self._tell(Trouble("caller_silent", text))

    # ── the caller's turns ────────────────────────────────────────────────────────────────

    def _caller_began(self, began: Began) -> None:
        loose_id, loose = self._loose
        self._turn = loose_id if loose and began.words == loose else f"{self._name}-{began.turn_id}"
        self._loose = ("", "")
        self._throw_away()
        self._broken = None
        self._tell(CallerStarted(self._turn, began.at_ms, began.speech_ms, began.words))
        if self._allowed and self._active is not None:
            # Nothing of it was in play, or we would have been told to cut it.
            self._cut("", 0)
        if self._allowed:
            self._start(self._warm_again())

    def _caller_ended(self, text: str, at_ms: int) -> None:
        turn, self._turn = self._turn, ""
        self._close_parts()
        self._broken = None
        self._steps.clear()
        self._tell(CallerStopped(turn, at_ms))
        self._tell(CallerWords(turn, text, final=True))
        self._reached(Step.WORDS, self._config.transcriber, self._now_ms())
        self._bill_listening()
        self._memory.caller_said(text)
        held, self._held = self._held, None
        self._owes_answer = False
        if not self._allowed:
            self._stop(held)
        elif held is not None and self._active is None:
            self._begin(held)
            held.release()
            self._settle()
        else:
            self._stop(held)
            self.answer_now()

    def _false_alarm(self, resume: bool) -> None:
        turn, self._turn = self._turn, ""
        if turn:
            self._tell(CallerWords(turn, " ".join(filter(None, self._parts.values())), final=True))
        self._close_parts()
        self._throw_away()
        broken, self._broken = self._broken, None
        owed, self._owes_answer = self._owes_answer, False
        if resume and broken is not None and self._allowed:
            self._take_up(broken)
        elif owed and self._allowed:
            self.answer_now()
        self._pump()

    def _close_parts(self) -> None:
        self._closed_parts.extend(self._parts)
        self._parts.clear()

    def _take_up(self, broken: _Broken) -> None:
        """Go on with what was broken off, before all else that waits."""
        if not broken.begun:
            # The caller's words are in the memory by now.
            again = broken.wanted.kind is ReplyKind.ANSWER and broken.wanted.text is None
            self._waiting.appendleft(self._answer() if again else broken.wanted)
        elif broken.whole:
            if broken.rest:
                self._waiting.appendleft(Wanted(ReplyKind.ANSWER, broken.rest))
        else:
            self._waiting.appendleft(self._answer(last=FALSE_INTERRUPTION))

    def _prepare(self, text: str) -> None:
        """Think ahead: the caller may have finished."""
        if self._config.eager and self._allowed and not (self._active or self._waiting or self._held):
            self._held = self._made(self._answer(caller=text), held=True)
            self._watch(self._held.start())

    def _throw_away(self) -> None:
        held, self._held = self._held, None
        self._stop(held)

    def _stop(self, reply: Reply | None) -> None:
        """No more of a reply that nobody heard of."""
        if reply is not None:
            reply.stop()
            tokens, cost_usd = self._cost(reply)
            if tokens:
                self._tell(Used(tokens, cost_usd, self._chat.vendor))
            self._bill_speaking()

    # ── what is wanted ────────────────────────────────────────────────────────────────────

    def recall(self, turns: Sequence[Remembered]) -> None:
        """See `Engine.recall`."""
        self._memory.recall(turns)

    def greet(self, first_line: str) -> None:
        """See `Engine.greet`."""
        self._want(Wanted(ReplyKind.GREETING, first_line))

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`."""
        self._memory.whisper(text)

    def tell(self, text: str) -> None:
        """See `Engine.tell`."""
        self._memory.note(text)

    def ask(self, text: str, request: str, *, cut_in: bool) -> None:
        """See `Engine.ask`. A cut that goes with it comes before it."""
        last = f'Tell the caller, in your own words: "{text}"'
        self._want(
            Wanted(
                ReplyKind.ASK,
                request=request,
                messages=lambda: self._asking(self._memory.messages(last=last)),
                tools=self._tools,
                tool_choice="none",
            )
        )

    def say(self, text: str, request: str) -> None:
        """See `Engine.say`."""
        self._want(Wanted(ReplyKind.SAY, text, request))

    def answer_now(self) -> None:
        """See `Engine.answer_now`."""
        if self._turn:
            # Their turn will be answered with it.
            self._owes_answer = True
        elif all(wanted.kind is not ReplyKind.ANSWER for wanted in self._waiting):
            self._want(self._answer())

    def may_answer(self, allowed: bool) -> None:
        """See `Engine.may_answer`."""
        self._allowed = allowed
        if not allowed:
            self._throw_away()
            self._broken = None
            self._owes_answer = False
            self._waiting = deque(wanted for wanted in self._waiting if wanted.kind is not ReplyKind.ANSWER)
        if self._over is not None:
            self._obey(self._turns.caller_expected(allowed, self._now_ms()))
            self._settle()

    def unhear(self) -> None:
        """See `Engine.unhear`."""
        self._listening.forget()
        self._turn = ""
        self._close_parts()
        self._loose = ("", "")
        if self._over is not None:
            self._obey(self._turns.forget(self._now_ms()))

    def key(self, digit: str) -> None:
        """See `Engine.key`: it is told in words too; here it shows that somebody is there."""
        if self._over is not None:
            self._obey(self._turns.key(self._now_ms()))

    def _answer(self, *, caller: str = "", last: str = "") -> Wanted:
        return Wanted(
            ReplyKind.ANSWER,
            messages=lambda: self._asking(self._memory.messages(caller=caller, last=last)),
            tools=self._tools,
            caller=caller,
        )

    def _asking(self, messages: list[Message]) -> list[Message]:
        """Let the operator's raw view see the newest of what the model is asked with."""
        self._message(True, "chat.completions", messages[-SHOWN_MESSAGES:])
        return messages

    def _message(self, outbound: bool, name: str, value: object) -> None:
        if self._listener is not None:
            self._listener.on_message(outbound, name, msgspec.json.encode(value).decode())

    def _want(self, wanted: Wanted) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._tell(Trouble("too_much_wanted", "Too much waits to be said already. Try again in a moment."))
            return
        self._waiting.append(wanted)
        self._pump()

    # ── replies ───────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        """Begin the next reply, if none runs. Answers wait until the caller has finished."""
        if self._active is None and self._listener is not None and not self._closing:
            for wanted in self._waiting:
                if not (self._turn and wanted.kind is ReplyKind.ANSWER):
                    self._waiting.remove(wanted)
                    self._throw_away()
                    reply = self._made(wanted)
                    self._begin(reply)
                    self._watch(reply.start())
                    break
        self._settle()

    def _made(self, wanted: Wanted, *, held: bool = False) -> Reply:
        return Reply(
            f"{self._name}-{next(self._replies)}",
            wanted,
            chat=self._chat,
            voice=self._voice,
            telling=self,
            tempo=self._tempo,
            speakable=self._speakable,
            language=self._config.language,
            held=held,
        )

    def _speakable(self, text: str) -> str:
        return speakable(text, self._config.language)

    def _begin(self, reply: Reply) -> None:
        self._active = reply
        self._memory.spoke(reply.item_id, "", 0.0)
        self._tell(ReplyStarted(reply.reply_id, reply.wanted.kind, reply.wanted.request))

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`."""
        if not by_caller:
            self._waiting.clear()
            self._throw_away()
            for round_ in self._rounds.values():
                round_.goes_on = False
        self._cut(item_id, heard_ms)
        if not by_caller:
            self._broken = None

    def _cut(self, item_id: str, heard_ms: int) -> None:
        """Stop, and forget what was not heard."""
        reply, self._active = self._active, None
        for unplayed in list(self._unplayed):
            self._no_more_of(unplayed)
        rest = []
        if reply is not None:
            reply.stop()
            # With nothing in play, all that was made of it was heard.
            rest = [reply.unspoken]
            heard_ms = round(self._sound_ms.get(reply.item_id, 0.0)) if not item_id else heard_ms
            item_id = item_id or reply.item_id
        rest = [unheard.text for unheard in self._memory.cut(item_id, heard_ms)] + rest
        if reply is not None:
            self._memory.spoken(reply.item_id)
        if item_id:
            wanted = reply.wanted if reply is not None else Wanted(ReplyKind.ANSWER, "")
            whole = reply is None or reply.thought
            self._broken = _Broken(wanted, " ".join(filter(None, rest)), whole, reply is None or reply.spoke)
        if reply is not None:
            self._done(reply, "cancelled", "")
        self._settle()

    def played(self, item_id: str) -> None:
        """See `Engine.played`."""
        if item_id in self._unplayed:
            self._no_more_of(item_id)
            self._memory.heard(item_id)
            self._settle()

    def _no_more_of(self, item_id: str) -> None:
        """An item is in play no more."""
        timer = self._unplayed.pop(item_id, None)
        if timer is not None:
            timer.cancel()
        self._sound_ms.pop(item_id, None)

    def _settle(self) -> None:
        """Let the taking of turns know what the AI does."""
        if self._over is None or self._closing:
            return
        busy = self._active is not None or self._waiting or self._rounds
        now_is = "speaks" if self._unplayed else "thinks" if busy else "silent"
        if now_is == self._ai_is:
            return
        self._ai_is = now_is
        turns = self._turns
        tell = {"speaks": turns.speaks, "thinks": turns.thinks, "silent": turns.played}[now_is]
        self._obey(tell(self._now_ms()))

    # ── what replies tell ─────────────────────────────────────────────────────────────────

    def sound(self, reply: Reply, words: str, mulaw: bytes) -> None:
        """See `cascade_reply.Telling`."""
        sound_ms = len(mulaw) / BYTES_PER_MS
        self._memory.spoke(reply.item_id, words, sound_ms)
        if words:
            self._tell(ReplyWords(reply.reply_id, reply.item_id, words))
        if mulaw and self._listener is not None:
            self._sound_ms[reply.item_id] = self._sound_ms.get(reply.item_id, 0.0) + sound_ms
            self._unplayed.setdefault(reply.item_id, None)
            self._listener.on_speech(reply.item_id, b2a_base64(mulaw, newline=False).decode())
            self._settle()

    def reached(self, reply: Reply, step: Step, vendor: str, at_s: float) -> None:
        """See `cascade_reply.Telling`."""
        if reply.wanted.kind is ReplyKind.ANSWER:
            self._reached(step, vendor, self._now_ms(at_s))

    def _reached(self, step: Step, vendor: str, at_ms: int) -> None:
        if step not in self._steps:
            self._steps.add(step)
            self._tell(StepReached(step, vendor, at_ms))

    def characters(self, vendor: str, model: str, count: int) -> None:
        """See `cascade_reply.Telling`."""
        self._unbilled_chars += count

    def tools(self, reply: Reply, calls: Sequence[ToolCall]) -> None:
        """See `cascade_reply.Telling`. Their ids are made here: a model's own may come again."""
        named = {f"{reply.reply_id}-{number}": call for number, call in enumerate(calls, 1)}
        self._memory.tools_called([(tool_id, call.name, call.arguments) for tool_id, call in named.items()])
        self._rounds[reply.reply_id] = _Round(set(named))
        for tool_id, call in named.items():
            if call.name == SET_PACE and hasattr(self._voice, "speed"):
                self.answer_tool(tool_id, self._set_pace(call.arguments))
            else:
                self._tell(ToolAsked(tool_id, call.name, call.arguments))

    def _set_pace(self, arguments: str) -> str:
        with suppress(msgspec.DecodeError, KeyError, TypeError):
            self._voice.speed = _PACES[msgspec.json.decode(arguments)["pace"]]  # type: ignore[attr-defined]
            return '{"ok":true}'
        return '{"error":"no such pace"}'

    def answer_tool(self, tool_id: str, output: str) -> None:
        """See `Engine.answer_tool`. Ids that were not asked for, or are answered, are passed over."""
        for reply_id, round_ in list(self._rounds.items()):
            if tool_id in round_.waiting:
                round_.waiting.remove(tool_id)
                self._memory.tool_answered(tool_id, output)
                self._go_on(reply_id)

    def _go_on(self, reply_id: str) -> None:
        """Once a reply and its tools are over, another speaks of what they found."""
        round_ = self._rounds.get(reply_id)
        if round_ is not None and round_.over and not round_.waiting:
            del self._rounds[reply_id]
            if round_.goes_on and self._allowed:
                self.answer_now()
        self._settle()

    def over(self, reply: Reply, failure: ChatFailed | VoiceFailed | None) -> None:
        """See `cascade_reply.Telling`."""
        if reply is self._held:
            # What was thought ahead in vain is thought again in earnest.
            self._throw_away()
            return
        if reply is not self._active:
            return
        if failure is not None:
            self._fail(EngineLost(str(failure), fatal=failure.fatal))
            return
        self._active = None
        self._memory.spoken(reply.item_id)
        if reply.spoke:
            text = reply.wanted.text if reply.wanted.text is not None else reply.told.rstrip()
            self._tell(ReplyWordsDone(reply.reply_id, reply.item_id, text))
            self._await_play(reply.item_id)
            self._tell(SpeechDone(reply.item_id))
        reasons = {"length": "its longest was reached", "content_filter": "the model's rules forbid it"}
        reason = reasons.get(reply.finish, "")
        self._done(reply, "incomplete" if reason else "completed", reason)
        self._pump()

    def _await_play(self, item_id: str) -> None:
        """The carrier confirms an item; where it does not, time does."""
        if item_id in self._unplayed:
            longest_s = (self._sound_ms.get(item_id, 0.0) + UNCONFIRMED_MS) / 1000
            self._unplayed[item_id] = asyncio.get_running_loop().call_later(longest_s, self.played, item_id)

    def _done(self, reply: Reply, status: str, reason: str) -> None:
        tokens, cost_usd = self._cost(reply)
        self._bill_speaking()
        if reply.asked:
            calls = [f"{call.name} {call.arguments}" for call in reply.calls]
            self._message(False, "chat.completion", {"text": reply.text, "tools": calls, "finish": reply.finish})
        self._tell(ReplyDone(reply.reply_id, reply.wanted.kind, status, reason, reply.spoke, tokens, cost_usd))
        if (round_ := self._rounds.get(reply.reply_id)) is not None:
            round_.over = True
        self._go_on(reply.reply_id)

    # ── what it costs ─────────────────────────────────────────────────────────────────────

    def _cost(self, reply: Reply) -> tuple[int, float]:
        """Tokens and USD of a reply; guessed where the model did not come to count."""
        usage = reply.usage
        if usage is not None:
            read, cached, written = usage.read, usage.cached, usage.written
        elif reply.asked:
            read = sum(len(str(message.get("content") or "")) for message in reply.asked) // CHARS_PER_TOKEN
            cached, written = 0, len(reply.text) // CHARS_PER_TOKEN
        else:
            return 0, 0.0
        return read + written, tokens_usd(self._chat_rates, text_in=read, text_cached=cached, text_out=written)

    def _bill_speaking(self) -> None:
        chars, self._unbilled_chars = self._unbilled_chars, 0
        if chars:
            self._tell(Used(0, speech_usd(self._voice_rates, chars), self._voice.vendor))

    def _bill_listening(self) -> None:
        heard, self._unbilled_bytes = self._unbilled_bytes, 0
        seconds = heard / BYTES_PER_MS / 1000
        if seconds:
            self._tell(Used(0, minutes_usd(self._ear_rates, seconds), self._config.transcriber))


def _local_ear() -> Ear:
    vad = LocalVad()
    return lambda mulaw: (True, level_db(mulaw)) if vad.is_speech(mulaw) else (False, SILENT_DB)

"""A cascade as an engine: a transcriber, a model that chats and a voice, each of its own vendor.

`cascade_listening` hears, `turn_taking` judges whose turn it is, `cascade_memory` knows what was said,
`cascade_replies` answers; here they are put together. One reply is one item: an operator sees it as one
line, and a cut names it.
"""

from __future__ import annotations

import asyncio
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import msgspec

from bridge.audio import BYTES_PER_MS, FRAME_MS
from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    Event,
    Listener,
    Ready,
    Remembered,
    ReplyKind,
    Step,
    Trouble,
    Used,
)
from bridge.engines import turn_taking as taking
from bridge.engines.cascade_bill import Bill
from bridge.engines.cascade_listening import Listening
from bridge.engines.cascade_memory import Memory
from bridge.engines.cascade_replies import Does, Replies
from bridge.engines.chat import Chat
from bridge.engines.local_vad import SILENT_DB, LocalVad, level_db
from bridge.engines.openai import load_prices
from bridge.engines.prices import Rates
from bridge.engines.speech import LiveVoice, MakeTranscriber, Words
from bridge.engines.turn_taking import TurnTaking

WARM_S = 1.0
"""How long a call may wait for connections to be made ahead."""

CLOSE_S = 0.9
BILLED_AT_BYTES = 30 * 1000 * BYTES_PER_MS
KEPT_PARTS = 64

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

    vendor_knows, interim, commits: what the transcriber can, see `TurnTaking`. eager: think when the caller may have
    finished. silence_ms: after which the caller is asked whether they are there.
    """

    instructions: str
    tools: tuple[Mapping[str, Any], ...] = ()
    language: str = "en"
    transcriber: str = ""
    transcriber_model: str = ""
    vendor_knows: bool = False
    interim: bool = True
    commits: bool = False
    eager: bool = True
    silence_ms: int = taking.SILENCE_MS


class Cascade:
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
        self._config = config
        self._chat, self._voice = chat, voice
        self._ear = ear or _local_ear()
        self._name = f"cascade-{next(_numbers)}"
        self._bill = Bill(
            load_prices() if prices is None else prices,
            transcriber=(config.transcriber, config.transcriber_model),
            chat=(chat.vendor, chat.model),
            voice=(voice.vendor, voice.model),
            # Only where its vendor counts what it charges.
            voice_usd=lambda: getattr(voice, "cost_usd", 0.0),
        )
        self._memory = Memory(config.instructions)
        self._turns = TurnTaking(
            language=config.language,
            vendor_knows=config.vendor_knows,
            interim=config.interim,
            commits=config.commits,
            eager=config.eager,
            silence_ms=config.silence_ms,
        )
        self._listening = Listening(transcriber, _Told(self._turns, self))
        self._replies = Replies(
            self._name,
            self._memory,
            self,
            self._bill,
            chat=chat,
            voice=voice,
            tools=config.tools,
            language=config.language,
        )
        self._listener: Listener | None = None
        self._over: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_ms, self._at_s = 0, 0.0
        self._turn = ""
        self._loose = ("", "")
        self._parts: dict[str, str] = {}
        self._closed_parts: deque[str] = deque(maxlen=KEPT_PARTS)

    # ── life ──────────────────────────────────────────────────────────────────────────────

    async def run(self, listener: Listener) -> None:
        """See `Engine.run`."""
        if self._closing:
            return
        self._listener = listener
        self._over = asyncio.get_running_loop().create_future()
        self._replies.closed = False
        self._start(self._listening.run())
        self._start(self._warm_up())
        try:
            await self._over
        finally:
            self._closing = True
            self._replies.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, self._voice.close(), return_exceptions=True)
            for used in self._used():
                listener.on_event(used)
            self._ended.set()

    async def close(self) -> None:
        """See `Engine.close`."""
        self._closing = True
        self._replies.close()
        if self._over is None:
            return
        if not self._over.done():
            self._over.set_result(None)
        # Not asyncio.timeout: before Python 3.11.3 it fails in a task that was cancelled.
        ending = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait([ending], timeout=CLOSE_S)
        ending.cancel()

    async def _warm_up(self) -> None:
        warming = asyncio.ensure_future(self._warm())
        try:
            await asyncio.wait([warming], timeout=WARM_S)
            self.report(Ready(self._chat.model))
            self._replies.pump()
            await warming
        finally:
            warming.cancel()

    async def _warm(self) -> None:
        await asyncio.gather(self._chat.warm(), self._voice.warm())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.watch(asyncio.ensure_future(work))

    def watch(self, task: asyncio.Task[None]) -> None:
        """See `cascade_replies.Around`."""
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.fail(fault)

    def fail(self, fault: BaseException) -> None:
        """See `cascade_replies.Around`."""
        self._replies.close()
        if self._over is not None and not self._over.done():
            self._over.set_exception(fault)

    @property
    def _at_work(self) -> bool:
        return self._over is not None and not (self._closing or self._over.done())

    # ── what the listener is told ─────────────────────────────────────────────────────────

    def report(self, event: Event) -> None:
        """See `cascade_replies.Around`."""
        if self._listener is not None and self._at_work:
            self._listener.on_event(event)

    def speak(self, item_id: str, payload: str) -> None:
        """See `cascade_replies.Around`."""
        if self._listener is not None and self._at_work:
            self._listener.on_speech(item_id, payload)

    def show(self, outbound: bool, name: str, value: object) -> None:
        """See `cascade_replies.Around`."""
        if self._listener is not None and self._at_work:
            self._listener.on_message(outbound, name, msgspec.json.encode(value).decode())

    def now_ms(self, at_s: float | None = None) -> int:
        """See `cascade_replies.Around`."""
        at_s = asyncio.get_running_loop().time() if at_s is None else at_s
        return self._at_ms + round((at_s - self._at_s) * 1000) if self._at_s else 0

    def does(self, does: Does) -> None:
        """See `cascade_replies.Around`."""
        turns = self._turns
        told = {Does.SPEAKS: turns.speaks, Does.THINKS: turns.thinks, Does.NOTHING: turns.played}
        self.obey(told[does](self.now_ms()))

    # ── what is heard ─────────────────────────────────────────────────────────────────────

    def hear(self, payload: str, at_ms: int) -> None:
        """See `Engine.hear`. Fifty times a second on every call."""
        try:
            mulaw = a2b_base64(payload)
        except NotBase64:
            return
        self._listening.hear(mulaw, at_ms)
        if not self._at_work:
            return
        self._at_ms, self._at_s = at_ms + FRAME_MS, asyncio.get_running_loop().time()
        self._bill.heard_bytes += len(mulaw)
        speech, loud_db = self._ear(mulaw)
        if speech:
            self._listening.speaks(at_ms)
        if outcomes := self._turns.frame(speech, loud_db, at_ms):
            self.obey(outcomes)
        if self._bill.heard_bytes > BILLED_AT_BYTES:
            self._tell_used()

    def words_came(self, part_id: str, text: str, final: bool) -> None:
        """A transcriber wrote something down; see `Words.heard`."""
        outcomes = self._turns.words(part_id, text, final, self.now_ms())
        if part_id in self._closed_parts:
            self.obey(outcomes)
            return
        self._parts[part_id] = text
        begins = any(isinstance(outcome, taking.Began) for outcome in outcomes)
        if final and text and not self._turn and not begins:
            # Perhaps never a turn ("mm-hm" while the AI speaks): an operator sees it all the same.
            self._loose = (f"{self._name}-{part_id}", text)
            self.report(CallerWords(*self._loose, final=True))
            del self._parts[part_id]
        self.obey(outcomes)
        if self._turn:
            self.report(CallerWords(self._turn, self._said(), final=False))

    def _said(self) -> str:
        return " ".join(text for text in self._parts.values() if text)

    def obey(self, outcomes: Sequence[taking.Outcome]) -> None:
        """Do what the taking of turns says."""
        for outcome in outcomes:
            match outcome:
                case taking.Began():
                    self._caller_began(outcome)
                case taking.FellSilent():
                    self._listening.pause()
                case taking.MayAnswer(text=text):
                    self._replies.prepare(text)
                case taking.TakeBack():
                    self._replies.throw_away()
                case taking.Ended(text=text, at_ms=at_ms):
                    self._caller_ended(text, at_ms)
                case taking.FalseAlarm(resume=resume):
                    self._false_alarm(resume)
                case taking.AreYouThere():
                    language = self._config.language.partition("-")[0]
                    self._replies.exactly(ReplyKind.ANSWER, _ARE_YOU_THERE.get(language, _ARE_YOU_THERE["en"]))
                case taking.GiveUp():
                    text = "The caller says nothing any more, and was asked twice. Speak to them, or hang up."
                    self.report(Trouble("caller_silent", text))

    def _caller_began(self, began: taking.Began) -> None:
        loose_id, loose = self._loose
        self._turn = loose_id if loose and began.words == loose else f"{self._name}-{began.turn_id}"
        self._loose = ("", "")
        self._replies.caller_began()
        self.report(CallerStarted(self._turn, began.at_ms, began.speech_ms, began.words))
        self._replies.caller_cuts_in()
        if self._at_work:
            self._start(self._warm())

    def _caller_ended(self, text: str, at_ms: int) -> None:
        turn = self._turn_over()
        self.report(CallerStopped(turn, at_ms))
        self.report(CallerWords(turn, text, final=True))
        self._tell_used()
        self._memory.caller_said(text)
        self._replies.step(Step.WORDS, self._config.transcriber, self.now_ms())
        self._replies.caller_ended()

    def _false_alarm(self, resume: bool) -> None:
        said = self._said()
        turn = self._turn_over()
        if turn:
            self.report(CallerWords(turn, said, final=True))
        self._replies.false_alarm(resume)

    def _turn_over(self) -> str:
        turn, self._turn = self._turn, ""
        self._closed_parts.extend(self._parts)
        self._parts.clear()
        return turn

    def _tell_used(self) -> None:
        for used in self._used():
            self.report(used)

    def _used(self) -> list[Used]:
        """What was used since the last time."""
        self._bill.heard_bytes += self._listening.replayed_bytes
        self._listening.replayed_bytes = 0
        return self._bill.take()

    # ── what is wanted ────────────────────────────────────────────────────────────────────

    def recall(self, turns: Sequence[Remembered]) -> None:
        """See `Engine.recall`."""
        self._memory.recall(turns)

    def greet(self, first_line: str) -> None:
        """See `Engine.greet`."""
        self._replies.exactly(ReplyKind.GREETING, first_line)

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`."""
        self._memory.whisper(text)

    def tell(self, text: str) -> None:
        """See `Engine.tell`."""
        self._memory.note(text)

    def ask(self, text: str, request: str, *, cut_in: bool) -> None:
        """See `Engine.ask`. A cut that goes with it comes before it."""
        self._replies.in_own_words(text, request)

    def say(self, text: str, request: str) -> None:
        """See `Engine.say`."""
        self._replies.exactly(ReplyKind.SAY, text, request)

    def answer_now(self) -> None:
        """See `Engine.answer_now`."""
        self._replies.answer()

    def may_answer(self, allowed: bool) -> None:
        """See `Engine.may_answer`."""
        self._replies.allow(allowed)
        if self._at_work:
            self.obey(self._turns.caller_expected(allowed, self.now_ms()))

    def unhear(self) -> None:
        """See `Engine.unhear`."""
        self._listening.forget()
        self._turn_over()
        self._loose = ("", "")
        if self._at_work:
            self.obey(self._turns.forget(self.now_ms()))

    def key(self, digit: str) -> None:
        """See `Engine.key`: it is told in words too; here it shows that somebody is there."""
        if self._at_work:
            self.obey(self._turns.key(self.now_ms()))

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`."""
        self._replies.cut(item_id, heard_ms, by_caller=by_caller)

    def played(self, item_id: str) -> None:
        """See `Engine.played`."""
        self._replies.played(item_id)

    def answer_tool(self, tool_id: str, output: str) -> None:
        """See `Engine.answer_tool`."""
        self._replies.answer_tool(tool_id, output)


class _Told(Words):
    """What is heard, for the taking of turns."""

    def __init__(self, turns: TurnTaking, cascade: Cascade) -> None:
        self._turns, self._cascade = turns, cascade

    def started(self, turn_id: str, at_ms: int) -> None:
        self._cascade.obey(self._turns.started(turn_id, at_ms))

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        self._cascade.words_came(turn_id, text, final)

    def failed(self, turn_id: str, reason: str) -> None:
        self._cascade.obey(self._turns.failed(turn_id, self._cascade.now_ms()))

    def may_end(self, turn_id: str) -> None:
        self._cascade.obey(self._turns.may_end(turn_id, self._cascade.now_ms()))

    def goes_on(self, turn_id: str) -> None:
        self._cascade.obey(self._turns.goes_on(turn_id, self._cascade.now_ms()))

    def ended(self, turn_id: str, at_ms: int) -> None:
        self._cascade.obey(self._turns.ended(turn_id, at_ms))


def _local_ear() -> Ear:
    vad = LocalVad()
    return lambda mulaw: (True, level_db(mulaw)) if vad.is_speech(mulaw) else (False, SILENT_DB)

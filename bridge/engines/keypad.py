"""A menu by keypad as an engine: no AI, and no network either where its words were spoken ahead.

`keypad_course` decides; this speaks, counts time and reports. Each announcement is one item. Time for
a key runs from the moment the caller has heard all, as the carrier confirmed (`Keypad.played`).
It has no ears for words: sound on the line only tells it to explain that keys are needed.
"""

from __future__ import annotations

import asyncio
import itertools
from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.audio import peak
from bridge.engines import (
    Because,
    Destination,
    Event,
    HandedOn,
    KeysMasked,
    Listener,
    Ready,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    SpeechDone,
    ToolAsked,
    Trouble,
)
from bridge.engines.keypad_course import Act, Course, Leave, Run, Speak
from bridge.engines.keypad_menu import Menu
from bridge.engines.pin_gate import Gate, Lockouts
from bridge.engines.speech import Voice, VoiceFailed
from bridge.engines.speech.recorded import recorded
from bridge.profiles import PinGate

KEYS = "0123456789*#"
PIECE_BYTES = 4000
"""Half a second."""

MOST_WAITING = 20

LOUD = 36
"""Height (`bridge.audio.peak`) from which a frame may be speech: 34 dB below full scale."""

SPEECH_FRAMES = 15
CLOSE_S = 0.9

# The items of one call keep their names apart even if several menus come in it.
_numbers = itertools.count(1)


def gate(pin: PinGate, pins: Mapping[str, str], number: str, lockouts: Lockouts) -> Gate:
    """A profile's gate for one call. pins: `Settings.pins`; number: the caller's; lockouts: the house's."""
    return Gate(
        pin=pins.get(pin.setting, ""),
        setting=pin.setting,
        attempts=pin.attempts,
        lockout_ms=pin.lockout_s * 1000,
        number=number,
        lockouts=lockouts,
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """Something to be said. request: an operator's, or ""."""

    text: str
    kind: ReplyKind
    request: str = ""

    @property
    def is_own(self) -> bool:
        """Whether the menu says it, and no operator."""
        return self.kind in (ReplyKind.ANSWER, ReplyKind.GREETING)


class Keypad:
    """One call's menu, used for one `run`; see `Engine`. It hands on by `HandedOn` and goes on until `close`."""

    def __init__(self, menu: Menu, *, voice: Voice, gate: Gate | None = None, because: Because | None = None) -> None:
        """voice: for what was not spoken ahead; it stays the house's. gate: see `gate`; None lets everybody in.

        because: why it comes instead of another engine; None if it was its turn.
        """
        self._course = Course(menu, gate, because)
        self._voice = voice
        self._listener: Listener | None = None
        self._early: list[Callable[[], None]] = []
        self._over: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[_Words] = deque()
        self._synthesis: asyncio.Task[None] | None = None
        self._in_play: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loud_frames = 0
        self._allowed = True
        self._recalled = False
        self._unsaid = ""
        self._is_speechless = False
        self._is_masked = False
        self._tool_id = ""

    # ── life ──────────────────────────────────────────────────────────────────────────────

    async def run(self, listener: Listener) -> None:
        """See `Engine.run`. It is never lost: what it cannot say it hands on."""
        if self._closing:
            return
        self._over = asyncio.get_running_loop().create_future()
        try:
            if self._course.masked:
                self._is_masked = True
                listener.on_event(KeysMasked(True))
            # What is wanted of it for being ready comes after what was wanted before.
            listener.on_event(Ready("keypad", takes_keys=True))
            self._listener = listener
            while self._early:
                self._early.pop(0)()
            if self._recalled:
                # A caller who waits for nothing must not wait for ever: there is nobody here to hear them ask.
                self._wait()
            await self._over
        finally:
            self._closing = True
            self._stop_waiting()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._ended.set()

    async def close(self) -> None:
        """See `Engine.close`."""
        self._closing = True
        if self._over is None:
            return
        if not self._over.done():
            self._over.set_result(None)
        # Not asyncio.timeout: before Python 3.11.3 it fails in a task that was cancelled.
        ending = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait([ending], timeout=CLOSE_S)
        ending.cancel()

    # ── what is wanted ────────────────────────────────────────────────────────────────────

    def hear(self, payload: str, at_ms: int) -> None:
        """See `Engine.hear`: only loud or not, and only while a key is waited for."""
        if self._timer is not None and payload and peak(a2b_base64(payload)) >= LOUD:
            self._loud_frames += 1

    def recall(self, turns: Sequence[Remembered]) -> None:
        """See `Engine.recall`: all that matters here is that the call has begun."""
        self._recalled = self._recalled or bool(turns)

    def greet(self, first_line: str) -> None:
        """Begin the menu: by its own greeting, since the profile's is an AI's; by that where it has none.

        In a call that has begun already it takes over instead, without a greeting.
        """

        def work() -> None:
            if self._recalled:
                self._do(self._course.again(self._now_ms()))
            else:
                self._do(self._course.begin(first_line, self._now_ms()), ReplyKind.GREETING)

        self._when_running(work)

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`: there is nobody to guide; the call's transcript keeps it for whoever comes next."""

    def ask(self, text: str, request: str, *, cut_in: bool) -> None:
        """See `Engine.ask`. There is nobody to rephrase it: it is said exactly as it stands."""
        self._when_running(lambda: self._queue(_Words(text, ReplyKind.ASK, request)))

    def say(self, text: str, request: str) -> None:
        """See `Engine.say`."""
        self._when_running(lambda: self._queue(_Words(text, ReplyKind.SAY, request)))

    def tell(self, text: str) -> None:
        """See `Engine.tell`: as with `whisper`."""

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`. What the menu had to say is not said again by itself."""

        def work() -> None:
            self._stop_waiting()
            self._in_play.clear()
            self._drop(lambda words: words.is_own or not by_caller)
            self._pump()
            self._wait()

        self._when_running(work)

    def may_answer(self, allowed: bool) -> None:
        """See `Engine.may_answer`. Forbidden, it waits for no key and takes none; what it had to say is kept."""

        def work() -> None:
            self._allowed = allowed
            if not allowed:
                self._stop_waiting()
                for words in self._drop(lambda words: words.is_own):
                    self._unsaid = words.text
            self._wait()

        self._when_running(work)

    def answer_now(self) -> None:
        """See `Engine.answer_now`: what waits to be said, else the menu's words once more."""

        def work() -> None:
            self._is_speechless = False
            if any(words.is_own for words in self._waiting):
                return
            self._do(self._take_unsaid() or self._course.again(self._now_ms()))

        self._when_running(work)

    def key(self, digit: str) -> None:
        """See `Engine.key`. What is being said is cut by whoever passes the key on."""

        def work() -> None:
            if digit in KEYS and self._allowed and self._course.takes_keys:
                self._is_speechless = False
                self._unsaid = ""
                self._stop_waiting()
                self._drop(lambda words: words.is_own)
                self._do(self._course.key(digit, self._now_ms()))

        self._when_running(work)

    def played(self, item_id: str) -> None:
        """See `Engine.played`."""

        def work() -> None:
            if item_id in self._in_play:
                self._in_play.discard(item_id)
                if self._is_quiet and self._allowed:
                    self._do(self._course.heard())

        self._when_running(work)

    def unhear(self) -> None:
        """See `Engine.unhear`: an entry begun is no more."""
        self._loud_frames = 0
        self._course.forget_digits()

    def answer_tool(self, tool_id: str, output: str) -> None:
        """See `Engine.answer_tool`."""

        def work() -> None:
            if tool_id == self._tool_id:
                self._tool_id = ""
                self._do(self._course.tool_answered(output))

        self._when_running(work)

    # ── doing it ──────────────────────────────────────────────────────────────────────────

    def _do(self, acts: list[Act], kind: ReplyKind = ReplyKind.ANSWER) -> None:
        self._tell_masked()
        for act in acts:
            match act:
                case Speak(text=text) if self._allowed:
                    self._queue(_Words(text, kind))
                case Speak(text=text):
                    self._unsaid = text
                case Run(name=name, arguments=arguments, shown=shown):
                    self._tool_id = f"menu-tool-{next(_numbers)}"
                    self._tell(ToolAsked(self._tool_id, name, arguments, shown))
                case Leave(to=to, why=why):
                    self._tell(HandedOn(to, why))
        self._wait()

    def _queue(self, words: _Words) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._tell(Trouble("too much to say", "Your words were not spoken: too many wait already."))
            return
        self._stop_waiting()
        self._waiting.append(words)
        self._pump()

    def _pump(self) -> None:
        """Pass on what can be said; its order is that of the requests, however long one takes to be spoken."""
        while self._waiting and self._synthesis is None:
            sound = recorded(self._waiting[0].text)
            if sound is None:
                self._synthesis = asyncio.get_running_loop().create_task(self._synthesise(self._waiting[0]))
                self._tasks.add(self._synthesis)
                self._synthesis.add_done_callback(self._task_ended)
            else:
                self._pass_on(self._waiting.popleft(), sound)

    async def _synthesise(self, words: _Words) -> None:
        failed = VoiceFailed("The voice made no sound of that.")
        try:
            sound = await self._voice.speak(words.text)
        except VoiceFailed as error:
            sound, failed = b"", error
        if self._closing:
            return
        self._synthesis = None
        self._waiting.popleft()
        if sound:
            self._pass_on(words, sound)
        else:
            self._unspoken(words, failed)
        self._pump()
        self._wait()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._broke(fault)

    def _pass_on(self, words: _Words, sound: bytes) -> None:
        item_id = reply_id = f"menu-{next(_numbers)}"
        self._in_play.add(item_id)
        self._tell(ReplyStarted(reply_id, words.kind, words.request))
        self._tell(ReplyWords(reply_id, item_id, words.text))
        assert self._listener is not None
        for start in range(0, len(sound), PIECE_BYTES):
            piece = b2a_base64(sound[start : start + PIECE_BYTES], newline=False).decode()
            self._listener.on_speech(item_id, piece)
        self._tell(ReplyWordsDone(reply_id, item_id, words.text))
        self._tell(SpeechDone(item_id))
        self._tell(ReplyDone(reply_id, words.kind, "completed", spoke=True))

    def _unspoken(self, words: _Words, failed: VoiceFailed) -> None:
        if not words.is_own:
            self._tell(Trouble("not spoken", f"Your words were not spoken: {failed}"))
            return
        self._is_speechless = True
        why = f"The keypad menu cannot speak, and the caller hears nothing: {failed} Take over."
        self._tell(HandedOn(Destination.OPERATOR, why))

    def _drop(self, which: Callable[[_Words], bool]) -> list[_Words]:
        """Of what waits to be said, these are not."""
        if self._synthesis is not None and which(self._waiting[0]):
            self._synthesis.cancel()
            self._synthesis = None
        dropped = [words for words in self._waiting if which(words)]
        self._waiting = deque(words for words in self._waiting if not which(words))
        return dropped

    def _take_unsaid(self) -> list[Act]:
        """What was to be said while nothing might be."""
        text, self._unsaid = self._unsaid, ""
        return [Speak(text)] if text else []

    # ── time ──────────────────────────────────────────────────────────────────────────────

    @property
    def _is_quiet(self) -> bool:
        """Whether the caller has heard all there was."""
        return not (self._in_play or self._waiting)

    def _wait(self) -> None:
        """Give the caller time, from now, if it is their turn."""
        patience_ms = self._course.patience_ms
        self._stop_waiting()
        if self._is_quiet and self._allowed and not self._is_speechless and patience_ms is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(patience_ms / 1000, self._guarded, self._silence)

    def _stop_waiting(self) -> None:
        self._loud_frames = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _silence(self) -> None:
        self._timer = None
        spoke = self._loud_frames >= SPEECH_FRAMES
        self._do(self._take_unsaid() or self._course.silence(spoke, self._now_ms()))

    # ── means ─────────────────────────────────────────────────────────────────────────────

    def _when_running(self, work: Callable[[], None]) -> None:
        if self._closing:
            return
        if self._listener is None:
            self._early.append(work)
        else:
            work()

    def _tell(self, event: Event) -> None:
        assert self._listener is not None
        self._listener.on_event(event)

    def _tell_masked(self) -> None:
        if self._course.masked is not self._is_masked:
            self._is_masked = self._course.masked
            self._tell(KeysMasked(self._is_masked))

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do what a timer of ours asks for; a fault ends the run."""
        try:
            work()
        except Exception as fault:
            self._broke(fault)

    def _broke(self, fault: BaseException) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(fault)

    def _now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

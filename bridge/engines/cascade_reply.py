"""One reply of a cascade on its way: tokens become sentences, sentences sound, and both leave in order.

While one sentence is passed on the next is spoken already. A reply may be held back: it is thought and
begun to be spoken, but nothing of it leaves until it is let go. Words leave with their sound, so that
the share of the sound that was heard is the share of the words.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from bridge.audio import BYTES_PER_MS
from bridge.engines import ReplyKind, Step
from bridge.engines.cascade_memory import CUT_OFF, Message
from bridge.engines.chat import Chat, ChatFailed, Finished, Text, ToolCall, Usage
from bridge.engines.sentences import Sentences
from bridge.engines.speech import LiveVoice, VoiceFailed

AT_ONCE = 2
"""Sentences that are spoken at a time: the one that is passed on, and the next."""

AHEAD_MS = 8_000
"""How much more sound than can have been heard is made: the caller may interrupt, and what was made is paid."""

AGAIN_AFTER_S = (0.0, 0.2, 0.5, 1.0)
AGAIN_FOR_S = 2.0
"""What fails is tried again after these pauses, and not any more so long after it failed first in a row."""

MOST_TRIES = 12
"""Of one thing: who always begins and never ends is not waited for."""

CHARS_PER_MS = 0.015
"""How fast a voice speaks until it is known."""


class Telling(Protocol):
    """Who is told of replies; called from their tasks, so it must return at once."""

    def sound(self, reply: Reply, words: str, mulaw: bytes) -> None:
        """Sound that leaves now, and the words that leave with it (either may be empty)."""

    def reached(self, reply: Reply, step: Step, vendor: str, at_s: float) -> None:
        """A step, at this time of the loop."""

    def tools(self, reply: Reply, calls: Sequence[ToolCall]) -> None:
        """The model wants these; told once, before the end."""

    def characters(self, count: int) -> None:
        """The voice was asked to speak so many; below 0: they are not charged after all."""

    def left_out(self, failure: VoiceFailed) -> None:
        """A sentence was not spoken, since the voice does not take these words."""

    def over(self, reply: Reply, failure: ChatFailed | VoiceFailed | None) -> None:
        """All was passed on, or there will be no more of it; not told of a reply that was stopped."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reply is to be: text to be spoken exactly, or (with text None) what the model makes of the messages.

    request: of the operator. messages: made when the model is asked.
    """

    kind: ReplyKind
    text: str | None = None
    request: str = ""
    messages: Callable[[], list[Message]] = list
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str = "auto"


class Tempo:
    """How fast a voice speaks, learned from what it spoke."""

    def __init__(self) -> None:
        self.chars_per_ms = CHARS_PER_MS

    def learn(self, chars: int, sound_ms: float) -> None:
        """A sentence was spoken."""
        if chars > 20 and sound_ms > 500:
            self.chars_per_ms += 0.3 * (chars / sound_ms - self.chars_per_ms)


class _Tries:
    """Of one thing at a vendor. What fails once may pass; what goes on failing does not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._count = self._in_a_row = 0
        self._failing_from_s = 0.0

    def goes_well(self) -> None:
        """Something came of it."""
        self._in_a_row = 0

    async def pause(self, failure: ChatFailed | VoiceFailed) -> None:
        """Wait until it may be tried again. Raises the failure when that is pointless, or would take too long."""
        now_s = self._loop.time()
        if not self._in_a_row:
            self._failing_from_s = now_s
        if failure.fatal or self._count >= MOST_TRIES or self._in_a_row >= len(AGAIN_AFTER_S):
            raise failure
        pause_s = max(AGAIN_AFTER_S[self._in_a_row], failure.again_after_s)
        if now_s + pause_s - self._failing_from_s > AGAIN_FOR_S:
            raise failure
        self._count += 1
        self._in_a_row += 1
        await asyncio.sleep(pause_s)


@dataclass(slots=True)
class _Sentence:
    """text: as it is written; spoken: as the voice is to say it, "" for nothing. told_chars, passed_ms: that left."""

    text: str
    spoken: str
    sounds: list[bytes] = field(default_factory=list)
    over: bool = False
    told_chars: int = 0
    passed_ms: float = 0.0


class Reply:
    """One reply. run: makes it. All else may be read at any time.

    held: nothing leaves. stopped: nothing will any more. text: all that the model wrote so far; told: the words
    that left. thought: the model has finished. finish: why. spoke: sound left. whole: no sentence was left out.
    """

    def __init__(
        self,
        reply_id: str,
        wanted: Wanted,
        *,
        chat: Chat,
        voice: LiveVoice,
        telling: Telling,
        tempo: Tempo,
        speakable: Callable[[str], str],
        language: str = "en",
        held: bool = False,
    ) -> None:
        self.reply_id = self.item_id = reply_id
        self.wanted = wanted
        self.held = held
        self.stopped = False
        self.text = ""
        self.told = ""
        self.thought = wanted.text is not None
        self.finish = ""
        self.usage: Usage | None = None
        self.asked: list[Message] = []
        self.calls: list[ToolCall] = []
        self.spoke = False
        self.whole = True
        self._chat, self._voice = chat, voice
        self._telling = telling
        self._tempo = tempo
        self._speakable = speakable
        self._cutter = Sentences(language=language)
        self._waiting: deque[_Sentence] = deque()
        self._begun: deque[_Sentence] = deque()
        self._reached: dict[Step, tuple[str, float]] = {}
        self._told: set[Step] = set()
        self._tools_told = False
        self._first_passed_s = 0.0
        self._made_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._all_spoken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    # ── from outside ──

    def start(self) -> asyncio.Task[None]:
        """Make it."""
        self._task = asyncio.ensure_future(self._run())
        return self._task

    def release(self) -> None:
        """What was held back may leave."""
        self.held = False
        for step in (Step.TOKEN, Step.SOUND):
            self._tell_reached(step)
        self._pass_on()
        self._speak_more()
        self._tell_tools()

    def stop(self) -> None:
        """No more of it, at once."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    @property
    def unspoken(self) -> str:
        """The words that did not leave, as far as they are known."""
        left = [sentence.text[sentence.told_chars :].strip() for sentence in self._begun]
        left += [sentence.text for sentence in self._waiting]
        return " ".join(text for text in left if text)

    # ── thinking ──

    async def _run(self) -> None:
        failure: ChatFailed | VoiceFailed | None = None
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._think()
                await self._all_spoken.wait()
        except* (ChatFailed, VoiceFailed) as failures:
            failure = _first(failures)
        finally:
            if self._timer is not None:
                self._timer.cancel()
        if not self.stopped:
            self._telling.over(self, failure)

    async def _think(self) -> None:
        if self.wanted.text is not None:
            self.text = self.wanted.text
            self._add(self._cutter.add(self.text))
        else:
            await self._ask()
        self._add(self._cutter.finish())
        self.thought = True
        self._tell_tools()
        self._look_whether_over()

    async def _ask(self) -> None:
        self.asked = self.wanted.messages()
        tries = _Tries(self._loop)
        while True:
            begun = [{"role": "assistant", "content": self.text}, {"role": "system", "content": CUT_OFF}]
            try:
                return await self._listen([*self.asked, *begun] if self.text.strip() else self.asked, tries)
            except ChatFailed as failed:
                await tries.pause(failed)

    async def _listen(self, messages: Sequence[Message], tries: _Tries) -> None:
        wanted = self.wanted
        async with aclosing(self._chat.ask(messages, wanted.tools, tool_choice=wanted.tool_choice)) as pieces:
            async for piece in pieces:
                tries.goes_well()
                match piece:
                    case Text(text=text):
                        self._reach(Step.TOKEN, self._chat.vendor)
                        self.text += text
                        self._add(self._cutter.add(text))
                    case ToolCall():
                        self.calls.append(piece)
                    case Usage():
                        self.usage = piece
                    case Finished(reason=reason):
                        self.finish = reason

    # ── speaking ──

    def _add(self, texts: list[str]) -> None:
        for text in texts:
            spoken = self._speakable(text)
            # What is to be said exactly is shown as it was written, all else as it is spoken.
            self._waiting.append(_Sentence(text if self.wanted.text is not None else spoken, spoken))
        if texts:
            self._speak_more()

    def _speak_more(self) -> None:
        """Begin to speak what waits, if it is time."""
        self._timer = None
        while self._waiting and not self.stopped and self._tasks is not None:
            most = 1 if self.held else AT_ONCE
            if len(self._begun) >= most:
                return
            ahead_ms = self._made_ms - (self._loop.time() - self._first_passed_s) * 1000 if self._first_passed_s else 0
            if ahead_ms > AHEAD_MS:
                self._timer = self._loop.call_later((ahead_ms - AHEAD_MS) / 1000, self._speak_more)
                return
            sentence = self._waiting.popleft()
            self._begun.append(sentence)
            if sentence.spoken:
                self._telling.characters(len(sentence.spoken))
                self._tasks.create_task(self._speak(sentence))
            else:
                sentence.over = True
                self._pass_on()

    async def _speak(self, sentence: _Sentence) -> None:
        tries, refused = _Tries(self._loop), False
        while not sentence.over:
            # The same words again: what came of them already is skipped.
            had = sum(map(len, sentence.sounds)) + int(sentence.passed_ms * BYTES_PER_MS)
            try:
                await self._hear(sentence, had, tries)
                sentence.over = True
            except VoiceFailed as failed:
                if failed.unspeakable and refused:
                    if self.held:
                        # Perhaps nobody is to hear it; in earnest it is left out.
                        raise
                    self._leave_out(sentence, failed)
                else:
                    # Another sentence on the same socket may have been the one that was refused.
                    refused = failed.unspeakable
                    await tries.pause(failed)
        self._pass_on()
        self._speak_more()

    def _leave_out(self, sentence: _Sentence, failure: VoiceFailed) -> None:
        """What is left of it is not spoken, and stands nowhere."""
        sentence.text = sentence.text[: sentence.told_chars]
        sentence.over, self.whole = True, False
        self._telling.characters(-len(sentence.spoken))
        self._telling.left_out(failure)

    async def _hear(self, sentence: _Sentence, skip: int, tries: _Tries) -> None:
        async with aclosing(self._voice.speak(sentence.spoken)) as sounds:
            async for sound in sounds:
                if skip:
                    sound, skip = sound[skip:], max(0, skip - len(sound))
                if sound:
                    tries.goes_well()
                    self._reach(Step.SOUND, self._voice.vendor)
                    self._made_ms += len(sound) / BYTES_PER_MS
                    sentence.sounds.append(sound)
                    self._pass_on()

    # ── what leaves ──

    def _pass_on(self) -> None:
        """All that may leave, in order."""
        while self._begun and self._may_leave():
            sentence = self._begun[0]
            for sound in sentence.sounds:
                self._first_passed_s = self._first_passed_s or self._loop.time()
                sentence.passed_ms += len(sound) / BYTES_PER_MS
                self.spoke = True
                self._leave(self._words_with(sentence), sound)
                if not self._may_leave():
                    return
            sentence.sounds.clear()
            if not sentence.over:
                return
            self._begun.popleft()
            self._tempo.learn(len(sentence.text), sentence.passed_ms)
            rest = sentence.text[sentence.told_chars :]
            more = " " if sentence.text and (self._begun or self._waiting or not self.thought) else ""
            self._leave(rest + more, b"")
        self._look_whether_over()

    def _may_leave(self) -> bool:
        return not (self.held or self.stopped)

    def _leave(self, words: str, sound: bytes) -> None:
        self.told += words
        self._telling.sound(self, words, sound)

    def _words_with(self, sentence: _Sentence) -> str:
        """The words of a sentence that its sound has come to, to the end of a word."""
        due = int(sentence.passed_ms * self._tempo.chars_per_ms)
        end = sentence.text.rfind(" ", 0, due + 1) + 1 if due < len(sentence.text) else len(sentence.text)
        words = sentence.text[sentence.told_chars : end]
        sentence.told_chars = max(sentence.told_chars, end)
        return words

    def _tell_tools(self) -> None:
        if self.thought and self.calls and not (self.held or self.stopped or self._tools_told):
            self._tools_told = True
            self._telling.tools(self, self.calls)

    def _look_whether_over(self) -> None:
        if self.thought and not self.held and not self._begun and not self._waiting:
            self._all_spoken.set()

    # ── figures ──

    def _reach(self, step: Step, vendor: str) -> None:
        if step not in self._reached:
            self._reached[step] = (vendor, self._loop.time())
            self._tell_reached(step)

    def _tell_reached(self, step: Step) -> None:
        if not self.held and step in self._reached and step not in self._told:
            self._told.add(step)
            self._telling.reached(self, step, *self._reached[step])


def _first(failures: BaseExceptionGroup[Any]) -> ChatFailed | VoiceFailed:
    """What failed first; what its end brought down with it says nothing new."""
    failure: Any = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else cast("ChatFailed | VoiceFailed", failure)

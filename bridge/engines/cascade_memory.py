"""What a cascade remembers of a call, as the messages of a chat completion. Pure.

The model knows what was said and heard, in the order in which it was: of its own words only those that
reached the caller, by the rule of `bridge.transcript`. What it is told (notes, guidance, what colleagues
said) are system messages in the words that the Realtime engine uses too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bridge.engines import Remembered, Role, notes
from bridge.transcript import heard_chars

MOST_CHARS = 60_000
"""Of the whole conversation; beyond it the oldest is forgotten. About an hour of talk."""

MOST_ENTRIES = 600

STILL_RUNNING = "Still running; its result will be told."
CUT_OFF = "Your answer was cut off there by a fault. Go on exactly where it stopped, without repeating anything."
FALSE_INTERRUPTION = (
    "Something made you stop, but the caller did not mean to interrupt. "
    "Go on where you stopped, without repeating anything."
)

Message: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class _Heard:
    """A caller's turn."""

    text: str


@dataclass(slots=True)
class _Note:
    text: str


@dataclass(slots=True)
class _Spoken:
    """Words of the AI, as their sound was made. settled: how much was heard is final."""

    item_id: str
    text: str = ""
    received_ms: float = 0.0
    complete: bool = False
    settled: bool = False


@dataclass(slots=True)
class _Call:
    tool_id: str
    name: str
    arguments: str
    result: str | None = None


@dataclass(slots=True)
class _Calls:
    """Tools that one reply asked for. shown: the model was told that some still run."""

    calls: list[_Call]
    shown: bool = False


_Entry: TypeAlias = _Heard | _Note | _Spoken | _Calls


@dataclass(frozen=True, slots=True)
class Unheard:
    """What a cut took back of an item: the words that were made but not heard."""

    item_id: str
    text: str


@dataclass
class Memory:
    """One call's. instructions: the profile's prompt."""

    instructions: str
    _entries: deque[_Entry] = field(default_factory=deque)
    _numbered: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said or told yet."""
        return not self._entries

    def messages(self, *, caller: str = "", last: str = "") -> list[Message]:
        """All of it, as chat completions take it.

        caller: words of theirs that are not sure yet; last: an instruction for the next reply alone.
        """
        messages: list[Message] = [_system(self.instructions)]
        for entry in self._entries:
            match entry:
                case _Heard(text=text):
                    messages.append({"role": "user", "content": text})
                case _Note(text=text):
                    messages.append(_system(text))
                case _Spoken(text=text) if text.strip():
                    messages.append({"role": "assistant", "content": text.strip()})
                case _Calls(calls=calls):
                    entry.shown = entry.shown or any(call.result is None for call in calls)
                    # Words and tools of one reply are one message.
                    with_words = messages[-1]["role"] == "assistant" and "tool_calls" not in messages[-1]
                    words = messages.pop()["content"] if with_words else None
                    messages += _as_messages(calls, words)
        if caller:
            messages.append({"role": "user", "content": caller})
        if last:
            messages.append(_system(last))
        return messages

    # ── what was said and told ──

    def caller_said(self, text: str) -> None:
        """A turn of the caller's, as far as it is known for good."""
        if text.strip():
            self._add(_Heard(text.strip()))

    def note(self, text: str) -> None:
        """See `Engine.tell`."""
        self._add(_Note(text))

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`."""
        self.note(notes.guidance(text))

    def recall(self, turns: Sequence[Remembered]) -> None:
        """See `Engine.recall`."""
        for turn in turns:
            match turn.role:
                case Role.CALLER:
                    self.caller_said(turn.text)
                case Role.AI:
                    self._numbered += 1
                    self._add(_Spoken(f"recalled-{self._numbered}", turn.text, complete=True, settled=True))
                case Role.OPERATOR:
                    self.note(notes.colleague_said(turn.text))
                case Role.NOTE:
                    self.note(turn.text)
                case _:
                    # A tool that was used.
                    self._numbered += 1
                    call = _Call(f"recalled-{self._numbered}", turn.name, turn.arguments or "{}", turn.text)
                    self._add(_Calls([call]))

    # ── what the AI said, and what was heard of it ──

    def spoke(self, item_id: str, words: str, sound_ms: float) -> None:
        """More words or sound of an item were made."""
        spoken = self._spoken(item_id)
        if spoken is None:
            spoken = _Spoken(item_id)
            self._add(spoken)
        spoken.text += words
        spoken.received_ms += sound_ms

    def spoken(self, item_id: str) -> None:
        """No more of this item will come."""
        if (spoken := self._spoken(item_id)) is not None:
            spoken.text = spoken.text.rstrip()
            spoken.complete = True

    def heard(self, item_id: str) -> None:
        """All of this item reached the caller."""
        if (spoken := self._spoken(item_id)) is not None:
            spoken.settled = True

    def cut(self, item_id: str, heard_ms: float) -> list[Unheard]:
        """Of this item the caller heard so much, and nothing of those made after it: the rest was never said.

        Returns what is forgotten, oldest first.
        """
        forgotten = []
        after = False
        for entry in self._entries:
            if not isinstance(entry, _Spoken) or entry.settled:
                continue
            if entry.item_id != item_id and not after:
                continue
            shown_ms = 0.0 if after else heard_ms
            after = True
            chars = heard_chars(entry.text, shown_ms, entry.received_ms, complete=entry.complete)
            if chars < len(entry.text):
                forgotten.append(Unheard(entry.item_id, entry.text[chars:].strip()))
            entry.text = entry.text[:chars]
            entry.complete = entry.settled = True
        return forgotten

    def _spoken(self, item_id: str) -> _Spoken | None:
        for entry in reversed(self._entries):
            if isinstance(entry, _Spoken) and entry.item_id == item_id:
                return entry
        return None

    # ── tools ──

    def tools_called(self, calls: Sequence[tuple[str, str, str]]) -> None:
        """A reply asked for these: id, name, arguments as JSON text."""
        self._add(_Calls([_Call(*call) for call in calls]))

    def tool_answered(self, tool_id: str, output: str) -> None:
        """A result came: in its place, or as news when the model was told that it is still awaited."""
        for entry in reversed(self._entries):
            if not isinstance(entry, _Calls):
                continue
            for call in entry.calls:
                if call.tool_id == tool_id and call.result is None:
                    call.result = STILL_RUNNING if entry.shown else output
                    if entry.shown:
                        self.note(f"The tool {call.name} has finished. Its result: {output}")
                    return

    # ── bounds ──

    def _add(self, entry: _Entry) -> None:
        self._entries.append(entry)
        while len(self._entries) > MOST_ENTRIES or (
            len(self._entries) > 1 and sum(map(_length, self._entries)) > MOST_CHARS
        ):
            self._entries.popleft()


def _system(text: str) -> Message:
    return {"role": "system", "content": text}


def _as_messages(calls: Sequence[_Call], words: str | None) -> list[Message]:
    """The calls of one reply with its words, and right after them a result for each."""
    called = [
        {"id": call.tool_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]
    results = [
        {"role": "tool", "tool_call_id": call.tool_id, "content": STILL_RUNNING if call.result is None else call.result}
        for call in calls
    ]
    return [{"role": "assistant", "content": words, "tool_calls": called}, *results]


def _length(entry: _Entry) -> int:
    if isinstance(entry, _Calls):
        return sum(len(call.arguments) + len(call.result or "") for call in entry.calls)
    return len(entry.text)

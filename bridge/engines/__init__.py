"""What an AI engine is to a call: one small interface that every engine fits.

An engine hears the caller, speaks, and reports. All methods but `run` and `close` return at
once: they queue or send, never wait. What happens comes back through a `Listener`: audio by its
own method, since it is the hot path, and all else as one of the events below. An engine knows
neither carriers nor sessions; times in its events are call times (ms since the media stream
began), which it derives from the ``at_ms`` given with each frame it hears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

KEPT_MS = 10_000
"""So much of what the caller said last is kept, for whoever has to hear it first or again: a long sentence."""


class ReplyKind(StrEnum):
    """Why the AI speaks."""

    ANSWER = "answer"
    GREETING = "greeting"
    ASK = "ask"
    SAY = "say"


class Role(StrEnum):
    """Whose part of the conversation something is."""

    CALLER = "caller"
    AI = "ai"
    OPERATOR = "operator"
    NOTE = "note"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Remembered:
    """One thing of the conversation so far, for an engine that takes it over.

    text: what was said, and heard; a note's text; a tool's result. name, arguments: of a tool, as JSON text.
    """

    role: Role
    text: str
    name: str = ""
    arguments: str = ""


class Destination(StrEnum):
    """Where an engine hands a call on to."""

    AI = "ai"
    OPERATOR = "operator"
    HANG_UP = "hang_up"


class Because(StrEnum):
    """Why an engine comes into a call that was another's, where the caller may have to hear of it."""

    LOST = "lost"
    BUDGET = "budget"
    """What the AI may cost in this call is spent."""

    BY_HAND = "by_hand"
    """An operator called it."""


class Step(StrEnum):
    """A moment on the way from the caller's last word to the first sound of the answer."""

    WORDS = "words"
    """The caller's words are final."""

    TOKEN = "token"
    """The model's first token that is to be spoken came."""

    SOUND = "sound"
    """The voice's first sound came."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Connected and configured. expires_unix_ms: when the peer will end the session, if it says.

    takes_keys: it acts on the caller's keys by itself, so that nobody tells it of them in words.
    """

    model: str
    expires_unix_ms: int | None = None
    takes_keys: bool = False


@dataclass(frozen=True, slots=True)
class CallerStarted:
    """The caller began to speak at ``at_ms``; ``item_id`` will carry the words.

    speech_ms, words: how long they had been speaking, and what was understood, when this was told (0 and
    "" where the engine does not know): why an interruption counted as one.
    """

    item_id: str
    at_ms: int
    speech_ms: int = 0
    words: str = ""


@dataclass(frozen=True, slots=True)
class CallerStopped:
    """The caller fell silent at ``at_ms``."""

    item_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class CallerWords:
    """The whole text of the caller's turn as known so far; final when it will not change."""

    item_id: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class CallerWordsFailed:
    """The caller's turn could not be transcribed."""

    item_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The AI began a reply. request: the id given with `Engine.ask` or `say`, else ""."""

    reply_id: str
    kind: ReplyKind
    request: str = ""


@dataclass(frozen=True, slots=True)
class ReplyWords:
    """More words of the AI's spoken text (a delta, to be appended)."""

    reply_id: str
    item_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ReplyWordsDone:
    """The whole spoken text of one item, replacing what its deltas added up to."""

    reply_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SpeechDone:
    """No more audio will come for this item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """A reply is over. status: completed, cancelled, failed or incomplete; reason in the peer's words.

    spoke: whether it held any audio. cost_usd and tokens: of this reply, as the peer counted.
    """

    reply_id: str
    kind: ReplyKind
    status: str
    reason: str = ""
    spoke: bool = False
    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolAsked:
    """The AI wants a tool run; answer each with `Engine.answer_tool`. arguments: JSON text.

    shown: the same as it may be seen and written down, "" when that makes no difference.
    """

    tool_id: str
    name: str
    arguments: str
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """Consumption outside replies (transcription, a voice). vendor: whose, "" for the engine's own."""

    tokens: int = 0
    cost_usd: float = 0.0
    vendor: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """A step of the answer to the caller's last turn was reached at ``at_ms`` (call time).

    vendor: who took the time, such as deepgram. Each step is told once for a turn, at its first time.
    """

    step: Step
    vendor: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class HandedOn:
    """The engine has done its part; the call is to go on elsewhere. why: for the operator, "" if plain."""

    to: Destination
    why: str = ""


@dataclass(frozen=True, slots=True)
class KeysMasked:
    """Whether the keys that the caller presses from now on are nobody's to see (a PIN)."""

    masked: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """The peer complained or a request of ours expired; the session goes on.

    text: a sentence for the operator, or "" when it need not be shown.
    """

    code: str
    text: str = ""


Event: TypeAlias = (
    Ready
    | CallerStarted
    | CallerStopped
    | CallerWords
    | CallerWordsFailed
    | ReplyStarted
    | ReplyWords
    | ReplyWordsDone
    | SpeechDone
    | ReplyDone
    | ToolAsked
    | Used
    | Reached
    | HandedOn
    | KeysMasked
    | Trouble
)


class EngineLost(Exception):
    """The engine is gone. fatal: trying again is pointless (bad key, no such model, no money).

    expired: nothing is wrong, its session was as long as the peer allows. str() is a sentence for
    the operator that says what happened and what to do.
    """

    def __init__(self, text: str, *, fatal: bool, expired: bool = False) -> None:
        super().__init__(text)
        self.fatal = fatal
        self.expired = expired


class Listener(Protocol):
    """Who is told. Called from the engine's reader, so it must return at once."""

    def on_speech(self, item_id: str, payload: str) -> None:
        """AI audio: base64 mu-law 8 kHz, any length that is a whole number of bytes."""

    def on_event(self, event: Event) -> None:
        """Anything else."""

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        """A wire message went by, for the operator's raw view (audio messages are not told)."""


class Engine(Protocol):
    """One AI on one call."""

    async def run(self, listener: Listener) -> None:
        """Connect, then converse until `close`; returns normally only then.

        Raises EngineLost when the peer refuses, drops or fails.
        """

    def hear(self, payload: str, at_ms: int) -> None:
        """One frame of caller audio (base64 mu-law), spoken at call time ``at_ms``.

        Before the engine is ready the newest `KEPT_MS` are kept and sent then; so much may be heard at once
        later, too. When the peer does not keep up, frames beyond 1 s more are dropped and counted, never queued.
        """

    def recall(self, turns: Sequence[Remembered]) -> None:
        """Add what was said before this engine came; starts nothing. Also before `run`, in order with all else.

        An engine that was given anything never greets by itself.
        """

    def greet(self, first_line: str) -> None:
        """Open the conversation with this line."""

    def whisper(self, text: str) -> None:
        """Hidden guidance for the next reply; starts nothing."""

    def ask(self, text: str, request: str, *, cut_in: bool) -> None:
        """Reply now in own words, after a running reply; cut_in: the caller of this has cut it."""

    def say(self, text: str, request: str) -> None:
        """Reply with exactly these words, after a running reply."""

    def tell(self, text: str) -> None:
        """Add what happened outside the AI's hearing to its memory; starts nothing."""

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """Stop speaking; of ``item_id`` ("" if none in play) the caller heard ``heard_ms``.

        Nothing more of the running reply or of that item is passed to the listener. Requests
        waiting in the engine are dropped unless by_caller.
        """

    def may_answer(self, allowed: bool) -> None:
        """Whether caller speech may start replies and interrupt them. Listening goes on."""

    def answer_now(self) -> None:
        """Reply to what was said last, after a running reply."""

    def key(self, digit: str) -> None:
        """The caller pressed a key (0-9, *, #). An AI is also told of keys in words, by `tell`."""

    def played(self, item_id: str) -> None:
        """The caller has heard ``item_id`` to its end, as the carrier confirmed."""

    def unhear(self) -> None:
        """Drop what the caller said and the peer has not judged yet: a turn that is under way is no more."""

    def answer_tool(self, tool_id: str, output: str) -> None:
        """The result of a tool; once all of a reply's tools are answered the AI goes on."""

    async def close(self) -> None:
        """End the session within 1 s; safe to call at any time and more than once."""

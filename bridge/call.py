"""A call: two machines written as two tables, and the one method that turns them.

The *phase* is the line's life: RINGING (the carrier asked us what to do), CONNECTING (its media
stream is open, the AI is not yet), LIVE, ENDING (we asked for the end and wait for the carrier's
word), ENDED. The *floor* is whom the caller hears: the AI, an operator, hold, or nobody. They are
two because they turn for different reasons: the phase on what carrier and engine report, the
floor on what operators decide; and a call that is ending keeps its floor to the last word.

`Call.apply` takes one input and returns the effects that must be carried out, in order. It
raises `NotAllowed`, with a sentence for the operator, for a verb that cannot be done now; inputs
from peers are never refused, those that mean nothing in a state are rows without effects. Feeding
a call's inputs again gives the same effects, so a journal is a test.

What each machine sees:
    phase   StreamStarted, EngineReady, EngineGone, RingOver, HangUp, StreamStopped, CarrierEnded, EndOverdue
    floor   TakeOver, HandBack, Hold, Unhold, MuteAI, ConsoleGone; Interrupt and CallerSpoke cut
            what plays but move nothing: the AI keeps the floor and waits for the caller.
Whisper, Ask, Say and PressKeys go through when the call is LIVE; whether a verb may be done is
`refusals`'. Which engine speaks, and what follows one that is lost, is `succession`'s; when none is left,
operators are rung: the caller is on hold by nobody, until somebody takes over or the ring is over.
A privacy hold is neither: whoever has the floor keeps it, only nothing is kept or passed on.

Deliberately not modelled: audio, words, timers and retries. Time enters as inputs (EndOverdue,
ConsoleGone after its grace), what is playing is `playout`'s, what was said is `transcript`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from bridge import refusals
from bridge.control import Floor, Party, Phase, Verb
from bridge.errors import NotAllowed

# ── inputs ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The carrier's media stream is open and proved itself."""


@dataclass(frozen=True, slots=True)
class EngineReady:
    """The AI is connected and configured."""


@dataclass(frozen=True, slots=True)
class EngineGone:
    """No engine can be had any more; why is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class RingOver:
    """Operators were rung since no engine could be had, and nobody came."""


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """The media stream is over, whoever closed it."""

    why: str


@dataclass(frozen=True, slots=True)
class CarrierEnded:
    """The carrier says that the call is over; status is its word."""

    status: str


@dataclass(frozen=True, slots=True)
class EndOverdue:
    """An asked-for end was not confirmed in time."""


@dataclass(frozen=True, slots=True)
class CallerSpoke:
    """The caller began to speak."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop what the AI is saying."""


@dataclass(frozen=True, slots=True)
class MuteAI:
    """Silence the AI, or let it answer again."""

    muted: bool


@dataclass(frozen=True, slots=True)
class Whisper:
    """Hidden guidance."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the AI say it in its words."""

    text: str
    cut_in: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """Have exactly this said."""

    text: str
    console: str = ""


@dataclass(frozen=True, slots=True)
class TakeOver:
    """console wants the floor."""

    console: str


@dataclass(frozen=True, slots=True)
class HandBack:
    """console gives the floor to the AI."""

    console: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """console puts the caller on hold."""

    console: str


@dataclass(frozen=True, slots=True)
class Unhold:
    """console ends the hold: whoever had the floor before has it again."""

    console: str


@dataclass(frozen=True, slots=True)
class PressKeys:
    """Send keypad tones to the other side."""

    keys: str
    console: str = ""


@dataclass(frozen=True, slots=True)
class Privacy:
    """console begins or ends a privacy hold."""

    console: str
    private: bool


@dataclass(frozen=True, slots=True)
class Swap:
    """Let another engine go on."""

    engine: str


@dataclass(frozen=True, slots=True)
class ConsoleGone:
    """The console has been away for longer than the grace it is given."""

    console: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the line. by: OPERATOR, AI, or NOBODY for a limit of ours."""

    by: Party = Party.OPERATOR
    why: str = ""


Input: TypeAlias = (
    StreamStarted
    | EngineReady
    | EngineGone
    | RingOver
    | StreamStopped
    | CarrierEnded
    | EndOverdue
    | CallerSpoke
    | Interrupt
    | MuteAI
    | Whisper
    | Ask
    | Say
    | TakeOver
    | HandBack
    | Hold
    | Unhold
    | PressKeys
    | Privacy
    | Swap
    | ConsoleGone
    | HangUp
)


class Effect(Enum):
    """What the session must do. Those that need words find them in the input."""

    OPEN_ENGINE = auto()
    GREET = auto()
    CUT = auto()
    SILENCE_AI = auto()
    LET_AI_ANSWER = auto()
    ANSWER_NOW = auto()
    PASS_WHISPER = auto()
    PASS_ASK = auto()
    PASS_SAY = auto()
    TELL_HAND_BACK = auto()
    PLAY_HOLD = auto()
    TELL_HOLD_OVER = auto()
    PRESS_KEYS = auto()
    RING_OPERATORS = auto()
    SWAP_ENGINE = auto()
    GO_PRIVATE = auto()
    GO_PUBLIC = auto()
    HANG_UP_CARRIER = auto()
    CLOSE_STREAM = auto()
    CLOSE_ENGINE = auto()
    FINISH = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """Where an input leads, and what must be done on the way."""

    to: Phase | Floor
    effects: tuple[Effect, ...] = ()


END = (Effect.CLOSE_ENGINE, Effect.CLOSE_STREAM, Effect.FINISH)

PHASES: dict[tuple[Phase, type], Row] = {
    (Phase.RINGING, StreamStarted): Row(Phase.CONNECTING, (Effect.OPEN_ENGINE,)),
    (Phase.RINGING, CarrierEnded): Row(Phase.ENDED, (Effect.FINISH,)),
    (Phase.RINGING, EndOverdue): Row(Phase.ENDED, (Effect.FINISH,)),
    (Phase.RINGING, HangUp): Row(Phase.ENDING, (Effect.HANG_UP_CARRIER,)),
    (Phase.CONNECTING, EngineReady): Row(Phase.LIVE, (Effect.GREET,)),
    (Phase.CONNECTING, EngineGone): Row(Phase.ENDING, (Effect.CLOSE_STREAM,)),
    (Phase.CONNECTING, HangUp): Row(Phase.ENDING, (Effect.CLOSE_ENGINE, Effect.HANG_UP_CARRIER)),
    (Phase.CONNECTING, StreamStopped): Row(Phase.ENDED, END),
    (Phase.CONNECTING, CarrierEnded): Row(Phase.ENDED, END),
    (Phase.LIVE, RingOver): Row(Phase.ENDING, (Effect.CLOSE_STREAM,)),
    (Phase.LIVE, HangUp): Row(Phase.ENDING, (Effect.CUT, Effect.CLOSE_ENGINE, Effect.HANG_UP_CARRIER)),
    (Phase.LIVE, StreamStopped): Row(Phase.ENDED, END),
    (Phase.LIVE, CarrierEnded): Row(Phase.ENDED, END),
    (Phase.ENDING, StreamStarted): Row(Phase.ENDING, (Effect.HANG_UP_CARRIER,)),
    (Phase.ENDING, StreamStopped): Row(Phase.ENDED, END),
    (Phase.ENDING, CarrierEnded): Row(Phase.ENDED, END),
    (Phase.ENDING, EndOverdue): Row(Phase.ENDED, END),
}
"""Any pair not listed changes nothing."""

SILENCE = (Effect.CUT, Effect.SILENCE_AI)
RING = (*SILENCE, Effect.RING_OPERATORS, Effect.PLAY_HOLD)
RESUME = (Effect.TELL_HAND_BACK, Effect.LET_AI_ANSWER, Effect.ANSWER_NOW)

FLOORS: dict[tuple[Floor, type], Row] = {
    (Floor.NOBODY, EngineReady): Row(Floor.AI),
    (Floor.AI, EngineGone): Row(Floor.HOLD, RING),
    (Floor.NOBODY, EngineGone): Row(Floor.HOLD, RING),
    (Floor.OPERATOR, EngineGone): Row(Floor.OPERATOR),
    (Floor.AI, MuteAI): Row(Floor.NOBODY, SILENCE),
    (Floor.NOBODY, MuteAI): Row(Floor.AI, (Effect.LET_AI_ANSWER, Effect.ANSWER_NOW)),
    (Floor.AI, TakeOver): Row(Floor.OPERATOR, SILENCE),
    (Floor.NOBODY, TakeOver): Row(Floor.OPERATOR, SILENCE),
    (Floor.OPERATOR, HandBack): Row(Floor.AI, RESUME),
    (Floor.OPERATOR, ConsoleGone): Row(Floor.AI, (Effect.CUT, *RESUME)),
    (Floor.AI, Hold): Row(Floor.HOLD, (*SILENCE, Effect.PLAY_HOLD)),
    (Floor.NOBODY, Hold): Row(Floor.HOLD, (*SILENCE, Effect.PLAY_HOLD)),
    (Floor.OPERATOR, Hold): Row(Floor.HOLD, (Effect.CUT, Effect.PLAY_HOLD)),
    (Floor.HOLD, TakeOver): Row(Floor.OPERATOR, (Effect.CUT,)),
    (Floor.HOLD, HandBack): Row(Floor.AI, (Effect.CUT, *RESUME)),
    (Floor.HOLD, ConsoleGone): Row(Floor.AI, (Effect.CUT, *RESUME)),
    (Floor.HOLD, EngineGone): Row(Floor.HOLD),
    (Floor.AI, Interrupt): Row(Floor.AI, (Effect.CUT,)),
    (Floor.NOBODY, Interrupt): Row(Floor.NOBODY, (Effect.CUT,)),
    (Floor.AI, CallerSpoke): Row(Floor.AI, (Effect.CUT,)),
    (Floor.AI, Whisper): Row(Floor.AI, (Effect.PASS_WHISPER,)),
    (Floor.NOBODY, Whisper): Row(Floor.NOBODY, (Effect.PASS_WHISPER,)),
    (Floor.OPERATOR, Whisper): Row(Floor.OPERATOR, (Effect.PASS_WHISPER,)),
    (Floor.HOLD, Whisper): Row(Floor.HOLD, (Effect.PASS_WHISPER,)),
    (Floor.AI, Ask): Row(Floor.AI, (Effect.PASS_ASK,)),
    (Floor.AI, Say): Row(Floor.AI, (Effect.PASS_SAY,)),
    (Floor.NOBODY, Say): Row(Floor.NOBODY, (Effect.PASS_SAY,)),
    (Floor.OPERATOR, Say): Row(Floor.OPERATOR, (Effect.PASS_SAY,)),
    (Floor.AI, Swap): Row(Floor.AI, (Effect.SWAP_ENGINE,)),
    (Floor.NOBODY, Swap): Row(Floor.NOBODY, (Effect.SWAP_ENGINE,)),
    (Floor.OPERATOR, Swap): Row(Floor.OPERATOR, (Effect.SWAP_ENGINE,)),
    (Floor.HOLD, Swap): Row(Floor.HOLD, (Effect.SWAP_ENGINE,)),
    (Floor.AI, PressKeys): Row(Floor.AI, (Effect.PRESS_KEYS,)),
    (Floor.NOBODY, PressKeys): Row(Floor.NOBODY, (Effect.PRESS_KEYS,)),
    (Floor.OPERATOR, PressKeys): Row(Floor.OPERATOR, (Effect.PRESS_KEYS,)),
}
"""Any pair not listed changes nothing."""

AFTER_RING = Row(Floor.AI, (Effect.CUT, Effect.TELL_HOLD_OVER, Effect.LET_AI_ANSWER, Effect.ANSWER_NOW))
"""An engine can be had again before anybody came."""

AFTER_HOLD: dict[Floor, Row] = {
    Floor.AI: Row(Floor.AI, (Effect.CUT, Effect.TELL_HOLD_OVER, Effect.LET_AI_ANSWER, Effect.ANSWER_NOW)),
    Floor.NOBODY: Row(Floor.NOBODY, (Effect.CUT,)),
    Floor.OPERATOR: Row(Floor.OPERATOR, (Effect.CUT,)),
}
"""Who has the floor after an Unhold, by who had it before the Hold."""

BY_PERSON = (Floor.OPERATOR, Floor.HOLD)
"""The floors that a console has; its operator is `Call.holder`."""


class Call:
    """The two machines of one call."""

    def __init__(self) -> None:
        self.phase = Phase.RINGING
        self.floor = Floor.NOBODY
        self.holder = ""
        self.held_from = Floor.NOBODY
        self.private = False
        self.private_by = ""
        self.end_cause = ""
        self.ai_gone = False

    def apply(self, input: Input) -> tuple[Effect, ...]:
        """One input in, the effects to carry out in order. Raises NotAllowed; then nothing changed."""
        verb = VERBS.get(type(input))
        if verb is not None and not (isinstance(input, HangUp) and input.by is not Party.OPERATOR):
            reason = self.why_not(verb, getattr(input, "console", ""))
            if reason:
                raise NotAllowed(reason)
        if self._means_nothing(input):
            return ()
        effects: tuple[Effect, ...] = ()
        if isinstance(input, Privacy):
            self.private, self.private_by = input.private, input.console if input.private else ""
            effects = (Effect.GO_PRIVATE if input.private else Effect.GO_PUBLIC,)
        at_floor = self._at_floor(input)
        at_phase = PHASES.get((self.phase, type(input)))
        if isinstance(input, EngineGone | EngineReady):
            self.ai_gone = isinstance(input, EngineGone)
        if at_floor is not None:
            if isinstance(input, Hold):
                self.held_from = self.floor
            self.floor = Floor(at_floor.to)
            if isinstance(input, TakeOver | Hold | ConsoleGone):
                self.holder = "" if isinstance(input, ConsoleGone) else input.console
            effects += at_floor.effects
        if at_phase is not None:
            self._note_cause(input)
            self.phase = Phase(at_phase.to)
            effects += at_phase.effects
        if self.phase is Phase.ENDED:
            self.floor = Floor.NOBODY
        if self.floor not in BY_PERSON:
            self.holder = ""
        return effects

    def _at_floor(self, input: Input) -> Row | None:
        if self.phase not in (Phase.LIVE, Phase.CONNECTING):
            return None
        if self.phase is Phase.CONNECTING and isinstance(input, EngineGone):
            return None
        if self.ai_gone and isinstance(input, ConsoleGone):
            return Row(Floor.HOLD, RING)
        if self.is_ringing and isinstance(input, EngineReady):
            return AFTER_RING
        if self.floor is Floor.HOLD and isinstance(input, Unhold):
            return AFTER_HOLD[self.after_hold]
        return FLOORS.get((self.floor, type(input)))

    @property
    def is_ringing(self) -> bool:
        """Whether operators are rung, since no engine can be had."""
        return self.ai_gone and self.floor is Floor.HOLD and not self.holder

    @property
    def after_hold(self) -> Floor:
        """Who has the floor once a hold is over. Where the AI was lost meanwhile, the person has."""
        return Floor.OPERATOR if self.ai_gone else self.held_from

    def _means_nothing(self, input: Input) -> bool:
        """Asked for what already is, or told what changes nothing any more."""
        match input:
            case EngineReady():
                return self.phase is not Phase.CONNECTING and not (self.ai_gone and self.phase is Phase.LIVE)
            case EngineGone():
                return self.phase in (Phase.RINGING, Phase.ENDED)
            case RingOver():
                return not self.is_ringing
            case MuteAI(muted=muted):
                return muted is (self.floor is Floor.NOBODY)
            case ConsoleGone(console=console):
                return self.floor not in BY_PERSON or console != self.holder
            case Privacy(private=private):
                return private is self.private
            case _:
                return False

    def _note_cause(self, input: Input) -> None:
        """The first reason for the end is the true one; what follows are its consequences."""
        if self.end_cause:
            return
        match input:
            case HangUp(by=by, why=why):
                words = {Party.OPERATOR: "you hung up", Party.AI: "the AI hung up"}
                self.end_cause = why or words.get(by, "time limit")
            case EngineGone(why=why):
                self.end_cause = why
            case RingOver():
                self.end_cause = "no AI, and nobody took the call"
            case StreamStopped(why=why):
                self.end_cause = why
            case CarrierEnded(status=status):
                self.end_cause = "caller hung up" if status == "completed" else status
            case EndOverdue():
                self.end_cause = "never connected"

    def why_not(self, verb: Verb, console: str = "") -> str:
        """The sentence a verb would be refused with, "" when it is allowed (`refusals`)."""
        return refusals.why_not(
            verb, phase=self.phase, floor=self.floor, holder=self.holder, ai_gone=self.ai_gone, console=console
        )

    def allowed(self) -> tuple[Verb, ...]:
        """The verbs that would be accepted now (from the console that holds the floor, if one does)."""
        return tuple(verb for verb in Verb if not self.why_not(verb))


VERBS: dict[type, Verb] = {
    Interrupt: Verb.INTERRUPT,
    MuteAI: Verb.MUTE_AI,
    Whisper: Verb.WHISPER,
    Ask: Verb.ASK,
    Say: Verb.SAY,
    TakeOver: Verb.TAKE_OVER,
    HandBack: Verb.HAND_BACK,
    Hold: Verb.HOLD,
    Unhold: Verb.UNHOLD,
    PressKeys: Verb.KEYS,
    Privacy: Verb.PRIVACY,
    Swap: Verb.SWAP,
    HangUp: Verb.HANG_UP,
}
"""The inputs that are an operator's (a HangUp only when an operator asked for it)."""

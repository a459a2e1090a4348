"""Views: what the bridge knows of its calls and its health, as frozen values."""

from __future__ import annotations

from enum import StrEnum

import msgspec

NEARLY_SPENT = 0.8
"""From this share of a call's budget on operators are warned."""


class Phase(StrEnum):
    """Where a call is in its life."""

    RINGING = "ringing"
    CONNECTING = "connecting"
    LIVE = "live"
    ENDING = "ending"
    ENDED = "ended"


class Floor(StrEnum):
    """Whom the caller hears."""

    AI = "ai"
    OPERATOR = "operator"
    HOLD = "hold"
    NOBODY = "nobody"


class Verb(StrEnum):
    """What an operator can do to a call."""

    INTERRUPT = "interrupt"
    MUTE_AI = "mute_ai"
    WHISPER = "whisper"
    ASK = "ask"
    SAY = "say"
    TAKE_OVER = "take_over"
    HAND_BACK = "hand_back"
    HOLD = "hold"
    UNHOLD = "unhold"
    KEYS = "keys"
    PRIVACY = "privacy"
    SWAP = "swap"
    HANG_UP = "hang_up"


class Party(StrEnum):
    """Whose voice or hand something is."""

    CALLER = "caller"
    AI = "ai"
    OPERATOR = "operator"
    NOBODY = "nobody"


class Recording(StrEnum):
    """State of a call's stereo recording. PAUSED: a privacy hold; the file goes on as silence."""

    OFF = "off"
    ON = "on"
    PAUSED = "paused"
    PARTIAL = "partial"
    DONE = "done"


class CallView(msgspec.Struct, frozen=True, kw_only=True):
    """One call as an operator sees it.

    number: the other party, E.164 or the carrier's word for "withheld".
    clock_ms: age of the media stream when this view was made (0 before it starts).
    floor_holder: name of the console that has the floor or put the caller on hold, else "".
    private: a privacy hold is on; private_by: the console that began it.
    activity: in words, what happens now ("AI speaking", "Ringing", "Ended · caller hung up").
    needs: why the call needs a person, most pressing first; empty when it does not.
    allowed: the verbs that would be accepted now.
    why_not: verb -> the sentence an operator would be refused with.
    cost_usd: estimate from the engines' own usage figures; costs_usd: the same by vendor.
    budget_usd: the most that its AI may cost, None for any; once it is spent a menu goes on, or a person.
    engine: the engine that has the call, "" when none does; engines: those it could be swapped for by
    `Swap`; coming: the one that takes over at the next quiet moment, "" for none.
    end_cause: empty until the call has ended.
    """

    call_id: str
    call_sid: str = ""
    direction: str = "inbound"
    number: str = ""
    place: str = ""
    profile: str = ""
    phase: Phase = Phase.RINGING
    floor: Floor = Floor.NOBODY
    floor_holder: str = ""
    ai_muted: bool = False
    private: bool = False
    private_by: str = ""
    speaking: Party = Party.NOBODY
    activity: str = ""
    needs: tuple[str, ...] = ()
    recording: Recording = Recording.OFF
    recording_path: str = ""
    started_unix_ms: int = 0
    clock_ms: int = 0
    caller_interruptions: int = 0
    operator_interruptions: int = 0
    session_expires_ms: int | None = None
    cost_usd: float = 0.0
    tokens: int = 0
    costs_usd: dict[str, float] = {}
    budget_usd: float | None = None
    engine: str = ""
    engines: tuple[str, ...] = ()
    coming: str = ""
    summary: str = ""
    end_cause: str = ""
    allowed: tuple[Verb, ...] = ()
    why_not: dict[Verb, str] = {}


class TurnKind(StrEnum):
    """What a line of the transcript is."""

    SPEECH = "speech"
    WHISPER = "whisper"
    ASK = "ask"
    SAY = "say"
    NOTE = "note"
    KEYS = "keys"


class TurnState(StrEnum):
    """INTERIM words may still change; SPEAKING is being heard; CUT ended before it was all heard."""

    INTERIM = "interim"
    SPEAKING = "speaking"
    FINAL = "final"
    CUT = "cut"


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the transcript.

    Lines are ordered by (start_ms, order), never by arrival. Of ``text`` the first
    ``heard_chars`` characters reached the caller; while SPEAKING the rest is still to come,
    when CUT the rest never did. ``heard_ms`` of audio were heard. ``cut_by`` is NOBODY unless
    CUT. ``remark`` is a short word beside the line ("not word for word"). ``engine``: which one
    spoke, "" for people.
    """

    call_id: str
    turn_id: str
    order: int
    speaker: Party
    kind: TurnKind = TurnKind.SPEECH
    state: TurnState = TurnState.FINAL
    start_ms: int = 0
    end_ms: int = 0
    text: str = ""
    heard_chars: int = 0
    heard_ms: int = 0
    cut_by: Party = Party.NOBODY
    remark: str = ""
    engine: str = ""


class ToolState(StrEnum):
    """Life of a tool call."""

    ASKED = "asked"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DENIED = "denied"
    EXPIRED = "expired"


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """One tool call of the AI. arguments and result are the JSON texts, at most 16 KiB each."""

    call_id: str
    tool_id: str
    order: int
    name: str
    arguments: str = ""
    state: ToolState = ToolState.ASKED
    result: str = ""
    start_ms: int = 0
    duration_ms: int = 0


class MarkerKind(StrEnum):
    """What a mark under the waveform stands for."""

    BARGE_IN = "barge_in"
    OPERATOR = "operator"
    TOOL = "tool"
    DTMF = "dtmf"
    ENGINE = "engine"
    TROUBLE = "trouble"


class MarkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A moment marked under the waveform, with a word."""

    call_id: str
    marker_id: str
    at_ms: int
    kind: MarkerKind
    label: str


class AnswerView(msgspec.Struct, frozen=True, kw_only=True):
    """How long the caller waited for one answer, in stages that add up.

    at_ms: when the caller stopped speaking. end_of_speech_ms: until the engine noticed.
    model_ms: until its first audio, less tool_ms spent in tools. ear_ms: until that audio was
    confirmed heard by the carrier. engine: which one answered.

    Of a cascade, 0 where an engine does not tell: words_ms, from the caller's silence until the
    words were final; token_ms, from there to the model's first token; sound_ms, from there to the
    voice's first sound. filler_ms: from the caller's silence until a filler was heard, 0 for none.
    """

    call_id: str
    answer_id: str
    at_ms: int
    end_of_speech_ms: int
    model_ms: int
    tool_ms: int
    ear_ms: int
    engine: str = ""
    words_ms: int = 0
    token_ms: int = 0
    sound_ms: int = 0
    filler_ms: int = 0


class VendorView(msgspec.Struct, frozen=True, kw_only=True):
    """How long one vendor takes for one step of an answer, over the newest turns of all calls, and its cost.

    step: words, token, sound, or answer (the whole, from the caller's silence to the first sound).
    """

    vendor: str
    step: str
    p50_ms: int
    p95_ms: int
    turns: int


class TakeOverView(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one take-over was, counted from the command's arrival at the bridge.

    at_ms: call time of the command. silent_ms: until the carrier confirmed that it holds no more
    AI speech (0 when none was playing). voice_ms: until the operator's first sound left for the
    carrier. Each is None while it has not happened.
    """

    call_id: str
    take_over_id: str
    console: str
    at_ms: int
    silent_ms: float | None = None
    voice_ms: float | None = None


class HealthPart(StrEnum):
    """What the health chips speak of, in their order."""

    BRIDGE = "bridge"
    TUNNEL = "tunnel"
    NUMBER = "number"
    ENGINE = "engine"


class HealthState(StrEnum):
    """GREEN works, AMBER works with a catch or is not yet known, RED does not work."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """One health chip: a word beside the light, the reason behind it, and what to do."""

    part: HealthPart
    state: HealthState
    word: str
    reason: str = ""
    fix: str = ""


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a peer's wire protocol, audio left out and secrets masked.

    number counts within the call. outbound: from us to the peer. count: how many like it this
    line stands for (audio messages are told by the dozen).
    """

    call_id: str
    number: int
    at_ms: int
    peer: str
    outbound: bool
    name: str
    text: str = ""
    count: int = 1

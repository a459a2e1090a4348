"""What a console and a bridge say to each other: commands, events, views and their codec.

One WebSocket. Text frames carry one JSON object each, told apart by ``type``; binary frames
carry audio (see ``TALK``). A console opens with `Attach`; the bridge answers with its whole
state as ordinary ``…Changed`` events and then `Attached`, so a snapshot and an update are one
code path. Every command gets `Done` or `Refused` with its ``id``. Events carry whole objects:
the newest one with the same identity replaces the older, so a slow console may be sent fewer
of them and still ends up right.

This is the only bridge module that the console imports. Times named ``at_ms`` or ``…_ms``
inside a call count from the first moment of its media stream; ``…_unix_ms`` is wall clock.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from struct import Struct
from typing import NamedTuple, TypeAlias

import msgspec

VERSION = 3
"""Raised whenever an older console or bridge would misread the other."""

COLUMN_MS = 20
"""Width of one waveform column: one telephone frame."""

TALK = 1
"""First byte of a binary frame from a console: the rest is operator speech, mu-law 8 kHz mono,
for the call whose floor this console holds."""

HEAR = 2
"""First byte of a binary frame to a console that listens; see `HeardFrame`."""

MAX_KEYS = 32
"""Most keys of one `PressKeys`."""

MAX_TEXT_CHARS = 2000
"""Longest whisper, ask, say or hand-back note."""

TAGS = {"frozen": True, "kw_only": True, "tag_field": "type"}


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


# ── views: what the bridge knows, as frozen values ────────────────────────────────────────


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
    CUT. ``remark`` is a short word beside the line ("not word for word").
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


# ── commands: console -> bridge ───────────────────────────────────────────────────────────


class Attach(msgspec.Struct, tag="attach", **TAGS):
    """The first message. console: the name others see when this one holds a floor."""

    id: int
    version: int
    console: str


class Watch(msgspec.Struct, tag="watch", **TAGS):
    """Which call is looked at closely (fast waveform, raw messages); "" for none."""

    id: int
    call_id: str


class Interrupt(msgspec.Struct, tag="interrupt", **TAGS):
    """Stop the AI's running speech at once; it then waits for the caller."""

    id: int
    call_id: str


class MuteAI(msgspec.Struct, tag="mute_ai", **TAGS):
    """Silence the AI (it still listens and transcribes), or let it answer again."""

    id: int
    call_id: str
    muted: bool


class Whisper(msgspec.Struct, tag="whisper", **TAGS):
    """Hidden guidance for the AI's next turn; never interrupts."""

    id: int
    call_id: str
    text: str


class Ask(msgspec.Struct, tag="ask", **TAGS):
    """Have the AI say this in its own words, after its running reply or cutting in."""

    id: int
    call_id: str
    text: str
    cut_in: bool = False


class Say(msgspec.Struct, tag="say", **TAGS):
    """Have exactly these words spoken."""

    id: int
    call_id: str
    text: str


class TakeOver(msgspec.Struct, tag="take_over", **TAGS):
    """Give this console the floor: the AI falls silent and keeps listening."""

    id: int
    call_id: str


class HandBack(msgspec.Struct, tag="hand_back", **TAGS):
    """Give the AI the floor back, told what happened; note: a line the operator adds."""

    id: int
    call_id: str
    note: str = ""


class Hold(msgspec.Struct, tag="hold", **TAGS):
    """Put the caller on hold (a pleasant sound, the AI muted), or let whoever had the floor go on."""

    id: int
    call_id: str
    held: bool


class PressKeys(msgspec.Struct, tag="press_keys", **TAGS):
    """Send these keypad tones (0-9 * # A-D) to the other side; the AI is told."""

    id: int
    call_id: str
    keys: str


class Privacy(msgspec.Struct, tag="privacy", **TAGS):
    """Pause recording, transcript, history and all audio to AI providers together, or go on."""

    id: int
    call_id: str
    private: bool


class Listen(msgspec.Struct, tag="listen", **TAGS):
    """Send this console both sides of a call as `HeardFrame`s that carry this command's id; "" stops.

    What this console's own operator says is left out. During a privacy hold only the console that
    has the floor goes on hearing.
    """

    id: int
    call_id: str


class Swap(msgspec.Struct, tag="swap", **TAGS):
    """Let another engine (one of `CallView.engines`) go on with the call; it is told what was said."""

    id: int
    call_id: str
    engine: str


class HangUp(msgspec.Struct, tag="hang_up", **TAGS):
    """End the line."""

    id: int
    call_id: str


class Rehearse(msgspec.Struct, tag="rehearse", **TAGS):
    """Let the simulated telephone company place another call; scenario "" picks one."""

    id: int
    scenario: str = ""


class Shutdown(msgspec.Struct, tag="shutdown", **TAGS):
    """Stop the bridge. Refused while calls are up unless ``end_calls``."""

    id: int
    end_calls: bool = False


Command: TypeAlias = (
    Attach
    | Watch
    | Listen
    | Interrupt
    | MuteAI
    | Whisper
    | Ask
    | Say
    | TakeOver
    | HandBack
    | Hold
    | PressKeys
    | Privacy
    | Swap
    | HangUp
    | Rehearse
    | Shutdown
)


# ── events: bridge -> console ─────────────────────────────────────────────────────────────


class Attached(msgspec.Struct, tag="attached", **TAGS):
    """The state sent so far is complete. console_id is what `CallView.floor_holder` may name."""

    version: int
    console: str
    rehearsal: bool
    bridge_pid: int
    home: str
    scenarios: tuple[str, ...] = ()


class HealthChanged(msgspec.Struct, tag="health", **TAGS):
    """Identity: health.part."""

    health: HealthView


class CallChanged(msgspec.Struct, tag="call", **TAGS):
    """Identity: call.call_id."""

    call: CallView


class CallForgotten(msgspec.Struct, tag="call_forgotten", **TAGS):
    """The bridge let go of an old ended call; it lives on in the journal."""

    call_id: str


class TurnChanged(msgspec.Struct, tag="turn", **TAGS):
    """Identity: (turn.call_id, turn.turn_id)."""

    turn: TurnView


class ToolChanged(msgspec.Struct, tag="tool", **TAGS):
    """Identity: (tool.call_id, tool.tool_id)."""

    tool: ToolView


class MarkerChanged(msgspec.Struct, tag="marker", **TAGS):
    """Identity: (marker.call_id, marker.marker_id)."""

    marker: MarkerView


class AnswerTimed(msgspec.Struct, tag="answer", **TAGS):
    """Identity: (answer.call_id, answer.answer_id)."""

    answer: AnswerView


class VendorTimed(msgspec.Struct, tag="vendor", **TAGS):
    """A vendor's figures changed."""

    vendor: VendorView


class TakeOverTimed(msgspec.Struct, tag="take_over_timed", **TAGS):
    """Identity: (take_over.call_id, take_over.take_over_id)."""

    take_over: TakeOverView


class PeaksAdded(msgspec.Struct, tag="peaks", **TAGS):
    """Waveform columns from ``first_column`` on, one byte each, all three of one length.

    caller, line: loudness 0 (silence) .. 255 (full scale) of what the caller said, and of what
    the caller heard. voice: who was heard: 0 nobody, 1 AI, 2 operator. Columns already known
    are replaced.
    """

    call_id: str
    first_column: int
    caller: bytes
    line: bytes
    voice: bytes


class GhostAdded(msgspec.Struct, tag="ghost", **TAGS):
    """AI speech that was cut off before it was heard: its loudness, from ``first_column`` on."""

    call_id: str
    first_column: int
    peaks: bytes


class MessageSeen(msgspec.Struct, tag="message", **TAGS):
    """Only for the call that this console watches. Identity: (call_id, number)."""

    message: MessageView


class Notice(msgspec.Struct, tag="notice", **TAGS):
    """Something an operator should read: what happened, what it means, what to do."""

    text: str
    state: HealthState = HealthState.AMBER
    call_id: str = ""


class Done(msgspec.Struct, tag="done", **TAGS):
    """The command was carried out."""

    id: int


class Refused(msgspec.Struct, tag="refused", **TAGS):
    """The command was not carried out; reason is a sentence for the operator."""

    id: int
    reason: str


Event: TypeAlias = (
    Attached
    | HealthChanged
    | CallChanged
    | CallForgotten
    | TurnChanged
    | ToolChanged
    | MarkerChanged
    | AnswerTimed
    | VendorTimed
    | TakeOverTimed
    | PeaksAdded
    | GhostAdded
    | MessageSeen
    | Notice
    | Done
    | Refused
)

_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(message: Command | Event) -> str:
    """One command or event as the text of one frame."""
    return _encoder.encode(message).decode()


def decode_command(text: str | bytes) -> Command:
    """Raises msgspec.DecodeError (its ValidationError included) for anything but a command."""
    try:
        return _commands.decode(text)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from None


def decode_event(text: str | bytes) -> Event:
    """Raises msgspec.DecodeError (its ValidationError included) for anything but an event."""
    return _events.decode(text)


# ── audio for a console that listens ──────────────────────────────────────────────────────


class Side(IntEnum):
    """Whose side of the call a `HeardFrame` is."""

    CALLER = 0
    LINE = 1


class HeardFrame(NamedTuple):
    """Sound of one side of a call, on its way to an operator's ear.

    listen_id: the id of the `Listen` that asked for it; frames of an older one are to be dropped.
    at_ms: call time at which it began. audio: mu-law, 8 kHz mono.
    """

    listen_id: int
    side: Side
    at_ms: int
    audio: bytes


_HEARD = Struct("<BBII")


def encode_heard(listen_id: int, side: Side, at_ms: int, audio: bytes) -> bytes:
    """One binary frame to a console that listens."""
    return _HEARD.pack(HEAR, side, listen_id & 0xFFFFFFFF, max(0, at_ms) & 0xFFFFFFFF) + audio


def decode_heard(frame: bytes) -> HeardFrame:
    """Raises ValueError for anything but such a frame."""
    if len(frame) < _HEARD.size or frame[0] != HEAR:
        raise ValueError("not audio for a console")
    _, side, listen_id, at_ms = _HEARD.unpack_from(frame)
    return HeardFrame(listen_id, Side(side), at_ms, frame[_HEARD.size :])

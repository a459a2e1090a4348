"""Commands: what a console asks of the bridge."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

MAX_KEYS = 32
"""Most keys of one `PressKeys`."""

MAX_TEXT_CHARS = 2000
"""Longest whisper, ask, say or hand-back note."""

TAGS = {"frozen": True, "kw_only": True, "tag_field": "type"}
"""How commands and events are made: frozen, and told apart by their ``type``."""


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

"""Events: what the bridge tells its consoles."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from bridge.control.commands import TAGS
from bridge.control.views import (
    AnswerView,
    CallView,
    HealthState,
    HealthView,
    MarkerView,
    MessageView,
    TakeOverView,
    ToolView,
    TurnView,
    VendorView,
)

COLUMN_MS = 20
"""Width of one waveform column: one telephone frame."""


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

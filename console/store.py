"""The console's mirror of its bridge. Pure: events in, the names of what changed out.

`apply` puts one object. Whoever paints asks the store for the newest state; nothing here knows
of Qt, sockets or clocks.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field

from bridge import control
from bridge.control import (
    AnswerView,
    CallView,
    Event,
    HealthPart,
    HealthView,
    MarkerView,
    MessageView,
    Phase,
    TakeOverView,
    ToolView,
    TurnView,
    VendorView,
)

KEPT_MESSAGES = 2000
KEPT_NOTICES = 50

PHASE_RANK = {Phase.LIVE: 0, Phase.CONNECTING: 0, Phase.ENDING: 0, Phase.RINGING: 1, Phase.ENDED: 2}


@dataclass(frozen=True, order=True)
class Line:
    """A place in the conversation: a turn or a tool card, ordered by when it began."""

    start_ms: int
    order: int
    key: str


@dataclass
class Call:
    """All that is known of one call.

    caller, heard, voice, ghost: waveform columns of `control.COLUMN_MS`, one byte each, all of
    equal length except ghost, which may be shorter or longer.
    lines: the conversation in order; ``turns`` and ``tools`` hold the objects by their ids.
    """

    view: CallView
    turns: dict[str, TurnView] = field(default_factory=dict)
    tools: dict[str, ToolView] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    markers: dict[str, MarkerView] = field(default_factory=dict)
    answers: dict[str, AnswerView] = field(default_factory=dict)
    take_overs: dict[str, TakeOverView] = field(default_factory=dict)
    caller: bytearray = field(default_factory=bytearray)
    line: bytearray = field(default_factory=bytearray)
    voice: bytearray = field(default_factory=bytearray)
    ghost: bytearray = field(default_factory=bytearray)
    messages: deque[MessageView] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))


def _put(lane: bytearray, first: int, columns: bytes) -> None:
    """Write columns at their place, filling a gap with silence."""
    if len(lane) < first:
        lane.extend(bytes(first - len(lane)))
    lane[first : first + len(columns)] = columns


def _place(call: Call, key: str, start_ms: int, order: int, old: TurnView | ToolView | None) -> None:
    """Keep ``call.lines`` sorted when an object appears or learns a better start time."""
    if old is not None:
        if (old.start_ms, old.order) == (start_ms, order):
            return
        call.lines.remove(Line(old.start_ms, old.order, key))
    insort(call.lines, Line(start_ms, order, key))


@dataclass
class Store:
    """Everything the window shows. ``attached`` is None until a snapshot has been completed."""

    attached: control.Attached | None = None
    calls: dict[str, Call] = field(default_factory=dict)
    health: dict[HealthPart, HealthView] = field(default_factory=dict)
    vendors: dict[tuple[str, str], VendorView] = field(default_factory=dict)
    notices: deque[control.Notice] = field(default_factory=lambda: deque(maxlen=KEPT_NOTICES))

    def begin_snapshot(self) -> None:
        """A new link is about to send the whole state: forget the old one."""
        self.attached = None
        self.calls.clear()
        self.health.clear()
        self.vendors.clear()

    def apply(self, event: Event) -> str:
        """Put one event's object; returns the call_id it touched, or "" for the desk itself.

        Objects of calls that were never announced are ignored: the bridge announces first.
        """
        match event:
            case control.CallChanged(call=view):
                call = self.calls.get(view.call_id)
                if call is None:
                    self.calls[view.call_id] = Call(view)
                else:
                    call.view = view
                return view.call_id
            case control.CallForgotten(call_id=call_id):
                self.calls.pop(call_id, None)
                return call_id
            case control.HealthChanged(health=health):
                self.health[health.part] = health
                return ""
            case control.Attached():
                self.attached = event
                return ""
            case control.Notice():
                self.notices.append(event)
                return event.call_id
            case control.Done() | control.Refused():
                return ""
            case control.TurnChanged(turn=turn):
                call = self.calls.get(turn.call_id)
                if call is not None:
                    key = "turn:" + turn.turn_id
                    _place(call, key, turn.start_ms, turn.order, call.turns.get(turn.turn_id))
                    call.turns[turn.turn_id] = turn
                return turn.call_id
            case control.ToolChanged(tool=tool):
                call = self.calls.get(tool.call_id)
                if call is not None:
                    key = "tool:" + tool.tool_id
                    _place(call, key, tool.start_ms, tool.order, call.tools.get(tool.tool_id))
                    call.tools[tool.tool_id] = tool
                return tool.call_id
            case control.MarkerChanged(marker=marker):
                call = self.calls.get(marker.call_id)
                if call is not None:
                    call.markers[marker.marker_id] = marker
                return marker.call_id
            case control.AnswerTimed(answer=answer):
                call = self.calls.get(answer.call_id)
                if call is not None:
                    call.answers[answer.answer_id] = answer
                return answer.call_id
            case control.VendorTimed(vendor=vendor):
                self.vendors[vendor.vendor, vendor.step] = vendor
                return ""
            case control.TakeOverTimed(take_over=take_over):
                call = self.calls.get(take_over.call_id)
                if call is not None:
                    call.take_overs[take_over.take_over_id] = take_over
                return take_over.call_id
            case control.PeaksAdded():
                call = self.calls.get(event.call_id)
                if call is not None:
                    _put(call.caller, event.first_column, event.caller)
                    _put(call.line, event.first_column, event.line)
                    _put(call.voice, event.first_column, event.voice)
                return event.call_id
            case control.GhostAdded():
                call = self.calls.get(event.call_id)
                if call is not None:
                    _put(call.ghost, event.first_column, event.peaks)
                return event.call_id
            case control.MessageSeen(message=message):
                call = self.calls.get(message.call_id)
                if call is not None:
                    call.messages.append(message)
                return message.call_id

    def most_urgent_first(self) -> list[Call]:
        """Live calls that need a person, other live ones, ringing ones, then the ended, newest first."""

        def rank(call: Call) -> tuple[int, int, int]:
            view = call.view
            ended = view.phase is Phase.ENDED
            age = -view.started_unix_ms if ended else view.started_unix_ms
            return PHASE_RANK[view.phase], 0 if view.needs and not ended else 1, age

        return sorted(self.calls.values(), key=rank)

    @property
    def live_count(self) -> int:
        """Calls with a person on the line."""
        return sum(call.view.phase in (Phase.LIVE, Phase.CONNECTING, Phase.ENDING) for call in self.calls.values())

    @property
    def needing_count(self) -> int:
        """Calls that wait for an operator."""
        return sum(bool(call.view.needs) and call.view.phase is not Phase.ENDED for call in self.calls.values())

    @property
    def cost_usd(self) -> float:
        """Of all the calls that the bridge still holds."""
        return sum(call.view.cost_usd for call in self.calls.values())

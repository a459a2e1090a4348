"""What a headless rehearsal prints: each line once, when it is final, in the order of the talk."""

from __future__ import annotations

import sys
from typing import TextIO

from bridge.control import Party, Phase, ToolState, ToolView, TurnKind, TurnState, TurnView
from console import names
from console.store import Call, Store
from console.timeline import clock_text

SPEAKERS = {Party.CALLER: "Caller", Party.OPERATOR: "Operator", Party.NOBODY: "Note"}
KINDS = {TurnKind.WHISPER: "whispers", TurnKind.ASK: "asks", TurnKind.SAY: "has said", TurnKind.NOTE: "note"}
SETTLED_TOOLS = (ToolState.DONE, ToolState.FAILED, ToolState.DENIED, ToolState.EXPIRED)


def turn_words(turn: TurnView) -> str:
    """A line as text: what was not heard stands in brackets."""
    text = turn.text
    if turn.state is TurnState.CUT:
        heard, unheard = text[: turn.heard_chars].rstrip(), text[turn.heard_chars :].strip()
        by = "" if turn.cut_by is Party.NOBODY else f" by {turn.cut_by}"
        text = f"{heard} [cut off{by}: {unheard or 'nothing left'}]".strip()
    return f"{text} ({turn.remark})" if turn.remark else text


def tool_words(tool: ToolView) -> str:
    """A tool card as text."""
    result = f" -> {tool.result}" if tool.result else ""
    return f"{tool.name} {tool.arguments}{result} ({tool.state}, {tool.duration_ms} ms)"


class Report:
    """Prints to ``out``; `look` after every change of a call."""

    def __init__(self, store: Store, out: TextIO | None = None) -> None:
        self._store = store
        self._out = sys.stdout if out is None else out
        self._told: dict[str, set[str]] = {}
        self._numbers: dict[str, int] = {}
        self._phases: dict[str, Phase] = {}

    def look(self, call_id: str) -> None:
        """Print what has become final in a call, in order: a line waits for those that began before it."""
        call = self._store.calls.get(call_id)
        if call is None:
            return
        self._look_at_phase(call)
        ended = call.view.phase is Phase.ENDED
        told = self._told.setdefault(call_id, set())
        for line in call.lines:
            if line.key in told:
                continue
            kind, _, key = line.key.partition(":")
            final = (
                self._tell_turn(call, call.turns[key], ended)
                if kind == "turn"
                else self._tell_tool(call, call.tools[key], ended)
            )
            if not final:
                return
            told.add(line.key)

    def flush(self) -> None:
        """At the end: also what never became final."""
        for call_id in self._store.calls:
            self.look(call_id)

    def act(self, call_id: str, what: str) -> None:
        """An operator's action."""
        call = self._store.calls.get(call_id)
        if call is not None:
            self._print(call, len(call.caller) * 20, "OPERATOR", what)

    def say(self, who: str, what: str) -> None:
        """Something that belongs to no call."""
        print(f"         {who:<9} {what}", file=self._out, flush=True)

    def _look_at_phase(self, call: Call) -> None:
        view = call.view
        before = self._phases.get(view.call_id)
        if view.phase is before:
            return
        self._phases[view.call_id] = view.phase
        if before is None:
            about = ", ".join(filter(None, (view.number, view.place, view.direction, view.profile)))
            self._print(call, 0, "Call", about)
        if view.phase is Phase.ENDED:
            self._print(call, view.clock_ms, "Call", f"ended: {view.end_cause}")

    def _tell_turn(self, call: Call, turn: TurnView, ended: bool) -> bool:
        if turn.state in (TurnState.INTERIM, TurnState.SPEAKING) and not ended:
            return False
        who = names.speaker_word(turn.engine) if turn.speaker is Party.AI else SPEAKERS[turn.speaker]
        if turn.kind is TurnKind.SPEECH:
            self._print(call, turn.start_ms, who, turn_words(turn))
        else:
            ours = self._store.attached.console if self._store.attached is not None else ""
            self._print(call, turn.start_ms, who, f"({KINDS[turn.kind]}) {names.told(turn_words(turn), ours)}")
        return True

    def _tell_tool(self, call: Call, tool: ToolView, ended: bool) -> bool:
        if tool.state not in SETTLED_TOOLS and not ended:
            return False
        self._print(call, tool.start_ms, "Tool", tool_words(tool))
        return True

    def _print(self, call: Call, at_ms: float, who: str, what: str) -> None:
        number = self._numbers.setdefault(call.view.call_id, len(self._numbers) + 1)
        print(f"#{number} {clock_text(at_ms):>6} {who:<9} {what}", file=self._out, flush=True)

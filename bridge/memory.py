"""A call's transcript as an engine's memory: what one that takes the call over is told. Pure.

Only what was really said and heard counts, in the order in which it was: an engine that goes on
must know what the caller knows, and nothing that reached nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.control import Party, ToolState, ToolView, TurnKind, TurnView
from bridge.engines import Remembered, Role, notes
from bridge.keypad import MASK

UNANSWERED = (ToolState.ASKED, ToolState.WAITING, ToolState.RUNNING)
HANDED_BACK = "Handed back to the AI: "
"""How the note of a hand-back begins that holds words for the AI."""

_ROLES = {Party.CALLER: Role.CALLER, Party.AI: Role.AI, Party.OPERATOR: Role.OPERATOR}


def remembered(turns: Iterable[TurnView], tools: Iterable[ToolView]) -> list[Remembered]:
    """The conversation so far; tools that still run are left out, their results come later."""
    return [what for _, _, what in sorted(_placed(turns, tools), key=lambda place: place[:2])]


def is_anything(turns: Iterable[TurnView], tools: Iterable[ToolView]) -> bool:
    """Whether there is anything to remember; looks no further than the first thing."""
    return any(True for _ in _placed(turns, tools))


def _placed(turns: Iterable[TurnView], tools: Iterable[ToolView]) -> Iterator[tuple[int, int, Remembered]]:
    """Each thing with when it was."""
    for turn in turns:
        what = _of_turn(turn)
        if what is not None:
            yield turn.start_ms, turn.order, what
    for tool in tools:
        if tool.state not in UNANSWERED:
            yield tool.start_ms, tool.order, Remembered(Role.TOOL, tool.result, tool.name, tool.arguments)


def _of_turn(turn: TurnView) -> Remembered | None:
    text = turn.text[: turn.heard_chars].strip()
    if not text.strip(MASK):
        # Nothing, or not kept: it was said in a privacy hold.
        return None
    match turn.kind:
        case TurnKind.SPEECH | TurnKind.SAY:
            return Remembered(_ROLES[turn.speaker], text)
        case TurnKind.WHISPER:
            return Remembered(Role.NOTE, notes.guidance(text))
        case TurnKind.KEYS if turn.speaker is Party.CALLER:
            return Remembered(Role.NOTE, notes.caller_pressed(text))
        case TurnKind.KEYS:
            return Remembered(Role.NOTE, notes.colleague_pressed(text))
        case TurnKind.NOTE if turn.text.startswith(HANDED_BACK):
            return Remembered(
                Role.NOTE, f"Your colleague handed the call back to you: {text.removeprefix(HANDED_BACK)}"
            )
    return None

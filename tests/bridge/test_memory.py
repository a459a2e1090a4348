"""What an engine that takes a call over is told of it."""

from __future__ import annotations

from typing import Any

from bridge.control import Party, ToolState, ToolView, TurnKind, TurnView
from bridge.engines import Remembered, Role
from bridge.memory import is_anything, remembered

ORDERS = iter(range(1, 100))


def turn(speaker: Party, text: str, at_ms: int, **more: Any) -> TurnView:
    fields = {"heard_chars": len(text), **more}
    return TurnView(
        call_id="c", turn_id=str(at_ms), order=next(ORDERS), speaker=speaker, text=text, start_ms=at_ms, **fields
    )


def tool(state: ToolState, at_ms: int) -> ToolView:
    return ToolView(
        call_id="c",
        tool_id=state,
        order=next(ORDERS),
        name="find",
        arguments="{}",
        state=state,
        result="two",
        start_ms=at_ms,
    )


def test_the_conversation_is_told_in_the_order_in_which_it_was_held() -> None:
    turns = [
        turn(Party.AI, "Hello.", 0),
        turn(Party.AI, "It is in Leeds now.", 900, heard_chars=9),
        turn(Party.CALLER, "Where is it?", 300),
        turn(Party.OPERATOR, "I am Ann.", 1200),
        turn(Party.OPERATOR, "Good day.", 1300, kind=TurnKind.SAY),
    ]
    assert remembered(turns, [tool(ToolState.DONE, 500)]) == [
        Remembered(Role.AI, "Hello."),
        Remembered(Role.CALLER, "Where is it?"),
        Remembered(Role.TOOL, "two", "find", "{}"),
        Remembered(Role.AI, "It is in"),
        Remembered(Role.OPERATOR, "I am Ann."),
        Remembered(Role.OPERATOR, "Good day."),
    ]


def test_what_reached_nobody_is_not_told() -> None:
    turns = [
        turn(Party.AI, "Never heard.", 0, heard_chars=0),
        turn(Party.OPERATOR, "Ask for the number", 10, kind=TurnKind.ASK),
        turn(Party.OPERATOR, "Ann took over", 20, kind=TurnKind.NOTE),
        turn(Party.CALLER, "••••", 25, kind=TurnKind.KEYS),
        turn(Party.AI, "•••", 26),
        turn(Party.OPERATOR, "•••", 27, kind=TurnKind.WHISPER),
    ]
    unanswered = [tool(ToolState.RUNNING, 30), tool(ToolState.WAITING, 31)]
    assert remembered(turns, unanswered) == [] and not is_anything(turns, unanswered)


def test_whether_there_is_anything_to_tell_shows_with_the_first_thing() -> None:
    turns = iter([turn(Party.AI, "Hello.", 0), turn(Party.CALLER, "Hello?", 1)])
    assert is_anything(turns, []) and next(turns).text == "Hello?"
    assert is_anything([], [tool(ToolState.DONE, 2)])


def test_notes_for_the_ai_are_told_as_such() -> None:
    turns = [
        turn(Party.OPERATOR, "be brief", 0, kind=TurnKind.WHISPER),
        turn(Party.CALLER, "12#", 1, kind=TurnKind.KEYS),
        turn(Party.OPERATOR, "1", 2, kind=TurnKind.KEYS),
        turn(Party.OPERATOR, "Handed back to the AI: we agreed", 3, kind=TurnKind.NOTE),
    ]
    told = remembered(turns, [tool(ToolState.DENIED, 4)])
    assert [one.role for one in told] == [Role.NOTE] * 4 + [Role.TOOL]
    for one, words in zip(
        told, ("be brief", "caller pressed keys on the keypad: 12#", "colleague pressed", ": we agreed"), strict=False
    ):
        assert words in one.text

"""What one call's AI may cost: it is heard out, then a menu or a person goes on, and an operator may lift it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import control, menus
from bridge.budget import Budget
from bridge.control import Floor, MarkerKind, Party, Phase, TurnView
from bridge.engines import Because
from bridge.rehearsal import scenario as scenarios

from .desk import Desk
from .house import House, clip, open_house
from .test_faults import settled, told
from .test_succession import answered, call, greeted, greetings, live_id

LITTLE_USD = 0.0001
"""Less than a greeting costs."""

FALLBACK = menus.load()["fallback"]
SPENT = FALLBACK.because[Because.BUDGET]
MENU = f"{SPENT} {FALLBACK.taking_over} {FALLBACK.places['main'].say}"


def by_ai(desk: Desk) -> list[TurnView]:
    """What the AI or the menu said, in order."""
    return sorted(
        (turn for turn in desk.call().turns.values() if turn.speaker is Party.AI), key=lambda turn: turn.start_ms
    )


def seat_of(house: House, call_id: str) -> Any:
    return house.bridge.switchboard.sessions[call_id]._seat


async def test_an_ai_that_spent_its_budget_is_heard_out_and_comes_back_only_by_hand(home: Path) -> None:
    async with open_house(home, ("openai", "keypad"), budget_usd=LITTLE_USD) as house, house.desk() as desk:
        line = await house.call()
        call_id = await live_id(desk)
        await told(desk, "Press G then to let the AI go on without a budget, or T to take over.", call_id)
        await desk.until(lambda store: desk.call().view.engine == "keypad")
        await desk.until(lambda store: MENU in desk.texts())
        greeting, menu = by_ai(desk)
        assert greeting.heard_chars == len(greeting.text) and greeting.state is control.TurnState.FINAL
        assert menu.start_ms >= greeting.start_ms + greeting.heard_ms
        view = desk.call().view
        assert view.budget_usd == LITTLE_USD <= view.cost_usd and view.phase is Phase.LIVE
        assert not view.needs and not any("cannot be reached" in text for text in desk.texts())
        await house.model.until(lambda: house.model.open_sessions == 0)
        assert await desk.do(control.Swap, call_id=call_id, engine="openai") == ""
        await desk.until(lambda store: desk.call().view.engine == "openai")
        assert desk.call().view.budget_usd is None
        await answered(house, desk, line, 0)
        assert (greetings(desk), desk.call().view.engine) == (1, "openai")
        line.hang_up()
        (view,) = await settled(house, desk, line)
        assert view.cost_usd > LITTLE_USD


async def test_operators_are_warned_before_it_is_spent(home: Path) -> None:
    async with open_house(home, ("openai", "keypad")) as house, call(house) as (desk, line):
        call_id = desk.call().view.call_id
        await greeted(desk)
        seat_of(house, call_id)._budget = Budget(desk.call().view.cost_usd / 0.9, True)
        await told(desk, "When that is spent, the keypad menu goes on with the caller. Press G then", call_id)
        (mark,) = [mark.label for mark in desk.call().markers.values() if mark.kind is MarkerKind.TROUBLE]
        assert mark == "budget nearly spent" and desk.call().view.engine == "openai"
        await answered(house, desk, line, 0)
        await desk.until(lambda store: MENU in desk.texts())
        answer = by_ai(desk)[-2]
        assert answer.heard_chars == len(answer.text)


async def test_where_there_is_no_menu_operators_are_rung_and_a_swap_brings_the_ai_back(home: Path) -> None:
    async with open_house(home, budget_usd=LITTLE_USD) as house, call(house) as (desk, _):
        call_id = desk.call().view.call_id
        view = await desk.until(lambda store: desk.call().view.floor is Floor.HOLD and desk.call().view)
        assert view.needs == ("the AI's budget is spent: take over",) and "openai" in view.engines
        (greeting,) = by_ai(desk)
        assert greeting.heard_chars == len(greeting.text)
        await house.model.until(lambda: house.model.open_sessions == 0)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert not desk.call().view.needs
        assert await desk.do(control.Swap, call_id=call_id, engine="openai") == ""
        await desk.until(lambda store: desk.call().view.engine == "openai")
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await house.model.until(lambda: bool(house.ai.said))
        assert desk.call().view.budget_usd is None


async def test_while_an_operator_speaks_the_menu_comes_in_silence_and_speaks_once_it_is_handed_back(
    home: Path,
) -> None:
    async with open_house(home, ("openai", "keypad")) as house, call(house) as (desk, _):
        call_id = desk.call().view.call_id
        await greeted(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        seat_of(house, call_id)._budget = Budget(LITTLE_USD, True)
        await desk.until(lambda store: desk.call().view.engine == "keypad")
        assert desk.call().view.floor_holder == "Ann" and len(by_ai(desk)) == 1
        assert await desk.do(control.HandBack, call_id=call_id) == ""
        await desk.until(lambda store: MENU in desk.texts())


async def test_a_caller_who_never_pauses_does_not_keep_a_spent_ai(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.seat.SPENT_PATIENCE_MS", 0)
    async with open_house(home, ("openai", "keypad")) as house, call(house) as (desk, line):
        call_id = desk.call().view.call_id
        await greeted(desk)
        line.say(clip(0).audio)
        await desk.until(lambda store: desk.call().view.activity == "Caller speaking")
        seat_of(house, call_id)._budget = Budget(LITTLE_USD, True)
        await desk.until(lambda store: desk.call().view.engine == "keypad")
        assert not line.caller.done
        await desk.until(lambda store: MENU in desk.texts())


async def test_a_menu_says_again_that_the_budget_is_spent_to_who_asks_for_the_ai(home: Path) -> None:
    async with open_house(home, ("keypad", "openai"), budget_usd=LITTLE_USD) as house, house.desk() as desk:
        line = await house.company.place_call(replace(scenarios.load("keypad"), steps=()))
        await live_id(desk)
        main = menus.load()["front-desk"].places["main"].say
        await desk.until(lambda store: any(main in text for text in desk.texts()))
        line.press("3")
        await desk.until(lambda store: f"{SPENT} {main}" in desk.texts())
        sessions = house.model.total_sessions
        line.press("3")
        await desk.until(lambda store: desk.texts().count(f"{SPENT} {main}") == 2)
        assert (house.model.total_sessions, desk.call().view.engine) == (sessions, "keypad")
        assert desk.call().view.floor is Floor.AI and not desk.call().view.needs
        line.hang_up()
        await settled(house, desk, line)

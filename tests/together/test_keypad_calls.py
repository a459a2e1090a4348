"""Whole calls by keypad, over real sockets: a menu with tools, a PIN before the AI, and nobody sees its digits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import menus
from bridge.control import HealthPart
from bridge.profiles import PinGate
from bridge.rehearsal import scenario as scenarios
from bridge.rehearsal.line import Line
from bridge.rehearsal.scenario import CallerStep, Wait

from .house import House, open_house

DESK, PIN = menus.load()["front-desk"], menus.load()["fallback"].pin
REHEARSED_PIN = "2580"


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    """Every profile's own menu, and the AI for whoever asks for it there."""
    async with open_house(home, ("keypad", "openai")) as house:
        yield house


@pytest.fixture
async def gated(home: Path) -> AsyncIterator[House]:
    """A PIN before the AI."""
    async with open_house(home, pin=PinGate(setting="CORDBOARD_PIN_ACCOUNT")) as house:
        yield house


async def call(house: House, name: str, *steps: CallerStep) -> Line:
    """The caller of this scenario, doing other things."""
    return await house.company.place_call(replace(scenarios.load(name), steps=steps))


def press(keys: str, wait: Wait = Wait.REPLY_END, ms: int = 700) -> CallerStep:
    """Keys, once the announcement was heard."""
    return CallerStep(wait, ms, digits=keys)


def said(desk: Any) -> list[str]:
    """What the menu or the AI said, in order."""
    return [turn.text for turn in desk.call().turns.values() if turn.speaker == "ai"]


def pressed(desk: Any) -> list[str]:
    """The caller's keys, as an operator sees them."""
    return [turn.text for turn in desk.call().turns.values() if turn.kind == "keys"]


async def test_a_menu_that_answers_tells_nothing_of_the_ais_health(house: House) -> None:
    async with house.desk() as desk:
        before = desk.store.health.get(HealthPart.ENGINE)
        line = await call(house, "keypad", CallerStep(Wait.REPLY_MS, 500, hang_up=True))
        await line.ended
        await desk.until(lambda store: all(call.view.end_cause for call in store.calls.values()))
        assert said(desk)
        assert desk.store.health.get(HealthPart.ENGINE) == before


async def test_a_caller_goes_through_a_menu_by_keys_alone(house: House) -> None:
    async with house.desk() as desk:
        line = await call(
            house,
            "keypad",
            press("1", Wait.REPLY_MS, 1500),
            press("1"),
            press("8841"),
            CallerStep(Wait.REPLY_END, 3000, hang_up=True),
        )
        await line.ended
        assert line.complete, (line.errors, line.events)
        await desk.until(lambda store: all(call.view.end_cause for call in store.calls.values()))
        greeting, orders, number, looking, found = said(desk)
        assert greeting == f"{DESK.greeting} {DESK.places['main'].say}"
        assert (orders, number) == (DESK.places["orders"].say, DESK.places["order_number"].say)
        assert looking == "I am looking for order 8 8 4 1."
        assert found == f"There are two payments for it. The first was 48. {DESK.places['orders'].say}"
        assert pressed(desk) == ["1", "1", "8841"]
        orders_pressed = next(turn.order for turn in desk.call().turns.values() if turn.kind == "keys")
        assert orders_pressed < next(turn.order for turn in desk.call().turns.values() if turn.text == orders)
        (tool,) = desk.call().tools.values()
        assert (tool.name, tool.arguments, tool.state) == ("find_payments", '{"order":"8841"}', "done")
        first = next(turn for turn in desk.call().turns.values() if turn.speaker == "ai")
        assert first.state == "cut" and first.heard_chars < len(first.text)
        assert not desk.call().view.needs
    assert not house.model.sessions


async def test_a_pin_lets_a_caller_through_to_the_ai_and_shows_nowhere(
    gated: House, caplog: pytest.LogCaptureFixture
) -> None:
    house = gated
    caplog.set_level(0)
    async with house.desk() as desk:
        wrong, right = REHEARSED_PIN[::-1], REHEARSED_PIN
        line = await call(
            house, "pin", press(f"{wrong}#"), press(f"{right}#"), CallerStep(Wait.REPLY_END, 3000, hang_up=True)
        )
        await house.model.until(lambda: bool(house.model.sessions))
        await line.ended
        assert line.complete, (line.errors, line.events)
        await desk.until(lambda store: all(call.view.end_cause for call in store.calls.values()))
        asked, again, welcome, *by_ai = said(desk)
        assert (asked, welcome) == (f"{PIN.greeting} {PIN.ask}", PIN.right)
        assert again == f"{PIN.wrong} {PIN.ask}" and by_ai
        assert pressed(desk) == ["•••••", "•••••"]
        told = str([item for session in house.model.sessions for item in session.received])
        seen = str(desk.call()) + str([message.text for message in desk.call().messages])
        for digits in (wrong, right):
            assert digits not in told + seen + caplog.text
    kept = b"".join(path.read_bytes() for path in house.home.glob("journal.sqlite*"))
    assert "•••••".encode() in kept
    assert wrong.encode() not in kept and right.encode() not in kept


async def test_who_does_not_know_the_pin_never_reaches_the_ai(gated: House) -> None:
    house = gated
    async with house.desk() as desk:
        line = await call(house, "pin", press("1111#"), press("2222#"), press("3333#"))
        await line.ended
        await desk.until(lambda store: all(call.view.end_cause for call in store.calls.values()))
        assert said(desk)[-1] == PIN.refused
        assert pressed(desk) == ["•••••"] * 3
        again = await call(house, "pin")
        await again.ended
        await desk.until(lambda store: len(store.calls) == 2 and all(c.view.end_cause for c in store.calls.values()))
        heard = [turn.text for one in desk.store.calls.values() for turn in one.turns.values()]
        assert f"{PIN.greeting} {PIN.locked}" in heard
    assert not house.model.sessions

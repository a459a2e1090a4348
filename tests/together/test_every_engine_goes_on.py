"""Tools that still run while much else happens, and engines that hand a call to each other. See `test_every_engine`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from bridge import control
from bridge.control import Party, ToolState
from bridge.profiles import EngineName
from bridge.tools import ToolResult

from .every_engine import (
    AURA,
    KEYPAD,
    LIVE,
    NOVA,
    REALTIME,
    ChatMind,
    RealtimeMind,
    Talk,
    Way,
    each_ai,
    open_way,
    talk,
    talks,
    ways,
)
from .house import STAYS, House, clip

PAYMENTS = '{"payments":[{"payment":"pi_1","amount":48.0},{"payment":"pi_2","amount":48.0}]}'


def slow_tools(house: House) -> asyncio.Event:
    """No tool has a result before this is set."""
    may_answer = asyncio.Event()

    async def run(name: str, arguments: str) -> ToolResult:
        await may_answer.wait()
        return ToolResult(True, PAYMENTS)

    switchboard = house.bridge.switchboard
    switchboard.house = replace(switchboard.house, run_tool=run)
    return may_answer


async def the_ear_drops(house: House, way: Way) -> None:
    """The socket that hears the caller, whosever it is."""
    if way is LIVE:
        await house.model.live_sessions[-1].leave(1011, "it fell over")
    elif way is NOVA:
        await house.model.deepgram.sockets[-1].abandon(1011, "it fell over")
    else:
        await house.model.sessions[-1].leave(1011, "it fell over")


async def tool_runs(call: Talk) -> None:
    await call.past_the_greeting()
    call.says(1)
    await call.until(lambda: call.call.tools)


async def tool_done(call: Talk) -> None:
    await call.until(lambda: all(tool.state is ToolState.DONE for tool in call.call.tools.values()))


@each_ai
async def test_a_tool_may_answer_while_an_operator_has_the_floor(home: Path, way: Way) -> None:
    async with open_way(home, way) as house:
        may_answer = slow_tools(house)
        async with talks(house, way, STAYS) as (call,):
            await tool_runs(call)
            await call.do(control.TakeOver)
            spoken = len(call.spoken)
            may_answer.set()
            await tool_done(call)
            call.says(3)
            await call.until(lambda: call.turns(Party.CALLER, clip(3).text))
            assert len(call.spoken) == spoken
            await call.do(control.HandBack, note="They get the money back.")
            await call.heard("They get the money back.", 0)
            assert "pi_2" in call.mind.told


@each_ai
async def test_a_caller_may_speak_while_a_tool_runs(home: Path, way: Way) -> None:
    async with open_way(home, way) as house:
        may_answer = slow_tools(house)
        async with talks(house, way, STAYS) as (call,):
            await tool_runs(call)
            call.says(3)
            await call.until(lambda: call.turns(Party.CALLER, clip(3).text))
            may_answer.set()
            await call.heard("You are very welcome.")
            assert "pi_2" in call.mind.told or await call.heard("two payments")


@each_ai
async def test_a_tool_outlives_the_engine_that_asked_for_it(home: Path, way: Way) -> None:
    async with open_way(home, way) as house:
        may_answer = slow_tools(house)
        async with talks(house, way, STAYS) as (call,):
            await tool_runs(call)
            await the_ear_drops(house, way)
            may_answer.set()
            await tool_done(call)
            await call.heard("two payments")
            assert call.greetings() == 1


@ways(NOVA, AURA)
async def test_a_memory_comes_along_from_engine_to_engine_and_back(home: Path, way: Way) -> None:
    async with open_way(home, way, then=("openai",)) as house, talks(house, way, STAYS) as (call,):
        await call.past_the_greeting()
        call.says(1)
        await call.heard("two payments")
        await swapped(call, "openai")
        call.says(3)
        await call.heard("You are very welcome.")
        told = RealtimeMind(house).told
        assert clip(1).text in told and "Hello" in told and "pi_77120" in told
        await swapped(call, "cascade")
        call.says(0)
        await call.heard("I am so sorry about that.")
        last = str(house.model.chat.requests[-1].messages)
        assert all(words in last for words in (clip(1).text, clip(3).text, clip(0).text))
        assert call.greetings() == 1 and isinstance(call.mind, ChatMind)


async def swapped(call: Talk, engine: EngineName) -> None:
    """Another engine has the call."""
    await call.do(control.Interrupt)
    await call.do(control.Swap, engine=engine)
    await call.until(lambda: call.view.engine == engine)


@ways(REALTIME, LIVE, NOVA)
async def test_a_menu_takes_the_call_and_gives_it_back(home: Path, way: Way) -> None:
    async with talk(home, way, then=("keypad",)) as call:
        await call.past_the_greeting()
        call.says(1)
        await call.heard("two payments")
        await swapped(call, KEYPAD.engine)
        await call.heard("keys of your telephone from here on")
        await call.do(control.Swap, engine=way.engine)
        await call.until(lambda: call.view.engine == way.engine)
        call.says(3)
        await call.heard("You are very welcome.")
        assert call.greetings() == 1

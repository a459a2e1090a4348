"""The rehearsal as a process of its own: its line protocol, and that it never outlives its parent."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bridge.rehearsal_carrier_customer import Customer, Media

ROOT = Path(__file__).resolve().parents[2]
REHEARSAL = [sys.executable, "-m", "bridge.rehearsal"]


class Child:
    """The process, spoken to line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def tell(self, text: str = "", **command: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((text or json.dumps(command)).encode() + b"\n")

    async def hear(self, event: str) -> dict[str, Any]:
        """The next event of a kind."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            told: dict[str, Any] = json.loads(line)
            if told.get("event", "ready") == event:
                return told
        raise EOFError(event)

    async def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await self.process.wait()


@pytest.fixture
async def child() -> AsyncIterator[Child]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*REHEARSAL, stdin=pipe, stdout=pipe, cwd=ROOT)
    child = Child(process)
    yield child
    await child.end()


async def pointed(child: Child, customer: Customer) -> dict[str, Any]:
    ready = await child.hear("ready")
    customer.trust(ready["auth_token"])
    child.tell(do="point", voice_url=customer.url("/voice"), status_url=customer.url("/status"))
    return ready


async def test_it_says_when_it_is_ready(child: Child) -> None:
    ready = await child.hear("ready")
    assert ready["ready"] is True
    assert ready["scenarios"] == ["billing", "booking", "keypad", "person", "pin", "reminder"]
    assert ready["api_url"].startswith("http://127.0.0.1:") and ready["model_url"].startswith("ws://127.0.0.1:")
    assert ready["account_sid"].startswith("AC") and ready["auth_token"] and ready["api_key"]
    assert {"+16285550100", "+16285550104"} <= set(ready["numbers"])
    assert await child.end() == 0


async def test_without_a_scenario_each_call_is_the_next_one(child: Child) -> None:
    async def talk(media: Media) -> None:
        await media.next("media")

    async with Customer(talk) as customer:
        await pointed(child, customer)
        for scenario in ("billing", "booking"):
            child.tell(do="call", scenario="")
            assert (await child.hear("call_started"))["scenario"] == scenario
            await child.hear("call_ended")
        await child.end()


async def test_a_call_is_placed_and_its_end_reported(child: Child) -> None:
    async def talk(media: Media) -> None:
        await media.next("media")

    async with Customer(talk) as customer:
        await pointed(child, customer)
        child.tell(do="call", scenario="billing")
        started = await child.hear("call_started")
        ended = await child.hear("call_ended")
        assert started["scenario"] == ended["scenario"] == "billing"
        assert started["call_sid"] == ended["call_sid"] == customer.told("/voice")[0]["CallSid"]
        assert ended["status"] == "completed" and ended["complete"] is False and ended["heard_ms"] == 0
        assert ended["errors"][0][0] == 31921 and ended["gave_up"] == []


async def test_a_day_of_calls(child: Child) -> None:
    async def talk(media: Media) -> None:
        await media.next("media")

    async with Customer(talk) as customer:
        await pointed(child, customer)
        child.tell(do="day", calls=2, scenario="person")
        await child.hear("day_over")
        callers = [told["From"] for told in customer.told("/voice")]
        assert len(set(callers)) == 2 and all("55501" in number for number in callers)


async def test_what_cannot_be_done_is_said(child: Child, tmp_path: Path) -> None:
    await child.hear("ready")
    child.tell(do="call", scenario="billing")
    assert "points nowhere" in (await child.hear("refused"))["reason"]
    child.tell(do="call", scenario="opera")
    assert "opera" in (await child.hear("refused"))["reason"]
    child.tell(do="call", caller_file=str(tmp_path / "none.wav"))
    assert "none.wav" in (await child.hear("refused"))["reason"]
    for nonsense in ('{"do": "dance"}', "[1]", "{", '{"do": "day", "calls": 0}'):
        child.tell(nonsense)
        assert await child.hear("refused")


async def test_when_its_input_ends_it_hangs_up_and_goes(child: Child) -> None:
    async with Customer() as customer:
        await pointed(child, customer)
        child.tell(do="call", scenario="person")
        media = await customer.until_media()
        assert await child.end() == 0
        assert customer.told("/status")[0]["CallStatus"] == "completed"
        assert media.events()[-1] == "stop"


def test_it_does_not_outlive_a_parent_that_was_killed() -> None:
    script = (
        "import subprocess, sys; "
        f"child = subprocess.Popen({REHEARSAL!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE); "
        "child.stdout.readline(); print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=10)

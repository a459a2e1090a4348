"""Two operators who want one call at the same time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge import control, journal
from bridge.audio import FRAME_BYTES, SILENCE_BYTE
from bridge.control import Floor, Party, Recording
from bridge.rehearsal import scenario as scenarios

from .desk import Desk
from .house import open_house
from .sound import read_wav


@dataclass
class Struggle:
    """Two operators who take one call from each other; each take-over speaks in a sound of its own."""

    call_id: str
    speakers: list[str]

    def sound(self, number: int) -> bytes:
        return bytes([0x10 + number, 0x90 + number]) * (FRAME_BYTES // 2)

    async def wins(self, desk: Desk, name: str) -> None:
        """Until this operator has had the floor once, spoken and handed back."""
        while await desk.do(control.TakeOver, call_id=self.call_id) != "":
            pass
        self.speakers.append(name)
        for _ in range(4):
            await desk.talk(self.sound(len(self.speakers)))
        # As long as it takes to say that much.
        await asyncio.sleep(0.08)
        assert await desk.do(control.HandBack, call_id=self.call_id) == ""

    async def five(self, desk: Desk, name: str) -> None:
        for _ in range(5):
            await self.wins(desk, name)


def watch_the_floor(desk: Desk) -> list[str]:
    """Who has the floor, as this console is told; one entry a change."""
    seen: list[str] = []

    def look(store: Any) -> bool:
        for call in store.calls.values():
            view = call.view
            assert (view.floor is Floor.OPERATOR) == bool(view.floor_holder)
            if not seen or seen[-1] != view.floor_holder:
                seen.append(view.floor_holder)
        return False

    desk._looking.append((look, asyncio.get_running_loop().create_future()))
    return seen


def is_part_of(seen: list[str], happened: list[str]) -> bool:
    """Whether all that was seen happened in that order; a console may miss what lasted for a blink."""
    rest = iter(happened)
    return all(holder in rest for holder in seen)


async def test_two_consoles_that_fight_for_a_floor_are_never_heard_together(home: Path) -> None:
    async with open_house(home) as house, house.desk("Ann") as ann, house.desk("Bob") as bob:
        await house.company.place_call(scenarios.load("billing"))
        # An AI that has just asked for a tool, then a caller who talks at the same time.
        await ann.until(lambda store: any(call.tools for call in store.calls.values()))
        await bob.until(lambda store: any(call.tools for call in store.calls.values()))
        struggle = Struggle(ann.call().view.call_id, [])
        seen = watch_the_floor(ann), watch_the_floor(bob)
        await asyncio.gather(struggle.five(ann, "Ann"), struggle.five(bob, "Bob"))
        await ann.until(lambda store: ann.call().view.speaking is Party.CALLER)
        await asyncio.gather(struggle.five(ann, "Ann"), struggle.five(bob, "Bob"))
        taken, hung_up = await asyncio.gather(
            ann.do(control.TakeOver, call_id=struggle.call_id), bob.do(control.HangUp, call_id=struggle.call_id)
        )
        assert hung_up == "" and taken in ("", "The call is ending.", "The call has ended.")
        for desk in (ann, bob):
            await desk.until(lambda store, desk=desk: desk.call().view.recording is Recording.DONE)
    assert sorted(struggle.speakers) == ["Ann"] * 10 + ["Bob"] * 10
    record = journal.read(home / "journal.sqlite", struggle.call_id)
    assert record is not None
    happened = [""]
    for entry in record.inputs:
        body = json.loads(entry.body)
        kind = body["input"]
        if kind in ("TakeOver", "HandBack"):
            assert happened[-1] == ("" if kind == "TakeOver" else body["console"])
            happened.append(body["console"] if kind == "TakeOver" else "")
    assert [holder for holder in happened[:40] if holder] == struggle.speakers
    for told in seen:
        assert set(told) == {"", "Ann", "Bob"} and is_part_of(told, [*happened, ""])
    line = read_wav(Path(record.view.recording_path)).line
    ended, heard = 0, 0
    for number in range(1, len(struggle.speakers) + 1):
        sound = struggle.sound(number)
        if sound in line:
            heard += 1
            first, last = line.index(sound), line.rindex(sound) + len(sound)
            assert first >= ended and not line[first:last].replace(sound, b"").strip(bytes([SILENCE_BYTE]))
            ended = last
    assert heard > 0

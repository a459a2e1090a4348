"""The bridge as a process of its own: killed, stopped, ended, and watched by consoles that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from bridge import control, journal, lock
from bridge.audio import FRAME_BYTES, SILENCE_BYTE
from bridge.control import Floor, Party, Phase, Recording
from bridge.profiles import Profiles
from bridge.rehearsal import scenario as scenarios
from bridge.rehearsal.voice import Voice

from .desk import Desk, open_desk
from .sound import read_wav

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).resolve().parents[2]
PERSON = scenarios.load("person")
GREETING = Profiles.load().for_number(PERSON.our_number).first_line

CONSOLE = """
import asyncio, sys
from tests.together.desk import open_desk
async def main():
    async with open_desk(sys.argv[1], sys.stdin.readline().strip(), "Victim"):
        print("attached", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@dataclass
class Running:
    """A bridge process that is ready, with the rehearsal it started."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    children: list[psutil.Process]
    token: str

    def desk(self, name: str = "Ann") -> Any:
        return open_desk(self.ready["control"], self.token, name)

    async def childless(self) -> None:
        """Until no child of the bridge is left, which takes it a moment."""
        _, alive = await asyncio.to_thread(psutil.wait_procs, self.children, timeout=5)
        assert not alive


@asynccontextmanager
async def running(home: Path, *words: str) -> AsyncIterator[Running]:
    process = await start(*words)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            ready = json.loads(await process.stdout.readline())
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        yield Running(process, ready, children, (home / "control.token").read_text())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def start(*words: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "bridge", "--rehearsal", *words)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, cwd=ROOT)


async def hears_the_ai(desk: Desk) -> None:
    """Until the caller has heard a second of the AI."""
    await desk.until(
        lambda store: any(
            turn.speaker is Party.AI and turn.heard_ms > 1000
            for call in store.calls.values()
            for turn in call.turns.values()
        )
    )


def sounds(mulaw: bytes) -> bytes:
    return mulaw.replace(bytes([SILENCE_BYTE]), b"")


async def test_a_console_killed_in_a_call_takes_nothing_with_it_and_a_termination_ends_all_well(home: Path) -> None:
    async with running(home, "--calls", "1", "--scenario", "person") as bridge:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-c", CONSOLE, bridge.ready["control"])
        console = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT)
        assert console.stdin is not None and console.stdout is not None
        console.stdin.write(bridge.token.encode() + b"\n")
        async with bridge.desk() as desk:
            assert await console.stdout.readline() == b"attached\n"
            await hears_the_ai(desk)
            console.kill()
            await console.wait()
            await desk.until(lambda store: desk.call().view.speaking is Party.CALLER)
            known = desk.call().turns
        async with asyncio.timeout(3), bridge.desk() as desk:
            assert known.keys() <= desk.call().turns.keys()
            assert desk.call().view.phase is Phase.LIVE
            assert len(desk.call().caller) > 100
        async with bridge.desk() as desk:
            line = next(step.text for step in PERSON.steps if step.text)
            await desk.until(lambda store: any(turn.text == line for turn in desk.call().turns.values()))
        bridge.process.terminate()
        async with asyncio.timeout(8):
            assert await bridge.process.wait() == 0
        await bridge.childless()
        assert not (home / lock.LOCK_NAME).exists() and not (home / lock.TOKEN_NAME).exists()
    (view,) = journal.recent(home / "journal.sqlite")
    assert (view.phase, view.end_cause, view.recording) == (Phase.ENDED, "the bridge was stopped", Recording.DONE)
    sound = read_wav(Path(view.recording_path))
    voice = Voice()
    greeting = await voice.speak(GREETING)
    voice.close()
    assert sounds(greeting.audio) in sounds(sound.line)
    assert next(step.audio for step in PERSON.steps if step.audio) in sound.caller


async def test_a_killed_bridge_leaves_a_record_and_nothing_else_and_the_next_takes_over(home: Path) -> None:
    async with running(home, "--calls", "1", "--scenario", "person") as bridge:
        async with bridge.desk() as desk:
            await hears_the_ai(desk)
            await desk.until(lambda store: desk.call().view.clock_ms > 3000)
            known = desk.call()
            bridge.process.kill()
            await bridge.process.wait()
        await bridge.childless()
        async with running(home) as again, again.desk() as desk:
            await desk.until(lambda store: any("was cut short" in notice.text for notice in store.notices))
            (view,) = journal.recent(home / "journal.sqlite")
            assert (view.call_id, view.phase) == (known.view.call_id, Phase.ENDED)
            assert view.end_cause == journal.BRIDGE_STOPPED and view.recording is Recording.PARTIAL
            assert view.clock_ms >= known.view.clock_ms - 1500
            record = journal.read(home / "journal.sqlite", view.call_id)
            assert record is not None and record.inputs and record.turns
            assert read_wav(Path(view.recording_path)).duration_ms >= known.view.clock_ms - 1000
            refused = await start()
            _, words = await refused.communicate()
            assert refused.returncode == 3 and b"runs in this home already" in words
            again.process.terminate()
            async with asyncio.timeout(8):
                assert await again.process.wait() == 0
    with sqlite3.connect(home / "journal.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


async def test_a_bridge_that_stands_still_goes_on(home: Path) -> None:
    async with running(home, "--calls", "1", "--scenario", "person") as bridge, bridge.desk() as desk:
        await desk.until(
            lambda store: any(t.speaker is Party.CALLER for c in store.calls.values() for t in c.turns.values())
        )
        os.kill(bridge.process.pid, signal.SIGSTOP)
        await asyncio.sleep(1)
        os.kill(bridge.process.pid, signal.SIGCONT)
        await desk.until(lambda store: any("stalled for" in notice.text for notice in store.notices))
        first, second = [step.text for step in PERSON.steps if step.text][:2]
        await desk.until(lambda store: any(turn.text == first for turn in desk.call().turns.values()))
        await desk.until(
            lambda store: any(
                t.speaker is Party.AI and t.start_ms > 6000 and t.heard_ms > 500 for t in desk.call().turns.values()
            )
        )
        before = len(desk.store.notices)
        os.kill(bridge.process.pid, signal.SIGSTOP)
        await asyncio.sleep(5)
        os.kill(bridge.process.pid, signal.SIGCONT)
        await desk.until(lambda store: len(store.notices) > before)
        stopped_ms = desk.call().view.clock_ms
        await desk.until(
            lambda store: any(
                turn.speaker is Party.AI and turn.start_ms > stopped_ms and turn.heard_ms > 1000
                for turn in desk.call().turns.values()
            )
        )
        assert desk.call().view.phase is Phase.LIVE
        assert second not in [turn.text for turn in desk.call().turns.values()]
        bridge.process.terminate()
        async with asyncio.timeout(8):
            assert await bridge.process.wait() == 0
        await bridge.childless()
    (view,) = journal.recent(home / "journal.sqlite")
    assert view.recording is Recording.DONE
    sound = read_wav(Path(view.recording_path))
    for audio in [step.audio for step in PERSON.steps if step.audio][:2]:
        assert audio in sound.caller


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
    async with (
        running(home, "--calls", "1", "--scenario", "billing") as bridge,
        bridge.desk("Ann") as ann,
        bridge.desk("Bob") as bob,
    ):
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
        bridge.process.terminate()
        async with asyncio.timeout(8):
            assert await bridge.process.wait() == 0
        await bridge.childless()
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

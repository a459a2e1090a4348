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

from bridge import journal, lock
from bridge.audio import SILENCE_BYTE
from bridge.control import Party, Phase, Recording
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

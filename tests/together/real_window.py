"""The real program on a screen and a sound server of the tests' own: keys are pressed, a microphone is spoken into.

``python -m tests.together.real_window LINE.wav "its words" FOLDER`` plays the whole take-over with any
spoken line and leaves pictures, the recording and the journal in the folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from bridge import control, lock
from bridge.control import Floor, Party, Phase, Recording, TurnKind, TurnState
from bridge.transcript import spoken_words

from .desk import Desk, open_desk
from .sound_server import PATIENCE_S, SoundServer
from .sound_server import missing as missing_sound

ROOT = Path(__file__).resolve().parents[2]
SCREEN = "1440x900x24"
OPENING_S = 30.0
ALIKE = 0.85


def missing() -> str:
    """Which program is not there, "" when all are: the reason to skip."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            return f"no {program} on this machine"
    return missing_sound()


@dataclass
class Window:
    """The program at work. desk: a second console, which only watches. home: recordings and journal."""

    server: SoundServer
    desk: Desk
    home: Path
    process: Process
    environment: dict[str, str]

    async def press(self, key: str) -> None:
        """Press a key, in xdotool's words."""
        await self._run("xdotool", "key", key)

    async def picture(self, name: str) -> None:
        """Keep what is on the screen, where ImageMagick is there to do it."""
        if shutil.which("import"):
            await self._run("import", "-window", "root", str(self.home / f"{name}.png"))

    async def focus(self) -> None:
        """Give the window the keyboard, as a window manager would."""
        await self._run("xdotool", "search", "--sync", "--onlyvisible", "--name", "Cordboard", "windowfocus", "--sync")

    async def _run(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(*command, env=self.environment, stdout=DEVNULL)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0, command


@asynccontextmanager
async def open_window(folder: Path, lines: Path, scenario: str = "billing") -> AsyncIterator[Window]:
    """lines: a folder with the WAV files that the rehearsal is to know again, and their words."""
    home = folder / "home"
    async with SoundServer() as server, _screen() as display:
        environment = {
            **os.environ,
            **server.environment,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "CORDBOARD_REHEARSAL_LINES": str(lines),
        }
        how = ("rehearse", "--calls", "1", "--scenario", scenario, "--out", str(folder))
        command = (sys.executable, "-m", "console", *how)
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=DEVNULL)
        try:
            async with asyncio.timeout(OPENING_S):
                found = await asyncio.to_thread(_bridge_of, home)
            async with open_desk(found.control_url, (home / "control.token").read_text(), "Watcher") as desk:
                window = Window(server, desk, home, process, environment)
                await window.focus()
                yield window
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(PATIENCE_S):
                await process.wait()


def _bridge_of(home: Path) -> lock.Record:
    """Where the bridge listens, once it does."""
    while (found := lock.read(home)) is None or not found.ready:
        time.sleep(0.05)
    return found


@asynccontextmanager
async def _screen() -> AsyncIterator[str]:
    reads, writes = os.pipe()
    command = ("Xvfb", "-displayfd", str(writes), "-screen", "0", SCREEN, "-nolisten", "tcp", "-noreset")
    server = await asyncio.create_subprocess_exec(*command, pass_fds=[writes], stderr=DEVNULL)
    os.close(writes)
    try:
        with os.fdopen(reads) as said:
            yield f":{(await asyncio.to_thread(said.readline)).strip()}"
    finally:
        server.terminate()
        await server.wait()


async def take_over(window: Window, line: Path, words: str) -> None:
    """By keys, in the middle of what the AI says: take over, speak the line, hand back, and hang up later."""
    desk = window.desk
    await desk.until(lambda store: any(t.speaker is Party.AI and t.heard_ms > 1500 for t in _turns(desk)))
    await window.press("t")
    await desk.until(lambda store: desk.call().view.floor is Floor.OPERATOR)
    await desk.until(lambda store: any(t.silent_ms is not None for t in desk.call().take_overs.values()))
    speaking = asyncio.create_task(window.server.play_into_microphone(line))
    await desk.until(lambda store: any(t.voice_ms is not None for t in desk.call().take_overs.values()))
    await asyncio.sleep(1)
    await window.picture("on-air")
    await speaking
    await desk.until(lambda store: spoken(desk, words))
    await window.picture("spoken")
    said = sum(turn.speaker is Party.AI for turn in _turns(desk))
    await window.press("shift+t")
    await desk.until(lambda store: desk.call().view.floor is Floor.AI)
    await desk.until(lambda store: sum(t.speaker is Party.AI and t.heard_ms > 2500 for t in _turns(desk)) > said - 1)
    await window.picture("handed-back")
    await window.press("shift+Escape")
    await desk.until(lambda store: desk.call().view.phase is Phase.ENDED)
    await desk.until(lambda store: desk.call().view.recording in (Recording.DONE, Recording.PARTIAL))


def spoken(desk: Desk, words: str) -> bool:
    """Whether the operator's lines say these words, as well as the rehearsal can know them again by their loudness."""
    lines = [
        turn.text
        for turn in sorted(_turns(desk), key=lambda turn: turn.start_ms)
        if turn.speaker is Party.OPERATOR and turn.kind is TurnKind.SPEECH and turn.state is TurnState.FINAL
    ]
    return SequenceMatcher(None, spoken_words(" ".join(lines)), spoken_words(words)).ratio() > ALIKE


def _turns(desk: Desk) -> list[control.TurnView]:
    return list(desk.call().turns.values()) if desk.store.calls else []


async def main(line: Path, words: str, folder: Path) -> None:
    """What the module's first lines say."""
    with tempfile.TemporaryDirectory() as lines:
        shutil.copy(line, Path(lines, "line.wav"))
        Path(lines, "line.txt").write_text(words)
        async with open_window(folder, Path(lines)) as window:
            await take_over(window, line, words)
            call = window.desk.call()
            for turn in sorted(call.turns.values(), key=lambda turn: (turn.start_ms, turn.order)):
                heard = f"{turn.text[: turn.heard_chars]}[{turn.text[turn.heard_chars :]}]"
                print(f"{turn.start_ms / 1000:6.2f} s  {turn.speaker:8} {turn.kind:7} {turn.state:8} {heard}")
            for timed in call.take_overs.values():
                print(f"AI silent after {timed.silent_ms:.0f} ms, voice on the wire after {timed.voice_ms:.0f} ms")
            print(call.view.recording, call.view.recording_path)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))

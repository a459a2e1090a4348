"""A sound desk in a process of its own: QtMultimedia binds to the sound server that it finds when it is loaded.

``python -m tests.together.sound_desk`` obeys lines of JSON and tells in lines of JSON; `open_sound_desk`
starts it and speaks to it. Times are of the machine's monotonic clock, in seconds, the same in all processes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 15.0
FRAME_MS = 20
FRAME_BYTES = 160
SILENCE = 0xFF


@dataclass
class SoundDesk:
    """What the desk told so far.

    captured: all pieces, in mu-law, with the time of each. said: the last state, see `_state`. marks: when a marked
    frame was given to the loudspeaker. hangs: how many pieces there were when the desk began to hang and when that was
    over. warnings: what Qt complained about. history: every mic state, with its time.
    """

    process: Process
    captured: list[tuple[float, bytes]] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)
    history: list[tuple[float, str]] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    hangs: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, what: str, *arguments: object) -> None:
        """A method of `console.sound.Sound`, a property to set, or one of `_Program`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([what, *arguments]).encode() + b"\n")

    async def until(self, found: Callable[[], bool]) -> None:
        """Raises TimeoutError, and says what the desk said last."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not found():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"the sound desk says {self.said}, Qt {self.warnings}") from None

    async def until_mic(self, state: str) -> float:
        """When the microphone came into this state."""
        await self.until(lambda: self.said.get("mic") == state)
        return next(at for at, mic in reversed(self.history) if mic == state)

    async def listen(self) -> None:
        """Until it ends."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            at, kind, what = json.loads(line)
            match kind:
                case "captured":
                    self.captured.append((at, b64decode(what)))
                case "mark":
                    self.marks.append(at)
                case "hang":
                    self.hangs.append(len(self.captured))
                case "warning":
                    self.warnings.append(what)
                case "state":
                    if what["mic"] != self.said.get("mic"):
                        self.history.append((at, what["mic"]))
                    self.said = what
            self._news.set()


@asynccontextmanager
async def open_sound_desk(environment: dict[str, str], *options: str) -> AsyncIterator[SoundDesk]:
    """Ready as soon as it knows its devices, or that there are none."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.together.sound_desk", *options),
        env={**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen", **environment},
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
    )
    desk = SoundDesk(process)
    listening = asyncio.create_task(desk.listen())
    try:
        await desk.until(lambda: desk.said.get("known", False))
        yield desk
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await listening
        await process.wait()


def main() -> None:
    """The desk itself; ends with its standard input."""
    if "--without-multimedia" in sys.argv:
        sys.modules["PySide6.QtMultimedia"] = None  # type: ignore[assignment]  # As where libpulse is missing.

    from PySide6.QtCore import QCoreApplication, QSocketNotifier, Qt, QTimer, QtMsgType, qInstallMessageHandler

    from bridge.control import HeardFrame, Side
    from console.devices import Access
    from console.settings import Settings
    from console.sound import Sound

    def say(kind: str, what: object) -> None:
        sys.stdout.write(json.dumps([time.monotonic(), kind, what]) + "\n")
        sys.stdout.flush()

    def on_message(kind: QtMsgType, context: object, text: str) -> None:
        if kind in (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg):
            say("warning", text)

    qInstallMessageHandler(on_message)
    app = QCoreApplication(sys.argv)
    sound = Sound(Settings(Path(os.environ["CORDBOARD_HOME"]) / "console.ini"))

    class _Program:
        """What the tests want beyond the desk: a call to listen to."""

        def __init__(self) -> None:
            self._at_ms = 0
            self._codes = (SILENCE, SILENCE)
            self._mark = 0
            self._timer = QTimer(interval=FRAME_MS, timerType=Qt.TimerType.PreciseTimer)
            self._timer.timeout.connect(self._frame)

        def call(self, caller: int, line: int) -> None:
            """Both sides speak, one mu-law code each, in real time."""
            self._codes = (caller, line)
            self._timer.start()

        def hang(self, seconds: float) -> None:
            """The window paints, and does nothing else."""
            say("hang", True)
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                pass
            say("hang", False)

        def mark(self, code: int) -> None:
            """Another code for one frame of the caller's."""
            self._mark = code

        def _frame(self) -> None:
            caller, line = self._codes
            if self._mark:
                caller, self._mark = self._mark, 0
                say("mark", None)
            sound.play(HeardFrame(1, Side.CALLER, self._at_ms, bytes([caller]) * FRAME_BYTES))
            sound.play(HeardFrame(1, Side.LINE, self._at_ms, bytes([line]) * FRAME_BYTES))
            self._at_ms += FRAME_MS

    program = _Program()

    def state() -> None:
        say(
            "state",
            {
                "known": sound._devices.access is not Access.LOADING,
                "mic": sound.mic,
                "speaker": sound.speaker,
                "inputs": [device.id for device in sound.inputs],
                "outputs": [device.id for device in sound.outputs],
                "input": sound.input.id if sound.input else None,
                "checking": sound.checking,
                "muted": sound.muted,
            },
        )

    def obey() -> None:
        nonlocal unread
        received = os.read(sys.stdin.fileno(), 65536)
        if not received:
            sound.close()
            app.quit()
        *lines, unread = (unread + received).split(b"\n")
        for line in lines:
            what, *arguments = json.loads(line)
            target = program if hasattr(program, what) else sound
            if callable(getattr(target, what)):
                getattr(target, what)(*arguments)
            else:
                setattr(target, what, *arguments)

    unread = b""
    sound.changed.connect(state)
    in_its_thread = Qt.ConnectionType.DirectConnection
    sound.captured.connect(lambda piece: say("captured", b64encode(piece).decode()), in_its_thread)
    state()
    commands = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read)
    commands.activated.connect(obey)
    app.exec()


if __name__ == "__main__":
    main()

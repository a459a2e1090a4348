"""Who takes a call over: the real window on real sound devices, or a console as lean as Python allows.

Both press a key, tell when they pressed it, and know afterwards when each pulse was at the mouth and at the ear.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil

from bridge import control
from bridge.control import Side
from console.mulaw import decode
from tests.benchmarks.lean_socket import Socket, connect
from tests.benchmarks.load import FRAME_BYTES, FRAME_MS, now
from tests.benchmarks.pulses import Pulse, code, found, level, spoken
from tests.benchmarks.subjects import ROOT, Subject
from tests.benchmarks.taken_call import PATIENCE_S, TakenCall
from tests.together.sound_server import LATENCY_MS, RATE_HZ, Recording, SoundServer

OPENING_S = 30.0
SPEAKS_S = (0.4, 0.8)
MOUTH_PULSES = 300
RESTS_S = 0.5
LEFT, RIGHT = 0, 1


class Operator(Protocol):
    """said: when each pulse was at the mouth. heard: when each of the caller's was at the ear; both once it is over."""

    said: list[Pulse]
    heard: list[Pulse]

    async def listen(self) -> None:
        """From now on both sides of the call are heard."""

    async def take_over(self) -> float:
        """Returns once the floor is on its way here: when the key was pressed."""

    async def speak(self) -> None:
        """Say something, once the call is taken over. Raises TimeoutError."""

    async def hand_back(self) -> float:
        """Returns when the key was pressed."""

    async def rest(self) -> None:
        """All is over."""


# ── without a window ──


class LeanOperator:
    """A control socket, and pulses made at 50 frames a second."""

    def __init__(self, call: TakenCall) -> None:
        self.said: list[Pulse] = []
        self.heard: list[Pulse] = []
        self._call = call
        self._socket: Socket
        self._chance = random.Random(1)
        self._frames = 0
        self._ids = 1
        self._listen_id = 0
        self._call_id: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[float]] = {}

    async def attach(self, subject: Subject) -> None:
        """Open the control socket."""
        headers = {"Authorization": f"Bearer {subject.told['token']}"}
        self._socket = await connect(subject.told["control_url"], headers, self._told, self._heard)
        self._socket.send(control.encode(control.Attach(id=1, version=control.VERSION, console="operator")).encode())

    async def listen(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            call_id = await self._call_id
        self._listen_id = self._ids + 1
        await self._command(control.Listen, call_id)

    async def take_over(self) -> float:
        pressed_s = now()
        await self._command(control.TakeOver, await self._call_id)
        return pressed_s

    async def hand_back(self) -> float:
        pressed_s = now()
        await self._command(control.HandBack, await self._call_id)
        return pressed_s

    async def speak(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        until_s = due_s + self._chance.uniform(*SPEAKS_S)
        while due_s < until_s:
            # The microphone opens with the floor, and a first frame takes as long as it lasts.
            due_s += FRAME_MS / 1000
            await asyncio.sleep(due_s - loop.time())
            self._frames += 1
            sound = b"\xff"
            if self._frames % 6 == 0:
                sound = code(len(self.said))
                self.said.append(Pulse(now(), level(len(self.said))))
            self._socket.send_binary(bytes([control.TALK]) + sound * FRAME_BYTES)
        await self._call.moments.when("voice")

    async def rest(self) -> None:
        await asyncio.sleep(RESTS_S)

    async def _command(self, kind: Callable[..., control.Command], call_id: str) -> float:
        self._ids += 1
        answer = self._answers[self._ids] = asyncio.get_running_loop().create_future()
        self._socket.send(control.encode(kind(id=self._ids, call_id=call_id)).encode())
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    def _told(self, text: bytes) -> None:
        came_s = now()
        if text.startswith((b'{"type":"peaks"', b'{"type":"turn"', b'{"type":"health"', b'{"type":"answer"')):
            return
        seen = self._call.seen
        match control.decode_event(text):
            case control.Done(id=id) if id in self._answers:
                self._answers.pop(id).set_result(came_s)
            case control.Refused(id=id, reason=reason) if id in self._answers:
                self._answers.pop(id).set_exception(RuntimeError(reason))
            case control.CallChanged(call=call) if call.call_sid == self._call.call_sid:
                if not self._call_id.done():
                    self._call_id.set_result(call.call_id)
            case control.TakeOverTimed(take_over=timed) if timed.silent_ms is not None and timed.voice_ms is not None:
                seen.told_silent_ms.append(timed.silent_ms)
                seen.told_voice_ms.append(timed.voice_ms)
            case control.Notice(text=words, call_id=call_id) if call_id and call_id == self._call_id_now:
                seen.faults.append(words)

    @property
    def _call_id_now(self) -> str:
        return self._call_id.result() if self._call_id.done() else ""

    def _heard(self, frame: bytes) -> None:
        came_s = now()
        heard = control.decode_heard(frame)
        if heard.listen_id != self._listen_id:
            self._call.seen.faults.append(f"sound for Listen {heard.listen_id}")
            return
        pulses = [Pulse(came_s, pulse.level) for pulse in found(decode(heard.audio), 8000)]
        if heard.side is Side.CALLER:
            self.heard += pulses
        else:
            self._call.seen.echoes += len(pulses)


@asynccontextmanager
async def lean(call: TakenCall, subject: Subject) -> AsyncIterator[Operator]:
    """Attached to the bridge."""
    operator = LeanOperator(call)
    await operator.attach(subject)
    yield operator


# ── the window ──


class WindowOperator:
    """The whole console in a process of its own; its microphone hears pulses all the time."""

    def __init__(self, call: TakenCall, process: Process, mouth: Recording, ear: Recording) -> None:
        self.said: list[Pulse] = []
        self.heard: list[Pulse] = []
        self._call = call
        self._process = process
        self._mouth = mouth
        self._ear = ear
        self._chance = random.Random(1)
        self._state: dict[str, Any] = {}
        self._pressed: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._pressed_s = 0.0
        self._on_air_s = 0.0
        self._news = asyncio.Event()

    async def hear(self) -> None:
        """What the window tells, until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            at_s, kind, what = json.loads(line)
            match kind:
                case "pressed":
                    if not self._pressed.done():
                        self._pressed.set_result(at_s)
                case "refused":
                    self._call.seen.faults.append(f"refused: {what}")
                case "state":
                    if what["on_air"] and not self._state.get("on_air"):
                        self._on_air_s = at_s
                    self._state = what
            self._news.set()
        self._state["attached"] = False

    async def until(self, what: str, wanted: object, within_s: float = PATIENCE_S) -> None:
        """Until the window shows it. Raises TimeoutError, with what it shows instead."""
        try:
            async with asyncio.timeout(within_s):
                while self._state.get(what) != wanted:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"{what} is not {wanted}: the window shows {self._state}") from None

    async def listen(self) -> None:
        self._order(f"select {self._call.call_sid}")
        await self.until("selected", self._call.call_sid, OPENING_S)
        await self._press("listen")
        await self.until("speaker", "playing", OPENING_S)
        await asyncio.sleep(RESTS_S)

    async def take_over(self) -> float:
        self._pressed_s = await self._press("take_over")
        return self._pressed_s

    async def speak(self) -> None:
        moments, seen = self._call.moments, self._call.seen
        await moments.when("voice")
        await self.until("on_air", True)
        seen.open_ms.append((self._on_air_s - self._pressed_s) * 1000)
        await asyncio.sleep(self._chance.uniform(*SPEAKS_S))
        if self._state["silent_ms"] is not None and self._state["voice_ms"] is not None:
            seen.told_silent_ms.append(self._state["silent_ms"])
            seen.told_voice_ms.append(self._state["voice_ms"])

    async def hand_back(self) -> float:
        pressed_s = await self._press("hand_back")
        await self.until("on_air", False)
        return pressed_s

    async def rest(self) -> None:
        await asyncio.sleep(RESTS_S)
        # By how much a recording program may be late itself: a pulse was said by so much earlier at most.
        self.said = _recorded(self._mouth, LEFT, -LATENCY_MS / 1000)
        self.heard = _recorded(self._ear, LEFT)
        self._call.seen.echoes += len(_recorded(self._ear, RIGHT))

    async def _press(self, what: str) -> float:
        self._pressed = asyncio.get_running_loop().create_future()
        self._order(what)
        async with asyncio.timeout(PATIENCE_S):
            return await self._pressed

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")


@asynccontextmanager
async def window(call: TakenCall, subject: Subject) -> AsyncIterator[Operator]:
    """The window is attached to the bridge, and its microphone hears something. Raises TimeoutError."""
    assert time.get_clock_info("monotonic").implementation == time.get_clock_info("perf_counter").implementation
    with tempfile.TemporaryDirectory(prefix="cordboard-bench-") as home:
        _tell_where(Path(home), subject)
        async with (
            SoundServer() as server,
            server.record_speaker("mouth") as mouth,
            server.record_speaker() as ear,
            _process(home, server.environment) as process,
        ):
            _as_undisturbed_as_we()
            operator = WindowOperator(call, process, mouth, ear)
            hearing = asyncio.create_task(operator.hear())
            talking = asyncio.create_task(_talk(server))
            try:
                await operator.until("attached", True, OPENING_S)
                await operator.until("mic", "off", OPENING_S)
                yield operator
            finally:
                talking.cancel()
                with suppress(asyncio.CancelledError):
                    await talking
                assert process.stdin is not None
                process.stdin.close()
                await hearing


def _as_undisturbed_as_we() -> None:
    """PulseAudio begins without what it inherited of ``--undisturbed``: give it to its threads again."""
    if sys.platform != "linux" or os.sched_getscheduler(0) == os.SCHED_OTHER:
        return
    for child in psutil.Process().children():
        if child.name() == "pulseaudio":
            for thread in child.threads():
                os.sched_setscheduler(thread.id, os.sched_getscheduler(0), os.sched_getparam(0))


def _tell_where(home: Path, subject: Subject) -> None:
    """As a bridge in this home would."""
    token = home / "control.token"
    token.write_text(subject.told["token"])
    found_at = {"control_url": subject.told["control_url"], "pid": subject.process.pid, "token_path": str(token)}
    (home / "bridge.lock").write_text(json.dumps(found_at))


@asynccontextmanager
async def _process(home: str, environment: dict[str, str]) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.console_process", home),
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", **environment, "CORDBOARD_HOME": home},
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(PATIENCE_S * 3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _talk(server: SoundServer) -> None:
    """All the time, whether anybody listens or not."""
    sound = spoken(RATE_HZ, MOUTH_PULSES, random.Random(2))
    while True:
        await server.play_into_microphone(sound)


def _recorded(recording: Recording, side: int, later_s: float = 0.0) -> list[Pulse]:
    """The pulses of one side, by when the piece came that brought their first sample."""
    samples = np.frombuffer(bytes(recording.sound[: len(recording.sound) // 4 * 4]), np.int16)[side::2]
    ends = np.array([size // 4 for _, size in recording.arrivals])
    pulses = []
    for pulse in found(samples, RATE_HZ):
        at_s, _ = recording.arrivals[int(np.searchsorted(ends, pulse.at, side="right"))]
        pulses.append(Pulse(at_s + later_s, pulse.level))
    return pulses

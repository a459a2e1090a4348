"""How fast an operator gets a call and gives it back: ``python -m tests.benchmarks.take_over``.

A bridge with twenty other calls on one core; on another the load, an operator's console on the real
control socket, and one call more, whose AI talks whenever it may. The console takes that call over
in the middle of what the AI says, speaks, and hands it back, two hundred times.

Printed beside the aims, in ms:
    key to AI silence       the command's write until `clear` is at the carrier
    key to operator's voice the command's write until the operator's first frame is at the carrier. The
                            microphone opens when the bridge says that the floor is ours, and a first
                            frame takes as long as it lasts
    mouth to wire           an operator's frame from its write to its arrival at the carrier
    mouth to line           and until the carrier plays it: its buffer evens out the way there
    wire to ear             a caller's frame from the carrier's write to its arrival at the console
    hand-back gap           the command's write until the AI is asked to answer, plus the first audio of
                            that answer from the AI's write to its arrival at the carrier
Nothing is subtracted: the load's own delays are in every figure. Between key and hand-back nothing of
the AI may reach the carrier after the `clear`, nor the operator's own words the operator's ear.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from bridge import control
from bridge.control import HeardFrame, Side
from tests.benchmarks.bridge import RAMP_S, SETTLE_S, Spread, spread
from tests.benchmarks.lean_socket import Socket, connect
from tests.benchmarks.load import FRAME_BYTES, FRAME_MS, LONG_FRAMES, LOUD, STAMP, Call, Load, now
from tests.benchmarks.pinning import pin
from tests.benchmarks.subjects import Subject, open_bridge

TAKE_OVERS, OTHERS = 200, 20
OPERATOR = 0xFFFF
"""What stands for the reply in the stamp of an operator's frames."""

AI_HEARD_S = (0.15, 0.6)
OPERATOR_FRAMES = 12
PATIENCE_S = 3.0
MAX_FAILURES = 5


@dataclass
class Seen:
    """Everything that was measured; times in ms."""

    silent_ms: list[float] = field(default_factory=list)
    voice_ms: list[float] = field(default_factory=list)
    mouth_ms: list[float] = field(default_factory=list)
    caller_ms: list[float] = field(default_factory=list)
    ear_ms: list[float] = field(default_factory=list)
    gap_ms: list[float] = field(default_factory=list)
    told_silent_ms: list[float] = field(default_factory=list)
    told_voice_ms: list[float] = field(default_factory=list)
    late_ai_frames: int = 0
    echoes: int = 0
    faults: list[str] = field(default_factory=list)


class Moments:
    """Things that are waited for, each with the time at which it came."""

    def __init__(self) -> None:
        self._expected: dict[str, asyncio.Future[float]] = {}

    def expect(self, *names: str) -> None:
        """From now on the next of each counts."""
        for name in names:
            self._expected[name] = asyncio.get_running_loop().create_future()

    def came(self, name: str, at_s: float) -> None:
        """It is here."""
        future = self._expected.get(name)
        if future is not None and not future.done():
            future.set_result(at_s)

    async def when(self, name: str) -> float:
        """When it came. Raises TimeoutError, which names it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._expected[name]
        except TimeoutError:
            raise TimeoutError(f"{name}: not within {PATIENCE_S:.0f} s") from None


class TakenCall(Call):
    """The call that is taken over. Its AI talks on and on, and answers whenever it is asked to."""

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(load, number)
        self.call_sid = f"CA{number:032x}"
        self.moments = Moments()
        self.seen = Seen()
        self.said_s: list[float] = []
        self.operators = STAMP.pack(number, OPERATOR, 0)[:4]
        """What the operator's frames to this call begin with; in no other sound."""
        self.answer_out_ms = 0.0
        self._silenced = False

    # ── the AI ──

    def _script(self, ai: object) -> None:
        for _ in range(2):
            self._speech(self.ai)

    def ai_told(self, text: bytes, came_s: float) -> None:
        if b'"type":"response.create"' in text:
            self._silenced = False
            self.moments.came("asked to answer", came_s)
            self.talk(json.dumps(json.loads(text)["response"]["metadata"]).encode())
        elif b'"type":"response.cancel"' in text and self._reply_made < self._reply_frames:
            # What was on its way comes all the same.
            self._speech(self.ai)
            if self._reply_made < self._reply_frames:
                self._reply_frames = self._reply_made
                self._emit(
                    b'{"type":"response.done","event_id":"e","response":{"id":"r%d","object":"realtime.response",'
                    b'"status":"cancelled","status_details":{"type":"cancelled","reason":"client_cancelled"},'
                    b'"conversation_id":"c1","output":[],"usage":null}}' % self._reply
                )

    def talk(self, metadata: bytes = b"null") -> None:
        """The AI begins to talk, for five seconds if nobody cuts it."""
        self.begin_reply(LONG_FRAMES, metadata)

    def caller_said_s(self, number: int) -> float:
        """When this frame of the caller's was handed to its socket."""
        return self._sent_s[number]

    # ── the telephone company ──

    def on_text(self, text: bytes) -> None:
        if b'"event":"clear"' in text:
            self._silenced = True
            self.moments.came("silence", now())
        super().on_text(text)

    def _play(self, audio: bytes, came_s: float) -> None:
        if self.operators in audio:
            self._play_operator(audio, came_s)
            return
        _, reply, first = STAMP.unpack_from(audio)
        if self._silenced:
            self.seen.late_ai_frames += 1
        super()._play(audio, came_s)
        if first == 0 and reply == self._reply:
            self.answer_out_ms = (came_s - self._reply_sent_s) * 1000
            self.moments.came("AI", came_s)

    def _play_operator(self, audio: bytes, came_s: float) -> None:
        """The bridge may send silence before it, so its frames are looked for."""
        begins_s = max(came_s, self._playing_until_s)
        self._playing_until_s = begins_s + len(audio) / 8000
        at = audio.find(self.operators)
        while at >= 0:
            _, _, number = STAMP.unpack_from(audio, at)
            self.seen.mouth_ms.append((came_s - self.said_s[number]) * 1000)
            self.seen.caller_ms.append((begins_s + at / 8000 - self.said_s[number]) * 1000)
            at = audio.find(self.operators, at + STAMP.size)
        self.moments.came("voice", came_s)
        if number == len(self.said_s) - 1:
            self.moments.came("last words", came_s)


class Operator:
    """A console that listens to a call, takes it over and talks, as the window does it."""

    def __init__(self, call: TakenCall) -> None:
        self._call = call
        self._seen = call.seen
        self._socket: Socket
        self._ids = 1
        self._listen_id = 0
        self._call_id: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[float]] = {}

    async def attach(self, subject: Subject) -> None:
        """Open the control socket and listen to the call, once it is there."""
        headers = {"Authorization": f"Bearer {subject.told['token']}"}
        self._socket = await connect(subject.told["control_url"], headers, self._told, self._heard)
        self._socket.send(control.encode(control.Attach(id=1, version=control.VERSION, console="operator")).encode())

    async def listen(self) -> None:
        """From now on both sides of the call come here."""
        async with asyncio.timeout(PATIENCE_S):
            call_id = await self._call_id
        self._listen_id = self._ids + 1
        await self._command(control.Listen, call_id)

    async def take_over(self) -> float:
        """Returns once the bridge says that the floor is ours: when the key was pressed."""
        pressed_s = now()
        await self._command(control.TakeOver, await self._call_id)
        return pressed_s

    async def hand_back(self) -> float:
        """Returns once the bridge says that the floor is the AI's: when the key was pressed."""
        pressed_s = now()
        await self._command(control.HandBack, await self._call_id)
        return pressed_s

    def say(self) -> None:
        """One frame of the operator's voice."""
        number = len(self._call.said_s)
        frame = bytes([control.TALK]) + STAMP.pack(self._call.number, OPERATOR, number) + LOUD
        self._call.said_s.append(now())
        self._socket.send_binary(frame)

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
        match control.decode_event(text):
            case control.Done(id=id) if id in self._answers:
                self._answers.pop(id).set_result(came_s)
            case control.Refused(id=id, reason=reason) if id in self._answers:
                self._answers.pop(id).set_exception(RuntimeError(reason))
            case control.CallChanged(call=call) if call.call_sid == self._call.call_sid:
                if not self._call_id.done():
                    self._call_id.set_result(call.call_id)
            case control.TakeOverTimed(take_over=timed) if timed.silent_ms is not None and timed.voice_ms is not None:
                self._seen.told_silent_ms.append(timed.silent_ms)
                self._seen.told_voice_ms.append(timed.voice_ms)
            case control.Notice(text=words, call_id=call_id) if call_id and call_id == self._call_id_now:
                self._seen.faults.append(words)

    @property
    def _call_id_now(self) -> str:
        return self._call_id.result() if self._call_id.done() else ""

    def _heard(self, frame: bytes) -> None:
        came_s = now()
        heard: HeardFrame = control.decode_heard(frame)
        if heard.listen_id != self._listen_id:
            self._seen.faults.append(f"sound for Listen {heard.listen_id}")
            return
        self._seen.echoes += self._call.operators in heard.audio
        for at in range(0, len(heard.audio) - FRAME_BYTES + 1, FRAME_BYTES):
            call_number, reply, number = STAMP.unpack_from(heard.audio, at)
            if heard.side is Side.CALLER and (call_number, reply) == (self._call.number, 0):
                self._seen.ear_ms.append((came_s - self._call.caller_said_s(number)) * 1000)


async def take_over_once(operator: Operator, call: TakenCall, chance: random.Random) -> None:
    """The AI talks; its call is taken over, spoken in, and handed back. Raises TimeoutError."""
    seen, moments = call.seen, call.moments
    await moments.when("AI")
    await asyncio.sleep(chance.uniform(*AI_HEARD_S))
    moments.expect("silence", "voice")
    pressed_s = await operator.take_over()
    due_s = asyncio.get_running_loop().time()
    for _ in range(OPERATOR_FRAMES):
        due_s += FRAME_MS / 1000
        await asyncio.sleep(due_s - asyncio.get_running_loop().time())
        moments.expect("last words")
        operator.say()
    seen.silent_ms.append((await moments.when("silence") - pressed_s) * 1000)
    seen.voice_ms.append((await moments.when("voice") - pressed_s) * 1000)
    await moments.when("last words")
    moments.expect("asked to answer", "AI")
    pressed_s = await operator.hand_back()
    asked_s = await moments.when("asked to answer")
    await moments.when("AI")
    seen.gap_ms.append((asked_s - pressed_s) * 1000 + call.answer_out_ms)


async def measure(take_overs: int, others: int, core: int) -> tuple[Seen, Spread]:
    """All of it. Returns what was seen, and how late the load itself was."""
    load, chance = Load(), random.Random(others)
    await load.open()
    try:
        async with open_bridge(load, core) as subject:
            try:
                for _ in range(others):
                    await _place(load, subject, load.new_call())
                    await asyncio.sleep(chance.uniform(*RAMP_S))
                call = load.new_call(TakenCall)
                operator = Operator(call)
                await operator.attach(subject)
                await _place(load, subject, call)
                await asyncio.sleep(SETTLE_S)
                await operator.listen()
                load.measured.counting = True
                await _take_over_often(operator, call, take_overs, chance)
                load.measured.counting = False
                call.seen.faults += load.measured.faults
                return call.seen, spread(load.measured.late_ms)
            finally:
                await load.close()
    finally:
        gc.collect()


async def _place(load: Load, subject: Subject, call: Call) -> None:
    carrier = await subject.place(call)
    if carrier is None:
        raise SystemExit("the bridge turned a call away")
    load.start(call, carrier)


async def _take_over_often(operator: Operator, call: TakenCall, take_overs: int, chance: random.Random) -> None:
    failures = 0
    call.moments.expect("AI")
    call.talk()
    for _ in range(take_overs):
        try:
            await take_over_once(operator, call, chance)
        except (TimeoutError, RuntimeError) as failure:
            call.seen.faults.append(str(failure) or "the bridge did not answer a command")
            failures += 1
            if failures == MAX_FAILURES:
                return
            try:
                await operator.hand_back()
            except (TimeoutError, RuntimeError):
                call.moments.expect("AI")
                call.talk()


def lines(seen: Seen) -> list[tuple[str, Spread, float | None]]:
    """(what, how it was, aim at p99 in ms) for each row."""
    return [
        ("key to AI silence", spread(seen.silent_ms), 150),
        ("key to operator's voice", spread(seen.voice_ms), 300),
        ("mouth to wire", spread(seen.mouth_ms), 80),
        ("wire to ear", spread(seen.ear_ms), 120),
        ("hand-back gap", spread(seen.gap_ms), 200),
        ("  mouth to line", spread(seen.caller_ms), None),
        ("  the bridge's own count: to silence", spread(seen.told_silent_ms), None),
        ("  the bridge's own count: to voice", spread(seen.told_voice_ms), None),
    ]


def main() -> int:
    """Measure, print, and write the figures down."""
    parser = argparse.ArgumentParser(description="Measure how fast a call is taken over and handed back.")
    parser.add_argument("--quick", action="store_true", help="only twenty take-overs")
    parser.add_argument("--take-overs", type=int, default=0, help=f"how many (default {TAKE_OVERS})")
    parser.add_argument("--others", type=int, default=OTHERS, help=f"calls besides (default {OTHERS})")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir(), "cordboard-bench-take-over.json"))
    parser.add_argument(
        "--undisturbed",
        action="store_true",
        help="run before all else, for a machine that does other work meanwhile (Linux, needs root)",
    )
    given = parser.parse_args()
    if given.undisturbed:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    pinned = pin(1)
    take_overs = given.take_overs or (20 if given.quick else TAKE_OVERS)
    print(f"{platform.platform()}, Python {platform.python_version()}, {given.others} other calls")
    gc.disable()
    seen, late_ms = uvloop.run(measure(take_overs, given.others, 0 if pinned else -1))
    print(f"     {'ms':38} {'count':>6} {'p50':>7} {'p99':>7} {'max':>7}  {'aim at p99':>10}")
    for what, one, aim in lines(seen):
        missed = aim is not None and (one.p99 > aim or not one.count)
        verdict = "    " if aim is None else "MISS" if missed else "ok  "
        aimed = "" if aim is None else f"{aim:.0f}"
        print(f"{verdict} {what:38} {one.count:6} {one.p50:7.1f} {one.p99:7.1f} {one.max:7.1f}  {aimed:>10}")
    done = len(seen.gap_ms)
    for what, count in (
        ("take-overs that did not come to their end", take_overs - done),
        ("AI sounds at the carrier after the clear", seen.late_ai_frames),
        ("own words in the operator's ear", seen.echoes),
    ):
        print(f"{'MISS' if count else 'ok  '} {what}: {count}")
    print(f"     load late: p99 {late_ms.p99:.1f}, max {late_ms.max:.1f} ms")
    for fault in seen.faults[:5]:
        print(f"     {fault}")
    given.json.write_text(json.dumps(asdict(seen), indent=1))
    print(f"all figures: {given.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

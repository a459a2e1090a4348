"""How fast an operator gets a call and gives it back: ``python -m tests.benchmarks.take_over``.

A bridge with twenty other calls, and one call more, whose AI talks whenever it may. The real window,
offscreen, on real sound devices (a PulseAudio of the benchmark's own) listens to that call. Its keys are
pressed: T in the middle of what the AI says, and after some words Shift+T, two hundred times. Into its
microphone goes a pulse every tenth of a second or two, and the caller says one twice a second; each has a
loudness by which it is known again at the other end.

Printed beside the aims, in ms:
    key to AI silence       until `clear` is at the carrier
    key to operator's voice until the operator's first frame is at the carrier: the bridge gives the floor, then the
                            microphone is opened, then there have to be 20 ms of sound
    mouth to wire           a pulse, from the microphone until the frame with its first sample is at the carrier. When
                            it was at the microphone a recording program tells; by how much that may be late is added
    mouth to line           and until the carrier plays it: its buffer evens out the way there
    wire to ear             a pulse of the caller's, from the carrier's write of its frame until a recording program
                            has got its first sample from the loudspeaker
    hand-back gap           the key until the AI is asked to answer, plus the first audio of that answer from the AI's
                            write to its arrival at the carrier
Nothing is subtracted: the load's own delays are in every figure. Between key and hand-back nothing of
the AI may reach the carrier after the `clear`, nor the operator's own words the operator's ear.

With ``--bridge-only``, and where there is no PulseAudio, a lean console takes the window's place, on a core
beside the bridge's: its command's write is the key, its frame's write the mouth, a frame's arrival the ear.
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
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import psutil
import uvloop

from tests.benchmarks.bridge import RAMP_S, SETTLE_S, Spread, cpu_s, spread
from tests.benchmarks.load import Call, Load, now
from tests.benchmarks.operators import Operator, lean, window
from tests.benchmarks.pinning import pin
from tests.benchmarks.subjects import Subject, open_bridge
from tests.benchmarks.taken_call import Seen, TakenCall
from tests.together.sound_server import missing

TAKE_OVERS, OTHERS = 200, 20
AI_HEARD_S = (0.15, 0.6)
MAX_FAILURES = 5

Opener: TypeAlias = Callable[[TakenCall, Subject], AbstractAsyncContextManager[Operator]]


async def take_over_once(operator: Operator, call: TakenCall, chance: random.Random) -> None:
    """The AI talks; its call is taken over, spoken in, and handed back. Raises TimeoutError."""
    seen, moments = call.seen, call.moments
    await moments.when("AI")
    await asyncio.sleep(chance.uniform(*AI_HEARD_S))
    moments.expect("silence", "voice")
    pressed_s = await operator.take_over()
    await operator.speak()
    seen.silent_ms.append((await moments.when("silence") - pressed_s) * 1000)
    seen.voice_ms.append((await moments.when("voice") - pressed_s) * 1000)
    moments.expect("asked to answer", "AI")
    pressed_s = await operator.hand_back()
    asked_s = await moments.when("asked to answer")
    await moments.when("AI")
    seen.gap_ms.append((asked_s - pressed_s) * 1000 + call.answer_out_ms)


async def measure(opened: Opener, take_overs: int, others: int, core: int) -> tuple[Seen, Spread, float]:
    """All of it. Returns what was seen, how late the load itself was (ms), and its share of the machine (0..1)."""
    load, chance = Load(), random.Random(others)
    await load.open()
    try:
        async with open_bridge(load, core) as subject:
            call: TakenCall
            try:
                for _ in range(others):
                    await _place(load, subject, load.new_call())
                    await asyncio.sleep(chance.uniform(*RAMP_S))
                call = load.new_call(TakenCall)
                async with opened(call, subject) as operator:
                    await _place(load, subject, call)
                    await asyncio.sleep(SETTLE_S)
                    await operator.listen()
                    load.measured.counting = call.calls = True
                    began_s, used_s = now(), ours_s()
                    await _take_over_often(operator, call, take_overs, chance)
                    share = (ours_s() - used_s) / (now() - began_s) / (os.cpu_count() or 1)
                    load.measured.counting = call.calls = False
                    await operator.rest()
                call.take_stock(operator.said, operator.heard)
                call.seen.faults += load.measured.faults
                return call.seen, spread(load.measured.late_ms), share
            finally:
                await load.close()
    finally:
        gc.collect()


def ours_s() -> float:
    """CPU time that this benchmark and all it started have used."""
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.Error):
            total += cpu_s(process)
    return total


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
            call.moments.expect("AI")
            try:
                await operator.hand_back()
            except (TimeoutError, RuntimeError):
                call.talk()


def rows(seen: Seen) -> list[tuple[str, Spread, float | None]]:
    """(what, how it was, aim at p99 in ms) for each row; those without an aim are told beside the others."""
    return [
        ("key to AI silence", spread(seen.silent_ms), 150),
        ("key to operator's voice on the wire", spread(seen.voice_ms), 300),
        ("mouth to wire", spread(seen.mouth_ms), 80),
        ("wire to ear", spread(seen.ear_ms), 120),
        ("hand-back gap", spread(seen.gap_ms), 200),
        ("  mouth to line", spread(seen.line_ms), None),
        ("  key to open microphone", spread(seen.open_ms), None),
        ("  as the operator is told: to silence", spread(seen.told_silent_ms), None),
        ("  as the operator is told: to voice", spread(seen.told_voice_ms), None),
    ]


def told(seen: Seen, take_overs: int) -> bool:
    """Print the table; whether every aim was met."""
    met = True
    print(f"     {'ms':38} {'count':>6} {'p50':>7} {'p99':>7} {'max':>7}  {'aim at p99':>10}")
    for what, one, aim in rows(seen):
        if aim is None and not one.count:
            continue
        missed = aim is not None and (one.p99 > aim or not one.count)
        met &= not missed
        verdict = "    " if aim is None else "MISS" if missed else "ok  "
        aimed = "" if aim is None else f"{aim:.0f}"
        print(f"{verdict} {what:38} {one.count:6} {one.p50:7.1f} {one.p99:7.1f} {one.max:7.1f}  {aimed:>10}")
    for what, count in (
        ("take-overs that did not come to their end", take_overs - len(seen.gap_ms)),
        ("AI sounds at the carrier after the clear", seen.late_ai_frames),
        ("own words in the operator's ear", seen.echoes),
    ):
        met &= not count
        print(f"{'MISS' if count else 'ok  '} {what}: {count}")
    print(f"     the caller's pulses that did not come to the ear whole: {seen.lost_at_ear}")
    for fault in seen.faults[:5]:
        print(f"     {fault}")
    return met


def main() -> int:
    """Measure, print, and write the figures down; 1 when an aim was missed."""
    parser = argparse.ArgumentParser(description="Measure how fast a call is taken over and handed back.")
    parser.add_argument("--quick", action="store_true", help="only twenty take-overs")
    parser.add_argument("--take-overs", type=int, default=0, help=f"how many (default {TAKE_OVERS})")
    parser.add_argument("--others", type=int, default=OTHERS, help=f"calls besides (default {OTHERS})")
    parser.add_argument("--bridge-only", action="store_true", help="a lean console instead of window and sound devices")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir(), "cordboard-bench-take-over.json"))
    parser.add_argument(
        "--undisturbed",
        action="store_true",
        help="run before all else, for a machine that does other work meanwhile (Linux, needs root)",
    )
    given = parser.parse_args()
    if given.undisturbed:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    take_overs = given.take_overs or (20 if given.quick else TAKE_OVERS)
    bridge_only = given.bridge_only
    if not bridge_only and (why := missing()):
        print(f"{why}: window and sound devices are not measured, only the bridge")
        bridge_only = True
    # A window is not alone on its machine: then everything shares all cores, as it does at an operator's desk.
    pinned = bridge_only and pin(1)
    who = "a lean console" if bridge_only else "the window, its devices on PulseAudio"
    print(f"{platform.platform()}, Python {platform.python_version()}, {given.others} other calls, {who}")
    gc.disable()
    psutil.cpu_percent()
    opened = lean if bridge_only else window
    seen, late_ms, share = uvloop.run(measure(opened, take_overs, given.others, 0 if pinned else -1))
    met = told(seen, take_overs)
    busy = psutil.cpu_percent()
    print(f"     load late: p99 {late_ms.p99:.1f}, max {late_ms.max:.1f} ms")
    print(f"     the machine's {os.cpu_count()} cores: {busy:.0f} % busy, {100 * share:.0f} % with this; ", end="")
    print(f"load average {os.getloadavg()[0]:.1f}")
    given.json.write_text(json.dumps(asdict(seen), indent=1))
    print(f"all figures: {given.json}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

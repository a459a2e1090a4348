"""What the bridge costs and how much it delays, beside a minimal relay: ``python -m tests.benchmarks.bridge``.

For each number of calls both are started afresh on one core, the load runs on another, calls are
placed one by one, and then everything is measured for some seconds: added latency each way, what was
lost, how long a barge-in takes to reach the carrier, CPU and memory. A table comes on standard
output, with the aims, and all figures as JSON in a file.

Latency in: a caller's frame, from its socket's write to its arrival at the AI. Latency out: the
first audio of a reply, from the AI's write to its arrival at the carrier. Barge-in: from the AI's
``speech_started`` to ``clear`` at the carrier.
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
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psutil
import uvloop

from tests.benchmarks.load import Load
from tests.benchmarks.pinning import pin
from tests.benchmarks.subjects import Subject, attach_console, open_bridge, open_relay

CALLS = (1, 10, 50, 100, 200)
QUICK_CALLS = (1, 10)
MEASURE_S, QUICK_S = 15.0, 3.0
RAMP_S = (0.01, 0.05)
SETTLE_S = 4.0
DRAIN_S = 0.5
OPENERS = {"relay": open_relay, "bridge": open_bridge}


@dataclass(frozen=True)
class Spread:
    """A distribution in ms."""

    count: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Result:
    """One subject at one number of calls. up: calls that were taken. load_*: of the load itself."""

    subject: str
    calls: int
    up: int
    seconds: float
    in_ms: Spread
    out_ms: Spread
    clear_ms: Spread
    frames_in: int
    frames_out: int
    lost_in: int
    lost_out: int
    messages_in_s: float
    messages_out_s: float
    marks_s: float
    cpu_percent: float
    cpu_s_per_call_minute: float
    empty_mb: float
    rss_mb: float
    load_late_ms: Spread
    load_cpu_percent: float
    faults: tuple[str, ...]


def spread(values: list[float]) -> Spread:
    """Quantiles, nearest rank."""
    if not values:
        return Spread(0, 0.0, 0.0, 0.0)
    values.sort()
    return Spread(len(values), *(values[min(len(values) - 1, int(len(values) * part))] for part in (0.5, 0.99, 1.0)))


def cpu_s(process: psutil.Process) -> float:
    """CPU time that a process has used, all its threads."""
    times = process.cpu_times()
    return times.user + times.system


async def measure(name: str, calls: int, seconds: float, core: int, *, console: bool = False) -> Result:
    """Start the subject, place the calls, and watch. console: attach one to the bridge."""
    load = Load()
    await load.open()
    try:
        async with OPENERS[name](load, core) as subject:
            if console and "control_url" in subject.told:
                await attach_console(subject)
            try:
                return await _watch(name, load, subject, calls, seconds)
            finally:
                await load.close()
    finally:
        gc.collect()


async def _watch(name: str, load: Load, subject: Subject, calls: int, seconds: float) -> Result:
    measured, me = load.measured, psutil.Process()
    empty = subject.process.memory_info().rss
    chance = random.Random(calls)
    up = 0
    for _ in range(calls):
        call = load.new_call()
        carrier = await subject.place(call)
        if carrier is not None:
            up += 1
            load.start(call, carrier)
        # Unevenly, as calls come; else what the subject does ten times a second for each would fall together.
        await asyncio.sleep(chance.uniform(*RAMP_S))
    await asyncio.sleep(SETTLE_S)
    behind = sum(call.unheard for call in load.calls if call.carrier is not None)
    began_s, used_s, load_used_s = time.perf_counter(), cpu_s(subject.process), cpu_s(me)
    measured.counting = True
    await asyncio.sleep(seconds)
    lasted_s = time.perf_counter() - began_s
    used_s, load_used_s = cpu_s(subject.process) - used_s, cpu_s(me) - load_used_s
    rss = subject.process.memory_info().rss
    await asyncio.sleep(DRAIN_S)
    measured.counting = False
    still = sum(call.unheard for call in load.calls if call.carrier is not None)
    return Result(
        subject=name,
        calls=calls,
        up=up,
        seconds=lasted_s,
        in_ms=spread(measured.in_ms),
        out_ms=spread(measured.out_ms),
        clear_ms=spread(measured.clear_ms),
        frames_in=measured.frames_in,
        frames_out=measured.frames_out,
        # What is on its way at one instant is a frame or two a call; more is a queue that grows.
        lost_in=measured.lost_in + max(0, still - behind - 2 * up),
        lost_out=measured.lost_out,
        messages_in_s=measured.to_bridge / (lasted_s + DRAIN_S),
        messages_out_s=measured.from_bridge / (lasted_s + DRAIN_S),
        marks_s=measured.marks / (lasted_s + DRAIN_S),
        cpu_percent=100 * used_s / lasted_s,
        cpu_s_per_call_minute=used_s / lasted_s * 60 / max(1, up),
        empty_mb=empty / 1e6,
        rss_mb=rss / 1e6,
        load_late_ms=spread(measured.late_ms),
        load_cpu_percent=100 * load_used_s / lasted_s,
        faults=tuple(measured.faults[:5]),
    )


HEAD = (
    f"{'calls':>5} {'':6} {'in, ms: p50':>11} {'p99':>6} {'max':>6}  {'out: p50':>8} {'p99':>6} {'max':>6}  "
    f"{'cut: p50':>8} {'p99':>6} {'max':>6}  {'lost':>7}  {'CPU %':>5} {'s/min':>5}  {'MB':>5} {'KB/call':>7}  "
    f"{'msg/s in':>8} {'out':>6}  {'load late':>9} {'CPU %':>5}"
)


def line(result: Result) -> str:
    """One row of the table."""
    ways = [f"{way.p50:{wide}.2f} {way.p99:6.2f} {way.max:6.1f}" for way, wide in _ways(result)]
    per_call = (result.rss_mb - result.empty_mb) * 1000 / max(1, result.up)
    return (
        f"{result.up:5} {result.subject:6} {'  '.join(ways)}  {result.lost_in:>3}/{result.lost_out:<3}  "
        f"{result.cpu_percent:5.1f} {result.cpu_s_per_call_minute:5.2f}  {result.rss_mb:5.0f} {per_call:7.0f}  "
        f"{result.messages_in_s:8.0f} {result.messages_out_s:6.0f}  {result.load_late_ms.p99:9.2f} "
        f"{result.load_cpu_percent:5.1f}" + (f"  {result.faults}" if result.faults else "")
    )


def _ways(result: Result) -> tuple[tuple[Spread, str], ...]:
    return (result.in_ms, "11"), (result.out_ms, "8"), (result.clear_ms, "8")


def aims(results: list[Result]) -> list[tuple[str, float, float]]:
    """(what, seen, at most) for every aim that this run can tell of: CPU by the median of all rounds, else the last."""
    found = {(result.subject, result.calls): result for result in results}
    checks = []
    if ("relay", 50) in found and (bridge := found.get(("bridge", 50))):
        relay_cpu, bridge_cpu = (
            median(result.cpu_percent for result in results if (result.subject, result.calls) == (name, 50))
            for name in ("relay", "bridge")
        )
        checks += [
            ("CPU at 50 calls, times the minimal relay's", bridge_cpu / relay_cpu, 1.3),
            ("added latency in at 50 calls, p99, ms", bridge.in_ms.p99, 4.0),
            ("added latency out at 50 calls, p99, ms", bridge.out_ms.p99, 4.0),
            ("barge-in at 50 calls, p99, ms", bridge.clear_ms.p99, 2.0),
        ]
    if bridge := found.get(("bridge", 200)):
        checks += [
            ("calls turned away of 200", 200 - bridge.up, 0),
            ("frames lost at 200 calls", bridge.lost_in + bridge.lost_out, 0),
        ]
    for result in results:
        if result.subject == "bridge":
            checks.append((f"memory at {result.up} calls, MB", result.rss_mb, 60 + 0.15 * result.up))
    return checks


async def run(
    calls: tuple[int, ...], subjects: tuple[str, ...], rounds: int, seconds: float, core: int, console: bool
) -> list[Result]:
    """All measurements, printed as they come."""
    results = []
    print(HEAD, flush=True)
    for count in calls:
        for name in subjects * rounds:
            results.append(await measure(name, count, seconds, core, console=console))
            print(line(results[-1]), flush=True)
    return results


def main() -> int:
    """Measure, print, and write the figures down."""
    parser = argparse.ArgumentParser(description="Measure the bridge under load, beside a minimal relay.")
    parser.add_argument("--quick", action="store_true", help="1 and 10 calls, for a few seconds")
    parser.add_argument("--calls", default="", metavar="N,N", help="how many calls at once (default 1,10,50,100,200)")
    parser.add_argument("--only", choices=tuple(OPENERS), help="measure only this one")
    parser.add_argument("--seconds", type=float, default=0.0, help=f"how long to measure (default {MEASURE_S:.0f})")
    parser.add_argument("--rounds", type=int, default=1, help="how often to measure each, alternately (default 1)")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir(), "cordboard-bench-bridge.json"))
    parser.add_argument("--console", action="store_true", help="with a console attached to the bridge, watching a call")
    parser.add_argument(
        "--undisturbed",
        action="store_true",
        help="run before all else, for a machine that does other work meanwhile (Linux, needs root)",
    )
    given = parser.parse_args()
    if given.undisturbed:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    calls = QUICK_CALLS if given.quick else CALLS
    if given.calls:
        calls = tuple(int(number) for number in given.calls.split(","))
    seconds = given.seconds or (QUICK_S if given.quick else MEASURE_S)
    pinned = pin(1)
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print("subject on core 0, load on core 1" if pinned else "not pinned: subject and load share the cores")
    gc.disable()
    subjects = (given.only,) if given.only else tuple(OPENERS)
    results = uvloop.run(run(calls, subjects, given.rounds, seconds, 0 if pinned else -1, given.console))
    missed = 0
    for what, seen, most in aims(results):
        missed += seen > most
        print(f"{'ok  ' if seen <= most else 'MISS'} {what}: {seen:.2f} (aim: at most {most:.2f})")
    given.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    print(f"all figures: {given.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

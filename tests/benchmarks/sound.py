"""How far an operator's ear and mouth are from the console: ``python -m tests.benchmarks.sound``.

A sound server with silent devices, the real sound desk on QtMultimedia in a process of its own, and
short loud pulses, two hundred each way. Printed beside the aims, in ms:
    mouth to wire       a pulse from the microphone until the desk hands out the 20 ms that hold its first
                        sample, which is the moment they are sent. When it was at the microphone a
                        recording program tells; by how much that may be late itself is added
    wire to ear         a frame of the caller's, from its arrival at the desk until a recording program
                        has got its first sample from the loudspeaker
    opening             from the order to open the microphone until the first sound of it is there
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time

import numpy as np

from tests.benchmarks.bridge import Spread, spread
from tests.together.sound_desk import SoundDesk, open_sound_desk
from tests.together.sound_server import LATENCY_MS, RATE_HZ, Recording, SoundServer, missing

PULSES = 200
OPENINGS = 20
STEP_MS = 10
PULSE_MS = 20
PAUSE_MS = (150, 250)
FULL = 30_000
LOUD = 8_000
"""Softer than a pulse, louder than what rings before and after it."""

LOUD_CODE, SILENT_CODE = 0x80, 0xFF
LOUD_CODES = bytes(code for code in range(256) if code & 0x7F < 0x30)
"""The mu-law codes that are louder than `LOUD`."""

AIMS_MS = {"mouth to wire": 80.0, "wire to ear": 120.0}


def begun(loud: list[float]) -> list[float]:
    """Of the times of all loud pieces those that begin a pulse."""
    return [at for before, at in zip([0.0, *loud], loud, strict=False) if at - before > 3 * PULSE_MS / 1000]


def heard(recording: Recording) -> list[float]:
    """When each pulse was there, by the piece that brought its first sample."""
    samples = np.frombuffer(bytes(recording.sound[: len(recording.sound) // 4 * 4]), np.int16)[::2]
    loud, start = [], 0
    for at, size in recording.arrivals:
        end = size // 4
        if np.abs(samples[start:end].astype(np.int32)).max(initial=0) > LOUD:
            loud.append(at)
        start = end
    return begun(loud)


def captured(desk: SoundDesk) -> list[float]:
    """When each pulse was handed out."""
    return begun([at for at, piece in desk.captured if any(code in LOUD_CODES for code in piece)])


def lags_ms(said: list[float], came: list[float], more_ms: float = 0.0) -> Spread:
    """From each to the one that came of it. Raises SystemExit when one is missing."""
    if len(said) != len(came):
        raise SystemExit(f"of {len(said)} pulses {len(came)} came through")
    return spread([(came_s - at) * 1000 + more_ms for at, came_s in zip(said, came, strict=True)])


async def speak(server: SoundServer, chance: random.Random, pulses: int) -> None:
    """Pulses in silence, in real time."""
    silence = bytes(RATE_HZ * STEP_MS // 1000 * 2)
    pulse = np.full(RATE_HZ * STEP_MS // 1000, FULL, np.int16).tobytes()
    async with server.speak() as mouth:
        due_s = time.monotonic()
        for _ in range(pulses):
            pause = chance.randrange(*PAUSE_MS) // STEP_MS
            for step in range(pause + PULSE_MS // STEP_MS):
                due_s += STEP_MS / 1000
                await asyncio.sleep(due_s - time.monotonic())
                mouth.write(silence if step < pause else pulse)
        mouth.write(silence * 30)


async def mouth_to_wire(server: SoundServer, desk: SoundDesk, pulses: int) -> Spread:
    """What the desk hands out, beside what a recording program hears at the microphone."""
    desk.tell("open_microphone")
    await desk.until_mic("on_air")
    async with server.record_speaker("mouth") as recording:
        await speak(server, random.Random(1), pulses)
    desk.tell("close_microphone")
    await desk.until_mic("off")
    return lags_ms(heard(recording), captured(desk), LATENCY_MS)


async def wire_to_ear(server: SoundServer, desk: SoundDesk, pulses: int) -> Spread:
    """From frames that arrive every 20 ms."""
    chance = random.Random(2)
    async with server.record_speaker() as recording:
        desk.tell("split", True)
        desk.tell("start_listening")
        desk.tell("call", SILENT_CODE, SILENT_CODE)
        await asyncio.sleep(1)
        for _ in range(pulses):
            desk.tell("mark", LOUD_CODE)
            await asyncio.sleep(chance.uniform(*PAUSE_MS) / 1000)
        await asyncio.sleep(0.5)
    return lags_ms(desk.marks, heard(recording))


async def opening(desk: SoundDesk) -> Spread:
    """Again and again."""
    took_ms = []
    for _ in range(OPENINGS):
        ordered_s = time.monotonic()
        desk.tell("open_microphone")
        took_ms.append((await desk.until_mic("on_air") - ordered_s) * 1000)
        desk.tell("close_microphone")
        await desk.until_mic("off")
    return spread(took_ms)


async def measure(pulses: int) -> dict[str, Spread]:
    """All of it."""
    with tempfile.TemporaryDirectory() as home:
        async with SoundServer() as server, open_sound_desk({**server.environment, "CORDBOARD_HOME": home}) as desk:
            return {
                "mouth to wire": await mouth_to_wire(server, desk, pulses),
                "wire to ear": await wire_to_ear(server, desk, pulses),
                "opening": await opening(desk),
            }


def main() -> int:
    parser = argparse.ArgumentParser(description="How far an operator's ear and mouth are from the console.")
    parser.add_argument("--pulses", type=int, default=PULSES)
    arguments = parser.parse_args()
    if why := missing():
        print(f"sound: not measured: {why}")
        return 0
    seen = asyncio.run(measure(arguments.pulses))
    print(f"{'ms':<20}{'n':>6}{'p50':>8}{'p99':>8}{'max':>8}{'aim at p99':>12}")
    missed = False
    for what, of in seen.items():
        aim = AIMS_MS.get(what)
        missed |= aim is not None and of.p99 > aim
        print(f"{what:<20}{of.count:>6}{of.p50:>8.1f}{of.p99:>8.1f}{of.max:>8.1f}{aim or '':>12}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

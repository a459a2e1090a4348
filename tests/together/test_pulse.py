"""What the sound server itself tells of its devices, without ever being waited for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from console.pulse import Answer, Pulse

from .sound_server import LOUDSPEAKER, MICROPHONE, SoundServer, missing

pytestmark = [pytest.mark.real_time, pytest.mark.skipif(bool(missing()), reason=missing() or "all there")]

PATIENCE_S = 10.0


@contextmanager
def connection(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Iterator[Pulse]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    pulse = Pulse()
    yield pulse
    pulse.close()


async def until(pulse: Pulse, found: Callable[[], bool]) -> None:
    """Look as the sound desk does, again and again."""
    async with asyncio.timeout(PATIENCE_S):
        while not found():
            pulse.look()
            await asyncio.sleep(0.01)


async def test_the_server_tells_what_is_there_and_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SoundServer() as server:
        with connection(monkeypatch, server.environment) as pulse:
            assert pulse.answer is Answer.ASKING and pulse.names is None
            await until(pulse, lambda: pulse.names is not None)
            assert pulse.answer is Answer.READY
            assert pulse.names is not None and pulse.names >= {MICROPHONE, LOUDSPEAKER}
            await server.unplug_microphone()
            await until(pulse, lambda: MICROPHONE not in (pulse.names or ()))
            await server.plug_microphone()
            await until(pulse, lambda: MICROPHONE in (pulse.names or ()))
            await server.stop()
            await until(pulse, lambda: pulse.answer is Answer.NONE)
            pulse.look()
            assert pulse.answer is Answer.NONE


def test_where_there_is_no_server_that_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection(monkeypatch, {"PULSE_SERVER": f"unix:{os.devnull}/nowhere"}) as pulse:
        pulse.look()
        assert pulse.answer is Answer.NONE

"""Real sound devices: a sound server of our own, QtMultimedia, and what goes in comes out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from console.mulaw import Samples, decode

from .sound_desk import SoundDesk, open_sound_desk
from .sound_server import LOUDSPEAKER, MICROPHONE, RATE_HZ, SoundServer, missing

pytestmark = pytest.mark.real_time
needs_server = pytest.mark.skipif(bool(missing()), reason=missing() or "all there")

AMPLITUDE = 12_000
TONE_HZ = 500
CALLER, LINE, SILENCE = 0x90, 0xA0, 0xFF


def tone(ms: int) -> Samples:
    at = np.arange(RATE_HZ * ms // 1000) * 2 * np.pi * TONE_HZ / RATE_HZ
    return (np.sin(at) * AMPLITUDE).astype(np.int16)


def captured(desk: SoundDesk) -> Samples:
    return decode(b"".join(piece for _, piece in desk.captured))


def sounding(samples: Samples, least: int) -> Samples:
    """From the first to the last sample that is as loud as that."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= least)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def longest_quiet(samples: Samples, below: int) -> int:
    """The longest run of samples softer than that."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= below)
    return int(np.diff(loud, prepend=-1, append=len(samples)).max()) - 1


def stereo(sound: bytes) -> Samples:
    return np.frombuffer(sound[: len(sound) // 4 * 4], np.int16).reshape(-1, 2)


@pytest.fixture
async def server() -> AsyncIterator[SoundServer]:
    async with SoundServer() as server:
        yield server


@pytest.fixture
async def desk(server: SoundServer) -> AsyncIterator[SoundDesk]:
    """Its devices are known; Qt found nothing to complain about."""
    async with open_sound_desk(server.environment) as desk:
        yield desk
    assert desk.warnings == []


@needs_server
async def test_what_is_said_into_the_microphone_goes_out_whole(server: SoundServer, desk: SoundDesk) -> None:
    assert desk.said["inputs"] == [MICROPHONE] and desk.said["outputs"][0] == LOUDSPEAKER
    assert desk.said["mic"] == "off"
    desk.tell("open_microphone")
    await desk.until_mic("on_air")
    await server.play_into_microphone(tone(2000).tobytes())
    await desk.until(lambda: len(sounding(captured(desk), AMPLITUDE // 2)) > 0 and captured(desk)[-800:].max() < 100)
    heard = sounding(captured(desk), AMPLITUDE // 2)
    assert len(heard) == pytest.approx(16_000, rel=0.01)
    assert np.abs(np.fft.rfft(heard)).argmax() * 8000 / len(heard) == pytest.approx(TONE_HZ, abs=1)
    assert np.sqrt(2 * np.mean(heard.astype(float) ** 2)) == pytest.approx(AMPLITUDE, rel=0.05)
    assert longest_quiet(heard, AMPLITUDE // 2) < 8000 / TONE_HZ  # No gap: less than one wave.
    desk.tell("close_microphone")
    await desk.until_mic("off")
    pieces = len(desk.captured)
    await server.play_into_microphone(tone(300).tobytes())
    assert len(desk.captured) == pieces


@needs_server
async def test_a_call_comes_out_of_the_loudspeaker_the_caller_left(server: SoundServer, desk: SoundDesk) -> None:
    async with server.record_speaker() as recording:
        desk.tell("split", True)
        desk.tell("start_listening")
        await desk.until(lambda: desk.said["speaker"] == "playing")
        desk.tell("call", CALLER, LINE)

        def two_seconds(sound: bytes) -> bool:
            return int(np.count_nonzero(stereo(sound)[:, 0])) > 2 * RATE_HZ

        heard = stereo(await recording.until(two_seconds))
    middle = heard[np.flatnonzero(heard[:, 0])[0] :]
    for side, code in enumerate((CALLER, LINE)):
        expected = int(decode(bytes([code]))[0])
        # On a busy machine there may be a gap; what is heard is right.
        right = np.abs(middle[:, side].astype(np.int32) - expected) < 0.05 * expected
        assert np.count_nonzero(right) > 0.9 * len(middle)


@needs_server
async def test_a_window_that_hangs_holds_up_no_sound(server: SoundServer, desk: SoundDesk) -> None:
    desk.tell("open_microphone")
    await desk.until_mic("on_air")
    async with server.record_speaker() as recording:
        desk.tell("play_tone")
        desk.tell("hang", 0.8)
        await desk.until(lambda: len(desk.hangs) == 2)
        began, ended = desk.hangs
        assert ended - began > 20  # Of 40 pieces.
        await recording.until(lambda sound: len(stereo(sound)) > 2 * RATE_HZ)
    heard = sounding(stereo(bytes(recording.sound))[:, 0], 1000)
    assert len(heard) == pytest.approx(RATE_HZ, rel=0.2)
    assert longest_quiet(heard, 1000) < RATE_HZ // 5


@needs_server
async def test_a_microphone_unplugged_on_air_is_noticed_and_not_replaced(server: SoundServer, desk: SoundDesk) -> None:
    """PulseAudio itself moves the stream to the other microphone at once, without a word to anybody."""
    await server.plug_microphone("spare")
    await desk.until(lambda: desk.said["inputs"] == [MICROPHONE, "spare"])
    desk.tell("open_microphone")
    await desk.until_mic("on_air")
    before = time.monotonic()
    await server.unplug_microphone()
    lost = await desk.until_mic("lost")
    print(f"\nnoticed {1000 * (lost - before):.0f} ms after the unplugging began (promised: 500)")
    assert desk.said["inputs"] == ["spare"] and desk.said["input"] is None
    pieces = len(desk.captured)
    await server.play_into_microphone(tone(300).tobytes())
    assert len(desk.captured) == pieces
    await server.plug_microphone()
    await desk.until(lambda: MICROPHONE in desk.said["inputs"])
    assert desk.said["mic"] == "lost" and desk.said["input"] == MICROPHONE
    desk.tell("choose_input", "spare")
    await desk.until_mic("on_air")
    await desk.until(lambda: len(desk.captured) > pieces)


@needs_server
async def test_the_last_microphone_unplugged_leaves_none(server: SoundServer, desk: SoundDesk) -> None:
    desk.tell("open_microphone")
    await desk.until_mic("on_air")
    await server.unplug_microphone()
    await desk.until_mic("lost")
    assert desk.said["inputs"] == []
    desk.tell("close_microphone")
    await desk.until_mic("none")


@needs_server
async def test_a_loudspeaker_unplugged_while_listening_is_noticed_and_not_replaced(
    server: SoundServer, desk: SoundDesk
) -> None:
    desk.tell("start_listening")
    desk.tell("call", CALLER, LINE)
    await desk.until(lambda: desk.said["speaker"] == "playing")
    await server.unplug_loudspeaker()
    await desk.until(lambda: desk.said["speaker"] == "lost")
    assert desk.said["outputs"] == ["mouth"]
    desk.tell("stop_listening")
    await desk.until(lambda: desk.said["speaker"] == "none")


@needs_server
async def test_no_microphone_is_open_but_on_air(server: SoundServer, desk: SoundDesk) -> None:
    """As the sound server sees it."""
    assert not await server.is_recorded()
    for order, mic in (("open_microphone", "on_air"), ("close_microphone", "off"), ("open_microphone", "on_air")):
        desk.tell(order)
        await desk.until_mic(mic)
        assert await server.is_recorded() == (mic == "on_air")
    desk.process.kill()
    await desk.process.wait()
    assert not await server.is_recorded()


@needs_server
async def test_a_sound_server_that_dies_is_noticed_and_no_device_is_opened_after_it(server: SoundServer) -> None:
    async with open_sound_desk(server.environment) as desk:
        desk.tell("open_microphone")
        desk.tell("start_listening")
        await desk.until_mic("on_air")
        await server.stop()
        await desk.until_mic("server_lost")
        assert desk.said["inputs"] == [] and desk.said["speaker"] == "server_lost"
        await server.start()
        # Qt would abort the whole program here.
        desk.tell("open_microphone")
        desk.tell("play_tone")
        desk.tell("muted", True)
        await desk.until(lambda: desk.said["muted"])
        assert desk.said["mic"] == "server_lost" and desk.process.returncode is None
        assert not await server.is_recorded()


@needs_server
async def test_a_check_records_and_plays_back(server: SoundServer, desk: SoundDesk) -> None:
    async with server.record_speaker() as recording:
        desk.tell("check_microphone")
        await desk.until(lambda: desk.said["checking"] == "recording")
        await server.play_into_microphone(tone(1000).tobytes())
        await desk.until(lambda: desk.said["checking"] == "playing")
        await desk.until(lambda: desk.said["checking"] == "")
        played = sounding(stereo(bytes(recording.sound))[:, 0], AMPLITUDE // 2)
    assert len(played) == pytest.approx(RATE_HZ, rel=0.02)
    assert desk.captured == []


@needs_server
async def test_where_qt_cannot_load_its_sound_library_the_desk_says_so(server: SoundServer) -> None:
    async with open_sound_desk(server.environment, "--without-multimedia") as desk:
        desk.tell("open_microphone")
        assert desk.said["mic"] == desk.said["speaker"] == "no_library"
    assert desk.warnings == []


async def test_where_no_sound_server_answers_the_desk_says_so() -> None:
    async with open_sound_desk({"PULSE_SERVER": "unix:/nowhere"}) as desk:
        assert desk.said["mic"] in ("no_server", "no_library")
    assert desk.warnings == []

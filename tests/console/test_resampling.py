"""Between devices and the telephone: nothing is lost, nothing is louder, whatever the device speaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.mulaw import PIECE_BYTES, Samples, decode
from console.resampling import Format, FromTelephone, ToTelephone

AMPLITUDE = 10_000
TONE_HZ = 440

FORMATS = [
    Format(rate_hz, channels, floats)
    for rate_hz in (8000, 44_100, 48_000)
    for channels in (1, 2, 6)
    for floats in (False, True)
]


def tone(rate_hz: int, ms: int = 1000) -> Samples:
    at = np.arange(rate_hz * ms // 1000) * 2 * np.pi * TONE_HZ / rate_hz
    return (np.sin(at) * AMPLITUDE).astype(np.int16)


def as_device(samples: Samples, format: Format) -> bytes:
    """The same on every channel."""
    every = np.repeat(samples[:, None], format.channels, axis=1)
    return (every.astype(np.float32) / np.float32(32768)).tobytes() if format.floats else every.tobytes()


def loudness(samples: Samples) -> float:
    """Of its middle, as the amplitude of a tone."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64)
    return float(np.sqrt(2 * np.mean(middle**2)))


def pitch_hz(samples: Samples, rate_hz: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate_hz / len(samples))


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_what_a_microphone_hears_is_what_the_telephone_gets(format: Format) -> None:
    pieces = ToTelephone(format).take(as_device(tone(format.rate_hz), format))
    assert {len(piece) for piece in pieces} == {PIECE_BYTES}
    assert len(pieces) == 49  # Of 50: the last few samples wait for what follows them.
    heard = decode(b"".join(pieces))
    assert loudness(heard) == pytest.approx(AMPLITUDE, rel=0.03)
    assert pitch_hz(heard, 8000) == pytest.approx(TONE_HZ, abs=2)


@given(st.lists(st.integers(0, 3000), max_size=20))
def test_it_does_not_matter_where_the_device_cuts_its_sound(cuts: list[int]) -> None:
    format = Format(48_000, 2)
    sound = as_device(tone(format.rate_hz, 100), format)
    converter, pieces, at = ToTelephone(format), [], 0
    for size in cuts:
        pieces += converter.take(sound[at : at + size])
        at += size
    pieces += converter.take(sound[at:])
    heard = decode(b"".join(pieces)).astype(np.int32)
    whole = decode(b"".join(ToTelephone(format).take(sound))).astype(np.int32)
    assert len(pieces) == 4
    assert np.abs(heard - whole).max() <= 512  # One step of mu-law at this loudness.


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_what_the_telephone_says_is_what_a_loudspeaker_plays(format: Format) -> None:
    converter, said = FromTelephone(format), tone(8000)
    sound = b"".join(converter.make(said[at : at + 80], said[at : at + 80]) for at in range(0, 8000, 80))
    played = np.frombuffer(sound, np.float32 if format.floats else np.int16).reshape(-1, format.channels)
    assert len(played) == pytest.approx(format.rate_hz, rel=0.01)
    for channel in range(min(2, format.channels)):
        samples = (played[:, channel] * (32768 if format.floats else 1)).astype(np.int16)
        assert loudness(samples) == pytest.approx(AMPLITUDE, rel=0.03)
        assert pitch_hz(samples, format.rate_hz) == pytest.approx(TONE_HZ, abs=2)
    assert not played[:, 2:].any()


@pytest.mark.parametrize("floats", [False, True])
def test_left_and_right_stay_apart(floats: bool) -> None:
    said = tone(8000)
    sound = FromTelephone(Format(48_000, 2, floats)).make(said, np.zeros_like(said))
    played = np.frombuffer(sound, np.float32 if floats else np.int16).reshape(-1, 2)
    assert played[:, 0].any() and not played[:, 1].any()


def test_the_loudest_sound_stays_in_range() -> None:
    loud: Samples = np.tile(np.array([32767, -32768], np.int16), 40).repeat(20)
    whole = np.frombuffer(FromTelephone(Format(48_000, 1, True)).make(loud, loud), np.float32)
    assert np.abs(whole).max() <= 1
    assert ToTelephone(Format(48_000, 1)).take(loud.tobytes() * 10)

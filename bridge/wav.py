"""WAV files as telephone audio: any common rate in, 8 kHz mono mu-law out.

Pure Python and not fast (about 35 ms for a second of audio): call it off the loop.
Source: the RIFF/WAVE chunk layout; format codes of RFC 2361.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import mul
from pathlib import Path

from bridge.audio import LINEAR, encode

TELEPHONE_HZ = 8000
LOWEST_HZ, HIGHEST_HZ = 4000, 192000

_PCM, _FLOAT, _MULAW, _EXTENSIBLE = 1, 3, 7, 0xFFFE
_BREATH = 256
_CROSSINGS = 10
"""Zero crossings of the low-pass on either side: -60 dB a quarter of an octave above its edge."""

_KAISER = 5.65


def mulaw_from_wav(path: Path) -> bytes:
    """The file's sound as mu-law, 8 kHz mono, its level untouched.

    Takes one channel of PCM (8 to 32 bits), float or mu-law. Raises OSError when the file cannot
    be read and ValueError, in words for the person who named it, when it is something else.
    """
    code, rate_hz, bits, data = _parts(path.read_bytes(), path.name)
    if code == _MULAW and rate_hz == TELEPHONE_HZ:
        return data
    return encode(resampled(_samples(code, bits, data, path.name), rate_hz))


def samples_from_wav(content: bytes, name: str) -> tuple[array[int], int]:
    """16-bit samples and their rate in Hz. Raises ValueError as `mulaw_from_wav` does."""
    code, rate_hz, bits, data = _parts(content, name)
    return _samples(code, bits, data, name), rate_hz


def resampled(samples: array[int], rate_hz: int, breathe: Callable[[], object] = lambda: None) -> array[int]:
    """The same sound at 8 kHz, low-passed below 4 kHz so that nothing folds over.

    breathe: called after each millisecond or so of work.
    """
    if rate_hz == TELEPHONE_HZ:
        return samples
    phases, step = _filters(rate_hz)
    taps = len(phases[0])
    reach = taps // 2
    padded = array("h", bytes(2 * reach)) + samples + array("h", bytes(2 * taps))
    out = array("h")
    count = len(samples) * len(phases) // step
    for start in range(0, count, _BREATH):
        breathe()
        first = start * step // len(phases)
        # As floats, which multiply twice as fast, but no more of them than needed now.
        near = list(map(float, padded[first : first + _BREATH * step // len(phases) + taps + 1]))
        for index in range(start, min(count, start + _BREATH)):
            base, phase = divmod(index * step, len(phases))
            value = round(sum(map(mul, near[base - first : base - first + taps], phases[phase])))
            out.append(max(-32768, min(32767, value)))
    return out


@lru_cache(maxsize=8)
def _filters(rate_hz: int) -> tuple[tuple[tuple[float, ...], ...], int]:
    """One windowed sinc for each position between two input samples, and the step in such positions."""
    common = math.gcd(rate_hz, TELEPHONE_HZ)
    positions, step = TELEPHONE_HZ // common, rate_hz // common
    edge = 0.95 * min(1.0, TELEPHONE_HZ / rate_hz)
    reach = math.ceil(_CROSSINGS / edge)

    def tap(distance: float) -> float:
        if abs(distance) >= reach:
            return 0.0
        window = _bessel(_KAISER * math.sqrt(1 - (distance / reach) ** 2)) / _bessel(_KAISER)
        angle = math.pi * edge * distance
        return window * (math.sin(angle) / angle if angle else 1.0)

    def one(phase: int) -> tuple[float, ...]:
        raw = [tap(offset - phase / positions) for offset in range(-reach, reach + 1)]
        total = sum(raw)
        return tuple(value / total for value in raw)

    return tuple(one(phase) for phase in range(positions)), step


def _bessel(x: float) -> float:
    """The modified Bessel function of the first kind, order 0, by its series."""
    return sum(((x / 2) ** n / math.factorial(n)) ** 2 for n in range(25))


def _parts(content: bytes, name: str) -> tuple[int, int, int, bytes]:
    """Format code, rate in Hz, bits a sample, and the sound's bytes."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError(f"{name} is not a WAV file")
    code = channels = rate_hz = bits = 0
    at = 12
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        body = content[at + 8 : at + 8 + size]
        if kind == b"fmt " and len(body) >= 16:
            code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
            if code == _EXTENSIBLE and len(body) >= 26:
                code = struct.unpack_from("<H", body, 24)[0]
        elif kind == b"data":
            _check(code, channels, rate_hz, bits, body, name)
            return code, rate_hz, bits, body
        at += 8 + size + size % 2
    raise ValueError(f"{name} holds no sound")


def _check(code: int, channels: int, rate_hz: int, bits: int, data: bytes, name: str) -> None:
    if (code, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_MULAW, 8)}:
        raise ValueError(f"{name} is coded in a way that is not understood here: save it as 16-bit PCM")
    if channels != 1:
        raise ValueError(f"{name} has {channels} channels: a caller has one, so save it as mono")
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise ValueError(f"{name} has {rate_hz} samples a second: save it with 8000 to 48000")
    if not data:
        raise ValueError(f"{name} holds no sound")


def _samples(code: int, bits: int, data: bytes, name: str) -> array[int]:
    width = bits // 8
    data = data[: len(data) // width * width]
    count = len(data) // width
    values: Sequence[float]
    match code, bits:
        case 7, _:
            return array("h", map(LINEAR.__getitem__, data))
        case 3, _:
            values = struct.unpack(f"<{count}f", data)
            if not all(map(math.isfinite, values)):
                raise ValueError(f"{name} holds values that are no sound")
            return array("h", (max(-32768, min(32767, round(value * 32767))) for value in values))
        case _, 16:
            samples = array("h", data)
            if sys.byteorder == "big":
                samples.byteswap()
            return samples
        case _, 8:
            return array("h", ((byte - 128) << 8 for byte in data))
        case _, _:
            # Of 24 and 32 bits the two highest bytes are the 16-bit sample.
            high = b"".join(data[at + width - 2 : at + width] for at in range(0, len(data), width))
            return array("h", struct.unpack(f"<{count}h", high))

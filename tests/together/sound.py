"""Recordings, read by nothing of ours: header and sound as any program would find them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sound:
    """Both sides of a recording: mu-law at 8 kHz, one byte a sample."""

    caller: bytes
    line: bytes

    @property
    def duration_ms(self) -> int:
        return len(self.caller) // 8


def read_wav(path: Path) -> Sound:
    """A stereo mu-law WAV whose header counts exactly what is there."""
    body = path.read_bytes()
    riff, size, wave = struct.unpack_from("<4sI4s", body)
    assert (riff, wave, size) == (b"RIFF", b"WAVE", len(body) - 8)
    chunks, at = {}, 12
    while at < len(body):
        name, length = struct.unpack_from("<4sI", body, at)
        chunks[name] = body[at + 8 : at + 8 + length]
        assert len(chunks[name]) == length
        at += 8 + length + length % 2
    assert at == len(body)
    format, channels, rate, per_second, block, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    assert (format, channels, rate, per_second, block, bits) == (7, 2, 8000, 16000, 2, 8)
    sound = chunks[b"data"]
    assert struct.unpack("<I", chunks[b"fact"])[0] == len(sound) // 2
    return Sound(sound[0::2], sound[1::2])

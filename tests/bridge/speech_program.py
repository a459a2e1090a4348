"""Sounds and speech programs made for tests."""

from __future__ import annotations

import math
import os
import stat
import struct
from array import array
from pathlib import Path


def tone(hz: float, rate_hz: int, ms: int = 500, height: int = 8000) -> array[int]:
    count = rate_hz * ms // 1000
    return array("h", (round(height * math.sin(2 * math.pi * hz * index / rate_hz)) for index in range(count)))


def wav(code: int, channels: int, rate_hz: int, bits: int, data: bytes) -> bytes:
    form = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def level_db(samples: array[int]) -> float:
    return 10 * math.log10(sum(s * s for s in samples) / len(samples) / 32768**2 + 1e-12)


def install(folder: Path, script: str) -> str:
    """A program called flite in a folder; the PATH on which it is found."""
    program = folder / "flite"
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(folder) + os.pathsep + os.defpath

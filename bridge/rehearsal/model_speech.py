"""What may be asked of the rehearsal AI's speech service, and how it answers: `POST /v1/audio/speech`.

As strict as the real one, and stricter where this one can do less: it speaks as `pcm` (24 kHz, 16
bits, mono) and `wav` alone, at its own speed.
Shape: the official `openai` package, types/audio/speech_create_params.py.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from array import array
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from bridge.audio import decode
from bridge.rehearsal.model_wire import Refused, Shape, explained
from bridge.rehearsal.tap import Tap
from bridge.wav import TELEPHONE_HZ

RATE_HZ = 24_000
MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")
VOICES = (
    *("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx"),
    *("nova", "sage", "shimmer", "verse", "marin", "cedar"),
)
_SAMPLES = 800
"""Made at a time. What is sent at a time has an odd number of bytes: the real one's pieces respect no samples."""


class Asked(Shape, kw_only=True):
    """One request."""

    input: Annotated[str, Meta(min_length=1, max_length=4096)]
    model: str
    voice: str
    instructions: str | UnsetType = UNSET
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Meta(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"


_decoder = msgspec.json.Decoder(Asked)


def decode_asked(body: bytes) -> Asked:
    """A request's body. Raises Refused."""
    try:
        asked: Asked = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise explained(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("invalid_json", f"Could not parse the body as JSON: {error}") from error
    if asked.model not in MODELS:
        problem = f"The model `{asked.model}` does not exist or you do not have access to it."
        raise Refused("model_not_found", problem)
    if asked.voice not in VOICES:
        raise Refused("invalid_value", f"Invalid value for 'voice': '{asked.voice}'.", "voice")
    if not asked.input.strip():
        raise Refused("invalid_value", "The input has nothing to say.", "input")
    if asked.response_format not in ("pcm", "wav"):
        raise Refused("invalid_value", "This rehearsal AI speaks pcm and wav only.", "response_format")
    if asked.speed != 1 or asked.stream_format != "audio":
        raise Refused("invalid_value", "This rehearsal AI speaks at speed 1 and as audio only.", "speed")
    return asked


async def answer(request: web.Request, asked: Asked, mulaw: bytes, pace: float, tap: Tap) -> web.StreamResponse:
    """The sound in pieces, as the real one sends it. pace: how many times faster than real time, 0 at once."""
    body = bytearray()
    if asked.response_format == "wav":
        # The real one does not know the length yet when it sends this.
        form = struct.pack("<HHIIHH", 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
        endless = struct.pack("<I", 0xFFFFFFFF)
        body += b"RIFF" + endless + b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + endless
    response = web.StreamResponse(headers={"Content-Type": f"audio/{asked.response_format}"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    samples = decode(mulaw)
    for at in range(0, len(samples), _SAMPLES):
        body += _raised(samples[at : at + _SAMPLES], samples[min(at + _SAMPLES, len(samples) - 1)])
        piece = body[: len(body) - 1 + len(body) % 2]
        tap.leaves("speech", bytes(piece))
        await response.write(piece)
        del body[: len(piece)]
        if pace:
            await asyncio.sleep(_SAMPLES / TELEPHONE_HZ / pace)
    await response.write(body)
    await response.write_eof()
    return response


def _raised(samples: array[int], following: int) -> bytes:
    """As 24 kHz samples, on straight lines between those there are."""
    out = array("h")
    for one, two in zip(samples, samples[1:] + array("h", (following,)), strict=True):
        out.extend((one, (2 * one + two) // 3, (one + 2 * two) // 3))
    if sys.byteorder == "big":
        out.byteswap()
    return out.tobytes()

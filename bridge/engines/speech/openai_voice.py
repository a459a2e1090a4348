"""OpenAI's speech endpoint as a voice, also that of servers which speak its protocol.

Source: the `openai` package 3.x, types/audio/speech_create_params.py: with `pcm` it answers with
24 kHz, 16 bits, mono, no header. Its own models end on 2027-01-06; compatible servers go on, so the
model is a setting.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from array import array
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from bridge.engines.openai import BASE_URL, bearer, service_url
from bridge.engines.speech import LIMIT_S, VoiceFailed
from bridge.engines.speech.http_sound import HttpSound
from bridge.engines.speech.workshop import Workshop

RATE_HZ = 24_000
MOST_CHARACTERS = 4096
MOST_BYTES = 2 * RATE_HZ * 600
"""Ten minutes: more than the longest text takes."""

NAME = "OpenAI's speech service"


class OpenAISpeech:
    """The endpoint: words in, `RATE_HZ` PCM out as it comes."""

    def __init__(
        self,
        *,
        api_key: str,
        model: str,
        voice: str,
        base_url: str = BASE_URL,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """tls: whom to trust, the system's certificates if None. Raises SettingsError when base_url is no address."""
        self._url = f"{service_url(base_url)}/audio/speech"
        self._model, self._voice = model, voice
        self._http = HttpSound(
            NAME,
            bearer(api_key),
            address="OPENAI_BASE_URL",
            refused=lambda status, body: _refused(status, body, model),
            tls=tls,
        )

    async def pcm(self, text: str, speed: float = 1.0, patience_s: float | None = None) -> AsyncGenerator[bytes, None]:
        """16-bit samples, little-endian, in pieces that respect no samples. Raises VoiceFailed.

        speed: above 1 faster. patience_s: until the next piece, None for as long as it takes.
        """
        if len(text) > MOST_CHARACTERS:
            raise VoiceFailed(f"OpenAI speaks at most {MOST_CHARACTERS} characters at a time.", unspeakable=True)
        ask = {"model": self._model, "voice": self._voice, "input": text, "response_format": "pcm"}
        left_bytes = MOST_BYTES
        async with aclosing(self._http.ask(self._url, ask | _paced(self._model, speed), patience_s)) as pieces:
            async for piece in pieces:
                left_bytes -= len(piece)
                if left_bytes < 0:
                    raise VoiceFailed(f"{NAME} sent far more sound than the words take.")
                yield piece

    async def warm(self, patience_s: float) -> None:
        """Connect ahead. Never raises."""
        await self._http.connect(self._url, patience_s)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()


class OpenAIVoice:
    """One voice for all calls; see `Voice`."""

    def __init__(
        self,
        *,
        api_key: str,
        model: str,
        voice: str,
        base_url: str = BASE_URL,
        tls: ssl.SSLContext | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        """tls: whom to trust, the system's certificates if None. Raises SettingsError when base_url is no address."""
        self._speech = OpenAISpeech(api_key=api_key, model=model, voice=voice, base_url=base_url, tls=tls)
        self._limit_s = limit_s
        self._workshop = Workshop()

    async def speak(self, text: str) -> bytes:
        """See `Voice.speak`."""
        try:
            async with asyncio.timeout(self._limit_s):
                async with aclosing(self._speech.pcm(text)) as pieces:
                    body = b"".join([piece async for piece in pieces])
                sound = await self._workshop.shape(lambda: _samples(body))
        except TimeoutError as error:
            raise VoiceFailed(f"{NAME} did not answer in time.") from error
        if not sound:
            raise VoiceFailed(f"{NAME} sent only silence.")
        return sound

    async def close(self) -> None:
        """See `Voice.close`."""
        await self._speech.close()
        await self._workshop.close()


def _paced(model: str, speed: float) -> dict[str, str | float]:
    """The newer models take no number, but listen to words."""
    if speed == 1.0:
        return {}
    if model.startswith("gpt-"):
        return {"instructions": "Speak slowly and clearly." if speed < 1 else "Speak at a brisk pace."}
    return {"speed": speed}


class _Error(msgspec.Struct):
    code: str | None = None
    param: str | None = None


class _Refusal(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


def _refused(status: int, body: bytes, model: str) -> VoiceFailed:
    """In words for the operator. Nothing of the body is shown: a wrong key comes back in it."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    if status in (401, 403):
        return VoiceFailed("OpenAI refused the key for speech; check OPENAI_API_KEY.", fatal=True)
    if error.code == "model_not_found" or status == 404:
        text = f"OpenAI has no speech model {model}; set OPENAI_SPEECH_MODEL to one that it has."
        return VoiceFailed(text, fatal=True)
    if error.param == "voice":
        return VoiceFailed("OpenAI has no such voice; check OPENAI_SPEECH_VOICE.", fatal=True)
    if error.code == "insufficient_quota":
        return VoiceFailed("The OpenAI account has no credit left for speech.", fatal=True)
    if status == 429:
        return VoiceFailed("OpenAI asks for fewer requests at a time.")
    return VoiceFailed(f"OpenAI could not speak that (HTTP status {status}).", unspeakable=status in (400, 413, 422))


def _samples(body: bytes) -> tuple[array[int], int]:
    samples = array("h", body[: len(body) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples, RATE_HZ

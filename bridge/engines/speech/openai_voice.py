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

import aiohttp
import msgspec

from bridge.engines.openai import BASE_URL, service_url
from bridge.engines.peer_session import system_trust
from bridge.engines.speech import LIMIT_S, VoiceFailed
from bridge.engines.speech.workshop import Workshop

RATE_HZ = 24_000
MOST_CHARACTERS = 4096
MOST_BYTES = 2 * RATE_HZ * 600
"""Ten minutes: more than the longest text takes."""


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
        self._url = f"{service_url(base_url)}/audio/speech"
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "cordboard"}
        self._model, self._voice = model, voice
        self._tls = tls
        self._limit_s = limit_s
        self._http: aiohttp.ClientSession | None = None
        self._workshop = Workshop()

    async def speak(self, text: str) -> bytes:
        """See `Voice.speak`."""
        if len(text) > MOST_CHARACTERS:
            raise VoiceFailed(f"OpenAI speaks at most {MOST_CHARACTERS} characters at a time.")
        try:
            async with asyncio.timeout(self._limit_s):
                body = await self._asked(text)
                sound = await self._workshop.shape(lambda: _samples(body))
        except TimeoutError as error:
            raise VoiceFailed("OpenAI's speech service did not answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise VoiceFailed("OpenAI's speech service could not be reached.") from error
        if not sound:
            raise VoiceFailed("OpenAI's speech service sent only silence.")
        return sound

    async def close(self) -> None:
        """See `Voice.close`."""
        if self._http is not None:
            await self._http.close()
        await self._workshop.close()

    async def _asked(self, text: str) -> bytes:
        if self._http is None:
            # Only here, since it needs the loop that it will be used in.
            self._http = aiohttp.ClientSession(headers=self._headers)
        ask = {"model": self._model, "voice": self._voice, "input": text, "response_format": "pcm"}
        tls: ssl.SSLContext | bool = self._tls or True
        if self._tls is None and self._url.startswith("https:"):
            tls = await self._workshop.do(system_trust)
        async with self._http.post(self._url, json=ask, ssl=tls, allow_redirects=False) as response:
            if response.status != 200:
                raise VoiceFailed(_refused(response.status, await response.content.read(65536), self._model))
            if response.content_type.startswith(("application/json", "text/")):
                raise VoiceFailed("Something other than OpenAI's speech service answered; check OPENAI_BASE_URL.")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise VoiceFailed("OpenAI's speech service sent far more sound than the words take.")
            return bytes(body)


class _Error(msgspec.Struct):
    code: str | None = None
    param: str | None = None


class _Refusal(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


def _refused(status: int, body: bytes, model: str) -> str:
    """A sentence for the operator. Nothing of the body is shown: a wrong key comes back in it."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    if status in (401, 403):
        return "OpenAI refused the key for speech; check OPENAI_API_KEY."
    if error.code == "model_not_found" or status == 404:
        return f"OpenAI has no speech model {model}; set OPENAI_SPEECH_MODEL to one that it has."
    if error.param == "voice":
        return "OpenAI has no such voice; check OPENAI_SPEECH_VOICE."
    if error.code == "insufficient_quota":
        return "The OpenAI account has no credit left for speech."
    if status == 429:
        return "OpenAI asks for fewer requests at a time."
    return f"OpenAI could not speak that (HTTP status {status})."


def _samples(body: bytes) -> tuple[array[int], int]:
    samples = array("h", body[: len(body) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples, RATE_HZ

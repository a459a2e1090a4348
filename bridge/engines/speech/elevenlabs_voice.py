"""ElevenLabs as a voice: `elevenlabs_wire` behind sockets that are kept for the next sentence.

What a socket cannot serve (a model that has none, a network that lets none through) is asked for by
HTTP, a sentence at a time.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bridge.engines.peer_session import lost
from bridge.engines.peer_socket import Closed, Refused
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech import elevenlabs_wire as wire
from bridge.engines.speech.elevenlabs_wire import ElevenLabsWire
from bridge.engines.speech.http_sound import HttpSound
from bridge.engines.speech.utterance import SILENT_S
from bridge.engines.speech.voice_lines import Lines

NAME = "ElevenLabs"
BASE_URL = "https://api.elevenlabs.io"
MOST_LINES = 2

WITHOUT_SOCKET = ("eleven_v3",)
"""Models, by how their names begin, that the multi-context socket does not have."""

NO_SOCKET_HERE = frozenset({0, 400, 404, 405, 426, 501})
"""Answers to the handshake that may mean only this, unless ElevenLabs says what is wrong."""


class _NoSocket(VoiceFailed):
    """What failed is the socket, and not what was asked of ElevenLabs."""


class ElevenLabsVoice:
    """See `LiveVoice`. speed: of what is spoken next, 0.7 to 1.2."""

    vendor = "elevenlabs"

    def __init__(
        self,
        *,
        api_key: str,
        voice: str = wire.VOICE,
        model: str = wire.MODEL,
        base_url: str = BASE_URL,
        speed: float = 1.0,
        tls: ssl.SSLContext | None = None,
        patience_s: float = SILENT_S,
    ) -> None:
        """voice: its id. base_url: http or https, without a slash at its end.

        tls: whom to trust, the system's certificates if None. patience_s: until the next sound.
        """
        self.model = model
        self.speed = speed
        self._patience_s = patience_s
        self._by_http = model.startswith(WITHOUT_SOCKET)
        headers = {"xi-api-key": api_key, "User-Agent": "cordboard"}
        self._clip_url = wire.clip_url(base_url, voice)
        self._http = HttpSound(NAME, headers, address="ELEVENLABS_BASE_URL", refused=wire.refused, tls=tls)
        self._lines = Lines(
            NAME,
            wire.socket_url(base_url, voice, model),
            headers,
            most=MOST_LINES,
            wire=ElevenLabsWire,
            in_words=_in_words,
            patience_s=patience_s,
            tls=tls,
        )

    async def warm(self) -> None:
        """See `LiveVoice.warm`."""
        if self._by_http:
            await self._http.connect(self._clip_url, self._patience_s)
        else:
            await self._lines.warm()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """See `LiveVoice.speak`."""
        if not self._by_http:
            try:
                async with aclosing(self._lines.speak(text, self.speed)) as pieces:
                    async for mulaw in pieces:
                        yield mulaw
                return
            except _NoSocket:
                self._by_http = True
        asked, spoke = wire.clip_asked(text, self.model, self.speed), False
        async with aclosing(self._http.ask(self._clip_url, asked, self._patience_s)) as pieces:
            async for mulaw in pieces:
                spoke = True
                yield mulaw
        if not spoke:
            raise VoiceFailed("ElevenLabs sent no sound.")

    async def close(self) -> None:
        """See `LiveVoice.close`."""
        await self._lines.close()
        await self._http.close()


def _in_words(why: Exception) -> Exception:
    match why:
        case Refused(status=status, body=body) if wire.named(body.encode()) or status not in NO_SOCKET_HERE:
            return wire.turned_away(status, body.encode())
        case Refused():
            return _NoSocket("ElevenLabs has no socket here.")
        case Closed(code=code, reason=reason):
            return wire.closed(code, reason)
    return lost(why, vendor=NAME, key="ELEVENLABS_API_KEY", address="ELEVENLABS_BASE_URL")

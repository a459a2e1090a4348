"""OpenAI's transcription session as a transcriber: `openai_transcriber_wire` behind one socket."""

from __future__ import annotations

import asyncio
import ssl

from bridge.engines.openai import BASE_URL, bearer, lost, realtime_url
from bridge.engines.peer_session import PeerSession, within
from bridge.engines.speech import Words
from bridge.engines.speech.openai_transcriber_wire import NO_WORDS, TranscriberWire

LAST_WORDS_S = 1.5
CLOSE_S = 0.4
UNSENT_BYTES = 150_000
"""About as much sound, as messages, as is kept until the session is ready."""

PAUSE_S = 0.6
"""Without sound for this long, the speaker has paused: a muted microphone sends no silence."""


class OpenAITranscriber:
    """One session, used for one `run`; see `Transcriber`. dropped: sounds that the peer did not take."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        model: str = "",
        language: str = "",
        patience_s: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """model, language: see `TranscriberWire`. patience_s, tls: see `PeerSession`.

        Raises SettingsError when base_url is no address.
        """
        self.wire = TranscriberWire(model, language)
        self.dropped = 0
        self._session = PeerSession(
            realtime_url(base_url, intent="transcription"),
            bearer(api_key),
            on_open=self._opened,
            on_texts=self._received,
            on_tick=self._tick,
            in_words=lost,
            patience_s=patience_s,
            tls=tls,
        )
        self._words: Words | None = None
        self._heard_s = 0.0
        self._settled = asyncio.Event()

    async def run(self, words: Words) -> None:
        """See `Transcriber.run`."""
        self._words = words
        try:
            await self._session.run()
        finally:
            self._settled.set()
            self.wire.give_up("the connection was lost" if self._session.why is not None else NO_WORDS, words)

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """See `Transcriber.hear`."""
        if self._session.over:
            return
        if self._session.unsent_bytes > UNSENT_BYTES:
            self.dropped += 1
            return
        self._heard_s = asyncio.get_running_loop().time()
        self._send(self.wire.hear(mulaw, at_ms))

    def pause(self) -> None:
        """See `Transcriber.pause`."""
        self._send(self.wire.pause())

    async def close(self) -> None:
        """See `Transcriber.close`."""
        if self._session.closing:
            return
        self._session.closing = True
        if self._session.running:
            self._send(self.wire.finish())
            if not self.wire.settled:
                self._settled.clear()
                await within(LAST_WORDS_S, self._settled)
        await self._session.close(CLOSE_S)

    # ── what the socket calls ─────────────────────────────────────────────────────────────

    def _opened(self) -> None:
        self._send(self.wire.open())

    def _received(self, texts: list[bytes]) -> None:
        assert self._words is not None
        was_ready = self.wire.ready
        for text in texts:
            for message in self.wire.receive(text, self._words):
                self._send(message)
        if self.wire.ready and not was_ready:
            self._session.ready()
            if self._session.closing:
                self._send(self.wire.finish())
        if self.wire.settled:
            self._settled.set()

    def _tick(self) -> None:
        if asyncio.get_running_loop().time() - self._heard_s > PAUSE_S:
            self._send(self.wire.muted())
        if not self.wire.settled:
            self._session.probe()

    def _send(self, message: bytes | None) -> None:
        if message is not None:
            self._session.send_text(message)

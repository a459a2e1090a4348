"""OpenAI's transcription session as a transcriber: `openai_transcriber_wire` behind one socket."""

from __future__ import annotations

import asyncio
import ssl

from bridge.engines.openai import BASE_URL, CONFIGURE_S, CONNECT_S, lost, realtime_url, system_trust
from bridge.engines.peer_socket import PeerSocket
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

    def __init__(self, *, api_key: str, base_url: str = BASE_URL, tls: ssl.SSLContext | None = None) -> None:
        """tls: whom to trust, the system's certificates if None. Raises SettingsError when base_url is no address."""
        self.wire = TranscriberWire()
        self.dropped = 0
        self._url = realtime_url(base_url, intent="transcription")
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "cordboard"}
        self._tls = tls
        self._words: Words | None = None
        self._peer: PeerSocket | None = None
        self._deadline: asyncio.Timeout | None = None
        self._heard_s = 0.0
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()
        self._closing = False

    async def run(self, words: Words) -> None:
        """See `Transcriber.run`."""
        if self._closing:
            return
        self._words = words
        self._peer = peer = PeerSocket(
            self._url, self._headers, on_open=self._opened, on_texts=self._received, on_tick=self._tick
        )
        why: Exception | None = None
        try:
            async with asyncio.timeout(CONNECT_S) as self._deadline:
                await peer.connect(lambda: self._tls or system_trust())
                why = await peer.over
        except (OSError, TimeoutError) as error:
            why = error
        finally:
            peer.drop()
            self._settled.set()
            self._ended.set()
            self.wire.give_up("the connection was lost" if why is not None else NO_WORDS, words)
        if why is not None and not self._closing:
            raise lost(why)

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """See `Transcriber.hear`."""
        if self._closing or self._ended.is_set():
            return
        peer = self._peer
        if peer is not None and peer.transport is not None and peer.transport.get_write_buffer_size() > UNSENT_BYTES:
            self.dropped += 1
            return
        self._heard_s = asyncio.get_running_loop().time()
        self._send(self.wire.hear(mulaw, at_ms))

    def pause(self) -> None:
        """See `Transcriber.pause`."""
        self._send(self.wire.pause())

    async def close(self) -> None:
        """See `Transcriber.close`."""
        if self._closing:
            return
        self._closing = True
        peer = self._peer
        if peer is None:
            return
        if not self._ended.is_set():
            self._send(self.wire.finish())
            if not self.wire.settled:
                self._settled.clear()
                await _within(LAST_WORDS_S, self._settled)
        if not self._ended.is_set():
            if not peer.goodbye():
                peer.drop()
                self._give_up_connecting()
            await _within(CLOSE_S, self._ended)
        peer.drop()
        await self._ended.wait()

    # ── what the socket calls ─────────────────────────────────────────────────────────────

    def _opened(self) -> None:
        self._expect(CONFIGURE_S)
        self._send(self.wire.open())

    def _received(self, texts: list[bytes]) -> None:
        assert self._words is not None
        was_ready = self.wire.ready
        for text in texts:
            for message in self.wire.receive(text, self._words):
                self._send(message)
        if self.wire.ready and not was_ready:
            self._expect(None)
            if self._closing:
                self._send(self.wire.finish())
        if self.wire.settled:
            self._settled.set()

    def _tick(self) -> None:
        if asyncio.get_running_loop().time() - self._heard_s > PAUSE_S:
            self._send(self.wire.pause())

    def _send(self, message: bytes | None) -> None:
        if message is not None and self._peer is not None:
            self._peer.send_text(message)

    def _expect(self, within_s: float | None) -> None:
        """Give the peer this long for the next step; None: it has taken the last."""
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(None if within_s is None else asyncio.get_running_loop().time() + within_s)

    def _give_up_connecting(self) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(0.0)


async def _within(seconds: float, event: asyncio.Event) -> None:
    # Not asyncio.timeout: before Python 3.11.3 it fails in a task that was cancelled.
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait([waiting], timeout=seconds)
    waiting.cancel()

"""OpenAI's GPT-Live as an engine: `gpt_live_wire` behind one socket, and the greeting by another voice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence

from bridge.engines import Listener, Remembered, ReplyKind
from bridge.engines.gpt_live_messages import Config
from bridge.engines.gpt_live_wire import APPEND, Wire
from bridge.engines.openai import BASE_URL, UNSENT_BYTES, bearer, load_prices, lost, service_url
from bridge.engines.peer_session import PeerSession
from bridge.engines.peer_socket import PeerSocket
from bridge.engines.prices import Rates
from bridge.engines.speech import Voice, VoiceFailed
from bridge.engines.speech.recorded import recorded


class GptLive:
    """One session, used for one `run`; see `Engine`.

    dropped_frames: caller audio not sent because the peer did not keep up. wire: more counters.
    """

    def __init__(
        self,
        config: Config,
        *,
        voice: Voice,
        api_key: str,
        base_url: str = BASE_URL,
        prices: Mapping[str, Rates] | None = None,
        patience_s: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """voice: speaks the first line, word for word; it stays the house's. prices: instead of `load_prices`.

        patience_s, tls: see `PeerSession`. Raises SettingsError when base_url is no address.
        """
        self.wire = Wire(config, load_prices() if prices is None else prices)
        self.dropped_frames = 0
        self._voice = voice
        self._session = PeerSession(
            f"ws{service_url(base_url).removeprefix('http')}/live/sessions",
            bearer(api_key),
            on_open=self._opened,
            on_texts=self._received,
            on_tick=self._tick,
            in_words=lost,
            patience_s=patience_s,
            tls=tls,
        )
        self._listener: Listener | None = None
        self._open: PeerSocket | None = None
        self._greeting: asyncio.Task[None] | None = None

    # ── life ──────────────────────────────────────────────────────────────────────────────

    async def run(self, listener: Listener) -> None:
        """See `Engine.run`."""
        self._listener = listener
        try:
            await self._session.run()
        finally:
            self._open = None
            await self._greet_no_more()

    async def close(self) -> None:
        """See `Engine.close`."""
        if self._open is not None:
            self.wire.close()
            self._flush()
        self._open = None
        await self._greet_no_more()
        await self._session.close()

    # ── what is wanted ────────────────────────────────────────────────────────────────────

    def hear(self, payload: str, at_ms: int) -> None:
        """See `Engine.hear`. Fifty times a second on every call: written at once, no calls to spare."""
        peer = self._open
        if peer is None or (transport := peer.transport) is None:
            if not self._session.closing:
                self.wire.hear(payload, at_ms)
        elif peer.over.done() or transport.get_write_buffer_size() > UNSENT_BYTES:
            self.dropped_frames += 1
        elif (message := self.wire.hear(payload, at_ms)) is not None:
            peer.protocol.send_text(message)
            for data in peer.protocol.data_to_send():
                transport.write(data)

    def recall(self, turns: Sequence[Remembered]) -> None:
        """See `Engine.recall`."""
        self.wire.recall(turns)
        self._flush()

    def key(self, digit: str) -> None:
        """See `Engine.key`: it is told in words alone."""

    def played(self, item_id: str) -> None:
        """See `Engine.played`: nothing here waits for it."""

    def greet(self, first_line: str) -> None:
        """See `Engine.greet`: not its own voice, which would not keep to the words."""
        if (sound := recorded(first_line)) is not None:
            self._say_first(first_line, sound)
        elif self._greeting is None and not self._session.closing:
            self._greeting = asyncio.get_running_loop().create_task(self._greet(first_line))

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`."""
        self.wire.whisper(text)
        self._flush()

    def ask(self, text: str, request: str, *, cut_in: bool) -> None:
        """See `Engine.ask`. A cut that goes with it comes before it, so the two cases are one here."""
        self.wire.ask(text, request, _now_ms())
        self._flush()

    def say(self, text: str, request: str) -> None:
        """See `Engine.say`: as near to the words as it keeps."""
        self.wire.say(text, request, _now_ms())
        self._flush()

    def tell(self, text: str) -> None:
        """See `Engine.tell`."""
        self.wire.tell(text)
        self._flush()

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`."""
        if not by_caller:
            self._stop_greeting()
        self.wire.cut(item_id, heard_ms, _now_ms(), by_caller=by_caller)
        self._flush()

    def may_answer(self, allowed: bool) -> None:
        """See `Engine.may_answer`."""
        self._stop_greeting()
        self.wire.may_answer(allowed, _now_ms())
        self._flush()

    def unhear(self) -> None:
        """See `Engine.unhear`."""
        self.wire.unhear()

    def answer_now(self) -> None:
        """See `Engine.answer_now`."""
        self.wire.answer_now(_now_ms())
        self._flush()

    def answer_tool(self, tool_id: str, output: str) -> None:
        """See `Engine.answer_tool`."""
        self.wire.answer_tool(tool_id, output)
        self._flush()

    # ── the greeting ──────────────────────────────────────────────────────────────────────

    async def _greet(self, first_line: str) -> None:
        try:
            sound = await self._voice.speak(first_line)
        except VoiceFailed:
            sound = b""
        if sound:
            self._say_first(first_line, sound)
        else:
            # Better in the AI's own way than not at all.
            self.wire.say(first_line, "", _now_ms(), ReplyKind.GREETING)
            self._flush()

    def _say_first(self, first_line: str, sound: bytes) -> None:
        self.wire.greet(first_line, sound)
        self._give_greeting()

    def _give_greeting(self) -> None:
        if self._open is not None and self._listener is not None:
            self.wire.give_greeting(_now_ms(), self._listener)
            self._flush()

    def _stop_greeting(self) -> None:
        if self._greeting is not None:
            self._greeting.cancel()

    async def _greet_no_more(self) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
            await asyncio.wait([self._greeting])

    # ── what the socket calls ─────────────────────────────────────────────────────────────

    def _opened(self) -> None:
        if self._session.closing:
            return
        self._open = self._session.socket
        self.wire.open()
        self._flush()

    def _received(self, texts: list[bytes]) -> None:
        # On the hot path out: no calls to spare here either.
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        was_ready = self.wire.ready
        for text in texts:
            if self._open is None or self._listener is None:
                return
            self.wire.receive(text, now_ms, self._listener)
        if self.wire.ready and not was_ready:
            self._session.ready()
        if self.wire.out:
            self._flush()

    def _tick(self) -> None:
        if self._open is not None and self._listener is not None:
            self.wire.tick(_now_ms(), self._listener)
            self._flush()

    def _flush(self) -> None:
        """Send what the wire wants sent; until the socket is open it stays there."""
        while (peer := self._open) is not None and self._listener is not None and (out := self.wire.take()):
            for name, message in out:
                peer.send_text(message)
                if name != APPEND:
                    self._listener.on_message(True, name, message.decode())


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)

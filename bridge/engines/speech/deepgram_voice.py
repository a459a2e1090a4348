"""Deepgram's aura as a live voice: `deepgram_voice_wire` behind a few warm sockets.

Sound on a socket carries no name, and one socket speaks one text after the other. Texts that are
asked for together are spoken on sockets of their own instead: their sound cannot mix, the second is
made while the first is still spoken, and one can be given up without the other. A socket is opened
when no other is free, and used again, since opening one takes longer than a word. It also spreads
the texts: a socket takes twenty in a minute, a call seldom has more than thirty.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator

from bridge.audio import BYTES_PER_MS
from bridge.engines import EngineLost
from bridge.engines.peer_session import PeerSession
from bridge.engines.speech import LIMIT_S, VoiceFailed
from bridge.engines.speech.deepgram_messages import AURA, aura_url
from bridge.engines.speech.deepgram_transcriber import BASE_URL, VENDOR, headers, lost
from bridge.engines.speech.deepgram_voice_wire import MOST_CHARACTERS, AuraWire, Said

MOST_SOCKETS = 3
"""Two texts at once, and one that was just given up."""

MOST_BYTES = 300_000 * BYTES_PER_MS
"""Five minutes: more than the longest text takes."""

CLEAR_TICKS = 4
"""A socket that has not cleared a text in so many ticks of half a second is not waited for."""

CLOSE_S = 0.4


class DeepgramVoice:
    """One call's voice; see `LiveVoice`. model: voice and language in one, such as aura-2-thalia-en."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        model: str = "",
        tls: ssl.SSLContext | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        """base_url: http or https, without a slash at its end. model: "" for the usual one.

        limit_s: longest wait for the next piece of sound. tls: see `PeerSession`.
        """
        self.vendor = VENDOR
        self.model = model or AURA
        self._url = aura_url(base_url, self.model)
        self._api_key, self._tls = api_key, tls
        self._limit_s = limit_s
        self._mouths: list[_Mouth] = []
        self._freed = asyncio.Event()
        self._closing = False

    async def warm(self) -> None:
        """See `LiveVoice.warm`."""
        if not (self._mouths or self._closing):
            self._open()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """See `LiveVoice.speak`."""
        if len(text) > MOST_CHARACTERS:
            raise VoiceFailed(f"Deepgram speaks at most {MOST_CHARACTERS} characters at a time.")
        if not text.strip():
            return
        while True:
            mouth = await self._free()
            was_open, spoken = mouth.is_open, False
            try:
                mouth.begin(text)
                while piece := await mouth.next(self._limit_s):
                    spoken = True
                    yield piece
                return
            except VoiceFailed:
                # One that was open may have died since it spoke last; what is opened for a text has not.
                if spoken or not (was_open and mouth.gone):
                    raise
            finally:
                mouth.give_up()

    async def close(self) -> None:
        """See `LiveVoice.close`."""
        self._closing = True
        await asyncio.gather(*(mouth.close() for mouth in self._mouths))

    async def _free(self) -> _Mouth:
        """A socket that can speak: the one used last, or a new one, or the next that is done."""
        while not self._closing:
            now_ms = _now_ms()
            for mouth in reversed(self._mouths):
                if mouth.take(now_ms):
                    return mouth
            if len(self._mouths) < MOST_SOCKETS:
                mouth = self._open()
                mouth.take(now_ms)
                return mouth
            if resting := [mouth for mouth in self._mouths if not mouth.busy]:
                await resting[0].close()
                continue
            self._freed.clear()
            await self._within(self._freed)
        raise VoiceFailed("Deepgram's voice is closed.")

    async def _within(self, event: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._limit_s):
                await event.wait()
        except TimeoutError:
            raise VoiceFailed("Deepgram has too much to say at once.") from None

    def _open(self) -> _Mouth:
        mouth = _Mouth(self)
        self._mouths.append(mouth)
        return mouth

    # ── what a socket tells ───────────────────────────────────────────────────────────────

    def session(self, mouth: _Mouth) -> PeerSession:
        """Its connection, not begun yet."""
        return PeerSession(
            self._url,
            headers(self._api_key),
            on_open=mouth.on_open,
            on_texts=mouth.on_texts,
            on_bytes=mouth.on_bytes,
            on_tick=mouth.on_tick,
            in_words=lost,
            tls=self._tls,
        )

    def freed(self, mouth: _Mouth) -> None:
        """It can speak again, or is gone."""
        if mouth.gone and mouth in self._mouths:
            self._mouths.remove(mouth)
        self._freed.set()


class _Mouth:
    """One socket. is_open: it can be written to; gone: it will not speak any more; busy: with a text, or clearing."""

    def __init__(self, voice: DeepgramVoice) -> None:
        self.is_open = False
        self.gone = False
        self._taken = False
        self._text = ""
        self._voice = voice
        self._wire = AuraWire()
        self._session = voice.session(self)
        # Bounded by MOST_BYTES: a socket that sends more for one text is given up.
        self._pieces: asyncio.Queue[bytes | VoiceFailed] = asyncio.Queue()
        self._received_bytes = 0
        self._clearing_ticks = 0
        self._running = asyncio.create_task(self._run())

    @property
    def busy(self) -> bool:
        return self._taken or self._wire.clearing

    def take(self, now_ms: int) -> bool:
        """Make it one text's own, if it is free."""
        if self.gone or self._taken or not self._wire.may_speak(now_ms):
            return False
        self._taken = True
        return True

    def begin(self, text: str) -> None:
        """Have it spoken, as soon as it is open."""
        self._text = text
        self._pieces = asyncio.Queue()
        self._received_bytes = 0
        if self.is_open:
            self._say()

    async def next(self, within_s: float) -> bytes:
        """The next piece of its sound, b"" after the last. Raises VoiceFailed."""
        try:
            async with asyncio.timeout(within_s):
                piece = await self._pieces.get()
        except TimeoutError:
            raise VoiceFailed("Deepgram's voice did not answer in time.") from None
        if isinstance(piece, VoiceFailed):
            raise piece
        return piece

    def give_up(self) -> None:
        """No more is wanted of the text, if any is left."""
        self._taken, self._text, self._clearing_ticks = False, "", 0
        if (clear := self._wire.give_up()) is not None:
            self._session.send_text(clear)
        self._voice.freed(self)

    async def close(self) -> None:
        """End it within half a second."""
        await self._session.close(CLOSE_S)
        await self._running

    async def _run(self) -> None:
        failed = VoiceFailed("Deepgram's voice is closed.")
        try:
            await self._session.run()
        except EngineLost as why:
            failed = VoiceFailed(str(why), fatal=why.fatal)
        finally:
            self.gone, self.is_open = True, False
            self._pieces.put_nowait(failed)
            self._voice.freed(self)

    def _say(self) -> None:
        for message in self._wire.speak(self._text, _now_ms()):
            self._session.send_text(message)

    # ── what the socket calls ─────────────────────────────────────────────────────────────

    def on_open(self) -> None:
        self._session.ready()
        self.is_open = True
        if self._text:
            self._say()

    def on_bytes(self, mulaw: bytes) -> None:
        if piece := self._wire.sound(mulaw):
            self._received_bytes += len(piece)
            if self._received_bytes > MOST_BYTES:
                raise EngineLost("Deepgram sent far more sound than the words take.", fatal=False)
            self._pieces.put_nowait(piece)

    def on_texts(self, texts: list[bytes]) -> None:
        for text in texts:
            match self._wire.receive(text):
                case Said.ALL:
                    self._pieces.put_nowait(b"")
                case Said.REFUSED:
                    self._pieces.put_nowait(VoiceFailed("Deepgram asks for fewer sentences at a time."))
                case Said.CLEARED:
                    self._voice.freed(self)

    def on_tick(self) -> None:
        if self._wire.clearing:
            self._clearing_ticks += 1
            if self._clearing_ticks >= CLEAR_TICKS:
                raise EngineLost("Deepgram's voice did not stop when it was told to.", fatal=False)


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)

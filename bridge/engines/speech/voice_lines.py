"""The sockets of a live voice: opened ahead, kept for the next sentence, replaced when lost."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping

from bridge.engines import EngineLost
from bridge.engines.peer_session import PeerSession
from bridge.engines.peer_socket import TICK_S
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.utterance import SILENT_S, Utterance
from bridge.engines.speech.voice_wire import VoiceWire

CLOSE_S = 0.5
KEEP_ALIVE_TICKS = int(60 / TICK_S)
KEPT_TICKS = 30 * KEEP_ALIVE_TICKS
"""A socket that had no sentence for half an hour is the peer's to close."""

_log = logging.getLogger("cordboard.engines.speech")


class Lines:
    """A vendor's sockets, each with a wire of its own.

    name: of the vendor, for the operator. most: sockets at a time. wire: makes one for a new socket.
    in_words: see `PeerSession`; what it makes of an end is VoiceFailed, EngineLost or a defect of ours. An
    end that the wire put into words stays what it is.
    patience_s: until the next sound. tls: whom to trust, the system's certificates if None.
    """

    def __init__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, str],
        *,
        most: int,
        wire: Callable[[], VoiceWire],
        in_words: Callable[[Exception], Exception],
        patience_s: float = SILENT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._name, self._url, self._headers = name, url, headers
        self._most = most
        self._wire, self._in_words = wire, in_words
        self._patience_s, self._tls = patience_s, tls
        self._lines: list[_Line] = []
        self._news = asyncio.Event()
        self._closing = False

    async def warm(self, count: int = 1) -> None:
        """Have so many sockets open. Never raises."""
        while not self._closing and sum(not line.over for line in self._lines) < count:
            self._open()
        await asyncio.gather(*(line.settled.wait() for line in self._lines))

    async def speak(self, text: str, speed: float = 1.0) -> AsyncGenerator[bytes, None]:
        """See `LiveVoice.speak`. What a socket ends on before its first sound is asked for once more."""
        for last in (False, True):
            line = await self._free_line()
            utterance = Utterance()
            line.speak(text, utterance, speed)
            try:
                while mulaw := await utterance.take(self._name, self._patience_s):
                    yield mulaw
                if not utterance.begun:
                    raise VoiceFailed(f"{self._name} sent no sound.")
                return
            except VoiceFailed as failure:
                if not utterance.over:
                    # What does not answer this sentence will not answer the next.
                    line.end()
                    raise
                # The peer may close an idle socket just as we speak to it.
                if last or utterance.begun or failure.fatal or not line.over:
                    raise
            finally:
                self._leave(line, utterance)

    async def close(self) -> None:
        """Let go of the connections."""
        self._closing = True
        self._news.set()
        await asyncio.gather(*(line.close() for line in list(self._lines)))

    # ── inside ────────────────────────────────────────────────────────────────────────────

    async def _free_line(self) -> _Line:
        """A socket with room for a sentence. Raises VoiceFailed."""
        deadline_s = asyncio.get_running_loop().time() + self._patience_s
        while not self._closing:
            self._news.clear()
            open_lines = [line for line in self._lines if not line.over]
            free = next((line for line in open_lines if line.wire.ready and not line.wire.full), None)
            if free is not None:
                return free
            coming = next((line for line in open_lines if not line.wire.ready), None)
            if coming is None and len(open_lines) >= self._most:
                resting = next((line for line in open_lines if line.wire.resting), None)
                if resting is not None:
                    resting.end()
                    open_lines.remove(resting)
            if coming is None and len(open_lines) < self._most:
                coming = self._open()
            waiting = asyncio.ensure_future(self._news.wait())
            left_s = deadline_s - asyncio.get_running_loop().time()
            try:
                told, _ = await asyncio.wait([waiting], timeout=left_s)
            finally:
                waiting.cancel()
            if coming is not None and coming.failure is not None:
                raise coming.failure
            if not told:
                for line in open_lines:
                    if not line.wire.wanted:
                        line.end()
                raise VoiceFailed(f"{self._name} did not answer in time.")
        raise VoiceFailed("The voice was closed.")

    def _open(self) -> _Line:
        line = _Line(self._wire(), self._changed)
        session = PeerSession(
            self._url,
            self._headers,
            on_open=line.opened,
            on_texts=line.received,
            on_bytes=line.heard,
            on_tick=line.tick,
            in_words=lambda why: why if isinstance(why, VoiceFailed) else self._in_words(why),
            patience_s=self._patience_s,
            tls=self._tls,
        )
        line.begin(session, f"{self._name}'s voice")
        self._lines.append(line)
        return line

    def _changed(self) -> None:
        self._lines = [line for line in self._lines if not line.gone]
        self._news.set()

    def _leave(self, line: _Line, utterance: Utterance) -> None:
        """Nobody reads this any more."""
        if line.over:
            return
        line.send(line.wire.leave(utterance))
        if line.wire.unstoppable and not line.wire.wanted:
            line.end()
            if not self._closing:
                self._open()


class _Line:
    """One socket. failure: why it ended, if nobody wished it. settled: ready, or it never will be."""

    def __init__(self, wire: VoiceWire, changed: Callable[[], None]) -> None:
        self.wire = wire
        self.settled = asyncio.Event()
        self.failure: VoiceFailed | None = None
        self._changed = changed
        self._quiet_ticks = 0
        self._session: PeerSession
        self._running: asyncio.Task[None]
        self._ending: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether no sentence may be asked of it any more."""
        return self._session.over or self._running.done()

    @property
    def gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._running.done() and (self._ending is None or self._ending.done())

    def begin(self, session: PeerSession, name: str) -> None:
        """Connect, and live until either side ends it."""
        self._session = session
        self._running = asyncio.create_task(self._run(), name=name)
        self._running.add_done_callback(lambda _: self._changed())

    def speak(self, text: str, utterance: Utterance, speed: float) -> None:
        """Ask for a sentence."""
        self._quiet_ticks = 0
        self.send(self.wire.speak(text, utterance, speed))

    def send(self, messages: list[bytes]) -> None:
        """Written now."""
        for message in messages:
            self._session.send_text(message)

    def end(self) -> None:
        """Begin to close."""
        if self._ending is None:
            self._session.closing = True
            self._ending = asyncio.create_task(self._session.close(CLOSE_S), name=f"{self._running.get_name()} ends")
            self._ending.add_done_callback(lambda _: self._changed())

    async def close(self) -> None:
        """Returns when nothing is left of it."""
        self.end()
        assert self._ending is not None
        await asyncio.wait([self._running, self._ending])

    async def _run(self) -> None:
        try:
            await self._session.run()
        except VoiceFailed as failure:
            self.failure = failure
        except EngineLost as lost:
            self.failure = VoiceFailed(str(lost), fatal=lost.fatal)
        except Exception:
            _log.exception("%s failed", self._running.get_name())
            self.failure = VoiceFailed("The voice failed within Cordboard: its log says more.")
        finally:
            self.wire.give_up(self.failure or VoiceFailed("The voice was closed."))
            self.settled.set()

    # ── what the socket calls ─────────────────────────────────────────────────────────────

    def opened(self) -> None:
        self.send(self.wire.open())
        self._look()

    def received(self, texts: list[bytes]) -> None:
        for text in texts:
            self.send(self.wire.receive(text))
        self._look()

    def heard(self, mulaw: bytes) -> None:
        self.wire.hear(mulaw)

    def tick(self) -> None:
        self.wire.tick()
        self._quiet_ticks += 1
        if self._quiet_ticks % KEEP_ALIVE_TICKS == 0 and self._quiet_ticks < KEPT_TICKS and self.wire.keep_alive:
            self.send([self.wire.keep_alive])

    def _look(self) -> None:
        if self.wire.ready and not self.settled.is_set():
            self._session.ready()
            self.settled.set()
        self._changed()

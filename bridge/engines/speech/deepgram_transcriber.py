"""Deepgram as a transcriber: `deepgram_wire` (nova) or `deepgram_flux_wire` (flux) behind one socket."""

from __future__ import annotations

import asyncio
import secrets
import ssl

from bridge.engines import KEPT_MS, EngineLost
from bridge.engines.peer_session import PeerSession
from bridge.engines.peer_session import lost as lost_by
from bridge.engines.peer_socket import Closed
from bridge.engines.speech import Words
from bridge.engines.speech.deepgram_flux_wire import FluxWire
from bridge.engines.speech.deepgram_messages import NOVA, flux_model, flux_url, nova_url
from bridge.engines.speech.deepgram_wire import NovaWire, Out, Wire

BASE_URL = "https://api.deepgram.com"
VENDOR = "deepgram"

LAST_WORDS_S = 1.5
CLOSE_S = 0.4
UNSENT_BYTES = (KEPT_MS + 1_000) * 17 // 2
"""What may be heard at once and one second more, as sound with its frames' heads."""


class _Transcriber:
    """One socket, used for one `run`; see `Transcriber`.

    vendor, model: for prices and figures. dropped: sounds that the peer did not take. wire: more of that.
    """

    vendor = VENDOR

    def __init__(
        self, wire: Wire, model: str, url: str, api_key: str, patience_s: float | None, tls: ssl.SSLContext | None
    ) -> None:
        self.wire = wire
        self.model = model
        self.dropped = 0
        self._session = PeerSession(
            url,
            headers(api_key),
            on_open=self._opened,
            on_texts=self._received,
            on_tick=self._tick,
            in_words=lost,
            patience_s=patience_s,
            tls=tls,
        )
        self._words: Words | None = None
        self._hung_up = asyncio.Event()

    async def run(self, words: Words) -> None:
        """See `Transcriber.run`."""
        self._words = words
        try:
            await self._session.run()
        finally:
            self._hung_up.set()
            self.wire.give_up("the connection was lost", words)

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """See `Transcriber.hear`. Fifty times a second on every call: written at once."""
        session = self._session
        if session.over:
            return
        if session.unsent_bytes > UNSENT_BYTES:
            self.dropped += 1
        elif (sound := self.wire.hear(mulaw, at_ms)) is not None:
            session.send_bytes(sound)

    def pause(self) -> None:
        """See `Transcriber.pause`."""
        self._send(self.wire.pause())
        # If nothing came while they spoke, it must not take long to know whether anything will.
        self._session.probe()

    async def close(self) -> None:
        """See `Transcriber.close`."""
        if self._session.closing:
            return
        self._session.closing = True
        if self._session.running and self.wire.ready:
            self._send(self.wire.finish())
            waiting = asyncio.ensure_future(self._hung_up.wait())
            await asyncio.wait([waiting], timeout=LAST_WORDS_S)
            waiting.cancel()
        await self._session.close(CLOSE_S)

    # ── what the socket calls ─────────────────────────────────────────────────────────────

    def _opened(self) -> None:
        self._session.ready()
        for sound in self.wire.open(_now_ms()):
            self._session.send_bytes(sound)

    def _received(self, texts: list[bytes]) -> None:
        assert self._words is not None
        for text in texts:
            self.wire.receive(text, self._words)

    def _tick(self) -> None:
        self._send(self.wire.tick(_now_ms()))
        if self.wire.in_turn:
            self._session.probe()

    def _send(self, out: Out | None) -> None:
        if isinstance(out, str):
            self._session.send_text(out.encode())
        elif out is not None:
            self._session.send_bytes(out)


class DeepgramTranscriber(_Transcriber):
    """nova: turns end when the speaker pauses."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        model: str = "",
        language: str = "en",
        patience_s: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """base_url: http or https, without a slash at its end. model: "" for the usual one.

        language: as Deepgram calls it, such as en, en-GB, or multi for whichever is spoken.
        patience_s, tls: see `PeerSession`.
        """
        model = model or NOVA
        super().__init__(NovaWire(_name()), model, nova_url(base_url, model, language), api_key, patience_s, tls)


class FluxTranscriber(_Transcriber):
    """flux: turns end when it is sure enough that they have, and may be taken to end before."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        model: str = "",
        language: str = "en",
        eager: bool = True,
        patience_s: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """eager: whether it is to tell that a turn may end. The rest as with `DeepgramTranscriber`."""
        model = model or flux_model(language)
        url = flux_url(base_url, model, language, eager=eager)
        super().__init__(FluxWire(_name()), model, url, api_key, patience_s, tls)


def headers(api_key: str) -> dict[str, str]:
    """What Deepgram wants to see."""
    return {"Authorization": f"Token {api_key}", "User-Agent": "cordboard"}


def lost(why: Exception) -> Exception:
    """What to tell of an end that was not ours; a defect of ours stays what it is."""
    match why:
        case Closed(code=1000 | 1001):
            return EngineLost("Deepgram ended the connection. It may pass; try again.", fatal=False)
        case Closed(code=1008):
            return EngineLost("Deepgram could not read what it was sent (1008). It may pass; try again.", fatal=False)
        case Closed(reason=reason) if "NET-0001" in reason:
            return EngineLost("Deepgram got no sound for 10 s and hung up. It may pass; try again.", fatal=False)
        case _:
            return lost_by(why, vendor="Deepgram", key="DEEPGRAM_API_KEY", address="DEEPGRAM_BASE_URL")


def _name() -> str:
    """What the ids of turns begin with: two transcribers of one call must not share any."""
    return f"{VENDOR}-{secrets.token_hex(4)}"


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)

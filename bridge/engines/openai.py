"""OpenAI's Realtime API as an engine: `openai_wire` behind one socket."""

from __future__ import annotations

import asyncio
import logging
import ssl
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from bridge.engines import KEPT_MS, Listener, Remembered
from bridge.engines import openai_messages as told
from bridge.engines.openai_settings import Config
from bridge.engines.openai_wire import APPEND, Wire
from bridge.engines.peer_session import PeerSession
from bridge.engines.peer_session import lost as lost_by
from bridge.engines.peer_socket import Closed, PeerSocket, Refused
from bridge.engines.prices import Rates
from bridge.errors import SettingsError

BASE_URL = "https://api.openai.com/v1"
PRICES = Path(__file__).resolve().parents[2] / "resources" / "prices.toml"

UNSENT_BYTES = (KEPT_MS + 1_000) * 27 // 2
"""What may be heard at once and one second more, as messages."""

_log = logging.getLogger("cordboard.engines.openai")


def realtime_url(base_url: str, **query: str) -> str:
    """Where the session is, by ``model`` or ``intent``. base_url: see `service_url`."""
    return f"ws{service_url(base_url).removeprefix('http')}/realtime?{urlencode(query, quote_via=quote, safe='')}"


def service_url(base_url: str) -> str:
    """The address of OpenAI's services as http or https, without a slash at its end.

    base_url: http, https, ws or wss. Raises SettingsError when it is no such address.
    """
    schemes = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
    try:
        parts = urlsplit(base_url)
        known = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError("OPENAI_BASE_URL", f"write it like {BASE_URL}")
    return f"{schemes[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"


@cache
def load_prices(path: Path = PRICES) -> Mapping[str, Rates]:
    """The price table; empty, so that calls show no cost, when it cannot be read."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, Rates])
    except (OSError, ValueError) as error:
        _log.warning("no cost estimates, %s cannot be read: %s", path.name, error)
        return {}


class OpenAIRealtime:
    """One session, used for one `run`; see `Engine`.

    dropped_frames: caller audio not sent because the peer did not keep up. wire: more counters.
    """

    def __init__(
        self,
        config: Config,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        prices: Mapping[str, Rates] | None = None,
        patience_s: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """prices: instead of `load_prices`. patience_s, tls: see `PeerSession`.

        Raises SettingsError when base_url is no address.
        """
        self.wire = Wire(config, load_prices() if prices is None else prices)
        self.dropped_frames = 0
        self._session = PeerSession(
            realtime_url(base_url, model=config.model),
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

    # ── life ──────────────────────────────────────────────────────────────────────────────

    async def run(self, listener: Listener) -> None:
        """See `Engine.run`."""
        self._listener = listener
        try:
            await self._session.run()
        finally:
            self._open = None

    async def close(self) -> None:
        """See `Engine.close`."""
        self._open = None
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
        """See `Engine.greet`."""
        self.wire.greet(first_line, _now_ms())
        self._flush()

    def whisper(self, text: str) -> None:
        """See `Engine.whisper`."""
        self.wire.whisper(text)
        self._flush()

    def ask(self, text: str, request: str, *, cut_in: bool) -> None:
        """See `Engine.ask`. A cut that goes with it comes before it, so the two cases are one here."""
        self.wire.ask(text, request, _now_ms())
        self._flush()

    def say(self, text: str, request: str) -> None:
        """See `Engine.say`."""
        self.wire.say(text, request, _now_ms())
        self._flush()

    def tell(self, text: str) -> None:
        """See `Engine.tell`."""
        self.wire.tell(text)
        self._flush()

    def cut(self, item_id: str, heard_ms: int, *, by_caller: bool) -> None:
        """See `Engine.cut`."""
        self.wire.cut(item_id, heard_ms, by_caller=by_caller)
        self._flush()

    def may_answer(self, allowed: bool) -> None:
        """See `Engine.may_answer`."""
        self.wire.may_answer(allowed)
        self._flush()

    def unhear(self) -> None:
        """See `Engine.unhear`."""
        self.wire.unhear(_now_ms())
        self._flush()

    def answer_now(self) -> None:
        """See `Engine.answer_now`."""
        self.wire.answer_now(_now_ms())
        self._flush()

    def answer_tool(self, tool_id: str, output: str) -> None:
        """See `Engine.answer_tool`."""
        self.wire.answer_tool(tool_id, output, _now_ms())
        self._flush()

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
            now_ms = _now_ms()
            self.wire.tick(now_ms, self._listener)
            if self.wire.waits(now_ms):
                self._open.probe()
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


def bearer(api_key: str) -> Mapping[str, str]:
    """The headers that OpenAI wants."""
    return {"Authorization": f"Bearer {api_key}", "User-Agent": "cordboard"}


def lost(why: Exception) -> Exception:
    """What to tell of an end that was not ours; a defect of ours stays what it is."""
    match why:
        case Refused(status=status, body=body):
            return told.refused(status, body)
        case Closed(code=code, reason=reason):
            return told.closed(code, reason)
        case _:
            return lost_by(why, vendor="OpenAI", key="OPENAI_API_KEY", address="OPENAI_BASE_URL")

"""One session with a vendor behind a `PeerSocket`: ready in time, ended cleanly, its loss in words.

Whoever speaks a vendor's protocol makes one and gives it what the socket is to call; the audio
goes between the two directly, this only watches over the beginning and the end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from functools import cache

from bridge.engines import EngineLost
from bridge.engines.peer_socket import Closed, PeerSocket, Refused

PATIENCE_S = 5.0
"""From the start until the session is ready, where nobody is in a greater hurry."""

CLOSE_S = 0.9


@cache
def system_trust() -> ssl.SSLContext:
    """Made once: reading the system's certificates takes tens of milliseconds."""
    return ssl.create_default_context()


def _nothing(*told: object) -> None:
    """For what a session has no use for."""


class PeerSession:
    """One session, used for one `run`.

    on_open, on_texts, on_bytes, on_tick: see `PeerSocket`. in_words: what to raise of an end that was
    not ours, such as `lost` with the vendor's name. patience_s: until `ready` is called, `PATIENCE_S`
    if None. tls: whom to trust, the system's certificates if None.
    socket: the connection, once `run` has begun. closing: the end is wanted, nothing is told any more.
    why: what ended it, once it has ended, or None when nothing was wrong.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        on_open: Callable[[], None],
        on_texts: Callable[[list[bytes]], None],
        on_bytes: Callable[[bytes], None] = _nothing,
        on_tick: Callable[[], None] = _nothing,
        in_words: Callable[[Exception], Exception],
        patience_s: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket: PeerSocket | None = None
        self.closing = False
        self.why: Exception | None = None
        self._url, self._headers, self._tls = url, headers, tls
        self._on_open, self._on_texts, self._on_bytes, self._on_tick = on_open, on_texts, on_bytes, on_tick
        self._in_words = in_words
        self._patience_s = patience_s
        self._deadline: asyncio.Timeout | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Connect, then wait for the end; returns normally only after `close`, or at once after it.

        Raises what `in_words` makes of any other end. ValueError: the url is no ws or wss address.
        """
        if self.closing:
            return
        self.socket = socket = PeerSocket(
            self._url,
            self._headers,
            on_open=self._on_open,
            on_texts=self._on_texts,
            on_bytes=self._on_bytes,
            on_tick=self._on_tick,
        )
        try:
            async with asyncio.timeout(PATIENCE_S if self._patience_s is None else self._patience_s) as self._deadline:
                await socket.connect(lambda: self._tls or system_trust())
                self.why = await socket.over
        except (OSError, TimeoutError) as error:
            self.why = error
        finally:
            socket.drop()
            self._ended.set()
        if self.why is not None and not self.closing:
            raise self._in_words(self.why)

    @property
    def running(self) -> bool:
        """Whether `run` has begun and not ended."""
        return self.socket is not None and not self._ended.is_set()

    @property
    def over(self) -> bool:
        """Whether nothing more is wanted of it: it has ended, or is to."""
        return self.closing or self._ended.is_set()

    @property
    def unsent_bytes(self) -> int:
        """What was written and the system has not taken yet."""
        socket = self.socket
        return socket.transport.get_write_buffer_size() if socket is not None and socket.transport is not None else 0

    def ready(self) -> None:
        """The peer has taken the session's settings (or needs none): from now on it may last."""
        self._expect(None)

    def send_text(self, message: bytes) -> None:
        """One text message, written now; nothing when the socket is not open."""
        if self.socket is not None:
            self.socket.send_text(message)

    def send_bytes(self, message: bytes) -> None:
        """One binary message, written now; nothing when the socket is not open."""
        if self.socket is not None:
            self.socket.send_bytes(message)

    def probe(self) -> None:
        """See `PeerSocket.probe`."""
        if self.socket is not None:
            self.socket.probe()

    async def close(self, within_s: float = CLOSE_S) -> None:
        """End it, by force after ``within_s``; returns when `run` has let go. Safe to call more than once."""
        self.closing = True
        socket = self.socket
        if socket is None or self._ended.is_set():
            return
        if not socket.goodbye():
            socket.drop()
            self._expect(0.0)
        await within(within_s, self._ended)
        socket.drop()
        await self._ended.wait()

    def _expect(self, within_s: float | None) -> None:
        if self._deadline is not None and not self._deadline.expired() and not self._ended.is_set():
            self._deadline.reschedule(None if within_s is None else asyncio.get_running_loop().time() + within_s)


async def within(seconds: float, event: asyncio.Event) -> None:
    """Wait for the event, this long at most."""
    # Not asyncio.timeout: before Python 3.11.3 it fails in a task that was cancelled.
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait([waiting], timeout=seconds)
    waiting.cancel()


def lost(why: Exception, *, vendor: str, key: str, address: str = "") -> Exception:
    """What to tell of an end that was not ours; a defect of ours stays what it is.

    key, address: names of the settings with the vendor's key, and with its address where it can be set.
    """
    check = f"Check the network and {address}." if address else "Check the network."
    match why:
        case Refused(status=status):
            return _refused(status, vendor, key, check)
        case Closed(code=code):
            return EngineLost(f"The connection to {vendor} was lost ({code}).", fatal=False)
        case ssl.SSLError(reason=reason):
            text = f"The connection to {vendor} is not safe ({reason}). Check this machine's clock and network."
            return EngineLost(text, fatal=False)
        case TimeoutError():
            return EngineLost(f"{vendor} did not answer in time. It may pass; try again.", fatal=False)
        case OSError():
            return EngineLost(f"{vendor} cannot be reached ({why.strerror or why}). {check}", fatal=False)
        case _:
            return why


def _refused(status: int, vendor: str, key: str, check: str) -> EngineLost:
    """The handshake was answered with this HTTP status instead of 101 (0: not in HTTP)."""
    fatal = {
        401: f"{vendor} refused the key (401). Put a valid key into {key} and start the bridge again.",
        402: f"The {vendor} account has no credit left (402). Add credit at {vendor}.",
        403: f"{vendor} does not let this key do that (403). Check the key's rights at {vendor}.",
        404: f"There is no such model or address at {vendor} (404). Check the model in the profile.",
    }
    if status in fatal:
        return EngineLost(fatal[status], fatal=True)
    if status < 400:
        return EngineLost(f"What answered is not {vendor}. {check}", fatal=False)
    if status == 429:
        text = f"{vendor} turned the connection down (429): too many at once, or over a limit. It may pass; try again."
        return EngineLost(text, fatal=False)
    if status < 500 and status != 408:
        text = f"{vendor} refused the connection ({status}). Check the model and the voice in the profile."
        return EngineLost(text, fatal=True)
    return EngineLost(f"{vendor} could not take the connection ({status}). It may pass; try again.", fatal=False)
